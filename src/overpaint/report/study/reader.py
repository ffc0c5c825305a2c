"""Reads files of a study folder, and notes in words what is missing or broken."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
import pyarrow.parquet as pq

from overpaint.errors import RecordError, shortened
from overpaint.records import (
    Manifest,
    Scores,
    checked,
    column_kinds,
    damages_of,
    manifest_path,
    read_as,
    read_json,
    read_manifest,
    read_table,
    readable_facts,
    table,
    table_file,
)

Facts = TypeVar("Facts")
Row = TypeVar("Row")


@dataclass(frozen=True)
class Reader:
    """Reads below a folder and notes what it could not read."""

    root: Path
    notes: list[str] = field(default_factory=list)
    damaged: set[Path] = field(default_factory=set)

    def check(self, place: Path) -> None:
        """Note what of an artefact is not as a run made it: lost, cut off or changed by hand."""
        with suppress(RecordError):  # what has no manifest is noted by who reads it
            if (present := read_manifest(place)).files is None and present.is_sealed:
                return  # it is from before there were digests
            folder = manifest_path(place).parent
            for damage in damages_of(place, settle=True):
                now = ", and is shown as it is now" if damage.state == "changed" else ""
                self.say(folder / damage.name, f"{damage.text}{now}: the next run makes it anew")
                self.damaged.add(folder / damage.name)

    def manifest(self, folder: Path) -> Manifest | None:
        """The manifest of an artefact, or None and a note."""
        path = folder / "manifest.json"
        try:
            manifest = read_manifest(folder)
        except RecordError as error:
            self._note(path, error)
            return None
        self.check(folder)
        return manifest

    def facts(self, folder: Path, manifest: Manifest | None, kind: type[Facts]) -> Facts:
        """What a manifest says of its artefact; what it does not say, or in another shape than a
        run does, is as in an artefact that says nothing, and the latter is noted.
        """
        if manifest is None:
            return kind()
        facts, unreadable = readable_facts(manifest, kind)
        for name in unreadable:
            self.say(folder / "manifest.json", f"does not tell of “{name}” as a run does")
        return facts

    def table(self, path: Path, row: type, *, wide: bool = False) -> pd.DataFrame:
        """A table with all the columns of a row: what was not there is empty, and noted; or what a
        row has by default, if it has something. A wide one has others too.
        """
        try:
            frame = read_table(path)
        except RecordError as error:
            self._note(path, error)
            return table([], row)
        kinds = column_kinds(row)
        if not self._can_do_with(path, row, frame.columns):
            return table([], row)
        absent = {name: kind.default for name, kind in kinds.items() if name not in frame}
        frame = frame.assign(
            **{name: float("nan") if value is None else value for name, value in absent.items()}
        )
        sound, remarks = checked(frame, row)
        for remark in remarks:
            self.say(path, remark)
        if not wide:
            return sound[list(kinds)]
        others = [name for name in sound if name not in kinds]
        if not all(pd.api.types.is_numeric_dtype(sound[name]) for name in others):
            self.say(path, "holds something else than numbers")
            return table([], row)
        return sound

    def there(self, path: Path, row: type) -> Path | None:
        """A table that is read only when it is needed: its place, or None where it is missing, or
        lacks a column that nothing can be said without; what it lacks is noted.
        """
        try:
            with table_file(path) as file:
                columns = pq.read_schema(file).names
            if path in self.damaged:
                read_table(path)  # which shows whether anything can be read of it
        except RecordError as error:
            self._note(path, error)
            return None
        return path if self._can_do_with(path, row, columns) else None

    def _can_do_with(self, path: Path, row: type, columns: Iterable[str]) -> bool:
        """Whether columns are enough: without layer, channel or rank nothing can be said."""
        present, kinds = set(columns), column_kinds(row)
        absent = [
            name for name, kind in kinds.items() if name not in present and kind.default is None
        ]
        for name in absent:
            self.say(path, f"lacks the column “{name}”")
        return all(kinds[name].can_lack for name in absent)

    def scores(self, path: Path) -> Scores | None:
        """The scores of a network, or None and a note."""
        self.check(path)
        try:
            value = read_json(path)
        except RecordError as error:
            self._note(path, error)
            return None
        try:
            scores = read_as(Scores, value, path)
        except RecordError:
            self.say(path, "does not hold the scores of a network")
            return None
        square, classes = scores.confusion, len(scores.classes)
        if square is not None and {len(square), *map(len, square)} != {classes}:
            scores = replace(scores, confusion=None)
            self.say(path, "holds a confusion matrix of other classes")
        if scores.main not in scores.scores:
            self.say(path, f"lacks the score “{shortened(scores.main, 60)}”")
            return None
        return scores

    def json(self, path: Path) -> Any:
        """The value of a JSON file, or None and a note."""
        self.check(path)
        try:
            return read_json(path)
        except RecordError as error:
            self._note(path, error)
            return None

    def say(self, path: Path, what: str) -> None:
        """Note what is wrong with a file, once."""
        if path in self.damaged:
            return
        self.notes.append(f"{path.relative_to(self.root).as_posix()} {what}.")

    def _note(self, path: Path, error: RecordError) -> None:
        reasons = {
            "missing-record": "is missing",
            "not-a-manifest": "does not hold what a manifest does",
        }
        self.say(path, reasons.get(error.slug, "cannot be read"))


def rows(frame: pd.DataFrame, row: type[Row]) -> list[Row]:
    """A table as rows: what is not there is None."""
    names = [column.name for column in fields(row)]  # type: ignore[arg-type]
    plain = frame[names].astype(object).where(frame[names].notna(), None)
    return [
        row(**dict(zip(names, values, strict=True)))
        for values in plain.itertuples(index=False, name=None)
    ]
