"""Checkpoints: the state of a training after each epoch, so that a killed one goes on.

The file holds tensors and plain values only and is read as such (`weights_only`): nothing in it
can be executed. It is written whole, and one of another training is not taken.
"""

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from overpaint.machine import hand_on
from overpaint.records import whole_file


@dataclass(frozen=True)
class Checkpoint:
    """Where the state of one training lies; `key` tells that training from any other.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     mine = Checkpoint(Path(folder) / "checkpoint.pt", "a")
    ...     mine.save({"epoch": 3})
    ...     mine.load(), Checkpoint(mine.path, "b").load()
    ({'epoch': 3}, None)
    """

    path: Path
    key: str

    def save(self, state: dict[str, Any]) -> None:
        """Write the state, whole, in the place of the last one."""
        # through a file of Python's, which tells of bytes that the disk did not take
        with whole_file(self.path) as draft, draft.open("wb") as file:
            torch.save({"key": self.key, "state": state}, file)

    def load(self) -> dict[str, Any] | None:
        """The state; None when there is none of this training, or none that can be read."""
        try:
            if not self.is_whole():
                return None
            saved = torch.load(self.path, map_location="cpu", weights_only=True)
            return dict(saved["state"]) if saved["key"] == self.key else None
        except Exception as error:
            hand_on(error, self.path)  # as a file that may not be read; it is no worse for that
            return None  # a missing, foreign or broken file: the training begins anew

    def is_whole(self) -> bool:
        """Whether a file is there with the bytes that were written: PyTorch does not look."""
        try:
            with zipfile.ZipFile(self.path) as archive:
                return archive.testzip() is None
        except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error) as error:
            hand_on(error, self.path)
            return False
