"""A study folder opened in Python: its tables as DataFrames, its pictures as PIL images.

>>> study = open_study("runs/styles")                                  # doctest: +SKIP
>>> study.scores.nlargest(3, "value")                                  # doctest: +SKIP
>>> change = study.comparison("imagenet", "fine_tuned")                # doctest: +SKIP
>>> change["channels"].nlargest(20, "concentration")                   # doctest: +SKIP
>>> study.rendering("fine_tuned", "mixed5a", 17)                       # doctest: +SKIP

A notebook shows a study as its answer, scores and findings, and a comparison as its charts. Nothing
is written, and torch is not needed.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path

import pandas as pd
from PIL import Image

from overpaint.errors import RecordError, nearest
from overpaint.records import FindingRow, StudyFolder, read_table, table
from overpaint.records.drafts import finished
from overpaint.report.charts import comparison as charts
from overpaint.report.charts.drawing import svg
from overpaint.report.pages.answer import answers
from overpaint.report.parts.frames import folded, shown
from overpaint.report.study.reading import (
    ComparisonRecords,
    EnsembleRecords,
    NetworkRecords,
    Records,
    read_records,
)

CHARTS: tuple[Callable[[ComparisonRecords], charts.Drawing | None], ...] = (
    charts.similarity,
    charts.weights,
    charts.entropy,
)
"""The charts of a comparison in a notebook; the report has all."""


class OpenComparison(Mapping[str, pd.DataFrame]):
    """The tables of a comparison, by the names of their files; those of its causes, difference
    concepts and gaze too: `layers`, `channels`, `rewind`, `between`, …
    """

    def __init__(self, folder: StudyFolder, records: ComparisonRecords) -> None:
        self.before, self.after = records.before, records.after
        pair = (records.before, records.after)
        places = (folder.comparison, folder.causes, folder.concepts, folder.gaze)
        self._records = records
        self._paths = {
            # both a comparison and its gaze have pictures
            path.stem if place != folder.gaze else f"gaze_{path.stem}": path
            for place in places
            for path in finished(place(*pair), "*.parquet")
        }

    def __getitem__(self, name: str) -> pd.DataFrame:
        """A table; raises RecordError, `missing-record`, for one that is not there."""
        return _read(self._paths, name, f"the comparison of {self.before} and {self.after}")

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)

    def __repr__(self) -> str:
        return f"<{self.before} → {self.after}: {', '.join(self)}>"

    def _repr_html_(self) -> str:
        parts = [f"<h3>{escape(self._records.title)}</h3>"]
        for drawing in (make(self._records) for make in CHARTS):
            if drawing:
                parts += [f"<div>{svg(drawing.chart)}</div>", f"<p>{escape(drawing.reading)}</p>"]
        parts += [folded(name, frame) for name, frame in self.items()]
        return "".join(parts)


@dataclass(frozen=True, eq=False)
class OpenStudy:
    """A study folder; what of it is damaged or missing is in `notes`."""

    folder: StudyFolder
    records: Records

    @property
    def networks(self) -> list[str]:
        """The names of the networks, and of the ensembles."""
        return [*self.records.networks, *self.records.ensembles]

    @property
    def comparisons(self) -> list[tuple[str, str]]:
        """The networks before and after of each comparison."""
        return [(pair.before, pair.after) for pair in self.records.comparisons.values()]

    @property
    def notes(self) -> list[str]:
        """What was made by nobody, was damaged, or has failed, in words."""
        records = self.records
        notes = [f"{name} failed: {why}" for name, why in records.failures.items()]
        notes += records.notes
        notes += [note for dataset in records.datasets.values() for note in dataset.notes]
        notes += [note for network in records.networks.values() for note in network.notes]
        notes += [note for ensemble in records.ensembles.values() for note in ensemble.notes]
        notes += [note for pairwise in records.pairwise.values() for note in pairwise.notes]
        return notes + [note for pair in records.comparisons.values() for note in pair.notes]

    @cached_property
    def scores(self) -> pd.DataFrame:
        """A row a network and score, the deciding ones first: value, low and high (95 %), chance, n
        pictures, n_groups that the interval is over.
        """
        records: list[NetworkRecords | EnsembleRecords] = [*self.records.networks.values()]
        records += self.records.ensembles.values()
        rows = [
            {
                "network": record.name,
                "dataset": record.scores.dataset,
                "score": name,
                "is_main": name == record.scores.main,
            }
            | {
                key: getattr(score, key)
                for key in ("value", "low", "high", "chance", "n", "n_groups")
            }
            for record in records
            if record.scores
            for name, score in record.scores.scores.items()
        ]
        frame = pd.DataFrame(rows)
        return (
            frame if frame.empty else frame.sort_values("is_main", ascending=False, kind="stable")
        )

    @property
    def findings(self) -> pd.DataFrame:
        """The statements, each put to this study (FindingRow)."""
        return table(self.records.findings, FindingRow)

    @property
    def renderings(self) -> pd.DataFrame:
        """A row a feature visualisation: network, layer, channel, how far it came, its picture."""
        frames = [
            read_table(path).assign(network=path.parent.name)
            for path in finished(self.folder.root, "renderings/*/renderings.parquet")
        ]
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()

    def images(self, dataset: str) -> pd.DataFrame:
        """The pictures of a dataset (ImageRow); raises RecordError where it has none so called."""
        _known(dataset, self.records.datasets, "dataset")
        return self.records.datasets[dataset].images

    def comparison(self, before: str, after: str) -> OpenComparison:
        """The tables of a comparison; raises RecordError where it was not made."""
        name = f"{before}--{after}"
        _known(name, self.records.comparisons, "comparison")
        return OpenComparison(self.folder, self.records.comparisons[name])

    @property
    def tables(self) -> list[str]:
        """All tables of the folder by their paths, `networks/fine_tuned/history`."""
        return [*self._paths]

    def table(self, name: str) -> pd.DataFrame:
        """One of `tables`; raises RecordError, `missing-record`, for one that is not there."""
        return _read(self._paths, name, str(self.folder.root))

    @property
    def _paths(self) -> dict[str, Path]:
        root = self.folder.root
        paths = [
            path
            for pattern in ("*.parquet", "*/*/*.parquet", "probes/*/*/*.parquet")
            for path in finished(root, pattern)
            if path.relative_to(root).parts[0] not in ("features", "site", "exported")
        ]
        return {path.relative_to(root).with_suffix("").as_posix(): path for path in paths}

    def rendering(self, network: str, layer: str, channel: int, kind: str = "") -> Image.Image:
        """A feature visualisation. Of a pair, network is `BEFORE--AFTER` and kind is `both` or
        `only_after`. Raises RecordError where it was not drawn.
        """
        name = f"{channel}-{kind}.png" if kind else f"{channel}.png"
        return _picture(self.folder.layer_renderings(network, layer) / name)

    def thumbnail(self, dataset: str, image: str) -> Image.Image:
        """A small copy of a picture, by its name among `images`; only what the report shows has
        one. Raises RecordError where there is none.
        """
        images = self.images(dataset).set_index("image")
        _known(image, images.index, f"picture of {dataset}")
        return _picture(self.folder.thumbnail(dataset, str(images.loc[image, "digest"])))

    def __repr__(self) -> str:
        return (
            f"<study {self.records.study.study} in {self.folder.root}: {len(self.networks)} "
            f"networks, {len(self.comparisons)} comparisons>"
        )

    def _repr_html_(self) -> str:
        parts = [f"<h2>{escape(self.records.study.study)}</h2>"]
        for answer in answers(self.records):
            parts.append(f"<p><b>{escape(answer.about)}</b></p><ul>")
            parts += [
                f"<li>{escape(clause.question)} <b>{escape(clause.answer)}</b> "
                f"{escape(clause.text)}</li>"
                for clause in answer.clauses
            ]
            parts.append("</ul>")
        scores = self.scores
        if not scores.empty:
            parts.append(shown(scores[scores["is_main"]].drop(columns="is_main")))
        if len(self.findings):
            columns = ["statement", "subject", "verdict", "value", "low", "high", "chance", "n"]
            parts.append(folded("findings", self.findings[columns], most=len(self.findings)))
        parts += [f"<p>{escape(note)}</p>" for note in self.notes]
        index = self.folder.site / "index.html"
        if index.is_file():
            parts.append(f"<p>The report: {escape(str(index))}</p>")
        return "".join(parts)


def open_study(folder: Path | str) -> OpenStudy:
    """The study folder that a run left, to be read; what `op.open_study` is.

    Raises RecordError, `missing-record`, for a folder without a study.
    """
    place = StudyFolder(Path(folder))
    return OpenStudy(place, read_records(place))


def _known(name: str, names: "Mapping[str, object] | pd.Index[str]", what: str) -> None:
    if name not in names:
        raise RecordError("missing-record", f"there is no {what} {name!r}; {nearest(name, names)}")


def _read(paths: Mapping[str, Path], name: str, where: str) -> pd.DataFrame:
    if name not in paths:
        raise RecordError(
            "missing-record", f"{where} has no table {name!r}; {nearest(name, paths)}"
        )
    return read_table(paths[name])


def _picture(path: Path) -> Image.Image:
    try:
        with Image.open(path) as image:
            image.load()
            return image
    except OSError as error:
        raise RecordError(
            "missing-record", f"{path} is no picture that can be read ({error}): was it drawn?"
        ) from None
