"""What a page is of: the whole study, one network of it, or two that are compared."""

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from overpaint.report.pages.channel import Channels
from overpaint.report.pages.label import Classes
from overpaint.report.pages.picture import Collection
from overpaint.report.parts.gallery import Gallery
from overpaint.report.site.files import Site
from overpaint.report.site.incremental import digests
from overpaint.report.site.templates import Templates
from overpaint.report.study.reading import (
    ComparisonRecords,
    DatasetRecords,
    NetworkRecords,
    Records,
    probes_beside,
)


@dataclass(frozen=True)
class StudySubject:
    """The study as a whole."""

    templates: Templates
    records: Records

    @property
    def site(self) -> Site:
        """Where its pages are written."""
        return self.templates.site


@dataclass(frozen=True)
class NetworkSubject(StudySubject):
    """A trained network."""

    network: NetworkRecords

    def made_from(self) -> list[Any]:
        """All that its page depends on: a digest of each table, a look at the pictures."""
        folder = self.records.folder
        dataset = self.records.study.all_networks[self.network.name].fit or ""
        paths = [folder.study, folder.failures, folder.dataset(dataset) / "images.parquet"]
        paths += sorted(
            path
            for path in folder.network(self.network.name).glob("*")
            if path.suffix in (".json", ".parquet")  # the weights are no table
        )
        return [
            self.network.notes,
            digests(folder.root, paths),
            self.site.files.pictures_below(folder.thumbnails(dataset)),
        ]


@dataclass(frozen=True)
class ComparisonSubject(StudySubject):
    """Two networks that are compared; what is large is read when a page needs it."""

    comparison: ComparisonRecords

    @cached_property
    def channels(self) -> Channels:
        """All channels of the two."""
        return Channels(self.comparison)

    @cached_property
    def classes(self) -> Classes:
        """The classes, and the channels that each leads."""
        return Classes(self.records, self.channels)

    @cached_property
    def gallery(self) -> Gallery:
        """The pictures of the two."""
        dataset = self.records.datasets.get(self.comparison.facts.dataset)
        return Gallery(
            site=self.site,
            folder=self.records.folder,
            comparison=self.comparison,
            dataset=dataset,
        )

    def made_from(self) -> list[Any]:
        """All that its pages depend on: a digest of each table, a look at the pictures."""
        folder, dataset = self.records.folder, self.comparison.facts.dataset
        pair = self.comparison.before, self.comparison.after
        drawings = [*map(folder.renderings, pair), folder.pair_renderings(*pair)]
        pictures = list(drawings)
        paths = [folder.study, folder.network(self.comparison.after) / "scores.json"]
        if dataset in self.records.datasets:
            place = folder.dataset(dataset)
            paths += [place / "manifest.json", place / "images.parquet"]
            pictures.append(folder.thumbnails(dataset))
        paths += [place / "renderings.parquet" for place in drawings]
        paths += folder.comparison(*pair).glob("*")
        probes = probes_beside(folder, self.records.study, pair, dataset)
        for place in (folder.causes(*pair), folder.concepts(*pair), folder.gaze(*pair), *probes):
            paths += place.glob("*")
        return [
            self.comparison.failed,
            self.comparison.notes,
            [asdict(row) for row in self.records.findings_of(self.comparison)],
            digests(folder.root, sorted(paths)),
            [self.site.files.pictures_below(place) for place in pictures],
        ]


@dataclass(frozen=True)
class DatasetSubject(StudySubject):
    """A dataset of which pages show pictures."""

    dataset: DatasetRecords
    comparisons: tuple[ComparisonSubject, ...]  # on it

    @cached_property
    def collection(self) -> Collection:
        """The pictures, and what is known of each."""
        galleries = [pair.gallery for pair in self.comparisons]
        return Collection(self.site, self.records, self.dataset, galleries)

    def made_from(self) -> list[Any]:
        """All that the page of its pictures depends on."""
        folder, name = self.records.folder, self.dataset.name
        paths = [folder.study, folder.failures]
        paths += [folder.dataset(name) / file for file in ("manifest.json", "images.parquet")]
        for network, entry in self.records.study.all_networks.items():
            if entry.fit == name:
                paths.append(folder.network(network) / "predictions.parquet")
        for pair in self.comparisons:
            names = pair.comparison.before, pair.comparison.after
            place = folder.comparison(*names)
            paths.append(folder.gaze(*names) / "pictures.parquet")
            files = ("manifest.json", "plane.parquet", "maximal.parquet", "channels.parquet")
            paths += [place / file for file in (*files, "responses.parquet")]
        return [
            self.dataset.notes,
            [pair.comparison.name for pair in self.comparisons],
            digests(folder.root, sorted(paths)),
            self.site.files.pictures_below(folder.thumbnails(name)),
        ]
