"""Trackers: each epoch told to TensorBoard, Weights & Biases or MLflow, by Accelerate.

>>> check_trackers(("tensorbord",))
Traceback (most recent call last):
overpaint.errors.StudyError: ... 'tensorbord'; did you mean 'tensorboard'? ...
"""

import importlib.util
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accelerate import Accelerator

from overpaint.errors import StudyError, nearest
from overpaint.study.recipe import Recipe

KNOWN = ("tensorboard", "wandb", "mlflow")


@dataclass(frozen=True)
class Tracking:
    """Who is told of a training, and as what: a run `network` of the project `study`."""

    trackers: tuple[str, ...]
    folder: Path
    study: str
    network: str

    @property
    def options(self) -> dict[str, Any]:
        """What an Accelerator needs to know of it."""
        return {"log_with": list(self.trackers), "project_dir": self.folder / self.network}


def check_trackers(trackers: Sequence[str]) -> None:
    """Raises StudyError for a tracker that is unknown or not installed.

    Accelerate would leave out in silence what is not installed.
    """
    for tracker in trackers:
        if tracker not in KNOWN:
            raise StudyError(
                "unknown-tracker", f"there is no tracker {tracker!r}; {nearest(tracker, KNOWN)}"
            )
        if importlib.util.find_spec(tracker) is None:
            raise StudyError(
                "missing-tracker",
                f"the tracker {tracker!r} is not installed: python -m pip install {tracker}",
            )


@contextmanager
def tracked(accelerator: Accelerator, tracking: Tracking | None, recipe: Recipe) -> Iterator[None]:
    """Open the trackers of a training and close them again, also when it fails."""
    if tracking is None:
        yield
        return
    tracking.folder.mkdir(parents=True, exist_ok=True)
    settings = {key: value if isinstance(value, int | float | str) else str(value)
                for key, value in recipe.model_dump().items()}  # fmt: skip
    names = {"name": tracking.network, "dir": str(tracking.folder)}
    accelerator.init_trackers(
        tracking.study,
        config=settings,
        init_kwargs={"wandb": names, "mlflow": {"run_name": tracking.network}},
    )
    try:
        yield
    finally:
        for tracker in accelerator.trackers:  # and not end_training, which parts all processes
            tracker.finish()
