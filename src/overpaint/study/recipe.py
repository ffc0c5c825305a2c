"""Recipe: what a training is. Named presets, each a full set of fields; no torch.

>>> recipe("mode_a").backbone_lr
0.001
>>> recipe("mode_a", {"epochs": 4}).epochs
4
>>> recipe("mode_a", {"as_published": True}).head_lr
0.001

Layers are named as the network names them; "from middle" is the layer at five twelfths of the
network's layers, which is mixed4a in the paper's network.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from overpaint.errors import StudyError, nearest

Rate = Annotated[float, Field(ge=0, lt=10)]
Share = Annotated[float, Field(ge=0, lt=1)]
Epochs = Annotated[int, Field(ge=1, le=100_000)]
Count = Annotated[int, Field(ge=1, le=100_000)]


def _spelt(pattern: str, right: str) -> AfterValidator:
    """A word of ours that goes by a pattern; the error says how it is spelt."""

    def check(word: str) -> str:
        if not re.fullmatch(pattern, word):
            raise ValueError(f"{word!r} is not understood: say {right}")
        return word

    return AfterValidator(check)


Layers = Annotated[str, _spelt(r"all|head|nothing|from \S+", "all, head, nothing or 'from LAYER'")]
Trained = Annotated[
    str,
    _spelt(
        r"all|head|from \S+|only \S+( to \S+)?",
        "all, head, 'from LAYER', 'only LAYER' or 'only FIRST to LAST'",
    ),
]
"""What of a network a training changes. "only LAYER" and "only FIRST to LAST" are the surgical
fine-tuning of Lee et al. 2023, and take the head in as well where it is drawn anew."""

Area = Annotated[float, Field(gt=0, le=1)]

EVERY_SCALE = (0.08, 1.0)
"""Of a picture's area, what the random crops of Szegedy et al. 2015 show."""

RandAugment = Annotated[
    str,
    _spelt(
        r"rand(-(m\d{1,3}|n\d{1,3}|mmax\d{1,3}|inc[01]|mstd\d{1,3}(\.\d{1,6})?|p(0?\.\d{1,6}|1)))+",
        "timm's words for RandAugment, as rand-m9-mstd0.5-inc1; a crop of random size is "
        "'crop: resized'",
    ),
]

PLAIN = ("sgd", "adam", "rmsprop")
"""The optimisers of torch, whose weight penalty is part of the loss. All others are timm's."""


class Stage(BaseModel):
    """One of several trainings in a row; what it does not say is as in the recipe."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    train: Trained
    epochs: Epochs | None = None
    """Without: an equal share of what the other stages leave of the recipe's epochs."""
    head_lr: Rate | None = None
    backbone_lr: Rate | None = None


def _as_stage(value: Any) -> Any:
    return {"train": value} if isinstance(value, str) else value


def _as_names(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


class Lora(BaseModel):
    """Adapters beside frozen kernels, in the place of a training of the kernels themselves.

    >>> Lora(rank=4)
    Lora(rank=4, alpha=8.0, where=('auto',), dropout=0.0)

    Source: Hu et al. 2021. Twice the rank for alpha, and all linear layers of a transformer rather
    than its attention alone: Biderman et al. 2024, "LoRA learns less and forgets less".
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    rank: Count = 8
    alpha: Annotated[float, Field(gt=0)] = 16.0
    """What an adapter says counts alpha / rank times. Without: twice the rank."""
    where: Annotated[tuple[str, ...], BeforeValidator(_as_names), Field(min_length=1)] = ("auto",)
    """linear, attention, convolutions, all; names of layers and modules, or the ends of their names
    (qkv). auto: linear layers where these hold most of the weights, else convolutions."""
    dropout: Share = 0.0
    """Of what an adapter is given, while it trains."""

    @model_validator(mode="before")
    @classmethod
    def _filled(cls, fields: Any) -> Any:
        """Alpha follows the rank where it is not said itself."""
        if isinstance(fields, dict) and isinstance(fields.get("rank"), int):
            return {"alpha": 2.0 * fields["rank"], **fields}
        return fields


class Recipe(BaseModel):
    """The fields of a training, with the defaults that the paper's trainings share.

    Source: Gonthier et al. 2020, section 3, and the protocol of the authors' code: SGD with
    momentum 0.9, batches of 32, 20 epochs, the learning rate divided by (1 + 1e-4 × step), a
    penalty of 2e-4 × the sum of the squared backbone kernels, centre crop, the epoch with the
    least validation loss. The loss follows from the dataset: cross-entropy of a softmax for one
    label a picture, of a sigmoid a label for several.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    train: Trained = Field("all", description="all, head, 'from LAYER', 'only LAYER [to LAYER]'")
    reinit: Layers = Field("head", description="nothing, head, 'from LAYER', or all")
    head_lr: Rate = 1e-2
    backbone_lr: Rate = 1e-3
    optimiser: Annotated[
        str, _spelt(r"[a-z][a-z0-9_]*", "sgd, adam, rmsprop, adamw … as timm's factory spells it")
    ] = "sgd"
    """sgd, adam and rmsprop are torch's; adamw, lamb, lion … whatever timm's factory knows by that
    name. linear_svm goes down no gradient: scikit-learn finds the head on the features of the rest.
    """
    momentum: Share = 0.9
    lr_decay: Annotated[float, Field(ge=0)] = 1e-4
    """Learning rate at step t = rate / (1 + lr_decay × t)."""
    schedule: Literal["constant", "step", "plateau", "cosine", "cosine_by_step"] = "constant"
    """By epoch, times lr_decay: "step" is 0.96 every 8 epochs (GoogLeNet); "plateau" halves after
    5 epochs without a better validation loss, down to 1e-5; "cosine" ends at 0. "cosine_by_step"
    falls with each step from the end of the warm-up to 0 (Loshchilov and Hutter 2017)."""
    warmup: Annotated[float, Field(ge=0)] = 0.0
    """Share of the steps, 0 to 1, over which the rates rise from 0 to their own."""
    layer_decay: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Each layer learns at this times the rate of the layer above it, the head at its own: timm's
    groups of layers for a network of timm's (Bao et al. 2022), else the layers that are compared.
    """
    clip_norm: Annotated[float, Field(gt=0)] | None = None
    """The most that the norm of all gradients together may be."""
    weight_penalty: Annotated[float, Field(ge=0)] = 2e-4
    """Times the sum of the squared backbone kernels, added to the loss; biases and head free. 0
    where an optimiser of timm's is named, which takes weight_decay."""
    weight_decay: Share = 0.0
    """Of the weights of an optimiser of timm's: apart from the loss, times the learning rate
    (Loshchilov and Hutter 2019) in adamw, sgdw, lion; in others as timm has it. Weights of one
    dimension, and those that the network itself excepts, are free."""
    epochs: Epochs = 20
    stages: Annotated[
        tuple[Annotated[Stage, BeforeValidator(_as_stage)], ...], Field(max_length=100)
    ] = ()
    """Trainings in a row, "head", "all" … or {train, epochs, head_lr, backbone_lr}. Each has its
    own optimiser and schedule, and begins with the weights that the one before it kept: first the
    head, then all is LP-FT (Kumar et al. 2022)."""
    batch_size: Count = 32
    grad_accumulation: Count = 1
    """Batches whose gradients make one step together."""
    crop: Literal["center", "random", "slide", "resized"] = "center"
    """"random" cuts anywhere; "slide" along the longer side, the shorter being the crop's own;
    "resized" a part of random size and shape, made as large as the input (Szegedy et al. 2015)."""
    crop_scale: tuple[Area, Area] = EVERY_SCALE
    """Least and most of the picture's area that a resized crop shows."""
    flip: bool = False
    augment: RandAugment | None = None
    """timm's words for RandAugment (Cubuk et al. 2020): rand-m9-mstd0.5-inc1 is magnitude 9 of 10,
    with noise of 0.5, two of its changes a picture, all of them stronger with the magnitude."""
    mixup: Annotated[float, Field(ge=0)] = 0.0
    """The α of Beta(α, α), which says how much of another picture each is mixed with (Zhang et al.
    2018); 0 mixes nothing. With cutmix as well each batch gets one or the other."""
    cutmix: Annotated[float, Field(ge=0)] = 0.0
    """The α of Beta(α, α) for the area of another picture that is pasted in (Yun et al. 2019)."""
    label_smoothing: Share = 0.0
    """Of what a label says, spread over all classes; of several labels, towards 1/2 each."""
    class_weights: Literal["balanced"] | None = None
    """balanced: rare classes weigh more in the loss, each in sum as much as any other; of several
    labels, the pictures that show one as much as those that do not."""
    ema: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Decay a step of a moving average of the weights, which is validated and kept in their place;
    it begins lower, as timm's ModelEmaV3 does, min(ema, 1 − (1 + step)^(−2/3))."""
    batch_norm: Literal["local", "global"] = "local"
    """Of several processes: over each one's part of a batch, where the statistics of the first are
    kept, or over the whole batch (torch's SyncBatchNorm, on GPUs)."""
    lora: Lora | None = None
    """{rank, alpha, where, dropout}: kernels stay frozen, adapters beside them learn at backbone_lr
    and are merged into them at the end. Takes the extra `overpaint[lora]`."""
    dropout: Share = 0.0
    """Of what the head is given, while it trains."""
    auxiliary: tuple[Annotated[float, Field(gt=0)], ...] = ()
    """Deep supervision: the weights of the losses of heads at the 5th and 8th twelfth of the
    network's layers (mixed4a and mixed4d in the paper's network), beside the head's own 1."""
    auxiliary_dropout: Share = 0.0
    selection: Literal["best_val_loss", "last"] = "best_val_loss"
    as_published: bool = False
    """Do what the authors' runs did where that differs from their names: see PUBLISHED."""

    @model_validator(mode="before")
    @classmethod
    def _filled(cls, fields: Any) -> Any:
        """What follows from other fields where it is not said itself."""
        if not isinstance(fields, dict):
            return fields
        filled = dict(fields)
        if filled.get("optimiser", "sgd") not in (*PLAIN, "linear_svm"):
            filled.setdefault("weight_penalty", 0.0)
        stages = filled.get("stages")
        if "epochs" not in filled and isinstance(stages, list | tuple):
            lengths = [stage.get("epochs") for stage in stages if isinstance(stage, dict)]
            if len(lengths) == len(stages) > 0 and all(isinstance(each, int) for each in lengths):
                filled["epochs"] = sum(lengths)
        return filled

    @model_validator(mode="after")
    def _a_head_by_svm(self) -> Self:
        if self.optimiser != "linear_svm":
            return self
        if (self.train, self.reinit) != ("head", "head"):
            raise ValueError("optimiser linear_svm finds a head: it needs train and reinit 'head'")
        for name in OF_A_DESCENT:
            if getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"optimiser linear_svm goes down no gradient: it has no {name}")
        return self

    @model_validator(mode="after")
    def _one_decay(self) -> Self:
        if self.optimiser in PLAIN and self.weight_decay:
            raise ValueError(
                "weight_decay is for optimisers that take it apart from the loss (adamw, sgdw …): "
                f"with {self.optimiser} say weight_penalty, which is added to the loss"
            )
        if self.optimiser not in (*PLAIN, "linear_svm") and self.weight_penalty:
            raise ValueError(
                f"weight_penalty is part of the loss of {', '.join(PLAIN)}: with {self.optimiser} "
                "say weight_decay"
            )
        return self

    @model_validator(mode="after")
    def _trainings_agree(self) -> Self:
        if self.stages and self.train != "all":
            raise ValueError("the stages say what they train: leave 'train' out")
        trainings = self.trainings()
        if self.layer_decay and all(stage.train == "head" for stage in trainings):
            raise ValueError(
                "layer_decay lowers the rates of the backbone, and only the head is trained: leave "
                "it out, or train more"
            )
        if self.warmup >= 1:
            epochs = min(stage.epochs for stage in trainings)
            share = f": for {self.warmup:g} of {epochs} epochs say {self.warmup / epochs:.2g}"
            raise ValueError(
                f"warmup is a share of the training's steps, below 1, and {self.warmup:g} is not"
                f"{share if self.warmup < epochs else ''}"
            )
        return self

    @model_validator(mode="after")
    def _batches_agree(self) -> Self:
        if len(self.auxiliary) > 2:
            raise ValueError("auxiliary takes the weights of at most two heads")
        if self.crop != "resized" and self.crop_scale != EVERY_SCALE:
            raise ValueError("crop_scale is for 'crop: resized'")
        if self.crop_scale[0] > self.crop_scale[1]:
            raise ValueError("crop_scale is the least area and the most, in this order")
        if (self.mixup or self.cutmix) and self.batch_size == 1:
            raise ValueError(
                "mixup and cutmix mix the pictures of a batch: batch_size 1 has no two"
            )
        return self

    @model_validator(mode="after")
    def _adapters_agree(self) -> Self:
        if self.lora is None:
            return self
        if self.train != "all" or self.stages:
            raise ValueError(
                "lora freezes the network and trains adapters and the head: leave train and stages "
                "out, and say by lora: {where: …} which layers get adapters"
            )
        if self.reinit not in ("nothing", "head"):
            raise ValueError(
                f"lora adapts the weights that are there, and 'reinit: {self.reinit}' draws them "
                "anew: only nothing or the head can be drawn"
            )
        for name in ("layer_decay", "auxiliary"):
            if getattr(self, name):
                raise ValueError(f"{name} is for trainings of the kernels themselves, not for lora")
        if not self.backbone_lr:
            raise ValueError("lora's adapters learn at backbone_lr, and it is 0")
        return self

    def trainings(self) -> list[Self]:
        """The recipe of each stage; the recipe itself where there are no stages.

        >>> [(each.train, each.epochs) for each in recipe("lp_ft", {"epochs": 5}).trainings()]
        [('head', 2), ('all', 3)]
        """
        rest = self.epochs - sum(stage.epochs or 0 for stage in self.stages)
        open_ends = sum(stage.epochs is None for stage in self.stages)
        if self.stages and (rest < open_ends or (rest and not open_ends)):
            least = "at least " if open_ends else ""
            raise ValueError(
                f"the stages need {least}{self.epochs - rest + open_ends} epochs together, and "
                f"epochs is {self.epochs}"
            )
        trainings = []
        for stage in self.stages:
            fields = {"stages": (), **stage.model_dump(exclude_none=True)}
            if stage.epochs is None:
                fields["epochs"] = rest // open_ends
                rest, open_ends = rest - rest // open_ends, open_ends - 1
            trainings.append(self.model_copy(update=fields))
        return trainings or [self]


OF_A_DESCENT = (
    "warmup", "layer_decay", "weight_decay", "stages", "grad_accumulation", "augment", "mixup",
    "cutmix", "label_smoothing", "class_weights", "ema", "batch_norm", "lora",
)  # fmt: skip
"""Fields that mean nothing where no gradient is gone down."""


def in_use(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a recipe that are worth telling: not those of today that it leaves at rest.

    >>> in_use({"epochs": 5, "mixup": 0.0, "cutmix": 1.0, "crop_scale": [0.08, 1.0]})
    {'epochs': 5, 'cutmix': 1.0}
    """
    at_rest = {name: Recipe.model_fields[name].default for name in (*OF_A_DESCENT, "crop_scale")}
    return {
        name: value
        for name, value in fields.items()
        if name not in at_rest
        or (tuple(value) if isinstance(value, list) else value) != at_rest[name]
    }


DEEP = (0.3, 0.3)
"""The paper's loss weights of the two auxiliary heads."""

MODERN: dict[str, Any] = {
    "optimiser": "adamw",
    "lr_decay": 0.0,
    "schedule": "cosine_by_step",
    "warmup": 0.1,
    "epochs": 30,
}
"""What the routes of today share."""

PRESETS: dict[str, dict[str, Any]] = {
    "mode_a": {},
    "mode_b": {"head_lr": 1e-3, "backbone_lr": 1e-4},
    "mode_c": {"head_lr": 1e-3, "backbone_lr": 1e-3},
    "mode_d": {"head_lr": 1e-3, "backbone_lr": 1e-4, "auxiliary": DEEP},
    "mode_e": {"head_lr": 1e-3, "backbone_lr": 1e-3, "auxiliary": DEEP},
    "mode_f": {"head_lr": 1e-2, "backbone_lr": 1e-2},
    "frozen": {"train": "head", "backbone_lr": 0.0},
    "end_from_scratch": {
        "train": "from middle",
        "reinit": "from middle",
        "optimiser": "adam",
        "head_lr": 1e-4,
        "backbone_lr": 1e-4,
        "lr_decay": 0.0,
        "epochs": 200,
        "flip": True,
    },
    "from_scratch": {
        "reinit": "all",
        "head_lr": 1e-3,
        "backbone_lr": 1e-3,
        "lr_decay": 0.0,
        "schedule": "step",
        "epochs": 200,
        "crop": "random",
        "auxiliary": DEEP,
    },
    "linear_svm": {
        "train": "head",
        "optimiser": "linear_svm",
        "head_lr": 0.0,
        "backbone_lr": 0.0,
        "weight_penalty": 0.0,
        "epochs": 1,
    },
    "linear_probe": MODERN | {
        "train": "head",
        "head_lr": 1e-3,
        "backbone_lr": 0.0,
        "epochs": 50,
        "flip": True,
    },
    "lp_ft": MODERN | {
        "stages": ({"train": "head", "head_lr": 1e-3}, {"train": "all"}),
        "head_lr": 5e-5,
        "backbone_lr": 5e-5,
        "epochs": 30,
        "flip": True,
    },
    "modern_cnn": MODERN | {
        "head_lr": 1e-3,
        "backbone_lr": 2e-4,
        "layer_decay": 0.8,
        "weight_decay": 1e-8,
        "crop": "resized",
        "crop_scale": (0.35, 1.0),
        "flip": True,
        "augment": "rand-m9-mstd0.5-inc1",
        "label_smoothing": 0.1,
        "ema": 0.99,
    },
    "modern_vit": MODERN | {
        "head_lr": 1e-3,
        "backbone_lr": 2e-4,
        "layer_decay": 0.75,
        "weight_decay": 0.05,
        "clip_norm": 1.0,
        "crop": "resized",
        "crop_scale": (0.35, 1.0),
        "flip": True,
        "augment": "rand-m9-mstd0.5-inc1",
        "label_smoothing": 0.1,
        "ema": 0.99,
    },
    "lora": MODERN | {
        "lora": {"rank": 8},
        "head_lr": 1e-3,
        "backbone_lr": 2e-3,
        "flip": True,
    },
}  # fmt: skip
"""The paper's trainings: A to F by their learning rates, D and E with deep supervision; then those
of today.

The authors' code names A, B and F; C, D and E follow from the order of its lists. Where the numbers
of the last four come from, and why some are others than there: docs/training.md.
"""

PUBLISHED: dict[str, dict[str, Any]] = {
    "mode_a": {"head_lr": 1e-3},
    "mode_b": {"head_lr": 1e-4},
    "mode_d": {"head_lr": 1e-4},
    "end_from_scratch": {"flip": False},
    "from_scratch": {"crop": "slide"},
}
"""What the published runs really did.

Their rule for learning rates took InceptionV1's head for a part of the backbone; their word for
light augmentation was misspelt, so there was none; their random crop moved along the longer side
only, and validation pictures were cropped at random as well (section 2 of the protocol).
"""


AUTO = "auto"
TAKEN_BY_AUTO = ("modern_vit", "modern_cnn", "lp_ft")
FEW = 1000
"""Training pictures, below which auto trains the head first: as many as the tasks of VTAB-1k have,
which stand for little data (Zhai et al. 2019)."""
A_TRANSFORMER = 0.1
"""The share of its weights that attention holds in a network that is trained as a transformer."""


def fitting(attention: float, pictures: int) -> tuple[str, str]:
    """The preset that `recipe: auto` takes, and why.

    attention: the share of the network's weights, 0 to 1; pictures: to train on.

    >>> fitting(0.33, 5000)
    ('modern_vit', 'a transformer (33 % of its weights are attention), and 5,000 pictures')
    >>> fitting(0.33, 400)[0], fitting(0.0, 5000)[0]
    ('lp_ft', 'modern_cnn')
    """
    if attention >= A_TRANSFORMER:
        kind = f"a transformer ({100 * attention:.0f} % of its weights are attention)"
    else:
        kind = "no transformer"
    if pictures < FEW:
        return "lp_ft", f"{kind}, and fewer than {FEW:,} pictures: {pictures:,}"
    preset = "modern_vit" if attention >= A_TRANSFORMER else "modern_cnn"
    return preset, f"{kind}, and {pictures:,} pictures"


def recipe(name: str, overrides: dict[str, Any] | None = None) -> Recipe:
    """A preset with some of its fields overridden.

    With `as_published: true` the preset is what the authors' runs did; overrides still win. Raises
    StudyError for an unknown preset, pydantic's ValidationError for an unknown field or a value out
    of range.
    """
    if name not in PRESETS:
        raise StudyError("unknown-recipe", f"there is no recipe {name!r}; {nearest(name, PRESETS)}")
    overrides = overrides or {}
    published = PUBLISHED.get(name, {}) if overrides.get("as_published") is True else {}
    fields = {**PRESETS[name], **published}
    stages = overrides.get("stages", ())
    listed = isinstance(stages, list | tuple) and bool(stages)
    if listed and all(isinstance(stage, dict) and "epochs" in stage for stage in stages):
        fields.pop("epochs", None)  # those of the preset's own stages
    return Recipe(**{**fields, **overrides})
