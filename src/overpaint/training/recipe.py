"""Recipe: what a training is. Named presets, each a full set of fields; no torch.

>>> recipe("mode_a").backbone_lr
0.001
>>> recipe("mode_a", {"epochs": 4}).epochs
4

Layers are named as the network names them; "from middle" is the layer at five twelfths of the
network's layers, which is mixed4a in the paper's network.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from overpaint.errors import StudyError, nearest

Rate = Annotated[float, Field(ge=0, lt=10)]
Layers = Annotated[str, Field(pattern=r"^(all|head|nothing|from \S+)$")]


class Recipe(BaseModel):
    """The fields of a training, with the defaults that the paper's trainings share.

    Source: Gonthier et al. 2020, section 3, and the protocol of the authors' code: SGD with
    momentum 0.9, batches of 32, 20 epochs, the learning rate divided by (1 + 1e-4 × step), a
    penalty of 2e-4 × the sum of the squared backbone kernels, centre crop, the epoch with the
    least validation loss.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    train: Layers = Field("all", description="all, head, or 'from LAYER'")
    reinit: Layers = Field("head", description="nothing, head, 'from LAYER', or all")
    head_lr: Rate = 1e-2
    backbone_lr: Rate = 1e-3
    optimiser: Literal["sgd", "adam"] = "sgd"
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    lr_decay: Annotated[float, Field(ge=0)] = 1e-4
    """Learning rate at step t = rate / (1 + lr_decay × t)."""
    schedule: Literal["constant", "step", "cosine"] = "constant"
    """By epoch, times lr_decay: "step" is 0.96 every 8 epochs (GoogLeNet), "cosine" ends at 0."""
    weight_penalty: Annotated[float, Field(ge=0)] = 2e-4
    """Times the sum of the squared backbone kernels, added to the loss; biases and head free."""
    epochs: Annotated[int, Field(ge=1)] = 20
    batch_size: Annotated[int, Field(ge=1)] = 32
    crop: Literal["center", "random"] = "center"
    flip: bool = False
    selection: Literal["best_val_loss", "last"] = "best_val_loss"


PRESETS: dict[str, dict[str, Any]] = {
    "mode_a": {},
    "mode_b": {"head_lr": 1e-3, "backbone_lr": 1e-4},
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
    },
}


def recipe(name: str, overrides: dict[str, Any] | None = None) -> Recipe:
    """A preset with some of its fields overridden.

    Raises StudyError for an unknown preset, pydantic's ValidationError for an unknown field or a
    value out of range.
    """
    if name not in PRESETS:
        raise StudyError("unknown-recipe", f"there is no recipe {name!r}; {nearest(name, PRESETS)}")
    return Recipe(**{**PRESETS[name], **(overrides or {})})
