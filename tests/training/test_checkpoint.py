"""A checkpoint whose bytes are not those that were written is none."""

import pytest
import torch

from overpaint.training.checkpoint import Checkpoint


@pytest.mark.parametrize("damage", ["a bit", "half", "all", "gone"])
def test_a_damaged_checkpoint_is_none(tmp_path, damage):
    """One bit of a weight, a file that is cut off, empty or lost: the training begins anew."""
    checkpoint = Checkpoint(tmp_path / "tuned.pt", "key")
    weights = torch.arange(1000.0)
    checkpoint.save({"weights": weights, "epoch": 3})
    assert checkpoint.is_whole()
    assert checkpoint.load()["epoch"] == 3
    data = bytearray(checkpoint.path.read_bytes())
    if damage == "a bit":
        data[data.find(weights.numpy().tobytes()[400:440])] ^= 1
    checkpoint.path.write_bytes({"half": data[: len(data) // 2], "all": b""}.get(damage, data))
    if damage == "gone":
        checkpoint.path.unlink()
    assert not checkpoint.is_whole()
    assert checkpoint.load() is None
