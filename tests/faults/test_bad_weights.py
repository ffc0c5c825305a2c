"""Files of weights that are none, or would take more than they hold: each is refused in words."""

import os
import re
import warnings

import pytest
import torch
from bad_weights import ROWS, saved
from watched import MEGABYTES, SECONDS, watched

import overpaint as op
from overpaint.errors import NetworkError
from overpaint.networks.weights import opening

FOREIGN = ("pb", "zip", "caffemodel")


@pytest.mark.parametrize("case", ROWS)
def test_bad_weights_are_refused(case, tmp_path):
    """By a message of its slug, within a gigabyte and 20 seconds; no safety is to be given up."""
    ending, made, slug, reason = ROWS[case]
    path = tmp_path / f"x.{ending}"
    made(path)
    architecture = "inception_v1" if ending in FOREIGN else "inception_small"
    outcome = watched(lambda: op.load(architecture, weights=path))
    assert (outcome.slug, outcome.status) == (slug, 2), outcome
    assert reason in outcome.message
    assert len(outcome.message) < 1500
    assert outcome.message.isprintable()
    assert not re.search(r"weights.only|safe_globals|set_int_max", outcome.message, re.IGNORECASE)
    assert outcome.megabytes < MEGABYTES, outcome
    assert outcome.seconds < SECONDS, outcome
    assert not os.path.exists("here")  # noqa: PTH110 - what a pickle would have made


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_are_none_are_told(number, tmp_path):
    """A network with one such number is not loaded, and the tensor is named."""
    network = op.load("inception_small", weights="random")
    state = {name: tensor.clone() for name, tensor in network.tensors().items()}
    next(t for t in state.values() if t.is_floating_point()).view(-1)[0] = number
    torch.save(state, tmp_path / "a.pt")
    with warnings.catch_warnings(), pytest.raises(NetworkError, match="not finite") as caught:
        warnings.simplefilter("ignore")
        op.load("inception_small", weights=tmp_path / "a.pt")
    assert caught.value.slug == "broken-weights"


@pytest.mark.parametrize(
    "text",
    [
        "Weights only load failed. Re-running `torch.load` with `weights_only` set to `False` …",
        "In PyTorch 2.6, we changed the default\nweights_only=False can result in code execution",
        "use `torch.serialization.add_safe_globals([Net])` to allowlist this global if you trust",
        "only do this if the file is from a trusted source",
        "use sys.set_int_max_str_digits() to increase the limit",
    ],
)
def test_advice_to_switch_safety_off_is_not_handed_on(text, tmp_path, monkeypatch):
    """Whatever PyTorch says, in its first line or below it."""
    (tmp_path / "a.pt").write_bytes(saved({"a": torch.zeros(2)}))

    def fails(*_: object, **__: object) -> None:
        raise RuntimeError(text)

    monkeypatch.setattr(torch, "load", fails)
    with pytest.raises(NetworkError) as caught:
        opening.read_tensors(tmp_path / "a.pt")
    assert str(caught.value).endswith("holds no weights: it is no pickle of tensors")


@pytest.mark.parametrize(
    "text", ["[" * 10**5, "{}", '{"weight_map": 3}', '{"weight_map": {"a": [1]}}', "\0", "1" * 5000]
)
def test_a_bad_index_of_shards_is_refused(text, tmp_path):
    """JSON that is too deep, of other types or none is no index."""
    (tmp_path / "model.safetensors.index.json").write_text(text)
    with pytest.raises(NetworkError, match="no index of shards") as caught:
        opening.files_of(tmp_path)
    assert caught.value.slug == "broken-weights"
