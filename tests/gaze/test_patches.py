"""Maps of places and patch colours: what was planted is found, whichever way it is laid out."""

import numpy as np
import timm
import torch
from torch import nn

from overpaint.gaze.attribution import as_images
from overpaint.gaze.patches import maps_of, patch_colours
from overpaint.gaze.tiles import ACROSS, TILE, overlay, sheet_of
from overpaint.networks.own import wrap

SIZE = 32
PLAIN = {"size": SIZE, "mean": [0.5] * 3, "std": [0.25] * 3}


def test_a_rotation_and_a_scale_change_no_colour():
    """Features turned by any orthogonal matrix, and stretched as a whole, have the same colours."""
    rng = np.random.default_rng(0)
    before = rng.normal(size=(3, 6, 5, 5)) * np.array([5, 4, 3, 1, 1, 1])[None, :, None, None]
    turn = np.linalg.qr(rng.normal(size=(9, 9)))[0][:6]
    colours = patch_colours(before, 7 * np.einsum("nchw,cd->ndhw", before, turn))
    assert colours.agreement > 1 - 1e-9
    assert np.allclose(colours.before, colours.after)
    assert np.allclose(*colours.shares)


def test_components_are_those_of_the_singular_values():
    """By many channels and by few patches alike; the shares are those of the variance."""
    rng = np.random.default_rng(0)
    for channels in (4, 300):
        maps = rng.normal(size=(2, channels, 4, 4))
        patches = maps.transpose(0, 2, 3, 1).reshape(-1, channels)
        sizes = np.linalg.svd(patches - patches.mean(axis=0), compute_uv=False) ** 2
        colours = patch_colours(maps, maps)
        assert np.allclose(colours.shares, sizes[:3].sum() / sizes.sum())
        assert colours.agreement > 1 - 1e-9


def test_unrelated_features_hardly_agree():
    """Three components of many patches of noise share next to nothing."""
    rng = np.random.default_rng(0)
    colours = patch_colours(*rng.normal(size=(2, 8, 50, 10, 10)))
    assert colours.agreement < 0.05


def test_maps_of_another_size_are_read_at_the_same_places():
    """A map of twice the places a side has the colours of the places that lie together."""
    rng = np.random.default_rng(0)
    small = rng.normal(size=(4, 5, 4, 4))
    colours = patch_colours(small, small.repeat(2, axis=2).repeat(2, axis=3))
    assert colours.after.shape == (4, 4, 4, 3)
    assert colours.agreement > 1 - 1e-9


def test_fewer_than_three_channels_and_features_that_are_all_alike():
    """Nothing is divided by nothing."""
    rng = np.random.default_rng(0)
    two = patch_colours(rng.normal(size=(2, 2, 3, 3)), np.zeros((2, 4, 3, 3)))
    assert np.isfinite(two.before).all()
    assert np.isfinite(two.after).all()
    assert two.agreement == 0


def test_a_lit_corner_is_where_it_is_in_maps_and_in_tokens():
    """Of a convolution and of a transformer's patches, the place that changes is the place lit."""
    black = np.zeros((SIZE, SIZE, 3), np.uint8)
    lit = black.copy()
    lit[:8, 24:] = 255  # the first row's last patch
    convolution = wrap(nn.Sequential(nn.Conv2d(3, 5, 8, stride=8), nn.ReLU()), preprocessing=PLAIN)
    torch.manual_seed(0)
    body = timm.create_model(
        "vit_tiny_patch16_224", img_size=SIZE, patch_size=8, embed_dim=24, depth=1, num_heads=2,
        num_classes=2,
    )  # fmt: skip
    transformer = wrap(body.eval(), preprocessing=PLAIN, layers=["blocks.0"])
    for network in (convolution, transformer):
        layer = network.layers[0]
        maps = maps_of(network, as_images([black, lit]), [layer])[layer]
        changed = np.abs(maps[1] - maps[0]).sum(axis=0)
        assert changed.shape == (4, 4)
        assert np.unravel_index(changed.argmax(), (4, 4)) == (0, 3)


def test_layers_without_places_are_left_out():
    """A vector has none, nor has a map of one place."""
    body = nn.Sequential(nn.Conv2d(3, 5, SIZE), nn.Flatten(), nn.Linear(5, 2))
    network = wrap(body, preprocessing=PLAIN, layers=["0", "1"])
    assert maps_of(network, as_images([np.zeros((SIZE, SIZE, 3), np.uint8)]), ["0", "1"]) == {}


def test_heat_lies_where_the_map_is_large():
    """Nothing leaves the picture grey, much is bright, and below zero is blue."""
    picture = np.full((64, 64, 3), 100, np.uint8)
    heat = np.array([[0.0, 1.0], [0.0, -1.0]])
    drawn = overlay(picture, heat).astype(int)
    assert np.ptp(drawn[20, 2]) == 0
    assert drawn[4, 60, 0] > 2 * drawn[4, 60, 2]
    assert drawn[60, 60, 2] > drawn[60, 60, 0]


def test_a_sheet_has_its_tiles_row_by_row():
    """The tile after the last of a row begins the next."""
    import io

    from PIL import Image

    tiles = [np.full((TILE, TILE, 3), 15 * number, np.uint8) for number in range(ACROSS + 2)]
    with Image.open(io.BytesIO(sheet_of(tiles))) as sheet:
        assert sheet.size == (ACROSS * TILE, 2 * TILE)
        middle = sheet.convert("RGB").getpixel((TILE + TILE // 2, TILE + TILE // 2))
    assert abs(middle[0] - 15 * (ACROSS + 1)) < 6
