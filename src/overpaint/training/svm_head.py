"""The off-the-shelf baseline as a network: a parent whose head a linear SVM found.

On what the head is given, a linear SVM is another head: so the baseline is a network like any
other, and is scored, compared and opened as such. The SVM itself is in `linear_svm`, which knows no
torch: each process that helps to fit one imports it.
"""

import copy

import numpy as np
import torch
from numpy.typing import NDArray

from overpaint.datasets import Dataset
from overpaint.errors import NetworkError
from overpaint.networks import Network
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
    if weight.shape != svm.weights.shape or bias is None:
        raise NetworkError(
            "no-linear-head",
            f"the head of {child.architecture} is not linear with a bias (its weights are "
            f"{tuple(weight.shape)}), so no linear SVM can stand in its place",
        )
    with torch.no_grad():
        weight.copy_(torch.from_numpy(svm.weights))
        bias.copy_(torch.from_numpy(svm.bias))
    check_frozen(start, child, the_plan)
    return Trained(network=child, start=start, plan=the_plan, history=[], svm=svm.rows)
