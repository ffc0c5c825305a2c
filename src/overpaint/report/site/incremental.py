"""What of a site stands already: a build writes only what is not there or is no longer right.

The site is brought up to date in place, file by file, each whole, the first page last; what nothing
wants any more is removed at the end. So a build that was cut off leaves a site that can be read.
"""

import filecmp
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

from overpaint.errors import RecordError
from overpaint.records import digest, file_digest, read_json, whole_file, write_json

MADE_WITH = ("overpaint", "altair", "vl-convert-python", "jinja2", "pandas", "numpy", "pillow")


@cache
def program() -> str:
    """A digest of what makes pages: the code and the templates of the report, and its libraries."""
    own = Path(str(files("overpaint.report")))
    sources = sorted(path for path in own.rglob("*") if path.suffix in (".py", ".html"))
    code = [file_digest(path) for path in sources]
    return digest([code, {name: version(name) for name in MADE_WITH}])


@dataclass(frozen=True)
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
    state: Path | None = None  # None: nothing is known, and nothing kept
    files: set[str] = field(default_factory=set)
    parts: dict[str, Part] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)  # of single files that take long to make
    written: int = 0
    _seen: dict[Path, list[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Read what the last build left."""
        self._parts: dict[str, Part] = {}
        self._keys: dict[str, str] = {}
        if self.state is None:
            return
        with suppress(RecordError, KeyError, TypeError, AttributeError):
            told = read_json(self.state)
            self._parts = {name: Part(**each) for name, each in told["parts"].items()}
            self._keys = dict(told["keys"])

    def write(self, place: str, data: bytes) -> None:
        """Write a file of the site, unless it is there with these bytes."""
        self.files.add(place)
        path = self.root / place
        with suppress(OSError):
            if path.read_bytes() == data:
                return
        with self._changed(path) as draft:
            draft.write_bytes(data)

    def copy(self, place: str, source: Path) -> None:
        """Copy a file into the site, unless it is there."""
        if place in self.files:
            return
        self.files.add(place)
        path = self.root / place
        with suppress(OSError):
            if filecmp.cmp(source, path):
                return
        with self._changed(path) as draft:
            shutil.copy2(source, draft)  # with its time, by which the next comparison is quick

    @contextmanager
    def _changed(self, path: Path) -> Iterator[Path]:
        self._begin()
        self.written += 1
        with whole_file(path) as draft:
            yield draft

    def _begin(self) -> None:
        if self.state is not None:
            self.state.unlink(missing_ok=True)

    def cached(self, place: str, made_from: Any, make: Callable[[], bytes]) -> bytes:
        """The bytes of a file that takes long to make: as they stand, if made from the same."""
        key = digest([program(), made_from])
        self.keys[place] = key
        if self._keys.get(place) == key:
            with suppress(OSError):
                data = (self.root / place).read_bytes()
                self.files.add(place)
                return data
        data = make()
        self.write(place, data)
        return data

    def part(self, name: str, made_from: Any, make: Callable[[], None]) -> None:
        """Make a part of the site, unless it stands, whole, made from the same."""
        key = digest([program(), made_from])
        old = self._parts.get(name)
        if old and old.key == key and all((self.root / each).is_file() for each in old.files):
            self.parts[name] = old
            self.files |= {*old.files}
            self.keys |= {each: self._keys[each] for each in old.files if each in self._keys}
            return
        before, self.files = self.files, set()
        make()
        self.parts[name] = Part(key, sorted(self.files))
        self.files |= before

    def pictures_below(self, folder: Path) -> list[Any]:
        """The pictures below a folder, with size and time: quicker than reading what is in them."""
        if folder not in self._seen:
            self._seen[folder] = sorted(
                (path.relative_to(folder).as_posix(), told.st_size, told.st_mtime_ns)
                for path in folder.rglob("*")
                if not stat.S_ISDIR((told := path.stat()).st_mode)
            )
        return self._seen[folder]

    def finish(self) -> None:
        """Remove what nothing wants any more, and keep what this build was made from."""
        for path in sorted(self.root.rglob("*"), reverse=True):  # a folder after what is in it
            if path.is_dir():
                with suppress(OSError):  # it is not empty
                    path.rmdir()
            elif path.relative_to(self.root).as_posix() not in self.files:
                self._begin()
                path.unlink()
        parts = {name: {"key": each.key, "files": each.files} for name, each in self.parts.items()}
        if self.state is None:
            return
        state = {"parts": parts, "keys": dict(sorted(self.keys.items()))}
        with suppress(RecordError):
            if read_json(self.state) == state:
                return
        write_json(self.state, state)


def digests(root: Path, paths: Iterable[Path]) -> dict[str, str]:
    """The digests of those of these files that are there."""
    return {
        path.relative_to(root).as_posix(): file_digest(path) for path in paths if path.is_file()
    }
