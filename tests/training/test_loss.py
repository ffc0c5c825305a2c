"""The loss that a training goes down, against the formulas written out."""

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight

from overpaint.study.recipe import recipe
from overpaint.training.loss import TrainingLoss, plain_loss

LABELS = np.array([0, 0, 0, 0, 1, 1, 2])
SEVERAL = np.array([[1, 0, 1], [1, 0, 0], [1, 1, 0], [0, 0, 0]])
LOGITS = torch.randn(7, 3, generator=torch.Generator().manual_seed(0))


def loss_of(labels=LABELS, classes=3, **options):
    multi = labels.ndim == 2
    return TrainingLoss(recipe("mode_a", options), labels, classes=classes, multi_label=multi)


@pytest.mark.parametrize("labels", [LABELS, SEVERAL])
def test_nothing_asked_for_is_the_plain_loss(labels):
    """Without smoothing and weights it is the plain loss, to the bit."""
    loss, logits = loss_of(labels), LOGITS[: len(labels)]
    targets = torch.as_tensor(labels)
    plain = plain_loss(labels.ndim == 2)(logits, targets.float() if labels.ndim == 2 else targets)
    assert torch.equal(loss(logits, loss.targets), plain)


def test_smoothing_is_torchs():
    """Smoothed targets have the loss that torch has for label_smoothing."""
    loss = loss_of(label_smoothing=0.1)
    expected = torch.nn.functional.cross_entropy(
        LOGITS, torch.as_tensor(LABELS), label_smoothing=0.1
    )
    assert loss(LOGITS, loss.targets) == pytest.approx(float(expected), abs=1e-6)


def test_balanced_is_scikit_learns():
    """Class weights are scikit-learn's, and shares weigh as class numbers do."""
    loss = loss_of(class_weights="balanced")
    expected = compute_class_weight("balanced", classes=np.arange(3), y=LABELS)
    assert loss.weights.numpy() == pytest.approx(expected)
    shares = torch.nn.functional.one_hot(torch.as_tensor(LABELS), 3).float()
    assert loss(LOGITS, shares) == pytest.approx(float(loss(LOGITS, loss.targets)), abs=1e-6)


def test_a_class_without_pictures_weighs_nothing():
    """Of a class that no picture shows there is nothing to weigh; the others share its part."""
    loss = loss_of(classes=4, class_weights="balanced", label_smoothing=0.1)
    assert loss.weights[3] == 0
    assert loss.weights[:3].numpy() == pytest.approx(loss_of(class_weights="balanced").weights)
    assert torch.isfinite(loss(torch.zeros(7, 4), loss.targets))


def test_several_labels_are_balanced_one_by_one():
    """Pictures that show a label weigh in sum what those without it do; none or all is no fault."""
    loss = loss_of(SEVERAL, class_weights="balanced")
    assert loss.weights.tolist() == pytest.approx([1 / 3, 3, 3])
    logits = LOGITS[:4]
    expected = torch.nn.functional.binary_cross_entropy_with_logits(
        logits, torch.as_tensor(SEVERAL).float(), pos_weight=torch.tensor([1 / 3, 3, 3])
    )
    assert torch.equal(loss(logits, loss.targets), expected)
    every = loss_of(np.array([[1, 0], [1, 0]]), classes=2, class_weights="balanced")
    assert every.weights.tolist() == pytest.approx([0.5, 2])


def test_several_labels_are_smoothed_towards_a_half():
    """0 and 1 become 0.05 and 0.95, and the loss is that of a chance of 0.05 or 0.95."""
    loss = loss_of(SEVERAL, label_smoothing=0.1)
    assert sorted(set(loss.targets.flatten().tolist())) == pytest.approx([0.05, 0.95])
    logits = torch.zeros(4, 3)
    assert loss(logits, loss.targets) == pytest.approx(np.log(2), abs=1e-6)
