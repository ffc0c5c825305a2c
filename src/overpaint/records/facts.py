"""Facts: what an artefact says of itself in its manifest, beside what it was made from.

>>> from overpaint.records import manifest
>>> of_features = manifest(
...     "features", inputs={}, settings={}, seed=0, facts={"arrays": ["mixed4d/mean"]})
>>> facts_of(of_features, FeaturesFacts)
FeaturesFacts(arrays=['mixed4d/mean'], batch=None)

They lie in `manifest.json` as plain JSON. A run builds the rows below and writes them; whoever
reads a folder fills the same rows again, and what lacks or is of another kind is an error by name.
"""

from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal, TypeVar

from pydantic import TypeAdapter, ValidationError

from overpaint.errors import RecordError
from overpaint.records.artefacts import Manifest
from overpaint.records.files import digest
from overpaint.records.rows import DuplicateRow, LeakRow, RenderingRow, Score

Facts = TypeVar("Facts")

CropMode = Literal["center", "squash", "border"]
"""As `pixels.images` has it."""


@dataclass(frozen=True, kw_only=True)
class DatasetFacts:
    """What a dataset turned out to hold."""

    kind: str = ""
    root: str = ""
    classes: list[str] = field(default_factory=list)
    multi_label: bool = False
    left_out: int = 0  # pictures that cannot be read
    duplicates: list[DuplicateRow] = field(default_factory=list)
    near_of: str = ""  # the digest of the pictures among which near copies were sought; "": not
    leak: list[LeakRow] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # what its owner should know, in sentences


@dataclass(frozen=True, kw_only=True)
class PreprocessingFacts:
    """How pictures must look for the weights: `networks.Preprocessing`, without torch."""

    size: int
    resize: int
    interpolation: str
    mean: list[float]
    std: list[float]
    order: str  # "RGB", "BGR" or "grey"
    crop_mode: CropMode = "center"

    def settings(self) -> dict[str, Any]:
        """The fields by name, without a `crop_mode` that is the usual one: it came later, and is to
        change no key of what was made before.
        """
        named = asdict(self)
        if self.crop_mode == "center":
            del named["crop_mode"]
        return named


@dataclass(frozen=True, kw_only=True)
class NetworkFacts:
    """An architecture with weights, and the training that led to them."""

    architecture: str = ""
    layers: list[str] = field(default_factory=list)  # in the order of execution
    parameters: int | None = None
    attention: float | None = None  # the share of them that attention holds; None in old records
    classes: list[str] = field(default_factory=list)
    multi_label: bool = False
    preprocessing: PreprocessingFacts | None = None
    channels: dict[str, int] = field(default_factory=dict)  # layer -> how many; none in old records
    weights: str = ""  # the digest of `weights.safetensors`
    remark: str = ""  # how the file that was loaded was read, where there was anything to say
    code: str = ""  # of an own network, the digest of the file that makes it
    config: dict[str, Any] | None = None  # of `timm:hf-hub:` and `timm:local-dir:`: what it is
    # None, all of them, for a network that was not trained here:
    parent: str | None = None
    dataset: str | None = None
    recipe: dict[str, Any] | None = None  # the fields, the preset's `name`, why `auto` took it
    trained: str | None = None  # how many of the parameters, in words
    best_epoch: int | None = None
    mixed: list[str] = field(default_factory=list)  # the two that it lies between, in order
    alpha: float | None = None  # where on the way from the first (0) to the second (1)

    @property
    def identity(self) -> str:
        """The digest of the weights, and of the code if it is an own network: what it says changes
        with its code, though its weights be the same.
        """
        return digest([self.weights, self.code]) if self.code else self.weights


@dataclass(frozen=True, kw_only=True)
class ReceptiveFields:
    """What the positions of each layer see of a picture that is shown at `size` after `resize`, by
    its `crop_mode`.

    `layers` has, for rows and for columns, the start of the first position's field, the step from
    one to the next, and the length of each. A layer whose positions see everything is not there.
    """

    size: int
    resize: int
    layers: dict[str, dict[str, tuple[int, int, int]]]
    crop_mode: CropMode = "center"


@dataclass(frozen=True, kw_only=True)
class PlaneFacts:
    """Which pictures lie in the planes of two networks, and how far those are to be trusted.

    Neighbours are the 10 nearest pictures by the features of the layer.
    """

    layer_before: str = ""  # the last of each network
    layer_after: str = ""
    n: int = 0  # pictures
    of: int = 0  # pictures of the split, of which they are a draw where they are fewer
    kept: float | None = None  # share of neighbours before that are neighbours after
    chance: float | None = None  # the same of unrelated features
    trust_before: float | None = None  # how far who is near in the plane is so; 0..1
    trust_after: float | None = None  # the same after
    status: str = "ok"  # or why there are no planes


@dataclass(frozen=True, kw_only=True)
class ComparisonFacts:
    """What two networks were compared on, and which of their channels are to be looked at."""

    dataset: str = ""
    cka_split: str = ""
    maximal_split: str = ""
    n_cka: int | None = None
    n_maximal: int | None = None  # without duplicates
    duplicates: int | None = None
    k: int | None = None
    classes: int | None = None
    multi_label: bool = False
    notes: list[str] = field(default_factory=list)
    shown: list[tuple[str, int]] = field(default_factory=list)  # layer and channel, in order
    receptive_fields: dict[str, ReceptiveFields] = field(default_factory=dict)  # before, after
    plane: PlaneFacts | None = None  # None in old records


@dataclass(frozen=True, kw_only=True)
class CausesFacts:
    """What other weights would do in two networks: what was looked for, and what it comes to.

    Scores are in points of the main score, on the test split of the dataset that the second
    network was fitted to; differences of scores are paired over its pictures.
    """

    dataset: str = ""
    score: str = ""  # "top1" or "mAP"
    causes: list[str] = field(default_factory=list)  # of "rewind", "between", "forgetting"
    heads: bool = False  # whether the heads go the way too, as they do of equal classes
    barrier: Score | None = None  # mean of the ends minus half-way; None where the heads do not go
    best_alpha: float | None = None  # of `between`, chosen on val
    best: Score | None = None  # the network there, on test
    best_gain: Score | None = None  # its score minus that of the network after
    parent: str = ""  # of `forgetting`: whose task
    parent_dataset: str = ""  # its dataset, of which the test split
    lost: Score | None = None  # the score of the parent minus that of its head on the child
    notes: list[str] = field(default_factory=list)  # what to know of these numbers, in sentences


@dataclass(frozen=True, kw_only=True)
class ConceptFacts:
    """Among which pictures the concepts of two networks were sought, and what tells of luck."""

    dataset: str = ""
    split: str = ""
    n: int | None = None  # pictures
    of: int | None = None  # pictures of the split, of which they are a draw where they are fewer
    repeats: list[tuple[str, str]] = field(default_factory=list)  # the same of other trainings
    of_twins: bool = False  # whether the two are trainings of one route themselves
    notes: list[str] = field(default_factory=list)  # of layers without concepts, why


@dataclass(frozen=True, kw_only=True)
class PairwiseFacts:
    """Which networks were compared with each other, and on what."""

    dataset: str = ""
    split: str = ""
    n: int | None = None  # pictures
    networks: list[str] = field(default_factory=list)  # in the order of the study


@dataclass(frozen=True, kw_only=True)
class GazeFacts:
    """On what it was looked where two networks look, and how the sheet of tiles is to be read."""

    dataset: str = ""
    tile: int = 0  # pixels of a tile's side
    across: int = 0  # tiles in a row of the sheet
    layers: list[str] = field(default_factory=list)  # that are looked into
    agreement: dict[str, float] = field(default_factory=dict)  # of patch colours, 0..1, by layer
    shares: dict[str, tuple[float, float]] = field(default_factory=dict)  # of the variance that
    # three components hold before and after, by layer
    matched: bool = False  # whether channels after are those that respond most alike
    methods: list[str] = field(default_factory=list)  # of attribution
    no_attribution: str = ""  # why there is none, in a sentence
    notes: list[str] = field(default_factory=list)  # of what could not be looked at, why


@dataclass(frozen=True, kw_only=True)
class ProbeFacts:
    """On which collection a network was probed."""

    dataset: str = ""
    n_train: int | None = None  # pictures that the probes were shown
    of_train: int | None = None  # of train, of which they are a draw where they are fewer
    n: int | None = None  # pictures of test
    multi_label: bool = False


@dataclass(frozen=True, kw_only=True)
class FeaturesFacts:
    """Which arrays of a group of features are whole, and how many pictures a batch had."""

    arrays: list[str]
    batch: int | None = None  # None in old records


@dataclass(frozen=True, kw_only=True)
class EnsembleFacts:
    """Whose probabilities are averaged, and on what they are scored."""

    members: list[str] = field(default_factory=list)
    dataset: str = ""


@dataclass(frozen=True, kw_only=True)
class LayerRenderingsFacts:
    """The renderings of one layer's channels."""

    rows: list[RenderingRow]


def facts_of(manifest: Manifest, kind: type[Facts]) -> Facts:
    """The facts of a manifest as a row; a RecordError names the field that is not as it must be."""
    try:
        return TypeAdapter(kind).validate_python(manifest.facts)
    except ValidationError as error:
        [first, *_] = error.errors()
        name = ".".join(map(str, first["loc"]))
        raise RecordError(
            "broken-record",
            f"the manifest of a {manifest.kind} does not tell of {name!r} as a run does: "
            f"{first['msg']}",
        ) from None


def readable_facts(manifest: Manifest, kind: type[Facts]) -> tuple[Facts, list[str]]:
    """The facts of a manifest as far as they can be read, and the names of the fields that cannot.

    Such a field takes its default; a RecordError where it has none.
    """
    told = {name: value for name, value in manifest.facts.items() if value is not None}
    try:
        return TypeAdapter(kind).validate_python(told), []
    except ValidationError as error:
        names = list(dict.fromkeys(str(fault["loc"][0]) for fault in error.errors()))
    names = [row_field.name for row_field in fields(kind) if row_field.name in names]  # type: ignore[arg-type]
    readable = {name: value for name, value in told.items() if name not in names}
    return facts_of(replace(manifest, facts=readable), kind), names
