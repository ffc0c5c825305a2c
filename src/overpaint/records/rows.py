"""Rows: what crosses a border between the stages, each a line of a table or of a JSON file."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from typing import Annotated, Any, Literal

from pydantic import Field

from overpaint.defaults import GROUPS, PICTURES

INDICES = (0, 1_000_000)
Index = Annotated[int, Field(ge=INDICES[0], le=INDICES[1])]
"""A number among others of its kind, a channel or a rank: a list of all up to it fits into memory.
"""


@dataclass(frozen=True, kw_only=True)
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
    source: str = ""  # the address of its page, or another text of the table on where it is from
    rights: str = ""


@dataclass(frozen=True, kw_only=True)
class DuplicateRow:
    """One picture under two names, in two splits."""

    digest: str  # of the second file
    first: str
    first_split: str
    second: str
    second_split: str
    near: bool = False  # not to the byte: saved anew, made smaller or greyer, or cut

    def __str__(self) -> str:
        same = "nearly the same" if self.near else "the same"
        return (
            f"{same} picture stands in {self.first_split} and {self.second_split}: "
            f"{self.first} and {self.second}"
        )


@dataclass(frozen=True, kw_only=True)
class LeakRow:
    """How much a split gives away through groups that also stand in train.

    `accuracy` is the share of its known pictures that are named rightly by what is most frequent
    in train for their group, without a look at the picture; `chance` the same by what is most
    frequent in all of train. Of several labels a picture, all must be right.
    """

    split: str
    n: int  # pictures of the split that have a group
    known: int  # of these, pictures whose group stands in train
    share: float  # known / n
    groups: int  # groups of the split
    known_groups: int  # of these, groups that stand in train
    accuracy: float | None  # None when no picture is known
    chance: float | None

    def describe(self, percent: Callable[[float], str] = "{:.1%}".format) -> str:
        """How much the split gives away by its groups, with shares as the caller prints them.

        >>> row = LeakRow(split="test", n=8, known=4, share=0.5, groups=3, known_groups=2,
        ...               accuracy=0.75, chance=0.25)
        >>> row.describe().partition("group ")[0], row.describe().partition("names ")[2]
        ('of the 8 pictures that have a ', '75.0% of them rightly, where the most frequent class \
of train is right for 25.0%.')
        """
        start = (
            f"of the {self.n:,} pictures that have a group (an artist, a sitter, a book), "
            f"{percent(self.share)} are of one that is in train too."
        )
        if self.accuracy is None or self.chance is None:
            return start
        return (
            f"{start} The group alone, without a look at the picture, names "
            f"{percent(self.accuracy)} of them rightly, where the most frequent class of train is "
            f"right for {percent(self.chance)}."
        )


@dataclass(frozen=True, kw_only=True)
class EpochRow:
    """One epoch of a training."""

    epoch: Index  # from 1
    train_loss: float
    val_loss: float
    val_score: float  # top-1, or mean average precision
    head_lr: float
    backbone_lr: float
    best: bool  # the epoch whose weights were kept


@dataclass(frozen=True, kw_only=True)
class LoraRow:
    """What the adapter of one kernel became: the change B A, times alpha / rank."""

    layer: str
    position: Index
    kernel: str  # the tensor of weights.safetensors that it is merged into
    rank: Index
    alpha: float
    parameters: int  # of the adapter
    directions: int  # the most that a change of this kernel can have
    norm: float  # Frobenius, of the change
    norm_relative: float | None  # divided by that of the kernel before
    effective_rank: float | None  # of the change; None where nothing changed


@dataclass(frozen=True, kw_only=True)
class LayerRow:
    """How alike two networks see the images of a split, at one layer."""

    layer: str
    position: Index  # from 0, in the order of execution
    channels: Index
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
    n_groups: int | None = None  # that the intervals of CKA are over; None where no picture has one
    cka_permuted: float | None = None  # biased CKA with the pictures dealt out anew, on average
    dominant: str = ""  # the 3 pictures that CKA hangs on most, joined by " · "
    cka_debiased_without: float | None = None  # without these pictures
    cka_debiased_partial: float | None = None  # without what the first layer before sees as alike
    cka_debiased_twins: float | None = None  # of `after` and another training of its route
    beside_luck: float | None = None  # (1 − cka_debiased) / (1 − …_twins); of one pair, no interval


@dataclass(frozen=True, kw_only=True)
class PictureRow:
    """How alike the place of a picture among all others is, at one layer of two networks."""

    layer: str
    position: Index
    image: str
    alike: float  # cosine of its likenesses to all others, before and after; −1..1
    alike_twins: float | None = None  # of `after` and another training of its route
    beside_luck: float | None = None  # (1 − alike) / (1 − alike_twins); of one pair, no interval


@dataclass(frozen=True, kw_only=True)
class PlaneRow:
    """A picture in the plane of each of two networks, by the last layer of each.

    Both planes are about their mean, of mean square 1, and that after is turned onto that before.
    Near in a plane is roughly near by the features; sizes of and ways between clusters say nothing.
    """

    image: str
    x_before: float
    y_before: float  # upwards
    x_after: float
    y_after: float
    kept: float  # share of its 10 nearest pictures by the features before that are so after
    nearest_before: list[str]  # by the features, the nearest first
    nearest_after: list[str]


@dataclass(frozen=True, kw_only=True)
class MatrixRow:
    """How alike a layer of one network and a layer of another see the images of a split."""

    layer_before: str
    layer_after: str
    cka: float | None
    cka_debiased: float | None
    n_images: int
    reduction: str
    status: str


@dataclass(frozen=True, kw_only=True)
class WeightRow:
    """How far one parametrised layer's weights moved, and in how many directions.

    Directions are the singular vectors of the layer's matrix, a row an output; their columns are
    None where nothing moved; `_chance` is what independent normal numbers of the shape give.
    """

    layer: str
    position: Index
    parameters: int
    l2: float | None
    l2_relative: float | None
    cosine: float | None
    status: str
    l2_matched: float | None = None  # where the networks have no common start: filters paired first
    directions: int | None = None  # the most that the change can have: the matrix's smaller side
    effective_rank: float | None = None  # of the change, 1 to directions
    effective_rank_chance: float | None = None
    stable_rank: float | None = None  # squared norm of the change over that of its first direction
    first_ten: float | None = None  # share of the squared norm in the first ten directions
    first_ten_chance: float | None = None
    intruders: int | None = (
        None  # of the first ten directions after, those that none before is near
    )
    intruders_chance: float | None = None  # where the two matrices have nothing in common
    l2_twins: float | None = None  # of `after` and another training of its route
    beside_luck: float | None = None  # l2 / l2_twins; of one pair, no interval


@dataclass(frozen=True, kw_only=True)
class SpectrumRow:
    """One direction of a layer's weights: how much of the change, and of the weights before."""

    layer: str
    position: Index
    direction: Index  # from 1; those of the change and those before are not the same
    change: float  # singular value of after minus before
    before: float  # singular value of the weights before


@dataclass(frozen=True, kw_only=True)
class RewindRow:
    """The network after with the weights of a layer, or of layers, set back to before."""

    layer: str
    position: int
    how: str  # "only" this layer; all layers "up_to" it; all "from" it on
    value: float  # the main score, top-1 or mean average precision
    cost: float  # that of the network after minus it; exactly 0 where nothing had changed
    low: float  # 95 %, of the cost
    high: float
    loss: float  # mean cross-entropy, in nats
    n: int  # pictures
    tensors: int  # weights and statistics that differ before and after, all set back
    status: str  # "identical" where there are none
    moved: float | None = None  # norm of what is set back minus before, divided by that before
    n_groups: int | None = None  # that the interval is over, where pictures have groups


@dataclass(frozen=True, kw_only=True)
class BetweenRow:
    """A network on the way between two: before + alpha (after − before)."""

    layer: str  # "" where all layers go the way, else the one that does, the others being after's
    alpha: float
    value: float  # the main score, top-1 or mean average precision
    low: float  # 95 %
    high: float
    chance: float
    loss: float  # mean cross-entropy, in nats
    n: int  # pictures
    n_groups: int | None = None  # that the interval is over, where pictures have groups


@dataclass(frozen=True, kw_only=True)
class ProbeRow:
    """What a layer knows of the classes: how well its features alone tell them."""

    network: str
    layer: str
    position: int
    method: str  # "linear" or "neighbours"
    value: float | None  # top-1, or mean average precision, on test
    low: float | None  # 95 %
    high: float | None
    chance: float | None
    n_train: int
    n: int  # pictures of test
    status: str
    n_groups: int | None = None  # that the interval is over, where pictures have groups


@dataclass(frozen=True, kw_only=True)
class PairwiseRow:
    """Two networks of a dataset, in one number a measure: the means over their layers."""

    first: str
    second: str
    n_images: int
    n_groups: int | None  # that the intervals are over
    layers: int  # that both have, and that CKA could be taken of
    cka: float | None
    cka_low: float | None  # 95 %, of the mean
    cka_high: float | None
    cka_debiased: float | None
    cka_debiased_low: float | None
    cka_debiased_high: float | None
    layers_changed: int  # whose CKA is not exactly 1
    cka_changed: float | None  # mean over these
    cka_debiased_changed: float | None
    kernels: int  # of the backbone, that both have in one shape
    l2: float | None  # mean over these; None of networks without a common start
    kernels_moved: int  # that are not equal
    l2_moved: float | None  # mean over these
    status: str  # "ok", or which layers have no CKA and why


@dataclass(frozen=True, kw_only=True)
class ConceptRow:
    """Pictures that one network holds together at a layer more than the other: see `measures`."""

    layer: str
    position: int
    held_by: str  # "before" or "after"
    number: int  # from 1, the largest gain first
    n: int  # pictures in it
    coherence_before: float  # how often a member is nearer to a member than to an outsider
    coherence_after: float
    gain: float  # coherence where they are held minus that in the other network
    low: float  # 95 %
    high: float
    p: float
    q: float  # false discovery rate, over all concepts of the comparison
    repeated: float | None  # the least gain of these pictures where the trainings were repeated
    luck: float | None  # the largest gain of any group between two trainings of one route
    beyond_luck: bool | None  # whether both its gains are above that; None without such trainings
    top_class: str  # that it shows most beyond the share of all pictures
    top_share: float  # of its pictures that show it
    top_lift: float  # that share divided by the class's share of all
    top_group: str  # likewise; "" where no picture has a group
    top_group_share: float | None
    top_group_lift: float | None


@dataclass(frozen=True, kw_only=True)
class ConceptImageRow:
    """A picture of a difference concept."""

    layer: str
    held_by: str
    number: int
    rank: int  # from 1, the most typical
    image: str
    digest: str
    label: str  # labels joined by " · "


@dataclass(frozen=True, kw_only=True)
class GazePictureRow:
    """A picture on which it is looked where two networks look.

    `chosen_for` is "unlike" of a picture that the last layer of the two sees least alike, or the
    channel, "mixed4d:164", of which it is the first maximal image.
    """

    number: Index  # from 0
    image: str
    digest: str
    split: str
    label: str  # labels joined by " · "
    chosen_for: str
    alike: float | None  # at the last layer: see `PictureRow`
    said_before: str  # the class that is named; "" without a head
    said_before_p: float | None
    said_after: str
    said_after_p: float | None
    in_before: bool  # whether the network before names the class that is said after


@dataclass(frozen=True, kw_only=True)
class GazeTileRow:
    """A tile of `sheet.webp`: a picture, or one with a map of its places laid over it."""

    picture: Index  # its number among the pictures
    kind: str  # "picture", "heat", "colours", or a method of attribution
    tile: Index  # from 0, row by row
    network: str = ""  # "before", "after"; of attribution "randomised" too; "" of the picture
    layer: str = ""  # of heat and colours
    channel: Index | None = None  # of heat
    largest: float | None = None  # heat: the activation that is furthest from 0
    row: float | None = None  # where the map is largest, 0..1 of what the network was shown, down
    column: float | None = None  # and across
    gap: float | None = None  # integrated gradients: what their sum misses, as a share
    alike: float | None = None  # attribution by random weights: rank correlation with that after
    places: Index | None = None  # over which


@dataclass(frozen=True, kw_only=True)
class ChannelSide:
    """What the maximal images of a channel show in one network; None where it has no image."""

    n: int  # positive images among the k asked for
    entropy: float | None
    gain: float | None
    top_class: str | None
    top_share: float | None
    top_lift: float | None

    def columns(self, side: Literal["before", "after"]) -> dict[str, Any]:
        """The fields as ChannelRow has them, "entropy_before" and so on."""
        return {f"{name}_{side}": value for name, value in asdict(self).items()}


@dataclass(frozen=True, kw_only=True)
class ChannelRow:
    """What a channel's maximal images tell, before and after."""

    layer: str
    channel: Index
    n_before: int  # positive images among the k asked for
    n_after: int
    overlap: float
    overlap_chance: float
    overlap_p: float
    matched_channel: Index | None  # of the network after, that which responds most alike
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
    overlap_twins: float | None = None  # of `after` and another training of its route
    beside_luck: float | None = None  # (1 − overlap) / (1 − …_twins); of one pair, no interval

    def side(self, side: Literal["before", "after"]) -> ChannelSide:
        """The classes of one network; the inverse of `ChannelSide.columns`."""
        names = [column.name for column in fields(ChannelSide)]
        return ChannelSide(**{name: getattr(self, f"{name}_{side}") for name in names})


@dataclass(frozen=True, kw_only=True)
class MaximalRow:
    """One maximal image of a channel.

    `row` and `column` are the position of the layer's map that responded most; what of the picture
    it has seen follows from `receptive_fields` among the facts of the comparison.
    """

    layer: str
    channel: Index
    network: str  # "before" or "after"
    rank: Index  # from 1
    image: str
    digest: str
    label: str  # labels joined by " · "
    value: float
    row: Index | None
    column: Index | None


@dataclass(frozen=True, kw_only=True)
class ResponseRow:
    """One of the channels of a layer that respond most to a class."""

    label: str
    network: str  # "before" or "after"
    layer: str
    rank: Index  # from 1
    channel: Index
    mean_class: float  # of the features of the images that show the class
    mean_all: float
    response: float  # mean of the class minus mean of all other images
    standardised: float  # the response in standard deviations of the channel
    n: int  # images that show the class


@dataclass(frozen=True, kw_only=True)
class RenderingRow:
    """One feature visualisation, as `<layer>/<channel>.png`.

    `best_value` is the channel's mean on the picture of the dataset that most excites it, on the
    scale of the objective, and `ratio` is how many times as much the rendering reaches.
    """

    layer: str
    channel: Index
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


@dataclass(frozen=True, kw_only=True)
class PairRenderingRow:
    """What a channel of two networks wants, as `<layer>/<channel>-<kind>.png`.

    `reach_before` and `reach_after` are what the channel reaches alone in each network; None where
    it shows nothing there.
    """

    layer: str
    channel: Index
    kind: str  # "both" or "only_after"
    before: float | None  # the channel's mean on this picture
    after: float | None
    reach_before: float | None
    reach_after: float | None
    steps: int
    size: int
    seed: int
    status: str


@dataclass(frozen=True, kw_only=True)
class ClassRow:
    """How well one class is told from the others on the test split."""

    label: str
    n: int  # pictures that show it
    precision: float | None
    recall: float | None
    f1: float | None
    average_precision: float | None  # None without positives: excluded from the mean
    precision_at_20: float | None = None  # multi-label: of the 20 most probable; at most 1


@dataclass(frozen=True, kw_only=True)
class Score:
    """A number with its interval and the level of chance, over n pictures."""

    value: float
    low: float
    high: float
    chance: float
    n: int
    n_groups: int | None = None  # whole groups made the interval; None where no picture has one

    @property
    def few(self) -> bool:
        """Whether so few groups, or pictures, made the interval that it is not to be relied on."""
        return self.n < PICTURES or (self.n_groups is not None and self.n_groups < GROUPS)


@dataclass(frozen=True, kw_only=True)
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


@dataclass(frozen=True, kw_only=True)
class Spread:
    """The main score of n trainings of one route that differ in nothing but their seed."""

    score: str
    n: int
    mean: float
    deviation: float | None  # with n − 1; None for a single training
    min: float
    max: float
    values: list[float]


@dataclass(frozen=True, kw_only=True)
class RouteDifference:
    """How much better the second of two routes scores than the first, over their trainings."""

    score: str
    n_first: int
    n_second: int
    difference: float  # mean of the second minus mean of the first
    low: float | None  # 95 %, Welch
    high: float | None
    status: str


@dataclass(frozen=True, kw_only=True)
class SvmRow:
    """The linear SVM of one class on features."""

    label: str
    n: int  # pictures that show it, among those the SVM was fitted to
    cost: float | None  # the C chosen; None where nothing was fitted
    cv_score: float | None  # average precision of the class, or accuracy over all classes
    converged: bool | None
    status: str


@dataclass(frozen=True, kw_only=True)
class SvmGridRow:
    """The cross-validation score of one C; of one class, or of all where they share their C."""

    label: str  # "" where the classes share their C
    cost: float
    cv_score: float
    converged: bool  # in every fold


@dataclass(frozen=True, kw_only=True)
class FindingRow:
    """A statement of the paper, put to one comparison or one pair of routes of a study."""

    statement: str  # its key among `findings.STATEMENTS`
    subject: str  # what it is said of, in words: "imagenet → fine_tuned"
    verdict: str  # "yes", "no", "undecided"; or "untested", and `remark` says why
    measured: str  # what `value` is
    value: float | None
    low: float | None  # 95 %
    high: float | None
    chance: float | None  # the value if there were nothing in the statement
    n: int
    unit: str  # what n counts, and the interval is over: "pictures", "channels", "layers", …
    remark: str
    n_groups: int | None = None  # that the interval is over, where pictures have groups
    before: str = ""  # the networks of the pair, or the two routes
    after: str = ""


@dataclass(frozen=True, kw_only=True)
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
    n_groups: int | None = None  # of these pictures, that the interval is over
    parameters: int | None = None  # of the start: the plainest guess is that the larger serves more
    own_task: str = ""  # the largest dataset that it, or what it came from, was scored on
    own_score: float | None = None  # its main score there, on test
