"""What a run left in the study folder, read so that a half-done study is still a study.

What is missing or broken is noted in words for the page, and an empty table takes its place.
"""

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from pydantic import ValidationError

from overpaint.errors import OverpaintError, RecordError
from overpaint.records import (
    ChannelRow,
    EpochRow,
    ImageRow,
    LayerRow,
    Manifest,
    MaximalRow,
    RenderingRow,
    Scores,
    StudyFolder,
    WeightRow,
    read_json,
    read_manifest,
    read_table,
    table,
)
from overpaint.study import Study

MAXIMAL = 12
"""The maximal images of a channel that a page shows."""


@dataclass(frozen=True)
class Reader:
    """Reads below a folder and notes what it could not read."""

    root: Path
    notes: list[str] = field(default_factory=list)

    def manifest(self, folder: Path) -> Manifest | None:
        """The manifest of an artefact, or None and a note."""
        try:
            return read_manifest(folder)
        except RecordError as error:
            self._note(folder / "manifest.json", error)
            return None

    def table(self, path: Path, row: type) -> pd.DataFrame:
        """A table with all the columns of a row: what was not there is empty, and noted."""
        try:
            frame = read_table(path)
        except RecordError as error:
            self._note(path, error)
            return table([], row)
        absent = {each.name: str(each.type) for each in fields(row) if each.name not in frame}
        for name in absent:
            self.notes.append(f"{self._name(path)} lacks the column “{name}”.")
        if not all("float" in kind or "None" in kind for kind in absent.values()):
            return table([], row)  # without layer, channel or rank nothing can be said
        frame = frame.assign(**dict.fromkeys(absent, float("nan")))
        numbers = [each.name for each in fields(row) if "float" in str(each.type)]
        frame[numbers] = frame[numbers].apply(pd.to_numeric, errors="coerce")
        return frame[[each.name for each in fields(row)]]

    def anything(self, path: Path) -> pd.DataFrame | None:
        """A table whose columns are its own, or None and a note."""
        try:
            return read_table(path)
        except RecordError as error:
            self._note(path, error)
            return None

    def scores(self, path: Path) -> Scores | None:
        """The scores of a network, or None and a note."""
        try:
            scores = Scores.from_json(read_json(path))
            _ = scores.scores[scores.main]
        except RecordError as error:
            self._note(path, error)
            return None
        except (KeyError, TypeError, AttributeError):
            self.notes.append(f"{self._name(path)} does not hold the scores of a network.")
            return None
        return scores

    def _note(self, path: Path, error: OverpaintError) -> None:
        missing = error.slug == "missing-record"
        self.notes.append(f"{self._name(path)} {'is missing' if missing else 'cannot be read'}.")

    def _name(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()


def rows(frame: pd.DataFrame, row: type) -> list[Any]:
    """A table as rows: what is not there is None."""
    plain = frame.astype(object).where(frame.notna(), None)
    return [row(*values) for values in plain.itertuples(index=False, name=None)]


# --- artefact by artefact ----------------------------------------------------------------------


@dataclass(frozen=True)
class DatasetRecords:
    """A dataset as it was found."""

    name: str
    manifest: Manifest | None
    images: pd.DataFrame
    notes: list[str]

    @property
    def facts(self) -> dict[str, Any]:
        """What the manifest says of the dataset."""
        return self.manifest.facts if self.manifest else {}


@dataclass(frozen=True)
class NetworkRecords:
    """A network as it was found; `scores` and `history` are of a trained one."""

    name: str
    trained: bool
    manifest: Manifest | None
    scores: Scores | None
    history: pd.DataFrame
    predictions: pd.DataFrame | None
    notes: list[str]

    @property
    def facts(self) -> dict[str, Any]:
        """What the manifest says of the network."""
        return self.manifest.facts if self.manifest else {}


@dataclass(frozen=True)
class ComparisonRecords:
    """A comparison as it was found; `maximal` holds the rows that its page shows."""

    before: str
    after: str
    manifest: Manifest | None
    layers: pd.DataFrame
    weights: pd.DataFrame
    channels: pd.DataFrame
    maximal: pd.DataFrame
    renderings: dict[str, pd.DataFrame]
    notes: list[str]

    @property
    def name(self) -> str:
        """The name of its folder and of its page."""
        return f"{self.before}--{self.after}"

    @property
    def facts(self) -> dict[str, Any]:
        """What the manifest says of the comparison."""
        return self.manifest.facts if self.manifest else {}

    def address(self, at: str = "") -> str:
        """The address of its page in the site, or of an anchor on it."""
        return f"comparisons/{self.name}.html{'#' if at else ''}{at}"

    @property
    def shown(self) -> list[tuple[str, int]]:
        """The chosen channels, in order."""
        return [(str(layer), int(channel)) for layer, channel in self.facts.get("shown", [])]

    @property
    def order(self) -> list[str]:
        """The layers in the order of execution."""
        by_place = self.layers.sort_values("position")["layer"].tolist()
        return list(dict.fromkeys([*by_place, *self.channels["layer"].tolist()]))


@dataclass(frozen=True)
class Records:
    """All that the report is made from."""

    folder: StudyFolder
    study: Study
    datasets: dict[str, DatasetRecords]
    networks: dict[str, NetworkRecords]
    comparisons: dict[str, ComparisonRecords]
    failures: dict[str, str]


def read_records(folder: StudyFolder) -> Records:
    """The records of a study folder; a RecordError when there is no study in it."""
    study = _study(folder.study)
    pairs = dict.fromkeys(pair.pair for pair in study.compare)
    comparisons = [_comparison(folder, study, *pair) for pair in pairs]
    return Records(
        folder,
        study,
        {name: _dataset(folder, name) for name in study.datasets},
        {name: _network(folder, study, name) for name in _told(study)},
        {each.name: each for each in comparisons},
        read_json(folder.failures) if folder.failures.is_file() else {},
    )


def _told(study: Study) -> list[str]:
    """The networks of a report: an initialisation when more than its head was random, or when it
    is compared.
    """
    compared = {name for pair in study.compare for name in pair.pair}
    return [
        name
        for name in study.nodes()
        if name in study.every
        or name in compared
        or study.every[name.removesuffix(".init")].draws_backbone
    ]


def _study(path: Path) -> Study:
    try:
        return Study.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError:
        raise RecordError(
            "missing-record", f"{path} is missing: give the folder that a run of a study left"
        ) from None
    except (ValueError, yaml.YAMLError, ValidationError, OverpaintError) as error:
        raise RecordError("broken-record", f"{path} holds no study: {error}") from None


def _dataset(folder: StudyFolder, name: str) -> DatasetRecords:
    reader, place = Reader(folder.root), folder.dataset(name)
    manifest = reader.manifest(place)
    images = reader.table(place / "images.parquet", ImageRow)
    return DatasetRecords(name, manifest, images, reader.notes)


def _network(folder: StudyFolder, study: Study, name: str) -> NetworkRecords:
    reader, place = Reader(folder.root), folder.network(name)
    trained = name in study.every and study.every[name].fit is not None
    manifest = reader.manifest(place)
    if not trained:
        history = table([], EpochRow)
        return NetworkRecords(name, False, manifest, None, history, None, reader.notes)
    scores = reader.scores(place / "scores.json")
    history = reader.table(place / "history.parquet", EpochRow)
    predictions = reader.anything(place / "predictions.parquet")
    return NetworkRecords(name, True, manifest, scores, history, predictions, reader.notes)


def _comparison(folder: StudyFolder, study: Study, before: str, after: str) -> ComparisonRecords:
    reader, place = Reader(folder.root), folder.comparison(before, after)
    manifest = reader.manifest(place)
    shown = manifest.facts.get("shown", []) if manifest else []
    renderings = {}
    for network in (before, after) if study.render else ():
        path = folder.renderings(network) / "renderings.parquet"
        renderings[network] = reader.table(path, RenderingRow)
    maximal = reader.table(place / "maximal.parquet", MaximalRow)
    return ComparisonRecords(
        before,
        after,
        manifest,
        reader.table(place / "layers.parquet", LayerRow).sort_values("position"),
        reader.table(place / "weights.parquet", WeightRow).sort_values("position"),
        reader.table(place / "channels.parquet", ChannelRow),
        _first_ranks(maximal, shown),
        renderings,
        reader.notes,
    )


def _first_ranks(maximal: pd.DataFrame, shown: list[list[Any]]) -> pd.DataFrame:
    """A hundred rows a channel and network come; the page needs twelve of the few shown."""
    wanted = {(layer, channel) for layer, channel in shown}
    first = maximal[maximal["rank"] <= MAXIMAL]
    keys = zip(first["layer"], first["channel"], strict=True)
    keep = pd.Series([key in wanted for key in keys], index=first.index, dtype=bool)
    return first[keep].sort_values(["layer", "channel", "network", "rank"], ignore_index=True)
