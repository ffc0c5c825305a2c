"""The places of a study folder.

>>> folder = StudyFolder(Path("runs/rasta"))
>>> folder.comparison("imagenet", "fine_tuned").as_posix()
'runs/rasta/comparisons/imagenet--fine_tuned'
"""

from dataclasses import dataclass
from pathlib import Path

from overpaint.files import safe_name


@dataclass(frozen=True)
class StudyFolder:
    """The places of a study's results, by default below `runs/<study>/`."""

    root: Path

    @property
    def study(self) -> Path:
        """The study as it was read, defaults filled in."""
        return self.root / "study.yaml"

    def dataset(self, name: str) -> Path:
        """`images.parquet` and `manifest.json` of a dataset; pictures, if it was generated."""
        return self.root / "datasets" / name

    def network(self, name: str) -> Path:
        """`weights.safetensors`, `manifest.json` and, of a trained one, its records."""
        return self.root / "networks" / name

    def checkpoint(self, network: str) -> Path:
        """The state of a training that has not ended."""
        return self.root / "trainings" / f"{network}.pt"

    def ensemble(self, name: str) -> Path:
        """`manifest.json`, `scores.json` and `predictions.parquet` of an ensemble."""
        return self.root / "ensembles" / name

    @property
    def failures(self) -> Path:
        """What of the study failed, and why; absent when nothing did."""
        return self.root / "failures.json"

    @property
    def repeats(self) -> Path:
        """Mean and spread of the trainings that were repeated; absent when none was."""
        return self.root / "repeats.json"

    @property
    def findings(self) -> Path:
        """The statements of the paper, each put to this study."""
        return self.root / "findings.json"

    @property
    def advice(self) -> Path:
        """What was advised before training."""
        return self.root / "advice.parquet"

    def features(self, name: str, dataset: str, split: str) -> Path:
        """The Zarr group of a network's features on a split."""
        return self.root / "features" / name / f"{dataset}-{split}.zarr"

    def claims(self, dataset: str, split: str) -> Path:
        """Where processes that compute features on a split at once say who is at what."""
        return self.root / "features" / ".claims" / f"{dataset}-{split}"

    def comparison(self, before: str, after: str) -> Path:
        """The tables of two networks."""
        return self.root / "comparisons" / f"{before}--{after}"

    def causes(self, before: str, after: str) -> Path:
        """What other weights would do in two networks."""
        return self.root / "causes" / f"{before}--{after}"

    def concepts(self, before: str, after: str) -> Path:
        """What one of two networks holds together and the other does not."""
        return self.root / "concepts" / f"{before}--{after}"

    def gaze(self, before: str, after: str) -> Path:
        """Where two networks look, on a few pictures: tables, and `sheet.webp` with the tiles."""
        return self.root / "gazes" / f"{before}--{after}"

    def pairwise(self, dataset: str) -> Path:
        """All networks of a dataset with all: `pairwise.parquet`, a row a pair."""
        return self.root / "pairwise" / dataset

    def probe(self, network: str, dataset: str) -> Path:
        """What the layers of a network know of a dataset's classes."""
        return self.root / "probes" / network / dataset

    def renderings(self, network: str) -> Path:
        """`<layer>/<channel>.png` and `renderings.parquet` of a network."""
        return self.root / "renderings" / network

    def layer_renderings(self, network: str, layer: str) -> Path:
        """`<channel>.png` of a layer."""
        return self.renderings(network) / safe_name(layer)

    def pair_renderings(self, before: str, after: str) -> Path:
        """`<layer>/<channel>-both.png`, `…-only_after.png` and `renderings.parquet` of a pair."""
        return self.root / "renderings" / f"{before}--{after}"

    def thumbnails(self, dataset: str) -> Path:
        """The thumbnails of a dataset's pictures."""
        return self.root / "thumbnails" / dataset

    def thumbnail(self, dataset: str, digest: str) -> Path:
        """A small JPEG of a picture, stored once under the picture's digest."""
        return self.thumbnails(dataset) / f"{digest[:24]}.jpg"

    @property
    def site(self) -> Path:
        """The report."""
        return self.root / "site"

    def exported(self, place: str) -> Path:
        """The files that were written into a folder elsewhere, a path a line."""
        return self.root / "exported" / f"{place}.files"

    @property
    def site_state(self) -> Path:
        """What the report was made from, so that the next one writes only what changed."""
        return self.root / "site.json"

    @property
    def site_files(self) -> Path:
        """The files of the report, a path below `site` a line: no other is removed or replaced."""
        return self.root / "site.files"
