"""Paths of pictures as tables write them."""

import os.path
import re
from dataclasses import dataclass, field
from pathlib import Path
from unicodedata import normalize
from urllib.parse import unquote

from overpaint.errors import DatasetError


def inside(path: str, root: Path, where: str) -> str:
    """The id of a picture: below the root, or else the table could point anywhere.

    Links are followed: one that leads out of the root is refused as well.
    """
    if not path:
        raise DatasetError("missing-path", f"{where}: the path of the picture is empty")
    if "\0" in path:
        raise DatasetError("path-outside", f"{where}: no file can be called {path!r}")
    place = Path(os.path.normpath(root / path))
    real = Path(os.path.realpath(place))  # which minds no circle of links
    if not (place.is_relative_to(root) and real.is_relative_to(os.path.realpath(root))):
        raise DatasetError("path-outside", f"{where}: {path!r} leads out of the root {root}")
    return place.relative_to(root).as_posix()


@dataclass
class Finder:
    """Finds the pictures that a table names, also where it writes their paths in another way."""

    root: Path
    beside: Path  # the folder of the table
    respelt: int = 0
    listings: dict[Path, dict[str, list[str]]] = field(default_factory=dict)
    stems: dict[Path, dict[str, list[str]]] = field(default_factory=dict)

    def find(self, text: str, where: str) -> str:
        """The id of a picture; one that is not there keeps its path, for the doctor to name.

        Raises DatasetError for a path that leads out of the root, and for an address.
        """
        if re.match(r"(https?|s3|ftp)://", text):
            raise DatasetError(
                "path-outside",
                f"{where}: {text!r} is an address and no path: fetch the pictures first, with "
                "'overpaint fetch'",
            )
        slashed = text.replace("\\", "/")
        plain = unquote(slashed.removeprefix("file://"))
        for way in dict.fromkeys((text, slashed, plain) if text and "\0" not in plain else ()):
            for place in (self.root / way, self.beside / way, self.root / way.lstrip("/")):
                named = Path(os.path.normpath(place))
                spelt = self._spelt(named) if named.is_relative_to(self.root) else None
                if spelt:
                    self.respelt += spelt != named or way != text
                    return inside(spelt.relative_to(self.root).as_posix(), self.root, where)
        if (completed := self._completed(self.root / slashed)) is not None:
            self.respelt += 1
            return inside(completed.relative_to(self.root).as_posix(), self.root, where)
        if re.match(r"[A-Za-z]:/", slashed):
            raise DatasetError(
                "path-outside",
                f"{where}: {text!r} is a path of another machine: write paths that begin below the "
                f"root {self.root}",
            )
        return inside(slashed, self.root, where)

    def _spelt(self, place: Path) -> Path | None:
        """The file that is there, maybe with its accents or capitals written otherwise."""
        if os.path.lexists(place):
            return place
        path = self.root
        for part in place.relative_to(self.root).parts:
            if not os.path.lexists(path / part):
                names = self._names(path).get(normalize("NFC", part).casefold(), [])
                same = [name for name in names if normalize("NFC", name) == normalize("NFC", part)]
                if not same and len(names) != 1:
                    return None
                path /= (same or names)[0]
            else:
                path /= part
        return path

    def _completed(self, place: Path) -> Path | None:
        """The one picture that is called so and has an ending beside, as in lists of numbers."""
        from overpaint.pixels.images import ENDINGS

        place = Path(os.path.normpath(place))
        folder = self._spelt(place.parent) if place.parent.is_relative_to(self.root) else None
        if folder is None or place.suffix.lower() in ENDINGS or "\0" in str(place):
            return None
        if folder not in self.stems:
            stems: dict[str, list[str]] = {}
            for path in sorted(folder.iterdir()) if folder.is_dir() else []:
                if path.suffix.lower() in ENDINGS:
                    stems.setdefault(normalize("NFC", path.stem), []).append(path.name)
            self.stems[folder] = stems
        names = self.stems[folder].get(normalize("NFC", place.name), [])
        return folder / names[0] if len(names) == 1 else None

    def _names(self, folder: Path) -> dict[str, list[str]]:
        """The names in a folder, by what is the same in all spellings."""
        if folder not in self.listings:
            names: dict[str, list[str]] = {}
            for path in sorted(folder.iterdir()) if folder.is_dir() else []:
                names.setdefault(normalize("NFC", path.name).casefold(), []).append(path.name)
            self.listings[folder] = names
        return self.listings[folder]

    def notes(self) -> list[str]:
        """A sentence on the paths that are written in another way."""
        sentence = (
            f"{self.respelt} paths are written otherwise than the files are called (capitals, "
            "accents, backslashes, signs of an address, no ending), which were found"
        )
        return [sentence] if self.respelt else []
