"""Features: right to the last position, the same bytes whoever writes them, nothing done twice."""

import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import fsspec
import numpy as np
import pytest
import torch
import zarr
from PIL import Image

import overpaint.apart
import overpaint.device
import overpaint.features
from overpaint.datasets import Split
from overpaint.datasets.folder import FolderEntry
from overpaint.datasets.opening import open_dataset
from overpaint.datasets.rasta import RastaEntry
from overpaint.errors import DatasetError, NetworkError, RecordError
from overpaint.features import FeatureRequest, features_of, read_features, store_features, stored
from overpaint.measures.classes import concentration
from overpaint.measures.maximal import maximal_images, overlaps
from overpaint.networks import Network, build, load
from overpaint.networks.taps import REDUCTIONS
from overpaint.pixels.batches import Pixels, pixels_of
from overpaint.records import Manifest, manifest, read_manifest
from overpaint.seeds import generator

LAYERS = ("conv2d0", "mixed4b")
MEANS = [f"{layer}/mean" for layer in LAYERS]


@pytest.fixture
def art(tmp_path: Path) -> Path:
    """Thirty noisy pictures in two class folders."""
    for number in range(30):
        folder = tmp_path / "art" / "train" / "ab"[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        pixels = generator(0, "test picture", number).integers(0, 256, (70, 80, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:02}.png")
    for name in ("val", "test"):  # so that none of the thirty is drawn for them
        other = tmp_path / "art" / name / "a"
        other.mkdir(parents=True)
        Image.effect_noise((70, 80), 60).save(other / "x.png")
    return tmp_path / "art"


def opened(root: Path, work: Path, *, cache: bool = False) -> Split:
    entry = FolderEntry(kind="folder", root=root, cache=cache)
    return open_dataset("art", entry, workplace=work)[0].split("train")


@pytest.fixture
def split(art, tmp_path) -> Split:
    return opened(art, tmp_path / "work")


@pytest.fixture(scope="module")
def networks() -> list[Network]:
    return [build("inception_small", classes=("a", "b"), seed=seed) for seed in (1, 2)]


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Blocks of two batches of four, so that thirty pictures are several."""
    monkeypatch.setattr(overpaint.features, "BLOCK", 8)


def made_from(split: Split, network: str = "n") -> Manifest:
    inputs = {"network": network, "images": split.digest}
    return manifest("features", inputs=inputs, settings={"preprocessing": {"size": 64}}, seed=0)


def keep(networks, split, place: Path, arrays=MEANS, batch=4) -> list[Path]:
    """Store features of networks as n0.zarr, n1.zarr …"""
    wanted = [
        FeatureRequest(network, place / f"n{number}.zarr", arrays, made_from(split, f"n{number}"))
        for number, network in enumerate(networks)
    ]
    store_features(wanted, split, claims=place / "claims", batch=batch)
    return [each.path for each in wanted]


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, with its bytes."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@dataclass
class Forwards:
    """How many pictures went through networks, and in how many forwards."""

    images: int = 0
    calls: int = 0


@pytest.fixture
def forwards(monkeypatch) -> Forwards:
    seen, forward = Forwards(), Network.forward

    def counted(self: Network, images: torch.Tensor) -> torch.Tensor:
        if len(images) > 1:  # a black picture tells the shapes
            seen.images += len(images)
            seen.calls += 1
        return forward(self, images)

    monkeypatch.setattr(Network, "forward", counted)
    return seen


# --- what is stored ----------------------------------------------------------------------------


def plain(network: Network, split: Split, layer: str) -> np.ndarray:
    """The layer's maps (N, C, H, W) by the plainest loop: a hook, one picture at a time."""
    maps = []
    hook = network.body.get_submodule(layer).register_forward_hook(
        lambda _module, _inputs, output: maps.append(output.clone())
    )
    pixels = pixels_of(split, network.preprocessing)
    with torch.no_grad():
        for number in range(len(split)):
            network.eval()(pixels[number][None] / 255)
    hook.remove()
    return torch.cat(maps).numpy()


@pytest.mark.parametrize("batch", [4, 7])
def test_every_reduction_against_the_maps(networks, split, tmp_path, batch, monkeypatch):
    """Means, maxima, their places and flattened maps are those of the maps themselves."""
    monkeypatch.setattr(overpaint.features, "COLUMNS", 1000)
    arrays = [f"{layer}/{name}" for layer in LAYERS for name in REDUCTIONS]
    [path] = keep(networks[:1], split, tmp_path, arrays, batch)
    for layer in LAYERS:
        maps = plain(networks[0], split, layer)
        n, c, height, width = maps.shape
        found = {name: read_features(path, layer, name) for name in REDUCTIONS}
        np.testing.assert_allclose(found["mean"], maps.mean((2, 3)), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(found["max"], maps.max((2, 3)), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(found["flattened"], maps.reshape(n, -1), rtol=1e-4, atol=1e-5)
        own = found["flattened"].reshape(n, c, -1)
        assert np.array_equal(found["argmax"], own.argmax(2))  # the first of equals, in NumPy too
        assert np.array_equal(found["max"], own.max(2))
        assert found["sampled"].shape[1] < found["flattened"].shape[1]
        assert dict(stored(path, layer, "argmax").attrs) == {"height": height, "width": width}
        assert found["argmax"].dtype == np.int32


@pytest.mark.of_a_cpu
def test_in_memory_and_on_disk(networks, split, tmp_path, monkeypatch):
    """Both ways give the same numbers; rows are in the order of the dataset, with the images."""
    monkeypatch.setitem(overpaint.device.FORWARD, "cpu", 4)
    paths = keep(networks, split, tmp_path)
    at_once = features_of([(network, LAYERS) for network in networks], split)
    for path, seen in zip(paths, at_once, strict=True):
        for layer in LAYERS:
            assert np.array_equal(read_features(path, layer), seen[layer])
    group = zarr.open_group(paths[0], mode="r")
    assert list(group["images/image"][:]) == split.images
    assert list(group["images/digest"][:]) == [each.digest for each in split.pictures]


def test_slices(networks, split, tmp_path):
    """Rows or columns can be read without the rest."""
    [path] = keep(networks[:1], split, tmp_path)
    whole, array = read_features(path, "mixed4b"), stored(path, "mixed4b")
    assert array.shape == whole.shape
    assert np.array_equal(array[5:21], whole[5:21])
    assert np.array_equal(array[:, 100:], whole[:, 100:])


# --- one pass ------------------------------------------------------------------------------------


def test_each_picture_is_decoded_once(networks, split, tmp_path, monkeypatch, forwards):
    """Two networks that want one size share what is decoded; all layers come from one forward."""
    decoded, decode = Counter(), Pixels._decode

    def counted(self: Pixels, index: int) -> np.ndarray:
        decoded[self.preprocessing.size, index] += 1
        return decode(self, index)

    monkeypatch.setattr(Pixels, "_decode", counted)
    other = build("inception_small", classes=("a", "b"), seed=3)
    other.preprocessing = replace(other.preprocessing, size=48, resize=48)
    keep([*networks, other], split, tmp_path)
    assert decoded == {(size, index): 1 for size in (64, 48) for index in range(30)}
    assert forwards.images == 3 * 30


def test_other_values_of_the_same_pixels(split):
    """Networks that differ in mean or channel order share pixels, networks of two sizes do not."""
    first = build("inception_small", classes=("a",), seed=0).preprocessing
    assert pixels_of(split, first) is pixels_of(split, replace(first, mean=(0, 0, 0), order="BGR"))
    assert pixels_of(split, first) is not pixels_of(split, replace(first, size=32))


def test_leaves_no_trace(networks, split, tmp_path):
    """Modes, hooks and gradients of the networks are as they were, also after an exception."""
    network = networks[0].train()
    state = torch.get_rng_state()
    keep([network], split, tmp_path / "a")
    with pytest.raises(NetworkError):
        keep([network], split, tmp_path / "b", ["mixed4bb/mean"])
    assert all(module.training for module in network.modules())
    assert not any(module._forward_hooks for module in network.modules())
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert torch.equal(state, torch.get_rng_state())
    assert torch.is_grad_enabled()
    network.eval()


def test_between_two_batches_torch_is_as_ever(networks, split):
    """Whoever takes the batches can train with them: no mode of torch stays behind."""
    for _rows, _seen in overpaint.features.run_over([(networks[0], MEANS)], split, [[0, 1], [2]]):
        assert torch.is_grad_enabled()
        assert not torch.is_inference_mode_enabled()


class Asked(torch.overrides.TorchFunctionMode):
    """Counts what makes the host wait for a device's values."""

    WAITS = ("cpu", "numpy", "item", "tolist", "__bool__", "__int__", "__float__", "nonzero")

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_function__(self, func, types, args=(), kwargs=None):
        name = getattr(func, "__name__", "")
        if name in self.WAITS:
            self.counts[name] += 1
        return func(*args, **(kwargs or {}))


@pytest.mark.of_a_cpu
def test_a_batch_is_fetched_once(networks, split):
    """However many networks, layers and reductions: one copy a batch, and no value asked for."""
    arrays = [f"{layer}/{name}" for layer in LAYERS for name in REDUCTIONS]
    order = [list(range(start, start + 5)) for start in range(0, 30, 5)]
    with Asked() as asked:
        parts = list(overpaint.features.run_over([(each, arrays) for each in networks],
                                                 split, order))  # fmt: skip
    assert [rows for rows, _ in parts] == order
    assert asked.counts == {"cpu": 6, "numpy": 6}


def test_a_tensor_of_the_host_is_no_copy():
    """What is fetched from the CPU is the tensor's own memory."""
    tensor = torch.zeros(3)
    array = overpaint.device.fetch(tensor).array()
    tensor[1] = 7
    assert array.tolist() == [0, 7, 0]


def test_precisions(networks, split):
    """In bf16 the values are near those of float32, and are float32; tf32 is on for the forward
    alone.
    """
    switches = []

    def values(precision: str) -> np.ndarray:
        hook = networks[0].register_forward_hook(
            lambda *_: switches.append(
                (torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32)
            )
        )
        with_it = overpaint.features.run_over(
            [(networks[0], MEANS)], split, [list(range(8))], precision=precision
        )
        [(_, [arrays])] = list(with_it)
        hook.remove()
        return arrays["mixed4b/mean"]

    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    whole, coarse = values("float32"), values("bf16")
    assert whole.dtype == coarse.dtype == np.float32
    assert not np.array_equal(whole, coarse)
    assert np.abs(whole - coarse).max() < 0.05 * np.abs(whole).max()
    assert set(switches) == {(False, False)}
    if overpaint.device.chosen().device.type == "cpu":  # which has none
        assert np.array_equal(values("tf32"), whole)
    else:
        assert np.abs(values("tf32") - whole).max() < 0.05 * np.abs(whole).max()
    assert switches[-1] == (True, True)
    assert (torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32) == before


# --- batches -------------------------------------------------------------------------------------


def test_a_group_goes_on_with_its_batch_size(networks, split, tmp_path, forwards):
    """One that another device began is finished as it was begun, beside one that begins now."""
    [whole] = keep(networks[:1], split, tmp_path / "whole", batch=6)
    [path] = keep(networks[:1], split, tmp_path / "kept", batch=6)
    (path / "mixed4b/mean/c/2/0").unlink()
    forwards.calls = 0
    paths = keep(networks, split, tmp_path / "kept", batch=4)
    assert tree(path) == tree(whole)
    assert forwards.calls == 1 + 8
    sizes = [json.loads((each / "manifest.json").read_text())["facts"]["batch"] for each in paths]
    assert sizes == [6, 4]


@pytest.mark.of_a_cpu
def test_a_batch_that_memory_does_not_hold_is_halved(networks, monkeypatch):
    """A batch larger than the smallest is tried; another error than of memory is not swallowed."""
    sizes = []

    def forward(self: Network, images: torch.Tensor) -> torch.Tensor:
        sizes.append(len(images))
        if len(images) > 70:
            raise RuntimeError(message)
        return self.body(images)

    monkeypatch.setattr(Network, "forward", forward)
    monkeypatch.setitem(overpaint.device.FORWARD, "cpu", 256)
    message = "CUDA out of memory. Tried to allocate 2 GiB"
    assert overpaint.features.batch_size([(networks[0], MEANS)]) == 64
    assert sizes == [256, 128, 64]
    message = "shapes differ"
    with pytest.raises(RuntimeError, match="shapes differ"):
        overpaint.features.batch_size([(networks[0], MEANS)])
    monkeypatch.undo()
    assert overpaint.features.batch_size([(networks[0], MEANS)]) == 32


def test_an_error_of_the_writing_thread(networks, split, tmp_path, monkeypatch):
    """It ends the pass as it is, and nothing is written after it; a later pass does the rest."""
    add, calls = overpaint.features._Shelf.add, []

    def failing(self, start, arrays):
        calls.append(start)
        if len(calls) == 6:
            raise OSError(28, "No space left on device")
        add(self, start, arrays)

    with monkeypatch.context() as patch:
        patch.setattr(overpaint.features._Shelf, "add", failing)
        with pytest.raises(OSError, match="No space left"):
            keep(networks, split, tmp_path)
    assert len(calls) == 6
    assert {path.name for path in tmp_path.glob("*.zarr/mixed4b/mean/c/*")} == {"0"}
    assert not list((tmp_path / "claims").iterdir())
    keep(networks, split, tmp_path)
    keep(networks, split, tmp_path / "whole")
    for name in ("n0.zarr", "n1.zarr"):
        assert tree(tmp_path / name) == tree(tmp_path / "whole" / name)


# --- at an address -------------------------------------------------------------------------------


@pytest.fixture
def address() -> Iterator[str]:
    """An address in memory."""
    yield "memory://features"
    fsspec.filesystem("memory").store.clear()


def keep_apart(networks, split, place: Path, address: str) -> list[Path]:
    wanted = [
        FeatureRequest(network, place / f"n{number}.zarr", MEANS, made_from(split, f"n{number}"),
                       store=address)
        for number, network in enumerate(networks)
    ]  # fmt: skip
    store_features(wanted, split, claims=place / "claims", batch=4)
    return [each.path for each in wanted]


def test_chunks_at_an_address(networks, split, tmp_path, address):
    """The numbers and the chunks' bytes are those of a folder; in the folder is what tells of them,
    and slices are read from there.
    """
    near = keep(networks, split, tmp_path / "near")
    far = keep_apart(networks, split, tmp_path / "far", address)
    memory = fsspec.filesystem("memory")
    for here, there in zip(near, far, strict=True):
        whole = read_features(here, "mixed4b")
        assert np.array_equal(read_features(there, "mixed4b"), whole)
        assert np.array_equal(stored(there, "mixed4b")[5:9, 100:], whole[5:9, 100:])
        [chunk] = memory.glob(f"{overpaint.apart.chunks_of(there)}/mixed4b/mean/c/1/0")
        assert memory.cat_file(chunk) == (here / "mixed4b/mean/c/1/0").read_bytes()
        assert not list(there.glob("mixed4b/mean/c/*"))
        assert (there / "manifest.json").is_file()
        assert list(zarr.open_group(there)["images/image"][:]) == split.images


def test_chunks_at_an_address_are_computed_once(networks, split, tmp_path, address, forwards):
    """One that is gone is an error to who reads, and the only one that is computed again; another
    folder finds them all.
    """
    [path] = keep_apart(networks[:1], split, tmp_path, address)
    whole, memory = read_features(path, "mixed4b"), fsspec.filesystem("memory")
    memory.rm(f"{overpaint.apart.chunks_of(path)}/mixed4b/mean/c/1/0")
    with pytest.raises(RecordError, match="no longer whole") as caught:
        read_features(path, "mixed4b")
    assert caught.value.slug == "unfinished-features"
    forwards.images = 0
    keep_apart(networks[:1], split, tmp_path, address)
    assert forwards.images == 8
    assert np.array_equal(read_features(path, "mixed4b"), whole)
    [other] = keep_apart(networks[:1], split, tmp_path / "other", address)
    assert forwards.images == 8
    assert np.array_equal(read_features(other, "mixed4b"), whole)


def test_an_address_that_refuses(networks, split, tmp_path, address, monkeypatch):
    """Who may not write is told so, and the pass ends."""

    def forbidden(*_args: object, **_more: object) -> None:
        raise PermissionError("Forbidden for AKIA123")

    monkeypatch.setattr(type(fsspec.filesystem("memory")), "pipe_file", forbidden)
    with pytest.raises(DatasetError) as caught:
        keep_apart(networks[:1], split, tmp_path, address)
    assert caught.value.slug == "no-permission"
    assert "AKIA123" not in str(caught.value)
    with pytest.raises(DatasetError) as unknown:
        keep_apart(networks[:1], split, tmp_path / "b", "nonsense://features")
    assert unknown.value.slug == "bad-address"
    assert not (tmp_path / "b/n0.zarr").exists()


# --- where it was computed -----------------------------------------------------------------------


def test_the_manifest_says_which_devices_and_precision_made_what(
    networks, split, tmp_path, monkeypatch
):
    """Begun on one device and finished on another, features name both; whoever only looks whether
    all is there is not among them.
    """
    [path] = keep(networks[:1], split, tmp_path)
    here = overpaint.device.chosen().device
    first = overpaint.device.in_words(here)
    assert read_manifest(path).device == first
    monkeypatch.setattr(
        overpaint.features,
        "in_words",
        lambda device, **ways: f"another {device.type} {[way for way, on in ways.items() if on]}",
    )
    keep(networks[:1], split, tmp_path)
    assert read_manifest(path).device == first
    (path / "mixed4b/mean/c/0/0").unlink()
    keep(networks[:1], split, tmp_path)
    assert read_manifest(path).device == f"another {here.type} []; {first}"
    request = FeatureRequest(
        networks[0], tmp_path / "half.zarr", MEANS, made_from(split), precision="bf16"
    )
    store_features([request], split, claims=tmp_path / "claims")
    assert read_manifest(request.path).device == f"another {here.type} ['half']"


# --- gaps ----------------------------------------------------------------------------------------


def test_nothing_is_done_twice(networks, split, tmp_path, forwards):
    """Asked again, nothing runs; asked for more layers and reductions, only those are written."""
    keep(networks, split, tmp_path)
    before, forwards.images = tree(tmp_path / "n0.zarr"), 0
    keep(networks, split, tmp_path)
    assert forwards.images == 0
    more = [*MEANS, "mixed4b/max", "penultimate/mean"]
    keep(networks[:1], split, tmp_path, more)
    assert forwards.images == 30
    after = tree(tmp_path / "n0.zarr")
    kept = [name for name in before if name != "manifest.json"]
    assert all(after[name] == before[name] for name in kept)
    assert set(json.loads(after["manifest.json"])["facts"]["arrays"]) == set(more)
    keep(networks[:1], split, tmp_path / "whole", more)
    assert tree(tmp_path / "whole/n0.zarr") == after


def test_only_gaps_are_filled(networks, split, tmp_path, forwards):
    """A chunk that is missing costs its own block of its own network, and nothing else."""
    keep(networks, split, tmp_path)
    whole = tree(tmp_path)
    (tmp_path / "n1.zarr/mixed4b/mean/c/2/0").unlink()
    (tmp_path / "n1.zarr/conv2d0/mean/c/3/0").unlink()
    with pytest.raises(RecordError, match="only a part of mixed4b/mean") as caught:
        read_features(tmp_path / "n1.zarr", "mixed4b")
    assert caught.value.slug == "unfinished-features"
    forwards.images = 0
    keep(networks, split, tmp_path)
    assert forwards.images == 8 + 6  # the third block, and the last, which is short
    assert tree(tmp_path) == whole


def test_a_dead_layer_has_chunks_too(split, tmp_path, forwards):
    """Chunks of zeros are written as any other, or they would be computed for ever."""
    network = build("inception_small", classes=("a", "b"), seed=0)
    for branch in ("1x1", "3x3", "5x5", "pool_reduce"):
        norm = network.body.get_submodule(f"mixed4b_{branch}_pre_relu")[1]
        torch.nn.init.constant_(norm.bias, -1e6)
    [path] = keep([network], split, tmp_path)
    assert not read_features(path, "mixed4b").any()
    forwards.images = 0
    keep([network], split, tmp_path)
    assert forwards.images == 0


SCRIPT = """\
import os, signal, sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import overpaint.features as features
from overpaint.networks import build
from overpaint.records.claims import Claims
from test_features import MEANS, keep, opened

root, place, how = Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]
features.BLOCK = 8
add, blocks = features._Shelf.add, []
take = Claims.take

def take_in_turn(self, name):
    taken = take(self, name)
    # One process claims blocks ahead, and could have them all before the other has a turn.
    (place / f"took-{how}").touch() if taken else None
    for _ in range(6000 if taken and how != "killed" else 0):
        if len(list(place.glob("took-*"))) == 2:
            break
        time.sleep(0.02)
    return taken

Claims.take = take_in_turn

def slow_add(self, start, seen):
    add(self, start, seen)
    blocks.append(start)
    if how == "killed" and len(blocks) == 6:  # two networks: after a block and a half
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.05)

features._Shelf.add = slow_add
split = opened(root, place / f"work-{how}")
networks = [build("inception_small", classes=("a", "b"), seed=seed) for seed in (1, 2)]
keep(networks, split, place / "shared")
print(sorted(set(blocks)))
"""


def start(art: Path, place: Path, how: str) -> "subprocess.Popen[str]":
    place.mkdir(exist_ok=True)
    command = [sys.executable, "-c", SCRIPT, str(Path(__file__).parent), str(art), str(place), how]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_killed_and_resumed(networks, art, split, tmp_path, forwards):
    """A process killed after a block and a half leaves the block; the rest is computed, and the
    bytes are those of a pass that nobody disturbed.
    """
    process = start(art, tmp_path / "place", "killed")
    _, errors = process.communicate()
    assert process.returncode == -signal.SIGKILL, errors
    shared = tmp_path / "place/shared"
    assert {path.name for path in shared.glob("*.zarr/mixed4b/mean/c/*")} == {"0"}
    assert not (shared / "n0.zarr/manifest.json").exists()
    with pytest.raises(RecordError, match="only a part"):
        read_features(shared / "n0.zarr", "mixed4b")
    keep(networks, split, shared)
    assert forwards.images == 2 * (30 - 8)
    keep(networks, split, tmp_path / "whole")
    for name in ("n0.zarr", "n1.zarr"):
        assert tree(shared / name) == tree(tmp_path / "whole" / name)


def test_two_processes_share_the_work(networks, art, split, tmp_path):
    """Two processes at once write the bytes that one would, and no batch is computed twice."""
    both = [start(art, tmp_path / "place", how) for how in ("one", "two")]
    outputs = [process.communicate() for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    done = [json.loads(output) for output, _ in outputs]
    assert all(done)
    assert sorted(done[0] + done[1]) == list(range(0, 30, 4))
    keep(networks, split, tmp_path / "whole")
    for name in ("n0.zarr", "n1.zarr"):
        assert tree(tmp_path / "place/shared" / name) == tree(tmp_path / "whole" / name)


# --- what is refused -----------------------------------------------------------------------------


def refused(network, split, place, made, arrays=MEANS) -> str:
    """The message of a refusal; nothing below the place has changed."""
    before = tree(place)
    wanted = FeatureRequest(network, place / "n0.zarr", arrays, made)
    with pytest.raises(RecordError) as caught:
        store_features([wanted], split, claims=place / "claims", batch=4)
    assert caught.value.slug == "foreign-features"
    assert tree(place) == before
    return str(caught.value)


def test_foreign_features_are_refused(networks, art, split, tmp_path):
    """Other weights, other pictures, other preprocessing, another precision: never mixed, and the
    message tells which it is.
    """
    place = tmp_path / "kept"
    keep(networks[:1], split, place)
    right = made_from(split, "n0")
    assert "differ in network;" in refused(networks[0], split, place, made_from(split, "n1"))
    other = replace(right, settings={"preprocessing": {"size": 48}})
    assert "differ in preprocessing;" in refused(networks[0], split, place, other)
    coarse = replace(right, settings=right.settings | {"precision": "bf16"})
    assert "differ in precision;" in refused(networks[0], split, place, coarse)
    Image.new("RGB", (70, 70), "tan").save(art / "train/a/00.png")
    changed = opened(art, tmp_path / "again")
    assert "differ in images;" in refused(networks[0], changed, place, made_from(changed, "n0"))


def test_one_foreign_group_stops_the_whole_pass(networks, split, tmp_path, forwards):
    """What is refused is refused before anything is computed for the others."""
    keep(networks[:1], split, tmp_path)
    forwards.images = 0
    wanted = [
        FeatureRequest(networks[1], tmp_path / "new.zarr", MEANS, made_from(split)),
        FeatureRequest(networks[0], tmp_path / "n0.zarr", MEANS, made_from(split, "changed")),
    ]
    with pytest.raises(RecordError):
        store_features(wanted, split, claims=tmp_path / "claims", batch=4)
    assert forwards.images == 0
    assert not (tmp_path / "new.zarr").exists()


def test_what_is_not_there(networks, split, tmp_path):
    """A typo in a layer or a reduction lists the close name; a missing group is a message."""
    [path] = keep(networks[:1], split, tmp_path)
    with pytest.raises(RecordError, match="did you mean 'mixed4b/mean'"):
        read_features(path, "mixed4d")
    with pytest.raises(RecordError, match="holds no 'mixed4b/max'"):
        read_features(path, "mixed4b", "max")
    with pytest.raises(RecordError, match="run the study first"):
        read_features(tmp_path / "nowhere.zarr", "mixed4b")
    with pytest.raises(NetworkError, match="no reduction 'maximum'; did you mean 'max'"):
        keep(networks[:1], split, tmp_path, ["mixed4b/maximum"])


def test_what_is_no_number_is_told_by_layer(split, tmp_path):
    """NaN is kept as it is, and the layers that gave it are named with how many pictures."""
    network = build("inception_small", classes=("a", "b"), seed=0)
    with torch.no_grad():
        network.body.mixed4a_1x1_pre_relu[0].weight[3] = float("nan")
    wanted = FeatureRequest(network, tmp_path / "n.zarr", MEANS, made_from(split))
    [odd] = store_features([wanted], split, claims=tmp_path / "claims", batch=4)
    assert odd == {"mixed4b": 30}
    assert np.isnan(read_features(wanted.path, "mixed4b")).any()
    assert np.isfinite(read_features(wanted.path, "conv2d0")).all()


# --- exactness, end to end -----------------------------------------------------------------------

K = 10


def view_of_channels(features: np.ndarray, other: np.ndarray, split: Split) -> list[tuple]:
    """Of each channel the ranks in one network, overlap with the other, and class entropy."""
    first, second = (maximal_images(each, split.images, K) for each in (features, other))
    shared = overlaps([r.tolist() for r in first], [r.tolist() for r in second], len(split), K)
    return [
        (rows.tolist(), twin.tolist(), both.overlap,
         concentration(split.labels[rows], split.prior).entropy)
        for rows, twin, both in zip(first, second, shared, strict=True)
    ]  # fmt: skip


def first_difference_is_a_tie(ours: list[int], theirs: list[int], column: np.ndarray) -> bool:
    """Whether two rankings part at values that are equal within the tolerance."""
    tolerance = 1e-5 * np.abs(column).max()
    for mine, other in zip(ours, theirs, strict=False):
        if mine != other:
            return abs(float(column[mine]) - float(column[other])) <= 2 * tolerance
    # one has an image more: its value is zero within the tolerance
    longer = max(ours, theirs, key=len)
    return abs(float(column[longer[min(len(ours), len(theirs))]])) <= 2 * tolerance


def test_batch_size_shows_in_no_result(real, tmp_path, monkeypatch):
    """On real weights and paintings: features agree to 1e-5 for batches of 1, 7 and 32; ranks,
    overlaps and entropies are the same but where values tie within that, and such are few.
    """
    monkeypatch.setattr(overpaint.features, "BLOCK", 256)
    before = load("inception_v1", weights=real / "weights/bvlc_googlenet.safetensors")
    after = load("inception_v1", weights=real / "weights/bvlc_googlenet.safetensors")
    with torch.no_grad():
        torch.manual_seed(0)
        for parameter in after.parameters():
            parameter.add_(torch.randn_like(parameter) * parameter.std() * 0.2)
    entry = RastaEntry(kind="rasta", root=real / "data/rasta_small")
    whole = open_dataset("rasta", entry, workplace=tmp_path / "work")[0].split("test")
    split = replace(whole, pictures=whole.pictures[:: len(whole) // 38][:38])
    arrays = [f"{layer}/mean" for layer in before.layers]
    paths = {
        batch: keep([before, after], split, tmp_path / f"{batch}", arrays, batch)
        for batch in (1, 7, 32)
    }
    ties = channels = 0
    for layer in before.layers:
        old, new = (read_features(path, layer) for path in paths[32])
        expected = view_of_channels(old, new, split)
        channels += len(expected)
        for batch in (1, 7):
            ours = [read_features(path, layer) for path in paths[batch]]
            for mine, theirs in zip(ours, (old, new), strict=True):
                assert (np.abs(mine - theirs) <= 1e-5 * np.abs(theirs).max(0)).all()
            for number, (mine, theirs) in enumerate(
                zip(view_of_channels(*ours, split), expected, strict=True)
            ):
                if mine == theirs:
                    continue
                for side, column in ((0, old[:, number]), (1, new[:, number])):
                    assert mine[side] == theirs[side] or first_difference_is_a_tie(
                        mine[side], theirs[side], column
                    )
                ties += 1
    assert ties < 0.001 * 2 * channels, f"{ties} ties in {2 * channels} comparisons of a channel"
