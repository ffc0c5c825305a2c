"""Batches are the same however they come about: from memory, from disk, by few threads or many."""

import errno
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, JpegImagePlugin

import overpaint.pixels.batches
import overpaint.pixels.pixel_cache
from overpaint.datasets.folder import FolderEntry
from overpaint.datasets.opening import open_dataset
from overpaint.errors import MachineError
from overpaint.networks.parts import Preprocessing
from overpaint.pixels.batches import Pixels, batches, shuffled
from overpaint.pixels.images import decode
from overpaint.seeds import generator

SMALL = Preprocessing(size=24, resize=32)


@pytest.fixture
def art(tmp_path: Path) -> Path:
    """Pictures of many shapes, in one class folder."""
    (tmp_path / "art" / "train" / "a").mkdir(parents=True)
    for number in range(25):
        rng = generator(0, "test picture", number)
        shape = (*(40 + rng.integers(0, 30, 2)), 3)
        pixels = rng.integers(0, 256, shape, np.uint8)
        Image.fromarray(pixels).save(tmp_path / "art" / "train" / "a" / f"{number:02}.png")
    for name in ("val", "test"):  # so that none of the pictures is drawn for them
        (tmp_path / "art" / name / "a").mkdir(parents=True)
        Image.effect_noise((50, 60), 60).save(tmp_path / "art" / name / "a" / "x.png")
    return tmp_path / "art"


def split(root: Path, work: Path, *, cache: bool = False):
    entry = FolderEntry(kind="folder", root=root, cache=cache)
    return open_dataset("art", entry, workplace=work)[0].split("train")


def epoch(pixels: Pixels, seed: int = 0) -> torch.Tensor:
    """All batches of an epoch with crops and flips drawn."""
    pixels.draw(generator(seed, "crops"), crop=True, flip=True)
    return torch.cat(list(batches(pixels, shuffled(len(pixels), 4, 0, 1))))


# --- whoever decodes ---------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 3, 8])
@pytest.mark.parametrize("kept", [False, True])
def test_the_number_of_workers_does_not_show(art, tmp_path, monkeypatch, workers, kept):
    """With random crops and flips, the batches are those that one loop would make."""
    pixels = Pixels(split(art, tmp_path), SMALL)
    pixels.draw(generator(0, "crops"), crop=True, flip=True)
    order = shuffled(len(pixels), 4, 0, 1)
    expected = torch.stack([pixels[row] for rows in order for row in rows])
    monkeypatch.setattr(overpaint.pixels.batches, "WORKERS", workers)
    if kept:
        pixels.keep()
        assert pixels.decoded is not None
    assert torch.equal(epoch(pixels), expected)
    assert not torch.equal(epoch(pixels, seed=1), expected)


# --- a cache on disk ---------------------------------------------------------------------------


def test_without_a_cache_nothing_is_written(art, tmp_path):
    """Decoded pictures stand on disk only where a dataset asks for it."""
    Pixels(split(art, tmp_path / "work"), SMALL).keep()
    assert not (tmp_path / "work" / "decoded").exists()


def test_the_cache_holds_the_same_pixels(art, tmp_path, monkeypatch):
    """What is mapped is what would be decoded; the second time nothing is decoded."""
    expected = epoch(Pixels(split(art, tmp_path / "a"), SMALL))
    cached = split(art, tmp_path / "b", cache=True)
    first = Pixels(cached, SMALL)
    first.keep()
    assert torch.equal(epoch(first), expected)
    monkeypatch.setattr(Pixels, "_decode", lambda *args: pytest.fail("decoded"))
    again = Pixels(cached, SMALL)
    again.keep()
    assert torch.equal(epoch(again), expected)
    assert isinstance(_memory_of(again.decoded[3]), np.memmap)


def _memory_of(array: np.ndarray) -> object:
    while isinstance(array.base, np.ndarray):
        array = array.base
        if isinstance(array, np.memmap):
            break
    return array


def test_the_file_is_flat(art, tmp_path):
    """One file of all bytes in order, and the shapes beside it."""
    cached = split(art, tmp_path, cache=True)
    Pixels(cached, SMALL).keep()
    [folder] = (tmp_path / "decoded").iterdir()
    data, shapes = (folder / "pixels.u8").read_bytes(), np.load(folder / "shapes.npy")
    with Image.open(cached.paths[0]) as picture:
        scale = 32 / min(picture.size)
        width, height = (round(side * scale) for side in picture.size)
        small = picture.resize((width, height), Image.Resampling.BILINEAR)
    assert tuple(shapes[0]) == (height, width, 3)
    assert data[: height * width * 3] == np.asarray(small).tobytes()
    assert len(data) == shapes.prod(axis=1).sum()


@pytest.mark.parametrize(
    "other", [replace(SMALL, resize=36), replace(SMALL, interpolation="bicubic")]
)
def test_each_size_has_its_own_cache(art, tmp_path, other):
    """Another side or interpolation stands beside the first; another crop needs nothing new."""
    cached = split(art, tmp_path, cache=True)
    for view in (SMALL, other, replace(SMALL, size=16)):
        Pixels(cached, view).keep()
    assert len(list((tmp_path / "decoded").iterdir())) == 2


def test_changed_pictures_are_decoded_anew(art, tmp_path):
    """When a picture changes the cache is made anew, and takes the place of the old one."""
    Pixels(split(art, tmp_path, cache=True), SMALL).keep()
    [old] = (tmp_path / "decoded").iterdir()
    Image.new("RGB", (50, 50), "red").save(art / "train" / "a" / "00.png")
    pixels = Pixels(split(art, tmp_path, cache=True), SMALL)
    pixels.keep()
    assert pixels.decoded[0][0, 0].tolist() == [255, 0, 0]
    [new] = (tmp_path / "decoded").iterdir()
    assert old != new


@pytest.mark.parametrize("harm", ["cut", "rows", "shapes", "pickle"])
def test_a_broken_cache_is_made_anew(art, tmp_path, harm):
    """A file that is cut off, or shapes that are none, are not believed."""
    cached = split(art, tmp_path, cache=True)
    Pixels(cached, SMALL).keep()
    [folder] = (tmp_path / "decoded").iterdir()
    whole = (folder / "pixels.u8").read_bytes()
    if harm == "cut":
        (folder / "pixels.u8").write_bytes(whole[:-1])
    elif harm == "rows":
        np.save(folder / "shapes.npy", np.array([[len(whole) // 3, 1, 3]]))
    elif harm == "shapes":
        (folder / "shapes.npy").write_bytes(b"")
    else:
        np.save(folder / "shapes.npy", np.array([{}], object), allow_pickle=True)
    again = Pixels(cached, SMALL)
    again.keep()
    assert len(again.decoded) == 25
    assert (folder / "pixels.u8").read_bytes() == whole


def test_an_interrupted_cache_leaves_nothing(art, tmp_path, monkeypatch):
    """Stopped half-way, there is no cache; on a full disk the error says what to do."""
    cached = split(art, tmp_path, cache=True)

    def stop(pixels: Pixels, index: int) -> np.ndarray:
        if index == 20:
            raise OSError(errno.ENOSPC, "No space left on device")
        return np.zeros((32, 32, 3), np.uint8)

    monkeypatch.setattr(Pixels, "_decode", stop)
    with pytest.raises(MachineError, match="kept for 'cache: true'") as caught:
        Pixels(cached, SMALL).keep()
    assert caught.value.slug == "no-space"
    assert list((tmp_path / "decoded").iterdir()) == []


def test_more_pictures_than_are_decoded_ahead(art, tmp_path, monkeypatch):
    """The order of the file is that of the split, whatever is decoded at once."""
    monkeypatch.setattr(overpaint.pixels.pixel_cache, "AHEAD", 4)
    pixels = Pixels(split(art, tmp_path / "a", cache=True), SMALL)
    pixels.keep()
    plain = Pixels(split(art, tmp_path / "b"), SMALL)
    assert torch.equal(epoch(pixels), epoch(plain))


# --- large pictures ----------------------------------------------------------------------------


def test_twelve_megapixels_are_not_decoded_in_full(monkeypatch):
    """For 224 pixels a JPEG of 12 megapixels is decoded at an eighth of its sides."""
    buffer = io.BytesIO()
    Image.new("RGB", (4000, 3000), "tan").save(buffer, "JPEG")
    sizes = []
    load = JpegImagePlugin.JpegImageFile.load

    def seen(picture: Image.Image) -> object:
        sizes.append(picture.size)
        return load(picture)

    monkeypatch.setattr(JpegImagePlugin.JpegImageFile, "load", seen)
    decode(buffer.getvalue(), 224)
    assert sizes[0] == (500, 375)
    decode(buffer.getvalue())
    assert (4000, 3000) in sizes
