"""Crop modes: pixels are as timm's own transform makes them."""

import numpy as np
import pytest
import timm.data
import torch
from PIL import Image

import overpaint
from overpaint.networks import Preprocessing
from overpaint.pixels.batches import Pixels, pixels_of, view_of
from overpaint.pixels.boxes import on_picture_exactly

MEAN, STD = (0.48, 0.46, 0.41), (0.26, 0.26, 0.27)


@pytest.fixture
def collection(tmp_path):
    """Lying, standing and square pictures of noise, some smaller than the crop."""
    rng = np.random.default_rng(0)
    for number, (width, height) in enumerate([(300, 200), (120, 310), (256, 256), (41, 30)]):
        folder = tmp_path / ("a" if number % 2 else "b")
        folder.mkdir(exist_ok=True)
        noise = rng.integers(0, 256, (height // 60 + 2, width // 60 + 2, 3), np.uint8)
        picture = Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)
        for copy in range(3):
            picture.save(folder / f"{number}-{copy}.png")
    return overpaint.dataset(tmp_path)


@pytest.mark.parametrize("crop_mode", ["center", "squash", "border"])
@pytest.mark.parametrize("crop_pct", [0.875, 1.0, 0.95, 0.92])
def test_pixels_are_timms(collection, crop_mode, crop_pct):
    """Each picture of a split has the values that timm's transform gives it."""
    size = 56
    transform = timm.data.create_transform(
        (3, size, size),
        interpolation="bicubic",
        mean=MEAN,
        std=STD,
        crop_pct=crop_pct,
        crop_mode=crop_mode,
    )
    view = Preprocessing(
        size, int(size / crop_pct), "bicubic", mean=MEAN, std=STD, crop_mode=crop_mode
    )
    split = collection.split("train")
    pixels = pixels_of(split, view)
    for index, picture in enumerate(split.pictures):
        opened = Image.open(split.root / picture.image).convert("RGB")
        expected = transform(opened) * torch.tensor(STD)[:, None, None]
        expected = (expected + torch.tensor(MEAN)[:, None, None]) * 255
        assert pixels[index].shape == (3, size, size)
        found = pixels[index].numpy().astype(float)
        if crop_mode == "center":
            # torchvision rounds the longer side down and an odd rest up: at most a pixel apart
            gaps = [
                np.abs(np.roll(found, (down, across), (1, 2)) - expected.numpy())[:, 1:-1, 1:-1]
                for down in (-1, 0, 1)
                for across in (-1, 0, 1)
            ]
            assert min(gap.mean() for gap in gaps) < 2, picture.image
        else:
            gap = np.abs(found - expected.numpy())
            assert gap.max() < 0.01, (picture.image, gap.max())


def test_views_differ_where_pixels_do():
    """Networks share pixels unless they crop otherwise, or have another colour of the border."""
    plain = Preprocessing(size=56, resize=64)
    assert view_of(plain) == view_of(Preprocessing(size=56, resize=64, mean=MEAN))
    squashed = [Preprocessing(56, 64, mean=mean, crop_mode="squash") for mean in (MEAN, STD)]
    assert view_of(squashed[0]) == view_of(squashed[1]) != view_of(plain)
    bordered = [Preprocessing(56, 64, mean=mean, crop_mode="border") for mean in (MEAN, STD)]
    assert view_of(bordered[0]) != view_of(bordered[1])


def test_what_is_kept_on_disk_is_of_one_crop(collection, tmp_path):
    """Decoded pictures of one crop mode are not taken for those of another."""
    split = collection.split("train")
    place = tmp_path / "decoded"
    shapes = {
        mode: Pixels(split, Preprocessing(56, 64, crop_mode=mode))._cached(place, None)[0].shape
        for mode in ("center", "squash", "border")
    }
    assert len({*shapes.values()}) > 1
    assert shapes["squash"] == (64, 64, 3)


@pytest.mark.parametrize(
    ("crop_mode", "box"),
    [("squash", (0, 0, 1000, 500)), ("border", (0, 0, 1000, 500)), ("center", (250, 0, 750, 500))],
)
def test_boxes_follow_the_crop(crop_mode, box):
    """What the whole input shows of a picture depends on how it was cropped."""
    shown = on_picture_exactly(
        (0, 0, 224, 224), 1000, 500, size=224, resize=224, crop_mode=crop_mode
    )
    assert shown == pytest.approx(box)


def test_a_border_holds_no_picture():
    """A place in the border is the picture's nearest edge; half the input is half the picture."""
    half = on_picture_exactly((0, 0, 112, 112), 1000, 500, size=224, resize=224, crop_mode="border")
    assert half == pytest.approx((0, 0, 500, 250))
    above = on_picture_exactly((0, 0, 9, 9), 1000, 500, size=224, resize=224, crop_mode="border")
    assert above[1] == above[3] == 0
