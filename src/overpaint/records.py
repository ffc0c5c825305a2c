"""What a run leaves behind: rows, tables, manifests and the folder that holds them; no torch.

The study folder is an interface: other programs read it. Everything in it is written whole or
not at all, and each artefact lies beside a manifest that tells what it was made from.

>>> folder = StudyFolder(Path("runs/rasta"))
>>> folder.comparison("imagenet", "fine_tuned").as_posix()
'runs/rasta/comparisons/imagenet--fine_tuned'
"""

import hashlib
import importlib.metadata
import json
import os
import platform
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from overpaint.errors import RecordError

# --- the folder --------------------------------------------------------------------------------


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

    def renderings(self, network: str) -> Path:
        """`<layer>/<channel>.png` and `renderings.parquet` of a network."""
        return self.root / "renderings" / network

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

    @property
    def site_state(self) -> Path:
        """What the report was made from, so that the next one writes only what changed."""
        return self.root / "site.json"


# --- rows: what crosses a border ---------------------------------------------------------------


@dataclass(frozen=True)
class ImageRow:
    """A picture of a dataset. `status` is "ok" or tells why the picture was left out."""

    image: str  # its id: the path below the dataset's root, with "/" on every system
    split: str
    labels: list[str]
    group: str
    bytes: int
    digest: str  # SHA-256 of the file
    width: int
    height: int
    status: str


@dataclass(frozen=True)
class EpochRow:
    """One epoch of a training."""

    epoch: int  # from 1
    train_loss: float
    val_loss: float
    val_score: float  # top-1, or mean average precision
    head_lr: float
    backbone_lr: float
    best: bool  # the epoch whose weights were kept


@dataclass(frozen=True)
class LayerRow:
    """How alike two networks see the images of a split, at one layer."""

    layer: str
    position: int  # from 0, in the order of execution
    channels: int
    n_images: int
    reduction: str
    cka: float | None
    cka_low: float | None
    cka_high: float | None
    cka_debiased: float | None
    cka_debiased_low: float | None
    cka_debiased_high: float | None
    status: str
    procrustes: float | None = None  # 0 to √2; exactly 0 only where nothing at all differs
    mutual_neighbours: float | None = None  # share of the 10 nearest images
    mutual_neighbours_chance: float | None = None


@dataclass(frozen=True)
class MatrixRow:
    """How alike a layer of one network and a layer of another see the images of a split."""

    layer_before: str
    layer_after: str
    cka: float | None
    cka_debiased: float | None
    n_images: int
    reduction: str
    status: str


@dataclass(frozen=True)
class WeightRow:
    """How far one parametrised layer's weights moved."""

    layer: str
    position: int
    parameters: int
    l2: float | None
    l2_relative: float | None
    cosine: float | None
    status: str
    l2_matched: float | None = None  # where the networks have no common start: filters paired first


@dataclass(frozen=True)
class ChannelRow:
    """What a channel's maximal images tell, before and after."""

    layer: str
    channel: int
    n_before: int  # positive images among the k asked for
    n_after: int
    overlap: float
    overlap_chance: float
    overlap_p: float
    matched_channel: int | None  # of the network after, that which responds most alike
    matched_correlation: float | None  # over images; None where either channel is constant
    overlap_matched: float | None  # the overlap with that channel
    entropy_before: float | None
    entropy_after: float | None
    entropy_chance: float
    entropy_p_after: float | None  # of as many random images to be as concentrated
    concentration: float | None  # entropy before minus after
    specialised_p: float | None  # of labels scattered at random to concentrate as much
    specialised_q: float | None  # the same, corrected for all channels of the comparison
    gain_before: float | None
    gain_after: float | None
    top_class_before: str | None
    top_share_before: float | None
    top_lift_before: float | None
    top_class_after: str | None
    top_share_after: float | None
    top_lift_after: float | None
    filter_change: float | None  # None where no single filter makes the channel
    status: str


@dataclass(frozen=True)
class MaximalRow:
    """One maximal image of a channel.

    `row` and `column` are the position of the layer's map that responded most; what of the picture
    it has seen follows from `receptive_fields` among the facts of the comparison.
    """

    layer: str
    channel: int
    network: str  # "before" or "after"
    rank: int  # from 1
    image: str
    digest: str
    label: str  # labels joined by " · "
    value: float
    row: int | None
    column: int | None


@dataclass(frozen=True)
class ResponseRow:
    """One of the channels of a layer that respond most to a class."""

    label: str
    network: str  # "before" or "after"
    layer: str
    rank: int  # from 1
    channel: int
    mean_class: float  # of the features of the images that show the class
    mean_all: float
    response: float  # mean of the class minus mean of all other images
    standardised: float  # the response in standard deviations of the channel
    n: int  # images that show the class


@dataclass(frozen=True)
class RenderingRow:
    """One feature visualisation, as `<layer>/<channel>.png`.

    `best_value` is the channel's mean on the picture of the dataset that most excites it, on the
    scale of the objective, and `ratio` is how many times as much the rendering reaches.
    """

    layer: str
    channel: int
    objective_start: float | None  # None where it is no number
    objective_end: float | None
    steps: int
    size: int
    seed: int
    status: str
    attempts: int = 1
    best_image: str | None = None
    best_value: float | None = None
    ratio: float | None = None


@dataclass(frozen=True)
class PairRenderingRow:
    """What a channel of two networks wants, as `<layer>/<channel>-<kind>.png`.

    `reach_before` and `reach_after` are what the channel reaches alone in each network; None where
    it shows nothing there.
    """

    layer: str
    channel: int
    kind: str  # "both" or "only_after"
    before: float | None  # the channel's mean on this picture
    after: float | None
    reach_before: float | None
    reach_after: float | None
    steps: int
    size: int
    seed: int
    status: str


@dataclass(frozen=True)
class ClassRow:
    """How well one class is told from the others on the test split."""

    label: str
    n: int  # pictures that show it
    precision: float | None
    recall: float | None
    f1: float | None
    average_precision: float | None  # None without positives: excluded from the mean
    precision_at_20: float | None = None  # multi-label: of the 20 most probable; at most 1


@dataclass(frozen=True)
class Score:
    """A number with its interval and the level of chance, over n pictures."""

    value: float
    low: float
    high: float
    chance: float
    n: int


@dataclass(frozen=True)
class Scores:
    """How well a trained network classifies a split (`scores.json`)."""

    dataset: str
    split: str
    multi_label: bool
    main: str  # the name of the score that decides: "top1" or "mAP"
    scores: dict[str, Score]
    classes: list[ClassRow]
    without_positives: list[str]
    confusion: list[list[int]] | None = None  # pictures: a row a true class, a column a named one
    groups: dict[str, Score] = field(default_factory=dict)  # main score of "known", "unknown"

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Scores":
        """The inverse of `asdict`."""
        scores = {name: Score(**score) for name, score in data.pop("scores").items()}
        classes = [ClassRow(**row) for row in data.pop("classes")]
        groups = {name: Score(**score) for name, score in data.pop("groups", {}).items()}
        return cls(**data, scores=scores, classes=classes, groups=groups)


@dataclass(frozen=True)
class Spread:
    """The main score of n trainings of one route that differ in nothing but their seed."""

    score: str
    n: int
    mean: float
    deviation: float | None  # with n − 1; None for a single training
    min: float
    max: float
    values: list[float]


@dataclass(frozen=True)
class RouteDifference:
    """How much better the second of two routes scores than the first, over their trainings."""

    score: str
    n_first: int
    n_second: int
    difference: float  # mean of the second minus mean of the first
    low: float | None  # 95 %, Welch
    high: float | None
    status: str


@dataclass(frozen=True)
class SvmRow:
    """The linear SVM of one class on features."""

    label: str
    n: int  # pictures that show it, among those the SVM was fitted to
    cost: float | None  # the C chosen; None where nothing was fitted
    cv_score: float | None  # average precision of the class, or accuracy over all classes
    converged: bool | None
    status: str


@dataclass(frozen=True)
class SvmGridRow:
    """The cross-validation score of one C; of one class, or of all where they share their C."""

    label: str  # "" where the classes share their C
    cost: float
    cv_score: float
    converged: bool  # in every fold


@dataclass(frozen=True)
class FindingRow:
    """A statement of the paper, put to one comparison or one pair of routes of a study."""

    statement: str  # its key: "layers", "classes", "classes_more", "filters", "double", "control"
    subject: str  # what it is said of: "imagenet → fine_tuned"
    verdict: str  # "yes", "no", "undecided"; or "untested", and `remark` says why
    measured: str  # what `value` is
    value: float | None
    low: float | None  # 95 %
    high: float | None
    chance: float | None  # the value if there were nothing in the statement
    n: int
    unit: str  # what n counts, and the interval is over: "pictures", "channels", "trainings"
    remark: str


@dataclass(frozen=True)
class AdviceRow:
    """How well a network's features would serve a collection, before any training."""

    network: str
    dataset: str
    split: str
    n: int  # pictures that had a neighbour to ask
    logme: float | None
    neighbour: float | None  # top-1, or mean average precision, of the nearest neighbours
    low: float | None
    high: float | None
    chance: float | None
    status: str


# --- manifests ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Manifest:
    """What an artefact was made from; no clock in it, so that equal work gives equal bytes.

    An artefact is fresh when `key`, the digest of inputs, settings and seed, is what it would be
    made with now.
    """

    kind: str
    key: str
    inputs: dict[str, str]  # name -> digest
    settings: dict[str, Any]
    seed: int
    versions: dict[str, str]
    hardware: str
    facts: dict[str, Any]  # what else the artefact says of itself


def manifest(
    kind: str,
    *,
    inputs: dict[str, str],
    settings: dict[str, Any],
    seed: int,
    facts: dict[str, Any] | None = None,
    hardware: str = "",
) -> Manifest:
    """The manifest of an artefact made here and now.

    >>> a = manifest("features", inputs={"network": "12ab"}, settings={"layers": ["x"]}, seed=0)
    >>> b = manifest("features", inputs={"network": "12ab"}, settings={"layers": ["y"]}, seed=0)
    >>> a.key == b.key
    False
    """
    key = digest({"kind": kind, "inputs": inputs, "settings": settings, "seed": seed})
    place = hardware or f"{platform.machine()}, {os.cpu_count()} cores"
    return Manifest(kind, key, inputs, settings, seed, versions(), place, facts or {})


VERSIONED = ("overpaint", "torch", "torchvision", "timm", "numpy", "pillow")


def versions() -> dict[str, str]:
    """The versions of what computes the numbers."""
    return {name: importlib.metadata.version(name) for name in VERSIONED}


def read_manifest(folder: Path) -> Manifest:
    """The manifest of an artefact's folder; a RecordError when there is none."""
    data = read_json(folder / "manifest.json")
    try:
        return Manifest(**data)
    except TypeError:
        raise RecordError(
            "not-a-manifest", f"{folder / 'manifest.json'} is no manifest of overpaint"
        ) from None


def fresh(folder: Path, wanted: Manifest) -> bool:
    """Whether the folder already holds what this manifest would make."""
    try:
        return read_manifest(folder).key == wanted.key
    except RecordError:
        return False


# --- digests -----------------------------------------------------------------------------------


def digest(value: Any) -> str:
    """SHA-256 of a value's canonical JSON.

    >>> digest({"a": 1, "b": [2]}) == digest({"b": [2], "a": 1})
    True
    """
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# --- files, whole or not at all ----------------------------------------------------------------

Row = TypeVar("Row")


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A path to write to; it becomes `path` only when the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    try:
        yield draft
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A folder to write to; it takes the place of `path` only when the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    try:
        yield draft
        if path.exists():
            shutil.rmtree(path)
        draft.replace(path)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A folder to write to; it becomes `path` when the block ends well.

    If another process has made `path` in the meantime, that one stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    try:
        yield draft
        try:
            draft.rename(path)
        except OSError:
            if not path.exists():
                raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole."""
    with whole_file(path) as draft:
        draft.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write a value, or a row, as JSON for people to read."""
    plain = asdict(value) if hasattr(value, "__dataclass_fields__") else value
    write_text(path, json.dumps(plain, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """The value of a JSON file; a RecordError says which file is missing or broken."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RecordError("missing-record", f"{path} is missing: run the study first") from None
    except ValueError as error:
        raise RecordError("broken-record", f"{path} is not JSON: {error}") from None


def write_picture(path: Path, pixels: NDArray[np.uint8], told: dict[str, Any]) -> None:
    """Write pixels [H, W, 3 or 4] as a PNG that carries what is told of it, whole."""
    text = PngInfo()
    text.add_text(TOLD, json.dumps(told, sort_keys=True, allow_nan=False))
    with whole_file(path) as draft:
        Image.fromarray(pixels).save(draft, "png", pnginfo=text)


def told_by_picture(path: Path) -> dict[str, Any] | None:
    """What a picture of `write_picture` carries; None if it is missing, cut off or another's."""
    try:
        with Image.open(path) as picture:
            picture.load()
            found = json.loads(picture.info[TOLD])
    except (OSError, SyntaxError, KeyError, ValueError):
        return None
    return found if isinstance(found, dict) else None


TOLD = "overpaint"
"""The key of the text in a PNG."""


def table(rows: Iterable[Row], row: type[Row]) -> pd.DataFrame:
    """Rows as a table whose columns are the row's fields, also when there is no row.

    >>> table([], RenderingRow).columns.tolist()[:2]
    ['layer', 'channel']
    """
    names = [field.name for field in fields(row)]  # type: ignore[arg-type]
    frame = pd.DataFrame([[getattr(each, name) for name in names] for each in rows], columns=names)
    for each in fields(row):  # type: ignore[arg-type]
        if "float" in str(each.type) and "list" not in str(each.type):
            frame[each.name] = frame[each.name].astype("float64")  # a column of only None too
        elif each.type == int | None:
            frame[each.name] = frame[each.name].astype("Int64")
    return frame


def write_table(path: Path, frame: pd.DataFrame) -> None:
    """Write a table as Parquet, whole."""
    with whole_file(path) as draft:
        frame.to_parquet(draft, index=False)


def read_table(path: Path) -> pd.DataFrame:
    """A table of the folder; a RecordError says which one is missing or broken."""
    try:
        return pd.read_parquet(path)
    except FileNotFoundError:
        raise RecordError("missing-record", f"{path} is missing: run the study first") from None
    except (OSError, ValueError) as error:
        raise RecordError("broken-record", f"{path} is no Parquet table: {error}") from None


def write_rows(path: Path, rows: Iterable[Row], row: type[Row]) -> None:
    """Write rows as a Parquet table."""
    write_table(path, table(rows, row))


def read_rows(path: Path, row: type[Row]) -> list[Row]:
    """A table as rows again; a missing column is a RecordError that names it."""
    frame = read_table(path)
    names = [field.name for field in fields(row)]  # type: ignore[arg-type]
    absent = [name for name in names if name not in frame.columns]
    if absent:
        raise RecordError("missing-column", f"{path} lacks the column {absent[0]!r}")
    columns = [_plain(frame[name]) for name in names]
    return [row(*values) for values in zip(*columns, strict=True)]


def _plain(column: "pd.Series[Any]") -> list[Any]:
    """Python values of a column: what was None comes back as None, not as NaN."""
    if column.dtype == object and len(column) and hasattr(column.iloc[0], "tolist"):
        return [value.tolist() for value in column]  # a list a row
    return column.astype(object).where(column.notna(), None).tolist()
