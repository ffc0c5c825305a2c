"""Augmentation is timm's, drawn for each picture by itself."""

import random
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image
from timm.data.auto_augment import posterize, rand_augment_transform

from overpaint.networks import Preprocessing
from overpaint.seeds import seed_for
from overpaint.study.recipe import recipe
from overpaint.training.augment import Augmentation, mixed
from overpaint.training.chance import chance

VIEW = Preprocessing(size=48, resize=56)
WORDS = "rand-m9-mstd0.5-inc1"
PIXELS = np.random.default_rng(0).integers(0, 256, (60, 70, 3)).astype(np.uint8)


def augmentation(epoch=1, **options):
    options = {"crop": "resized", "augment": WORDS, **options}
    return Augmentation(recipe("mode_a", options), VIEW, seed=5, epoch=epoch)


def test_changes_are_timms():
    """What is noted and done later is what timm does at once, from the same seed."""
    operations = rand_augment_transform(
        WORDS, {"translate_const": 21, "interpolation": Image.Resampling.BILINEAR}
    )
    square = np.ascontiguousarray(PIXELS[:48, :48])
    changed = 0
    for index in range(40):
        with chance(seed_for(5, "augment", 1, index)):
            expected = np.asarray(operations(Image.fromarray(square)))
        assert np.array_equal(augmentation().change(square, index), expected)
        changed += not np.array_equal(expected, square)
    assert changed > 20


def test_each_picture_and_epoch_has_its_own():
    """A picture's crop follows from its number and the epoch, whoever cuts first."""
    one = augmentation()
    backwards = {index: one.cut(PIXELS, index) for index in reversed(range(20))}
    with ThreadPoolExecutor(8) as pool:
        crops = list(pool.map(lambda index: augmentation().cut(PIXELS, index), range(20)))
    assert all(np.array_equal(crop, backwards[index]) for index, crop in enumerate(crops))
    assert len({crop.tobytes() for crop in crops}) == 20
    assert not np.array_equal(crops[0], augmentation(epoch=2).cut(PIXELS, 0))


def test_crops_have_the_areas_that_are_asked_for():
    """A scale of 1 shows nearly the whole picture, a small one a part enlarged."""
    whole = augmentation(crop_scale=(1.0, 1.0)).cut(PIXELS, 0)
    small = augmentation(crop_scale=(0.05, 0.05)).cut(PIXELS, 0)
    assert whole.shape == small.shape == (48, 48, 3)
    # enlarged noise is smoother
    assert (
        np.abs(np.diff(small.astype(int), axis=0)).mean()
        < np.abs(np.diff(whole.astype(int), axis=0)).mean()
    )


def test_no_other_draw_is_moved():
    """The generators of the process are after it where they were."""
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    expected = random.random(), np.random.rand()  # noqa: NPY002, S311
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    augmentation().change(np.ascontiguousarray(PIXELS[:48, :48]), 0)
    assert (random.random(), np.random.rand()) == expected  # noqa: NPY002, S311


@pytest.mark.parametrize("options", [{"mixup": 0.8}, {"cutmix": 1.0}])
@pytest.mark.parametrize("count", [6, 7])
def test_targets_are_mixed_as_the_pictures_are(options, count):
    """A batch of one-coloured pictures with the colour as target: both are mixed by one share."""
    targets = torch.eye(8)[:count]
    images = targets.reshape(count, 8, 1, 1).repeat(1, 1, 32, 32)[:, :, :, :]
    # every class is a channel of its own, so the mean of a picture is its target
    images, shares = mixed(images.clone(), targets, recipe("mode_a", options), seed=4)
    assert torch.allclose(images.mean(dim=(2, 3)), shares, atol=1e-5)
    assert torch.allclose(shares.sum(1), torch.ones(count))
    assert (shares != targets).any()
    if count % 2:
        assert torch.equal(shares[-1], targets[-1])


def test_several_labels_are_mixed_too():
    """Rows of 0 and 1 become shares of both pictures' labels."""
    labels = torch.tensor([[1.0, 1, 0], [0, 1, 1]])
    images = torch.zeros(2, 3, 8, 8)
    images[0] = 1
    images, shares = mixed(images, labels, recipe("mode_a", {"mixup": 1.0}), seed=2)
    much = float(images[0, 0, 0, 0])
    assert 0 < much < 1
    assert torch.allclose(shares[0], torch.tensor([much, 1, 1 - much]), atol=1e-6)


@pytest.mark.parametrize("words", [WORDS, "rand-m10-mstd2-inc1", "rand-m9-n6", "rand-m10-n9-inc0"])
def test_every_strength_can_be_drawn(words):
    """Also the strongest, which keeps no bit of a picture: Pillow 12 refuses that."""
    square = np.ascontiguousarray(PIXELS[:48, :48])
    changes = [augmentation(augment=words).change(square, index) for index in range(400)]
    assert {change.shape for change in changes} == {(48, 48, 3)}


def test_no_bits_are_black():
    """A picture of which no bit is kept is black, and changes that follow go on from there."""
    strongest = augmentation()
    strongest.draw_changes = lambda _noted: [(posterize, (0,), {})]
    assert not strongest.change(np.ascontiguousarray(PIXELS[:48, :48]), 0).any()
