"""What a run left in the study folder, read so that a half-done study is still a study.

What is missing or broken is noted in words for the page, and an empty table takes its place. What
a failure kept from being made is no omission: the failure is told instead, once.
"""

from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from overpaint.errors import OverpaintError, RecordError
from overpaint.machine import hand_on
from overpaint.records import (
    AdviceRow,
    ChannelRow,
    ComparisonFacts,
    DatasetFacts,
    EpochRow,
    FindingRow,
    ImageRow,
    LayerRow,
    LoraRow,
    Manifest,
    MatrixRow,
    MaximalRow,
    NetworkFacts,
    PairRenderingRow,
    PlaneRow,
    RenderingRow,
    ResponseRow,
    RouteDifference,
    Scores,
    SpectrumRow,
    Spread,
    StudyFolder,
    SvmRow,
    WeightRow,
    facts_of,
    manifest_path,
    read_as,
    read_manifest,
    table,
)
from overpaint.report.parts import addresses
from overpaint.report.parts.origins import origins
from overpaint.report.parts.rows import Origin
from overpaint.report.study.causes import CauseRecords
from overpaint.report.study.gaze import GazeRecords
from overpaint.report.study.pairwise import PairwiseRecords
from overpaint.report.study.reader import Reader, rows
from overpaint.study import Study, study_in
from overpaint.study.code import MADE_IN_PYTHON

PLACES = ("x_before", "y_before", "x_after", "y_after")
"""Without which a picture lies in no plane."""

# --- artefact by artefact ----------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class DatasetRecords:
    """A dataset as it lies in the folder."""

    name: str
    manifest: Manifest | None
    facts: DatasetFacts
    images: pd.DataFrame
    notes: list[str]

    @classmethod
    def read(cls, folder: StudyFolder, name: str) -> "DatasetRecords":
        """Read a dataset."""
        reader, place = Reader(folder.root), folder.dataset(name)
        manifest = reader.manifest(place)
        images = reader.table(place / "images.parquet", ImageRow)
        reader.check(folder.thumbnails(name))
        remarks = images[["source", "rights"]].astype(object)
        return cls(
            name=name,
            manifest=manifest,
            facts=reader.facts(place, manifest, DatasetFacts),
            images=images.assign(**remarks.where(remarks.notna(), "").astype(str)),
            notes=reader.notes,
        )

    @property
    def usable(self) -> pd.DataFrame:
        """The pictures that were not left out."""
        return self.images[self.images["status"] == "ok"]

    @cached_property
    def origins(self) -> dict[str, Origin]:
        """Where pictures come from, and their rights, of those of which that is said."""
        return origins(self.images)

    @property
    def page(self) -> str:
        """The address of the page of its pictures."""
        return addresses.address(addresses.PICTURES, {"dataset": self.name})

    @cached_property
    def digests(self) -> dict[str, str]:
        """Those of the pictures that were not left out."""
        return dict(zip(self.usable["image"], self.usable["digest"], strict=True))

    @cached_property
    def said(self) -> dict[str, tuple[str, str]]:
        """The source and the rights of the pictures of which either is said."""
        columns = self.images[["image", "source", "rights"]]
        telling = columns[(columns["source"] != "") | (columns["rights"] != "")]
        return {image: (source, rights) for image, source, rights in telling.to_numpy().tolist()}

    def origin(self, image: str) -> Origin:
        """What a picture that is shown leads to: its page in the site, where it is of this dataset,
        and what is said of where it comes from.
        """
        page = addresses.picture_page(self.name, image) if image in self.digests else None
        return replace(self.origins.get(image, Origin()), page=page)


@dataclass(frozen=True)
class PredictionRow:
    """The columns that every table of predictions has, whatever its classes are."""

    image: str
    labels: list[str]


@dataclass(frozen=True, kw_only=True)
class NetworkRecords:
    """A network as it lies in the folder; all but its manifest is of a trained one."""

    name: str
    title: str  # what it is called on pages
    trained: bool
    manifest: Manifest | None
    facts: NetworkFacts
    scores: Scores | None
    history: pd.DataFrame
    svm: pd.DataFrame | None  # of one whose head a linear SVM found
    lora: pd.DataFrame | None  # of one that was trained by adapters
    predictions: pd.DataFrame  # image, labels, and p(CLASS) of each class
    notes: list[str]
    failed: str = ""  # why; nothing of it is read then

    @classmethod
    def read(
        cls, folder: StudyFolder, study: Study, name: str, failures: dict[str, str]
    ) -> "NetworkRecords":
        """Read a network."""
        reader, place = Reader(folder.root), folder.network(name)
        trained = name in study.all_networks and study.all_networks[name].fit is not None
        failed = _why(failures, name)
        network = cls(
            name=name,
            title=study.title_of(name),
            trained=trained,
            manifest=None,
            facts=NetworkFacts(),
            scores=None,
            history=table([], EpochRow),
            svm=None,
            lora=None,
            predictions=table([], PredictionRow),
            notes=reader.notes,
            failed=failed,
        )
        if failed:
            return network
        manifest = reader.manifest(place)
        network = replace(
            network, manifest=manifest, facts=reader.facts(place, manifest, NetworkFacts)
        )
        if not trained:
            return network
        training = study.all_networks[name].training()
        by_svm = training is not None and training.optimiser == "linear_svm"
        by_lora = training is not None and training.lora is not None
        return replace(
            network,
            scores=reader.scores(place / "scores.json"),
            history=reader.table(place / "history.parquet", EpochRow),
            svm=reader.table(place / "svm.parquet", SvmRow) if by_svm else None,
            lora=reader.table(place / "lora.parquet", LoraRow) if by_lora else None,
            predictions=reader.table(place / "predictions.parquet", PredictionRow, wide=True),
        )


@dataclass(frozen=True, kw_only=True)
class ComparisonRecords:
    """A comparison as it lies in the folder; what is large is read when a page needs it."""

    before: str
    after: str
    study: Study
    manifest: Manifest | None
    facts: ComparisonFacts
    layers: pd.DataFrame
    weights: pd.DataFrame
    spectra: pd.DataFrame
    channels: pd.DataFrame
    matrix: pd.DataFrame
    responses: pd.DataFrame
    plane: pd.DataFrame  # empty where there are no planes, and `facts.plane` says why
    maximal: Path | None
    renderings: dict[str, pd.DataFrame]
    together: pd.DataFrame  # what was drawn of both networks at once
    causes: CauseRecords
    gaze: GazeRecords
    notes: list[str]
    failed: tuple[str, ...] = ()  # those of the two that failed; nothing is read then

    @property
    def is_from_python(self) -> bool:
        """Whether `op.report` wrote it: there is no study file, and no run to ask for more."""
        entry = self.study.all_networks.get(self.after)
        return entry is not None and str(entry.load).startswith(MADE_IN_PYTHON)

    @classmethod
    def read(
        cls, folder: StudyFolder, study: Study, before: str, after: str, failures: dict[str, str]
    ) -> "ComparisonRecords":
        """Read a comparison."""
        reader, place = Reader(folder.root), folder.comparison(before, after)
        failed = tuple(name for name in (before, after) if _why(failures, name))
        comparison = cls(
            before=before,
            after=after,
            study=study,
            manifest=None,
            facts=ComparisonFacts(),
            layers=table([], LayerRow),
            weights=table([], WeightRow),
            spectra=table([], SpectrumRow),
            channels=table([], ChannelRow),
            matrix=table([], MatrixRow),
            responses=table([], ResponseRow),
            plane=table([], PlaneRow),
            maximal=None,
            renderings={},
            together=table([], PairRenderingRow),
            causes=CauseRecords.nothing(),
            gaze=GazeRecords.nothing(),
            notes=reader.notes,
            failed=failed,
        )
        if failed:
            return comparison
        manifest = reader.manifest(place)
        facts = reader.facts(place, manifest, ComparisonFacts)
        plane = table([], PlaneRow)
        if (
            facts.plane and facts.plane.status == "ok"
        ):  # from before there were planes, nothing lacks
            plane = reader.table(place / "plane.parquet", PlaneRow)
        renderings = {}
        # Of networks without any of the layers that are drawn there is nothing to be missed.
        is_drawn = study.render and (facts.shown or manifest is None)
        for network in (before, after) if is_drawn else ():
            path = folder.renderings(network) / "renderings.parquet"
            reader.check(path)
            for layer in dict.fromkeys(layer for layer, _ in facts.shown):
                reader.check(folder.renderings(network) / layer)
            renderings[network] = reader.table(path, RenderingRow)
        if study.render and study.render.together:
            path = folder.pair_renderings(before, after) / "renderings.parquet"
            reader.check(path.parent)
            comparison = replace(comparison, together=reader.table(path, PairRenderingRow))
        return replace(
            comparison,
            manifest=manifest,
            facts=facts,
            layers=_layers(reader, place / "layers.parquet"),
            weights=reader.table(place / "weights.parquet", WeightRow).sort_values("position"),
            spectra=reader.table(place / "spectra.parquet", SpectrumRow),
            channels=reader.table(place / "channels.parquet", ChannelRow),
            matrix=reader.table(place / "matrix.parquet", MatrixRow),
            responses=reader.table(place / "responses.parquet", ResponseRow),
            plane=plane.dropna(subset=list(PLACES)),
            maximal=reader.there(place / "maximal.parquet", MaximalRow),
            renderings=renderings,
            causes=CauseRecords.read(
                reader,
                folder,
                (before, after),
                probes_beside(folder, study, (before, after), facts.dataset),
            ),
            gaze=GazeRecords.read(reader, folder, before, after),
        )

    @property
    def name(self) -> str:
        """The name of its folder and of its page."""
        return f"{self.before}--{self.after}"

    @property
    def title(self) -> str:
        """What it is called on pages."""
        return f"{self.title_before} → {self.title_after}"

    @property
    def title_before(self) -> str:
        """What the network before is called on pages."""
        return self.study.title_of(self.before)

    @property
    def title_after(self) -> str:
        """What that after is called."""
        return self.study.title_of(self.after)

    def address(self, at: str = "") -> str:
        """The address of its page in the site, or of an anchor on it."""
        return f"{self._address(addresses.COMPARISON)}{'#' if at else ''}{at}"

    def layer(self, layer: str) -> str:
        """The address of the page of a layer."""
        return self._address(addresses.LAYER, layer=layer)

    def channel(self, layer: str, channel: int) -> str:
        """The address of the page of a channel."""
        return self._address(addresses.CHANNEL, layer=layer, channel=str(channel))

    def label(self, label: str) -> str:
        """The address of the page of a class.

        Where classes differ in upper and lower case only, as no file may everywhere, one with the
        digest of its name.
        """
        name = f"class {label}" if label in self._of_one_spelling else label
        return self._address(addresses.CLASS, **{"class": name})

    @cached_property
    def _of_one_spelling(self) -> set[str]:
        """The classes that are another one's but for upper and lower case."""
        columns = (self.responses["label"], self.channels["top_class_before"],
                   self.channels["top_class_after"])  # fmt: skip
        labels = {str(label) for column in columns for label in column.dropna().unique()}
        counts = Counter(label.casefold() for label in labels)
        return {label for label in labels if counts[label.casefold()] > 1}

    @property
    def map(self) -> str | None:
        """The address of the map of its pictures, where there are planes."""
        return self._address(addresses.MAP) if len(self.plane) else None

    def _address(self, pattern: str, **names: str) -> str:
        return addresses.address(pattern, {"before": self.before, "after": self.after, **names})

    @property
    def trusted(self) -> str:
        """The CKA to compare layers by: debiased where every layer has it, as widths then do not
        matter.
        """
        return "cka_debiased" if self.layers["cka_debiased"].notna().all() else "cka"

    @property
    def has_luck(self) -> bool:
        """Whether it is known how much two trainings of one route differ."""
        return bool(self.layers["cka_debiased_twins"].notna().any())

    @cached_property
    def order(self) -> list[str]:
        """The layers in the order of execution."""
        by_place = self.layers.sort_values("position")["layer"].tolist()
        return list(dict.fromkeys([*by_place, *self.channels["layer"].tolist()]))


def probes_beside(
    folder: StudyFolder, study: Study, pair: tuple[str, str], dataset: str
) -> list[Path]:
    """Where the probes lie that stand beside each other on the page of two networks: their own, and
    those of what else was trained for this dataset, one training a route.
    """
    routes = [name for name, entry in study.networks.items() if entry.fit == dataset]
    return [folder.probe(name, dataset) for name in dict.fromkeys([*pair, *routes])]


@dataclass(frozen=True, kw_only=True)
class EnsembleRecords:
    """An ensemble as it lies in the folder."""

    name: str
    members: list[str]
    manifest: Manifest | None
    scores: Scores | None
    notes: list[str]
    skipped: bool = False  # for a member that failed

    @classmethod
    def read(
        cls, folder: StudyFolder, study: Study, name: str, failures: dict[str, str]
    ) -> "EnsembleRecords":
        """Read an ensemble."""
        reader, place, members = Reader(folder.root), folder.ensemble(name), study.ensembles[name]
        failed = [study.title_of(member) for member in members if _why(failures, member)]
        if failed:
            notes = [f"Ensemble {name} was not made: {', '.join(failed)} failed."]
            return cls(
                name=name, members=members, manifest=None, scores=None, notes=notes, skipped=True
            )
        return cls(
            name=name,
            members=members,
            manifest=reader.manifest(place),
            scores=reader.scores(place / "scores.json"),
            notes=reader.notes,
        )


@dataclass(frozen=True, kw_only=True)
class RepeatRecords:
    """What `repeats.json` tells: the spread of each repeated route, and how far two differ."""

    spreads: dict[str, Spread]
    differences: dict[tuple[str, str], RouteDifference]  # (first, second)
    notes: list[str]

    @classmethod
    def read(cls, folder: StudyFolder, study: Study) -> "RepeatRecords":
        """Read `repeats.json`, which is there where a route is repeated."""
        reader = Reader(folder.root)
        is_repeated = any(entry.repeats > 1 for entry in study.networks.values())
        data = reader.json(folder.repeats) if is_repeated else None
        spreads: dict[str, Spread] = {}
        differences: dict[tuple[str, str], RouteDifference] = {}
        try:
            if data is not None:
                content = read_as(dict[Literal["spreads", "differences"], Any], data, "")
                spreads = read_as(dict[str, Spread], content.get("spreads"), "")
                for line in read_as(list[dict[str, Any]], content.get("differences"), ""):
                    pair = read_as(tuple[str, str], (line.get("first"), line.get("second")), "")
                    differences[pair] = read_as(RouteDifference, line, "")
        except RecordError:
            reader.say(folder.repeats, "does not hold the spread of repeated trainings")
            spreads, differences = {}, {}
        return cls(spreads=spreads, differences=differences, notes=reader.notes)


@dataclass(frozen=True, kw_only=True)
class Records:
    """All that the report is made from."""

    folder: StudyFolder
    study: Study
    datasets: dict[str, DatasetRecords]
    networks: dict[str, NetworkRecords]
    comparisons: dict[str, ComparisonRecords]
    ensembles: dict[str, EnsembleRecords]
    repeats: RepeatRecords
    pairwise: dict[str, PairwiseRecords]  # by dataset
    findings: list[FindingRow]
    advice: list[AdviceRow]
    failures: dict[str, str]
    notes: list[str]

    @property
    def trained(self) -> list[NetworkRecords]:
        """The networks that were to be trained, those that failed too."""
        return [network for network in self.networks.values() if network.trained]

    def route(self, name: str) -> str:
        """The network that a repeat repeats; any other is its own. `x.2.init` repeats `x.init`."""
        trained = name.removesuffix(".init")
        first = next(
            (entry for entry in self.study.networks if trained in self.study.repeated(entry)),
            trained,
        )
        return first + name[len(trained) :]

    def title(self, name: str) -> str:
        """What a network is called where it is read."""
        return self.study.title_of(name)

    def is_control(self, pair: ComparisonRecords) -> bool:
        """Whether a comparison is of two trainings that differ by their seed only."""
        routes = self.route(pair.before), self.route(pair.after)
        return pair.before != pair.after and routes[0] == routes[1]

    def titles(self, names: Iterable[str]) -> list[str]:
        """What networks are called where they are read."""
        return list(map(self.title, names))

    def findings_of(self, comparison: ComparisonRecords) -> list[FindingRow]:
        """The statements that were put to a comparison."""
        pair = comparison.before, comparison.after
        return [row for row in self.findings if (row.before, row.after) == pair]


# --- reading -----------------------------------------------------------------------------------


def read_records(folder: StudyFolder) -> Records:
    """The records of a study folder; a RecordError when there is no study in it."""
    try:
        study = study_in(folder.study)
    except (FileNotFoundError, NotADirectoryError):
        raise RecordError(
            "missing-record",
            f"{folder.study} is missing: give the folder that a run of a study left",
        ) from None
    except OSError as error:
        hand_on(error, folder.study)
        raise RecordError(
            "broken-record", f"{folder.study} cannot be read: {error.strerror}"
        ) from None
    except (ValueError, OverpaintError) as error:
        raise RecordError(
            "broken-record",
            f"{folder.study} holds no study ({error}): the next run of the study writes it anew",
        ) from None
    reader = Reader(folder.root)
    advice = []
    if folder.advice.is_file():  # asked for by a command of its own, so its absence is no omission
        reader.check(folder.advice)
        advice = rows(reader.table(folder.advice, AdviceRow), AdviceRow)
        for stale in stale_advice(folder):
            reader.say(folder.advice, f"is of other {stale} than there are now")
    elif manifest_path(folder.advice).is_file():
        reader.say(folder.advice, "is lost: the next run makes it anew")
    failures = _failures(reader, folder.failures)
    pairs = dict.fromkeys(pair.pair for pair in study.compare)
    comparisons = [ComparisonRecords.read(folder, study, *pair, failures) for pair in pairs]
    # An initialisation has a box when more than its head was random, or when it is compared.
    compared = {name for pair in pairs for name in pair}
    networks = [
        name
        for name in study.nodes()
        if name in study.all_networks
        or name in compared
        or study.all_networks[name.removesuffix(".init")].draws_backbone
    ]
    return Records(
        folder=folder,
        study=study,
        datasets={name: DatasetRecords.read(folder, name) for name in study.datasets},
        networks={name: NetworkRecords.read(folder, study, name, failures) for name in networks},
        comparisons={comparison.name: comparison for comparison in comparisons},
        ensembles={
            name: EnsembleRecords.read(folder, study, name, failures) for name in study.ensembles
        },
        repeats=RepeatRecords.read(folder, study),
        pairwise={name: PairwiseRecords.read(folder, name) for name in study.pairwise},
        findings=_findings(reader, folder.findings),
        advice=advice,
        failures=failures,
        notes=reader.notes,
    )


def stale_advice(folder: StudyFolder) -> list[str]:
    """The networks and pictures that advice was given of, and that are others now."""
    stale = []
    with suppress(RecordError):  # without manifests nobody knows
        for name, digest in read_manifest(folder.advice).inputs.items():
            kind, _, subject = name.partition(" ")
            if kind == "network":
                facts = facts_of(read_manifest(folder.network(subject)), NetworkFacts)
                present = facts.identity
            elif kind == "images":
                subject = subject.removeprefix("of ")
                present = read_manifest(folder.dataset(subject)).inputs.get("train", "")
            else:
                continue
            if present != digest:
                stale.append(f"{'weights' if kind == 'network' else 'pictures'} of {subject}")
    return stale


def _failures(reader: Reader, path: Path) -> dict[str, str]:
    """What failed, and why; there is no such file when nothing did."""
    failures = reader.json(path) if path.is_file() else {}
    if failures is not None and not isinstance(failures, dict):
        reader.say(path, "does not hold what failed")
    if not isinstance(failures, dict):
        return {}
    return {name: str(why) for name, why in failures.items()}


def _why(failures: dict[str, str], name: str) -> str:
    """Why a network, or the training that its initialisation began, failed; "" if it did not."""
    return failures.get(name.removesuffix(".init"), "")


def _findings(reader: Reader, path: Path) -> list[FindingRow]:
    """The statements as they were tested."""
    data = reader.json(path)
    if data is None:
        return []
    try:
        findings = data.get("findings") if isinstance(data, dict) else None
        return read_as(list[FindingRow], findings, path)
    except RecordError:
        reader.say(path, "does not hold findings")
        return []


def _layers(reader: Reader, path: Path) -> pd.DataFrame:
    """The layers of a comparison in their order, each once, as a run writes them."""
    frame = reader.table(path, LayerRow).sort_values("position")
    if again := int(frame["layer"].duplicated().sum()):
        reader.say(path, f"names a layer once more in {again:,} of its rows")
    return frame.drop_duplicates("layer")
