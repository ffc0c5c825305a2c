"""The off-the-shelf baseline as a network: a parent whose head a linear SVM found.

On what the head is given, a linear SVM is another head: so the baseline is a network like any
other, and is scored, compared and opened as such. The SVM itself is in `linear_svm`, which knows no
torch: each process that helps to fit one imports it.
"""

import copy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from overpaint.datasets import Dataset
from overpaint.errors import NetworkError
from overpaint.networks import Network
from overpaint.networks.taps import LOGITS, PENULTIMATE, taps
from overpaint.training.fit import Trained, check_frozen
from overpaint.training.linear_svm import linear_svm
from overpaint.training.plan import Plan


def fit_svm(
    child: Network,
    the_plan: Plan,
    dataset: Dataset,
    features: dict[str, NDArray[np.float32]],
    *,
    seed: int,
) -> Trained:
    """Give a child the head that a linear SVM found on the penultimate features of its parent.

    features: "train" and "val", [N, D] each; C is chosen on "train", the head fitted to both. What
    the head then says are margins, not chances: their order is right, the softmax of them is not
    calibrated. Raises NetworkError for a head that is not linear, and when a frozen tensor moved.
    """
    start = copy.deepcopy(child)
    train, val = dataset.split("train"), dataset.split("val")
    svm = linear_svm(
        features["train"],
        train.labels,
        dataset.classes,
        val_features=features["val"],
        val_labels=val.labels,
        seed=seed,
    )
    weight = child.body.get_parameter(f"{child.head}.weight")
    bias = getattr(child.body.get_submodule(child.head), "bias", None)
    if weight.flatten(1).shape != svm.weights.shape or bias is None:
        raise NetworkError(
            "no-linear-head",
            f"the head of {child.architecture} is not linear with a bias (its weights are "
            f"{tuple(weight.shape)}), so no linear SVM can stand in its place",
        )
    with torch.no_grad():
        for head in child.heads[1:]:  # the SVM knows what the first is given
            for parameter in child.body.get_submodule(head).parameters(recurse=False):
                parameter.zero_()
        gain = _gain(child, weight, bias)
        weight.copy_(torch.from_numpy(svm.weights / gain).view_as(weight))
        bias.copy_(torch.from_numpy(svm.bias / gain))
    check_frozen(start, child, the_plan)
    return Trained(network=child, start=start, plan=the_plan, history=[], svm=svm.rows)


def _gain(child: Network, weight: Tensor, bias: Tensor) -> float:
    """How many times what its head says a network says: half of it where two heads are averaged.

    Raises NetworkError where the one does not follow from the other. The head's weights are lost.
    """
    rng = torch.Generator().manual_seed(0)
    for parameter in (weight, bias):
        parameter.copy_(torch.randn(parameter.shape, generator=rng))
    size = child.preprocessing.size
    pictures = torch.rand(2, 3, size, size, generator=rng).to(weight.device)
    with taps(child, [PENULTIMATE, LOGITS]) as tap:
        features, logits = tap(pictures).values()
    head = features @ weight.flatten(1).T + bias
    gain = float((logits * head).sum() / head.square().sum())
    if not gain > 0 or not torch.allclose(logits, gain * head, rtol=1e-3, atol=1e-3):
        raise NetworkError(
            "no-linear-head",
            f"what {child.architecture} says of a class is not what its head {child.head!r} says, "
            "so no linear SVM can stand in its place",
        )
    return 1.0 if abs(gain - 1) < 1e-3 else gain
