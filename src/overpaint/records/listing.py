"""Which files of a folder are ours, where others may lie among them: a report, a manuscript.

>>> from tempfile import TemporaryDirectory
>>> with TemporaryDirectory() as place:
...     listing = Listing(Path(place), Path(place) / "files.txt")
...     listing.take("index.html")
...     Listing(Path(place), Path(place) / "files.txt").places
{'index.html'}
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from overpaint.errors import RecordError
from overpaint.files import read_regular
from overpaint.records.belongings import is_link, refuse_link, refuse_link_within
from overpaint.records.files import write_text

MOST = 2**28
"""Bytes of a listing."""


def lies_below(place: str) -> bool:
    """Whether a path leads nowhere but below a folder, on any system; listings may be anybody's.

    >>> lies_below("charts/cka.svg"), lies_below("../notes.md"), lies_below("/etc/passwd")
    (True, False, False)
    """
    parts = place.split("/")
    return not any(part in ("", ".", "..") or "\\" in part or ":" in part for part in parts)


@dataclass
class Listing:
    """The files below `root` that are ours: a line of `file` for each.

    A name stands there before the file is written, so that one that was written by a process which
    ended is known.
    """

    root: Path
    file: Path
    places: set[str] = field(default_factory=set)
    rewritable: set[str] = field(default_factory=set)  # as well, though no line says so
    _checked: set[str] = field(default_factory=set)  # folders that are no links

    def __post_init__(self) -> None:
        """Read what is listed."""
        refuse_link(self.file)
        if self.file.is_file():
            names = read_regular(self.file, MOST).decode(errors="replace").splitlines()
            self.places |= set(filter(lies_below, names))

    def check(self, place: str, *, is_there: bool = True) -> None:
        """Raises RecordError for the place of a file that is somebody else's, or behind a link; of
        one that is known not to be there, for a place behind a link.
        """
        folder = place.rpartition("/")[0]
        if folder not in self._checked:
            refuse_link_within(self.root, folder)
            self._checked.add(folder)
        if not is_there:
            return
        path = self.root / place
        if not os.path.lexists(path):
            return
        refuse_link(path)
        if place not in self.places and place not in self.rewritable:
            raise RecordError(
                "not-ours",
                f"{path} is there already and was not written by overpaint: move it away, and run "
                "the same command again",
            )

    def take(self, place: str) -> None:
        """Say that a file is written now; a RecordError as `check`."""
        self.check(place)
        self.add([place])

    def add(self, places: Iterable[str]) -> None:
        """Say that some files are written now, which were checked."""
        unlisted = [place for place in places if place not in self.places]
        self.places.update(unlisted)
        if not self.file.is_file():
            self._write()
        elif unlisted:
            with self.file.open("a", encoding="utf-8", newline="\n") as file:
                file.write("".join(f"{place}\n" for place in unlisted))

    def keep_only(self, places: set[str]) -> None:
        """Remove the files of ours that are not among these, and folders that are empty then."""
        for place in filter(lies_below, sorted(self.places - places)):
            path, folders = self.root / place, Path(place).parents[:-1]
            if any(map(is_link, (path, *(self.root / folder for folder in folders)))):
                continue  # whoever put it there has the file
            path.unlink(missing_ok=True)
            for folder in folders:
                try:
                    (self.root / folder).rmdir()
                except OSError:
                    break  # it is not empty, or not there
        self.places = {*places}
        if not self.file.is_file() or self.file.read_bytes() != self._text().encode():
            self._write()  # names that were added one by one stand in their order too

    def _text(self) -> str:
        return "".join(f"{place}\n" for place in sorted(self.places))

    def _write(self) -> None:
        write_text(self.file, self._text())
