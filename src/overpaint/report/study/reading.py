"""What a run left in the study folder, read so that a half-done study is still a study.

What is missing or broken is noted in words for the page, and an empty table takes its place. What
a failure kept from being made is no omission: the failure is told instead, once.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from pydantic import ValidationError

from overpaint.errors import OverpaintError, RecordError
from overpaint.records import (
    AdviceRow,
    ChannelRow,
    EpochRow,
    FindingRow,
    ImageRow,
    LayerRow,
    Manifest,
    MatrixRow,
    MaximalRow,
    PairRenderingRow,
    RenderingRow,
    ResponseRow,
    RouteDifference,
    Scores,
    Spread,
    StudyFolder,
    SvmRow,
    WeightRow,
    table,
)
from overpaint.report.parts.text import slug
from overpaint.report.study.reader import Reader, is_channels, is_labels, is_number, is_text, rows
from overpaint.study import Study

# --- artefact by artefact ----------------------------------------------------------------------


@dataclass(frozen=True)
class DatasetRecords:
    """A dataset as it was found."""

    name: str
    manifest: Manifest | None
    images: pd.DataFrame
    leak: list[dict[str, Any]]  # fields of datasets.doctor.LeakRow, which reads pictures
    duplicates: list[dict[str, Any]]  # of Duplicate
    notes: list[str]

    @property
    def facts(self) -> dict[str, Any]:
        """What the manifest says of the dataset."""
        return self.manifest.facts if self.manifest else {}


@dataclass(frozen=True)
class PredictionRow:
    """The columns that every table of predictions has, whatever its classes are."""

    image: str
    labels: list[str]


@dataclass(frozen=True)
class NetworkRecords:
    """A network as it was found; all but its manifest is of a trained one."""

    name: str
    trained: bool
    manifest: Manifest | None
    scores: Scores | None
    history: pd.DataFrame
    svm: pd.DataFrame | None  # of one whose head a linear SVM found
    predictions: pd.DataFrame  # image, labels, and p(CLASS) of each class
    notes: list[str]
    failed: str = ""  # why; nothing of it is read then

    @property
    def facts(self) -> dict[str, Any]:
        """What the manifest says of the network."""
        return self.manifest.facts if self.manifest else {}


@dataclass(frozen=True)
class ComparisonRecords:
    """A comparison as it was found; what is large in it is read when a page needs it."""

    before: str
    after: str
    manifest: Manifest | None
    layers: pd.DataFrame
    weights: pd.DataFrame
    channels: pd.DataFrame
    matrix: pd.DataFrame
    responses: pd.DataFrame
    maximal: Path | None
    renderings: dict[str, pd.DataFrame]
    together: pd.DataFrame  # what was drawn of both networks at once
    notes: list[str]
    failed: tuple[str, ...] = ()  # those of the two that failed; nothing is read then

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

    def layer(self, layer: str) -> str:
        """The address of the page of a layer."""
        return f"comparisons/{self.name}/{slug(layer)}.html"

    def channel(self, layer: str, channel: int) -> str:
        """The address of the page of a channel."""
        return f"comparisons/{self.name}/{slug(layer)}/{channel}.html"

    def label(self, label: str) -> str:
        """The address of the page of a class."""
        return f"comparisons/{self.name}/classes/{slug(label)}.html"

    @property
    def trusted(self) -> str:
        """The CKA to compare layers by: debiased where every layer has it, as widths then do not
        matter.
        """
        return "cka_debiased" if self.layers["cka_debiased"].notna().all() else "cka"

    @property
    def shown(self) -> list[tuple[str, int]]:
        """The chosen channels, in order."""
        return [(str(layer), int(channel)) for layer, channel in self.facts.get("shown") or []]

    @property
    def order(self) -> list[str]:
        """The layers in the order of execution."""
        by_place = self.layers.sort_values("position")["layer"].tolist()
        return list(dict.fromkeys([*by_place, *self.channels["layer"].tolist()]))


@dataclass(frozen=True)
class EnsembleRecords:
    """An ensemble as it was found."""

    name: str
    members: list[str]
    manifest: Manifest | None
    scores: Scores | None
    notes: list[str]
    hindered: bool = False  # by a member that failed


@dataclass(frozen=True)
class RepeatRecords:
    """What `repeats.json` tells: the spread of each repeated route, and how far two differ."""

    spreads: dict[str, Spread]
    differences: dict[tuple[str, str], RouteDifference]  # (first, second)
    notes: list[str]


@dataclass(frozen=True)
class Records:
    """All that the report is made from."""

    folder: StudyFolder
    study: Study
    datasets: dict[str, DatasetRecords]
    networks: dict[str, NetworkRecords]
    comparisons: dict[str, ComparisonRecords]
    ensembles: dict[str, EnsembleRecords]
    repeats: RepeatRecords
    findings: list[FindingRow]
    advice: list[AdviceRow]
    failures: dict[str, str]
    notes: list[str]

    def route(self, name: str) -> str:
        """The network that a repeat repeats; any other is its own. `x.2.init` repeats `x.init`."""
        own = name.removesuffix(".init")
        first = next(
            (each for each in self.study.networks if own in self.study.repeated(each)), own
        )
        return first + name[len(own) :]

    def is_control(self, pair: ComparisonRecords) -> bool:
        """Whether a comparison is of two trainings that differ by their seed only."""
        routes = self.route(pair.before), self.route(pair.after)
        return pair.before != pair.after and routes[0] == routes[1]


def read_records(folder: StudyFolder) -> Records:
    """The records of a study folder; a RecordError when there is no study in it."""
    study, reader = _study(folder.study), Reader(folder.root)
    failures = _failures(reader, folder.failures)
    pairs = dict.fromkeys(pair.pair for pair in study.compare)
    comparisons = [_comparison(folder, study, *pair, failures) for pair in pairs]
    return Records(
        folder,
        study,
        {name: _dataset(folder, name) for name in study.datasets},
        {name: _network(folder, study, name, failures) for name in _told(study)},
        {each.name: each for each in comparisons},
        {name: _ensemble(folder, study, name, failures) for name in study.ensembles},
        _repeats(folder, study),
        _findings(reader, folder.findings),
        _advice(reader, folder.advice),
        failures,
        reader.notes,
    )


def _failures(reader: Reader, path: Path) -> dict[str, str]:
    """What failed, and why; there is no such file when nothing did."""
    found = reader.json(path) if path.is_file() else {}
    if found is not None and not isinstance(found, dict):
        reader.say(path, "does not hold what failed")
    return {name: str(why) for name, why in found.items()} if isinstance(found, dict) else {}


def _why(failures: dict[str, str], name: str) -> str:
    """Why a network, or the training that its initialisation began, failed; "" if it did not."""
    return failures.get(name.removesuffix(".init"), "")


def _advice(reader: Reader, path: Path) -> list[AdviceRow]:
    """Advice is asked for by a command of its own, so its absence is no omission."""
    return rows(reader.table(path, AdviceRow), AdviceRow) if path.is_file() else []


def _findings(reader: Reader, path: Path) -> list[FindingRow]:
    """The statements as they were tested."""
    data = reader.json(path)
    try:
        return [FindingRow(**row) for row in (data or {"findings": []})["findings"]]
    except (KeyError, TypeError):
        reader.say(path, "does not hold findings")
        return []


def _repeats(folder: StudyFolder, study: Study) -> RepeatRecords:
    reader = Reader(folder.root)
    wanted = any(entry.repeats > 1 for entry in study.networks.values())
    data = reader.json(folder.repeats) if wanted else None
    try:
        spreads = {name: Spread(**each) for name, each in (data or {})["spreads"].items()}
        differences = {
            (each.pop("first"), each.pop("second")): RouteDifference(**each)
            for each in (data or {})["differences"]
        }
    except (KeyError, TypeError, AttributeError):
        if data is not None:
            reader.say(folder.repeats, "does not hold the spread of repeated trainings")
        return RepeatRecords({}, {}, reader.notes)
    return RepeatRecords(spreads, differences, reader.notes)


def _told(study: Study) -> list[str]:
    """The networks of a report: an initialisation when more than its head was random, or when it
    is compared.
    """
    compared = {name for pair in study.compare for name in pair.pair}
    return [
        name
        for name in study.nodes()
        if name in study.all_networks
        or name in compared
        or study.all_networks[name.removesuffix(".init")].draws_backbone
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
    manifest = reader.manifest(place, {"classes": is_labels})
    images = reader.table(place / "images.parquet", ImageRow)
    facts = manifest.facts if manifest else {}
    leak = reader.told(place / "manifest.json", facts, "leak", LEAK)
    duplicates = reader.told(place / "manifest.json", facts, "duplicates", DUPLICATE)
    return DatasetRecords(name, manifest, images, leak, duplicates, reader.notes)


LEAK = ("split", "n", "known", "share", "accuracy", "chance")
DUPLICATE = ("first", "first_split", "second", "second_split")


def _network(
    folder: StudyFolder, study: Study, name: str, failures: dict[str, str]
) -> NetworkRecords:
    reader, place = Reader(folder.root), folder.network(name)
    trained = name in study.all_networks and study.all_networks[name].fit is not None
    nothing, none = table([], EpochRow), table([], PredictionRow)
    if why := _why(failures, name):
        return NetworkRecords(name, trained, None, None, nothing, None, none, [], why)
    manifest = reader.manifest(place, {"parent": is_text})
    if not trained:
        return NetworkRecords(name, False, manifest, None, nothing, None, none, reader.notes)
    scores = reader.scores(place / "scores.json")
    history = reader.table(place / "history.parquet", EpochRow)
    training = study.all_networks[name].training()
    by_svm = training is not None and training.optimiser == "linear_svm"
    svm = reader.table(place / "svm.parquet", SvmRow) if by_svm else None
    predictions = reader.wide(place / "predictions.parquet", PredictionRow)
    return NetworkRecords(name, True, manifest, scores, history, svm, predictions, reader.notes)


def _ensemble(
    folder: StudyFolder, study: Study, name: str, failures: dict[str, str]
) -> EnsembleRecords:
    reader, place, members = Reader(folder.root), folder.ensemble(name), study.ensembles[name]
    failed = [each for each in members if _why(failures, each)]
    if failed:
        notes = [f"Ensemble {name} was not made: {', '.join(failed)} failed."]
        return EnsembleRecords(name, members, None, None, notes, hindered=True)
    manifest, scores = reader.manifest(place), reader.scores(place / "scores.json")
    return EnsembleRecords(name, members, manifest, scores, reader.notes)


def _comparison(
    folder: StudyFolder, study: Study, before: str, after: str, failures: dict[str, str]
) -> ComparisonRecords:
    reader, place = Reader(folder.root), folder.comparison(before, after)
    failed = tuple(name for name in (before, after) if _why(failures, name))
    if failed:
        return ComparisonRecords(
            before,
            after,
            None,
            layers=table([], LayerRow),
            weights=table([], WeightRow),
            channels=table([], ChannelRow),
            matrix=table([], MatrixRow),
            responses=table([], ResponseRow),
            maximal=None,
            renderings={},
            together=table([], PairRenderingRow),
            notes=[],
            failed=failed,
        )
    manifest = reader.manifest(place, COMPARED)
    renderings = {}
    for network in (before, after) if study.render else ():
        path = folder.renderings(network) / "renderings.parquet"
        renderings[network] = reader.table(path, RenderingRow)
    together = table([], PairRenderingRow)
    if study.render and study.render.together:
        path = folder.pair_renderings(before, after) / "renderings.parquet"
        together = reader.table(path, PairRenderingRow)
    return ComparisonRecords(
        before,
        after,
        manifest,
        reader.table(place / "layers.parquet", LayerRow).sort_values("position"),
        reader.table(place / "weights.parquet", WeightRow).sort_values("position"),
        reader.table(place / "channels.parquet", ChannelRow),
        reader.table(place / "matrix.parquet", MatrixRow),
        reader.table(place / "responses.parquet", ResponseRow),
        reader.there(place / "maximal.parquet", MaximalRow),
        renderings,
        together,
        reader.notes,
    )


COMPARED = {
    "shown": is_channels,
    **dict.fromkeys(("n_cka", "n_maximal", "k", "classes"), is_number),
}
"""What a comparison tells of itself that the pages count on."""
