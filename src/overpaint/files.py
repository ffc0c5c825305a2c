"""Files and folders as far as pictures need them: on a disk, or inside what lies elsewhere.

>>> from pathlib import Path
>>> folder: Folder = Path("pictures")
>>> str(folder / "cat.jpg")
'pictures/cat.jpg'
"""

from typing import Any, Protocol


class Dated(Protocol):
    """What is known again by its size and time of change."""

    def stat(self) -> Any:
        """With `st_size` and `st_mtime_ns`; an OSError when there is no such file."""


class File(Dated, Protocol):
    """A file that is read whole: a Path, or a picture that lies inside another file."""

    def read_bytes(self) -> bytes:
        """All of it; an OSError when it cannot be read."""


class Folder(Protocol):
    """Where pictures lie: a Path, or what finds each by its id."""

    def __truediv__(self, name: str, /) -> File:
        """The file of an id."""
