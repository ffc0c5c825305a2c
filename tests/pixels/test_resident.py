"""Pixels that live on a device are those of the host, bit for bit."""

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import overpaint.pixels.batches
from overpaint.datasets.folder import FolderEntry
from overpaint.datasets.opening import open_dataset
from overpaint.networks.parts import Preprocessing
from overpaint.pixels import resident
from overpaint.pixels.batches import Pixels, at_device, batches, in_order, settled, shuffled
from overpaint.pixels.pixel_cache import Flat, in_memory
from overpaint.pixels.resident import Resident
from overpaint.seeds import generator

CPU = torch.device("cpu")


@pytest.fixture
def split(tmp_path):
    """Thirteen pictures of many shapes."""
    for number in range(13):
        rng = generator(0, "resident", number)
        shape = (*(40 + rng.integers(0, 40, 2)), 3)
        folder = tmp_path / "art" / "train" / "a"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, shape, np.uint8)).save(folder / f"{number:02}.png")
    for name in ("val", "test"):
        (tmp_path / "art" / name / "a").mkdir(parents=True)
        Image.effect_noise((50, 60), 60).save(tmp_path / "art" / name / "a" / "x.png")
    entry = FolderEntry(kind="folder", root=tmp_path / "art")
    return open_dataset("art", entry, workplace=tmp_path / "work")[0].split("train")


@pytest.fixture
def own_memory(monkeypatch):
    """The CPU is treated as a device to which pixels have to be sent."""
    monkeypatch.setattr(overpaint.pixels.batches, "has_own_memory", lambda _device: True)


@st.composite
def collections(draw):
    """Pictures, the size of a crop, and where each is cut and whether it is mirrored."""
    size = draw(st.integers(1, 9))
    sides = st.integers(size, size + 8)
    shapes = draw(st.lists(st.tuples(sides, sides), min_size=1, max_size=6))
    corners = [
        (draw(st.integers(0, high - size)), draw(st.integers(0, wide - size)))
        for high, wide in shapes
    ]
    flips = draw(st.lists(st.booleans(), min_size=len(shapes), max_size=len(shapes)))
    rows = draw(st.lists(st.integers(0, len(shapes) - 1), min_size=1, max_size=8))
    return size, shapes, corners, flips, rows


@given(collections())
@settings(max_examples=150, deadline=None)
def test_a_gather_is_a_slice(collection):
    """Of any sizes, corners, mirrors and order, the gather gives what slices give."""
    size, shapes, corners, flips, rows = collection
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (*shape, 3), np.uint8) for shape in shapes]
    flat = in_memory(len(pictures), pictures.__getitem__)
    store = Resident(flat, CPU)
    store.aim(np.array(corners), np.array(flips), size)
    squares = []
    for row in rows:
        top, left = corners[row]
        square = pictures[row][top : top + size, left : left + size]
        squares.append(square[:, ::-1] if flips[row] else square)
    gathered = store.batch(torch.tensor(rows))
    assert gathered.dtype == torch.uint8
    assert np.array_equal(gathered.permute(0, 2, 3, 1).numpy(), np.stack(squares))
    assert gathered.is_contiguous(memory_format=torch.channels_last)


def test_pixels_are_sent_in_pieces(monkeypatch):
    """A buffer that is longer than what is sent at once arrives whole."""
    monkeypatch.setattr(resident, "PIECE", 7)
    data = np.arange(60, dtype=np.uint8)
    store = Resident(Flat(data=data, shapes=np.array([[4, 5, 3]])), CPU)
    assert np.array_equal(store.colours.flatten().numpy(), data)


@pytest.mark.parametrize("crop_mode", ["center", "squash", "border"])
@pytest.mark.parametrize("crop", [False, True])
def test_three_ways_to_one_batch(split, own_memory, crop_mode, crop):
    """By gather, by slices of what is kept, and decoded anew: the same bits in the same order."""
    view = Preprocessing(size=24, resize=31, crop_mode=crop_mode)
    order = shuffled(len(split), 4, 0, 1)

    def drawn(pixels: Pixels) -> Pixels:
        pixels.draw(generator(0, "crops"), crop=crop, flip=crop)
        return pixels

    anew = torch.cat(list(batches(drawn(Pixels(split, view)), order)))
    kept = drawn(Pixels(split, view))
    kept.keep()
    sliced = torch.cat(list(batches(kept, order)))
    with settled(CPU, kept):
        assert kept.resident is not None
        gathered = list(at_device(drawn(kept), order, CPU))
    assert kept.resident is None
    assert torch.equal(sliced, anew)
    assert torch.equal(torch.cat([batch for batch, _ in gathered]), anew)
    assert [rows.tolist() for _, rows in gathered] == order
    streamed = torch.cat([batch for batch, _ in at_device(kept, order, CPU)])
    assert torch.equal(streamed, anew)


def test_what_does_not_fit_stays(split, own_memory, monkeypatch):
    """Pixels go to a device only where they take at most their share of its memory."""
    pixels = Pixels(split, Preprocessing(size=24, resize=31))
    with settled(CPU, pixels):
        assert pixels.resident is None  # nothing is kept
    pixels.keep()
    size = pixels.decoded.data.size
    for room, fits in ((2 * size, True), (2 * size - 1, False)):
        monkeypatch.setattr(overpaint.pixels.batches, "free_memory", lambda _, room=room: room)
        with settled(CPU, pixels):
            assert (pixels.resident is not None) == fits


class Upside:
    """A change that turns pictures upside down."""

    def cut(self, pixels, index):
        return None

    def change(self, square, index):
        return square[::-1]


def test_what_is_changed_on_the_host_comes_from_there(split, own_memory):
    """Changes that a gather cannot make are made of what the host keeps."""
    pixels = Pixels(split, Preprocessing(size=24, resize=31))
    pixels.keep()
    order = in_order(len(split), 5)
    with settled(CPU, pixels):
        plain = torch.cat([batch for batch, _ in at_device(pixels, order, CPU)])
        pixels.draw(None, crop=False, flip=False, change=Upside())
        turned = torch.cat([batch for batch, _ in at_device(pixels, order, CPU)])
    assert torch.equal(turned, plain.flip(2))


def test_each_picture_is_decoded_once_a_run(split, monkeypatch):
    """What fits in memory is decoded when it is kept, and never again; what does not, each time."""
    counts, decode = Counter(), Pixels._decode

    def counted(pixels: Pixels, index: int) -> np.ndarray:
        counts[index] += 1
        return decode(pixels, index)

    monkeypatch.setattr(Pixels, "_decode", counted)
    for share, times in ((0.25, 1), (0.0, 3)):
        counts.clear()
        monkeypatch.setattr(overpaint.pixels.batches, "HOST_SHARE", share)
        pixels = Pixels(split, Preprocessing(size=24, resize=31))
        for _ in range(3):
            pixels.keep()
            list(at_device(pixels, in_order(len(split), 5), CPU))
        assert counts == dict.fromkeys(range(13), times)
