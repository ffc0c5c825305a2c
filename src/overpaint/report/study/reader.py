"""Reads files of a study folder, and notes in words what is missing or broken."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from overpaint.errors import OverpaintError, RecordError
from overpaint.records import (
    Manifest,
    Scores,
    read_json,
    read_manifest,
    read_table,
    table,
)

Facts = Mapping[str, Callable[[Any], bool]]
"""Facts of a manifest, and whether what it tells is of their kind."""

NO_FACTS: Facts = {}


def is_number(value: Any) -> bool:
    """Whether a fact is a whole number."""
    return isinstance(value, int)


def is_text(value: Any) -> bool:
    """Whether a fact is a word."""
    return isinstance(value, str)


def is_labels(value: Any) -> bool:
    """Whether a fact is a list of words.

    >>> is_labels(["Baroque"]), is_labels(3), is_labels("Baroque")
    (True, False, False)
    """
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def is_channels(value: Any) -> bool:
    """Whether a fact is a list of layers with a channel each.

    >>> is_channels([["mixed4d", 164]]), is_channels([1]), is_channels("x")
    (True, False, False)
    """
    return isinstance(value, list) and all(
        isinstance(each, list) and [*map(type, each)] == [str, int] for each in value
    )


@dataclass(frozen=True)
class Reader:
    """Reads below a folder and notes what it could not read."""

    root: Path
    notes: list[str] = field(default_factory=list)

    def manifest(self, folder: Path, facts: Facts = NO_FACTS) -> Manifest | None:
        """The manifest of an artefact, or None and a note; facts of another kind are left out."""
        path = folder / "manifest.json"
        try:
            found = read_manifest(folder)
        except RecordError as error:
            self._note(path, error)
            return None
        if not _is_whole(found):
            self.say(path, "does not hold what a manifest does")
            return None
        told = {name: each for name, each in found.facts.items() if each is not None}
        odd = [name for name in facts if name in told and not facts[name](told[name])]
        for name in odd:
            self.say(path, f"does not tell of “{name}” as a run does")
        return replace(found, facts={name: told[name] for name in told if name not in odd})

    def table(self, path: Path, row: type) -> pd.DataFrame:
        """A table with all the columns of a row: what was not there is empty, and noted."""
        try:
            frame = read_table(path)
        except RecordError as error:
            self._note(path, error)
            return table([], row)
        absent = {each.name: str(each.type) for each in fields(row) if each.name not in frame}
        for name in absent:
            self.say(path, f"lacks the column “{name}”")
        if not _can_be_empty(absent.values()):
            return table([], row)  # without layer, channel or rank nothing can be said
        frame = frame.assign(**dict.fromkeys(absent, float("nan")))
        numbers = [each.name for each in fields(row) if "float" in str(each.type)]
        frame[numbers] = frame[numbers].apply(pd.to_numeric, errors="coerce")
        return frame[[each.name for each in fields(row)]]

    def wide(self, path: Path, row: type) -> pd.DataFrame:
        """A table that has the columns of a row and others, all of them."""
        narrow = self.table(path, row)
        return narrow if narrow.empty else read_table(path)

    def there(self, path: Path, row: type) -> Path | None:
        """A table that is read only when it is needed: its place, or None if it lacks a column that
        nothing can be said without; what it lacks is noted.
        """
        try:
            names = set(pq.read_schema(path).names)
        except FileNotFoundError:
            self.say(path, "is missing")
            return None
        except (OSError, ValueError):
            self.say(path, "cannot be read")
            return None
        absent = {each.name: str(each.type) for each in fields(row) if each.name not in names}
        for name in absent:
            self.say(path, f"lacks the column “{name}”")
        return path if _can_be_empty(absent.values()) else None

    def scores(self, path: Path) -> Scores | None:
        """The scores of a network, or None and a note."""
        try:
            scores = Scores.from_json(read_json(path))
            _ = scores.scores[scores.main]
            if scores.confusion is not None and not _is_square(scores.confusion, scores.classes):
                scores = replace(scores, confusion=None)
                self.say(path, "holds a confusion matrix of other classes")
        except RecordError as error:
            self._note(path, error)
            return None
        except (KeyError, TypeError, AttributeError):
            self.say(path, "does not hold the scores of a network")
            return None
        return scores

    def json(self, path: Path) -> Any:
        """The value of a JSON file, or None and a note."""
        try:
            return read_json(path)
        except RecordError as error:
            self._note(path, error)
            return None

    def told(
        self, path: Path, facts: Mapping[str, Any], name: str, keys: Iterable[str]
    ) -> list[dict[str, Any]]:
        """The rows that a manifest tells under a name, each with all these keys, or a note."""
        found = facts.get(name, [])
        if isinstance(found, list) and all(
            isinstance(row, dict) and row.keys() >= {*keys} for row in found
        ):
            return found
        self.say(path, f"does not tell of “{name}” as a run does")
        return []

    def say(self, path: Path, what: str) -> None:
        """Note what is wrong with a file."""
        self.notes.append(f"{self._name(path)} {what}.")

    def _note(self, path: Path, error: OverpaintError) -> None:
        missing = error.slug == "missing-record"
        self.say(path, "is missing" if missing else "cannot be read")

    def _name(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()


def _can_be_empty(kinds: Iterable[str]) -> bool:
    """Whether columns of these types may be without values."""
    return all("float" in kind or "None" in kind for kind in kinds)


def _is_whole(found: Manifest) -> bool:
    """Whether the fields of a manifest are of their kinds."""
    texts = [found.kind, found.key, found.hardware]
    tables = [found.facts, found.versions, found.inputs, found.settings]
    return all(isinstance(each, str) for each in texts) and all(
        isinstance(each, dict) for each in tables
    )


def _is_square(confusion: list[list[int]], classes: list[Any]) -> bool:
    return {len(confusion), *map(len, confusion)} == {len(classes)}


def rows(frame: pd.DataFrame, row: type) -> list[Any]:
    """A table as rows: what is not there is None."""
    plain = frame.astype(object).where(frame.notna(), None)
    return [row(*values) for values in plain.itertuples(index=False, name=None)]
