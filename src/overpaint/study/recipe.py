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

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from overpaint.errors import StudyError, nearest

Rate = Annotated[float, Field(ge=0, lt=10)]
Share = Annotated[float, Field(ge=0, lt=1)]
Layers = Annotated[str, Field(pattern=r"^(all|head|nothing|from \S+)$")]


class Recipe(BaseModel):
    """The fields of a training, with the defaults that the paper's trainings share.

    Source: Gonthier et al. 2020, section 3, and the protocol of the authors' code: SGD with
    momentum 0.9, batches of 32, 20 epochs, the learning rate divided by (1 + 1e-4 × step), a
    penalty of 2e-4 × the sum of the squared backbone kernels, centre crop, the epoch with the
    least validation loss. The loss follows from the dataset: cross-entropy of a softmax for one
    label a picture, of a sigmoid a label for several.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    train: Layers = Field("all", description="all, head, or 'from LAYER'")
    reinit: Layers = Field("head", description="nothing, head, 'from LAYER', or all")
    head_lr: Rate = 1e-2
    backbone_lr: Rate = 1e-3
    optimiser: Literal["sgd", "adam", "rmsprop", "linear_svm"] = "sgd"
    """linear_svm goes down no gradient: scikit-learn finds the head on the features of the rest."""
    momentum: Share = 0.9
    lr_decay: Annotated[float, Field(ge=0)] = 1e-4
    """Learning rate at step t = rate / (1 + lr_decay × t)."""
    schedule: Literal["constant", "step", "plateau", "cosine"] = "constant"
    """By epoch, times lr_decay: "step" is 0.96 every 8 epochs (GoogLeNet); "plateau" halves after
    5 epochs without a better validation loss, down to 1e-5; "cosine" ends at 0."""
    clip_norm: Annotated[float, Field(gt=0)] | None = None
    """The most that the norm of all gradients together may be."""
    weight_penalty: Annotated[float, Field(ge=0)] = 2e-4
    """Times the sum of the squared backbone kernels, added to the loss; biases and head free."""
    epochs: Annotated[int, Field(ge=1)] = 20
    batch_size: Annotated[int, Field(ge=1)] = 32
    crop: Literal["center", "random", "slide"] = "center"
    """"random" cuts anywhere; "slide" along the longer side, the shorter being the crop's own."""
    flip: bool = False
    dropout: Share = 0.0
    """Of what the head is given, while it trains."""
    auxiliary: tuple[Annotated[float, Field(gt=0)], ...] = ()
    """Deep supervision: the weights of the losses of heads at the 5th and 8th twelfth of the
    network's layers (mixed4a and mixed4d in the paper's network), beside the head's own 1."""
    auxiliary_dropout: Share = 0.0
    selection: Literal["best_val_loss", "last"] = "best_val_loss"
    as_published: bool = False
    """Do what the authors' runs did where that differs from their names: see PUBLISHED."""

    @model_validator(mode="after")
    def _fields_agree(self) -> Self:
        if self.optimiser == "linear_svm" and (self.train, self.reinit) != ("head", "head"):
            raise ValueError("optimiser linear_svm finds a head: it needs train and reinit 'head'")
        if len(self.auxiliary) > 2:
            raise ValueError("auxiliary takes the weights of at most two heads")
        return self


DEEP = (0.3, 0.3)
"""The paper's loss weights of the two auxiliary heads."""

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
}
"""The paper's trainings: A to F by their learning rates, D and E with deep supervision.

The authors' code names A, B and F; C, D and E follow from the order of its lists.
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
    return Recipe(**{**PRESETS[name], **published, **overrides})
