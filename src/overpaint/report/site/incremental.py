"""The files of a site from build to build: only what is missing or no longer right is written.

The site is brought up to date in place, file by file, each whole, the first page last; what nothing
wants any more is removed at the end. So a build that was cut off leaves a site that can be read.
What somebody else put into the site, as a CNAME, stays as it is: the files that are ours are listed
beside it.
"""

import filecmp
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

from overpaint.errors import RecordError
from overpaint.machine import refusals_told
from overpaint.records import (
    VERSIONS,
    Listing,
    contents,
    digest,
    file_digest,
    read_json,
    write_json,
)
from overpaint.records.drafts import Batch, sync

OVER = object()

MADE_WITH = ("overpaint", "altair", "vl-convert-python", "jinja2", "pandas", "numpy", "pillow")


@cache
def program() -> str:
    """A digest of what makes pages: the version of a site, the report's code, and its libraries."""
    report = Path(str(files("overpaint.report")))
    sources = sorted(path for path in report.rglob("*") if path.suffix in (".py", ".html"))
    code = [file_digest(path) for path in sources]
    return digest([VERSIONS["site"], code, {name: version(name) for name in MADE_WITH}])


@dataclass(frozen=True, kw_only=True)
class Part:
    """Files that were made together, and the digest of what they were made from."""

    key: str
    files: list[str]


@dataclass
class IncrementalFiles:
    """The files of a site, those of the last build and those of this one.

    What each was made from stands in `state`, a file beside the site. It is gone as long as a build
    changes anything: after one that was cut off, everything is looked at again.
    """

    root: Path
    state: Path | None = None  # None: of the last build nothing is known, of this one nothing left
    listing: Listing | None = None  # None: all that is in the folder is of this build
    look: str = ""  # at the files of the study: see `look_at`
    places: set[str] = field(default_factory=set)
    parts: dict[str, Part] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)  # of single files that take long to make
    _unlisted: list[str] = field(default_factory=list)  # ours to write, and not in the listing yet
    _copied: set[str] = field(default_factory=set)  # by this build, or found to be there
    _is_forgotten: bool = False  # what the last build was made from
    _folders: dict[Path, list[tuple[str, int, int]]] = field(default_factory=dict)
    _names: dict[str, set[str]] = field(default_factory=dict)  # of files, by folder
    _meanwhile: dict[str, Future[bytes]] = field(default_factory=dict)  # what threads make
    _maker: ThreadPoolExecutor | None = None

    def __post_init__(self) -> None:
        """Read what the last build left."""
        self.batch = Batch(self._list)
        self._last_parts: dict[str, Part] = {}
        self._last_keys: dict[str, str] = {}
        self._last_files: dict[str, str] = {}  # with their digests, as they were `_since`
        self._since = 0
        self._last_look = ""
        if self.state is None:
            return
        with suppress(RecordError, KeyError, TypeError, AttributeError):
            last = read_json(self.state)
            self._last_parts = {name: Part(**part) for name, part in last["parts"].items()}
            self._last_keys = dict(last["keys"])
            self._last_files = dict(last.get("files", {}))
            self._last_look = last.get("look", "")
            self._since = contents.changed_at(self.state)

    @contextmanager
    def written(self) -> Iterator[None]:
        """All that is written in the block is in its place after it, unless an error ends it."""
        with self.batch:
            yield
            self.write_the_rest()

    @property
    def has_looked(self) -> bool:
        """Whether the last build, of this program, saw the files of the study as they are now."""
        return bool(self.look) and self._last_look == digest([program(), self.look])

    @property
    def is_as_it_was(self) -> bool:
        """Whether another build would change nothing."""
        return (
            self.has_looked
            and self.listing is not None
            and self.listing.file.is_file()
            and self.listing.places == self._last_files.keys()
            and not contents.damages(self.root, self._last_files, since=self._since)
        )

    def write(self, place: str, data: bytes) -> None:
        """Write a file of the site, unless it is there with these bytes."""
        self.places.add(place)
        path = self.root / place
        with suppress(OSError):
            if path.read_bytes() == data:
                return
        self._take(place)
        with refusals_told(path):
            self.batch.draft(path).write_bytes(data)

    def copy(self, place: str, source: Path) -> None:
        """Copy a file into the site, unless it is there."""
        if place in self.places:
            return
        self.places.add(place)
        if place in self._copied:  # for another part
            return
        self._copied.add(place)
        path, is_there = self.root / place, self._is_there(place)
        if is_there and path.is_file() and filecmp.cmp(source, path):
            return
        self._take(place, is_there=is_there)
        self.batch.copy(source, path)

    def _is_there(self, place: str) -> bool:
        """Whether anything had a file's name when its folder was first looked at: to ask for each
        of very many would wait for those that are written meanwhile.
        """
        folder, _, name = place.rpartition("/")
        if folder not in self._names:
            try:
                self._names[folder] = {each.casefold() for each in os.listdir(self.root / folder)}  # noqa: PTH208
            except OSError:  # there is none
                self._names[folder] = set()
        return name.casefold() in self._names[folder]

    def _take(self, place: str, *, is_there: bool = True) -> None:
        """See that a file is ours to write, and forget what the last build was made from."""
        if self.listing is not None:
            self.listing.check(place, is_there=is_there)
            self._unlisted.append(place)
        self._forget_state()

    def _list(self) -> None:
        """Have the listing name what is about to be written: some files together."""
        if self.listing is not None:
            self.listing.add(self._unlisted)
        self._unlisted.clear()

    def _forget_state(self) -> None:
        if self.state is not None and not self._is_forgotten:
            self._is_forgotten = True
            if self.state.exists():
                self.state.unlink()
                sync(self.state.parent)  # before anything else is changed

    def cached(self, place: str, made_from: Any, make: Callable[[], bytes]) -> bytes:
        """The bytes of a file that takes long to make: those there, if made from the same."""
        if self.is_cached(place, made_from):
            with suppress(OSError):
                data = (self.root / place).read_bytes()
                self.places.add(place)
                return data
        data = make()
        self.write(place, data)
        return data

    def cached_meanwhile(self, place: str, made_from: Any, make: Callable[[], bytes]) -> None:
        """As `cached`, where nobody needs the bytes now: a thread makes them, until they are
        written with the part that they belong to.
        """
        self.places.add(place)
        if not self.is_cached(place, made_from):
            self._maker = self._maker or ThreadPoolExecutor(1, thread_name_prefix="pictures")
            self._meanwhile[place] = self._maker.submit(make)

    def write_the_rest(self) -> None:
        """Write what is made meanwhile."""
        while self._meanwhile:
            place, data = self._meanwhile.popitem()
            self.write(place, data.result())

    def is_cached(self, place: str, made_from: Any) -> bool:
        """Whether such a file is there, made from the same."""
        key = self.keys[place] = digest([program(), made_from])
        return self._last_keys.get(place) == key and self._is_whole(place)

    def part(self, name: str, made_from: Any, make: Callable[[], Iterator[None]]) -> Iterator[None]:
        """Make a part of the site, unless all of it is there, made from the same; in as many steps
        as `make` has, between which other parts are made.
        """
        key = digest([program(), made_from])
        last = self._last_parts.get(name)
        if last and last.key == key and all(map(self._is_whole, last.files)):
            self.parts[name] = last
            self.places |= {*last.files}
            self.keys |= {
                place: self._last_keys[place] for place in last.files if place in self._last_keys
            }
            return
        steps, places, is_over = make(), set[str](), False
        while not is_over:
            before, self.places = self.places, places
            is_over = next(steps, OVER) is OVER
            places, self.places = self.places, before | self.places
            if not is_over:
                yield
        self.write_the_rest()
        self.parts[name] = Part(key=key, files=sorted(places))

    def _is_whole(self, place: str) -> bool:
        """Whether a file is there as the last build left it."""
        told = self._last_files.get(place)
        if told is None:  # from before there were digests
            return (self.root / place).is_file()
        return not contents.damages(self.root, {place: told}, since=self._since)

    def pictures_below(self, folder: Path) -> list[tuple[str, int, int]]:
        """The pictures below a folder, with size and time: quicker than reading what is in them."""
        if folder not in self._folders:
            self._folders[folder] = sorted(
                (path.relative_to(folder).as_posix(), status.st_size, status.st_mtime_ns)
                for path in folder.rglob("*")
                if not stat.S_ISDIR((status := path.stat()).st_mode)
            )
        return self._folders[folder]

    def finish(self) -> None:
        """Remove what is ours and not of this build, and keep what it was made from."""
        self.write_the_rest()
        self.batch.flush()
        if self.listing is not None:
            if self.listing.places - self.places:
                self._forget_state()
            self.listing.keep_only(self.places)
        if self.state is None:
            return
        parts = {name: {"key": part.key, "files": part.files} for name, part in self.parts.items()}
        told = {
            place: of for place in self._copied if (of := self.batch.told.get(self.root / place))
        }
        rest = self.places - told.keys()
        files = told | contents.digests(self.root, rest, self._last_files, self._since)
        files = {place: files[place] for place in sorted(self.places)}
        state = {"parts": parts, "keys": dict(sorted(self.keys.items())), "files": files}
        if self.look:
            state["look"] = digest([program(), self.look])
        with suppress(RecordError):
            if read_json(self.state) == state:
                return
        write_json(self.state, state)


def digests(root: Path, paths: Iterable[Path]) -> dict[str, str]:
    """The digests of those of these files that are there."""
    return {
        path.relative_to(root).as_posix(): file_digest(path) for path in paths if path.is_file()
    }
