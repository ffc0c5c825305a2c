"""Importers: every tensor of a file of the true format arrives where it belongs.

The files are written here by an encoder of its own, from the description of the wire format.
"""

import json
import struct
import zipfile

import numpy as np
import pytest
import safetensors.numpy
import torch

from overpaint.errors import NetworkError
from overpaint.networks import load
from overpaint.networks.taps import taps
from overpaint.networks.weights.importers import MOST_BYTES, read_caffemodel, read_graph
from overpaint.networks.weights.protobuf import parse
from overpaint.seeds import generator

# --- the wire format ---------------------------------------------------------------------------


def varint(number):
    """Seven bits a byte, the lowest first; the high bit says that more follow."""
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def whole(field, number):
    return varint(field << 3) + varint(number)


def chunk(field, data):
    return varint(field << 3 | 2) + varint(len(data)) + data


def single(field, value):
    return varint(field << 3 | 5) + struct.pack("<f", value)


# --- Caffe -------------------------------------------------------------------------------------

WIDTHS = {
    "3a": (192, 64, 96, 128, 16, 32, 32),
    "3b": (256, 128, 128, 192, 32, 96, 64),
    "4a": (480, 192, 96, 208, 16, 48, 64),
    "4b": (512, 160, 112, 224, 24, 64, 64),
    "4c": (512, 128, 128, 256, 24, 64, 64),
    "4d": (512, 112, 144, 288, 32, 64, 64),
    "4e": (528, 256, 160, 320, 32, 128, 128),
    "5a": (832, 256, 160, 320, 32, 128, 128),
    "5b": (832, 384, 192, 384, 48, 128, 128),
}
"""Block: channels in, 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool projection."""


def block_shapes(widths):
    given, one, three_reduce, three, five_reduce, five, pool = widths
    return {
        "1x1": (one, given, 1, 1),
        "3x3_reduce": (three_reduce, given, 1, 1),
        "3x3": (three, three_reduce, 3, 3),
        "5x5_reduce": (five_reduce, given, 1, 1),
        "5x5": (five, five_reduce, 5, 5),
        "pool_proj": (pool, given, 1, 1),
    }


def caffe_shapes(widths=WIDTHS, classes=1000):
    shapes = {
        "conv1/7x7_s2": (64, 3, 7, 7),
        "conv2/3x3_reduce": (64, 64, 1, 1),
        "conv2/3x3": (192, 64, 3, 3),
    }
    for block, each in widths.items():
        shapes |= {f"inception_{block}/{k}": shape for k, shape in block_shapes(each).items()}
    return shapes | {"loss3/classifier": (classes, 1024)}


def caffe_tensors():
    tensors = {}
    for layer, shape in caffe_shapes().items():
        rng = generator(0, "caffe", layer)
        tensors[f"{layer}.weight"] = rng.standard_normal(shape, dtype=np.float32)
        tensors[f"{layer}.bias"] = rng.standard_normal(shape[0], dtype=np.float32)
    return tensors


def blob(array, old):
    """The four numbers of old files, with ones in front, or the shape of new ones."""
    if old:
        numbers = (1,) * (4 - array.ndim) + array.shape
        shape = b"".join(whole(field, number) for field, number in enumerate(numbers, 1))
    else:
        dimensions = b"".join(varint(number) for number in array.shape)
        shape = chunk(7, chunk(1, dimensions))
    return shape + chunk(5, array.astype("<f4").tobytes())


def caffe_layer(name, arrays, old):
    if old:  # V1LayerParameter: bottom = 2, top = 3, name = 4, type = 5, blobs = 6
        said = chunk(2, b"data") + chunk(3, b"top") + chunk(4, name.encode()) + whole(5, 4)
        return chunk(2, said + b"".join(chunk(6, blob(each, old)) for each in arrays))
    said = chunk(1, name.encode()) + chunk(2, b"Convolution") + chunk(3, b"data")
    return chunk(100, said + b"".join(chunk(7, blob(each, old)) for each in arrays))


def caffemodel(tensors, *, old):
    layers = [name.removesuffix(".weight") for name in tensors if name.endswith(".weight")]
    parts = [chunk(1, b"GoogleNet"), caffe_layer("data", [], old)]
    for layer in layers:
        arrays = [tensors[f"{layer}.weight"], tensors[f"{layer}.bias"]]
        parts.append(caffe_layer(layer, arrays, old))
        if layer == "inception_4a/1x1":
            head = [np.ones((128, 512, 1, 1), np.float32), np.ones(128, np.float32)]
            parts += [caffe_layer(f"{loss}/conv", head, old) for loss in ("loss1", "loss2")]
    return b"".join(parts)


def ours_of(caffe):
    """The place of a Caffe layer, written apart from the importer."""
    stem = {
        "conv1/7x7_s2": "conv2d0_pre_relu",
        "conv2/3x3_reduce": "conv2d1_pre_relu",
        "conv2/3x3": "conv2d2_pre_relu",
        "loss3/classifier": "head",
    }
    if caffe in stem:
        return stem[caffe]
    block, branch = caffe.removeprefix("inception_").split("/")
    branch = branch.replace("3x3_reduce", "3x3_bottleneck").replace("5x5_reduce", "5x5_bottleneck")
    return f"mixed{block}_{branch.replace('pool_proj', 'pool_reduce')}_pre_relu"


@pytest.fixture(scope="module")
def caffe():
    return caffe_tensors()


@pytest.mark.parametrize("old", [True, False])
def test_caffemodel(old, caffe, tmp_path):
    """Every tensor of a caffemodel, old or new, arrives bit for bit; auxiliary heads do not."""
    path = tmp_path / "bvlc_googlenet.caffemodel"
    path.write_bytes(caffemodel(caffe, old=old))
    network = load("inception_v1", weights=path)
    found = network.tensors()
    assert len(found) == len(caffe) == 2 * 58
    assert len(network.classes) == 1000
    for name, expected in caffe.items():
        layer, kind = name.rsplit(".", 1)
        np.testing.assert_array_equal(found[f"{ours_of(layer)}.{kind}"].numpy(), expected)


def test_caffemodel_of_the_real_weights(real, tmp_path):
    """The real tensors, written as a caffemodel, come back bit for bit and classify as they did."""
    tensors = safetensors.numpy.load_file(real / "weights/bvlc_googlenet.safetensors")
    path = tmp_path / "bvlc_googlenet.caffemodel"
    path.write_bytes(caffemodel(tensors, old=True))
    network = load("inception_v1.bvlc_in1k", weights=path).eval()
    plain = load("inception_v1", weights=real / "weights/bvlc_googlenet.safetensors")
    assert network.digest == plain.digest
    golden = json.loads((real / "weights/bvlc_googlenet.golden.json").read_text())
    bgr = np.random.RandomState(0).rand(2, 3, 224, 224).astype("float32")
    with torch.inference_mode(), taps(network, ["mixed5b"]) as tap:
        seen = tap(torch.from_numpy(bgr).flip(1))["mixed5b"]
        logits = network(torch.from_numpy(bgr).flip(1))
    assert seen.mean().item() == pytest.approx(golden["layers"]["mixed5b"]["mean"], rel=1e-4)
    assert logits[:, :8].flatten().tolist() == pytest.approx(
        np.ravel(golden["logits_first8"]).tolist(), abs=1e-3
    )


# --- TensorFlow --------------------------------------------------------------------------------

TF_WIDTHS = WIDTHS | {
    "4a": (480, 192, 96, 204, 16, 48, 64),
    "4b": (508, 160, 112, 224, 24, 64, 64),
    "5a": (832, 256, 160, 320, 48, 128, 128),
}
LRN = {"depth_radius": 5, "bias": 2.0, "alpha": 1e-4, "beta": 0.5}


def tf_tensors():
    """Const nodes by name: kernels HWIO, matrices (in, out)."""
    tensors = {}
    for layer, shape in caffe_shapes(TF_WIDTHS, 1008).items():
        name = ours_of(layer).removesuffix("_pre_relu").replace("head", "softmax2")
        rng = generator(0, "tensorflow", name)
        tensors[f"{name}_w"] = rng.standard_normal(shape[2:] + shape[1::-1], dtype=np.float32)
        tensors[f"{name}_b"] = rng.standard_normal(shape[0], dtype=np.float32)
    tensors["head0_bottleneck_w"] = np.ones((1, 1, 508, 128), np.float32)
    tensors["softmax0_w"] = np.ones((1024, 1008), np.float32)
    return tensors


def attribute(key, value):
    return chunk(5, chunk(1, key.encode()) + chunk(2, value))


def tensor(array, *, as_values=False):
    dimensions = b"".join(chunk(2, whole(1, number)) for number in array.shape)
    head = whole(1, 1) + chunk(2, dimensions)
    data = array.astype("<f4").tobytes()
    return head + chunk(5 if as_values else 4, data)


def const(name, array, *, as_values=False):
    said = chunk(1, name.encode()) + chunk(2, b"Const") + attribute("dtype", whole(6, 1))
    return chunk(1, said + attribute("value", chunk(8, tensor(array, as_values=as_values))))


def norm(name, constants):
    said = chunk(1, name.encode()) + chunk(2, b"LRN") + chunk(3, b"maxpool0")
    for key, value in constants.items():
        said += attribute(key, whole(3, value) if key == "depth_radius" else single(4, value))
    return chunk(1, said)


def graph(tensors, norms=(LRN, LRN)):
    parts = [chunk(1, chunk(1, b"input") + chunk(2, b"Placeholder"))]
    # small tensors as a list of values, as TensorFlow may write them
    parts += [const(name, each, as_values=each.ndim == 1) for name, each in tensors.items()]
    parts += [norm(f"localresponsenorm{n}", each) for n, each in enumerate(norms)]
    return b"".join(parts)


def inception5h(path, data, name="tensorflow_inception_graph.pb"):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("imagenet_comp_graph_label_strings.txt", "dummy\nkit fox\n")
        archive.writestr(name, data)
    return path


@pytest.fixture(scope="module")
def tf():
    return tf_tensors()


def test_graph(tf, tmp_path):
    """Every tensor of the graph arrives, kernels and the matrix turned, with the constants."""
    path = inception5h(tmp_path / "inception5h.zip", graph(tf, (LRN, LRN | {"bias": 3.0})))
    network = load("inception_v1.tf_in1k", weights=path)
    found = network.tensors()
    assert len(found) == 2 * 58 + 2
    assert len(network.classes) == 1008
    for layer in caffe_shapes(TF_WIDTHS):
        place = ours_of(layer)
        name = place.removesuffix("_pre_relu").replace("head", "softmax2")
        weight, turned = found[f"{place}.weight"].numpy(), tf[f"{name}_w"]
        for index in np.ndindex(*turned.shape[:-2]) if turned.ndim == 4 else [()]:
            np.testing.assert_array_equal(weight[(..., *index)], turned[index].T)
        np.testing.assert_array_equal(found[f"{place}.bias"].numpy(), tf[f"{name}_b"])
    one, two = (found[f"localresponsenorm{n}.constants"].tolist() for n in (0, 1))
    assert one == pytest.approx([5, 2, 1e-4, 0.5], rel=1e-6)
    assert two == pytest.approx([5, 3, 1e-4, 0.5], rel=1e-6)


def test_graph_alone(tf, tmp_path):
    """The graph is read outside its zip too; what a node leaves out is TensorFlow's default."""
    path = tmp_path / "graph.pb"
    path.write_bytes(graph(tf, ({"alpha": 0.25}, {"depth_radius": 2})))
    found = load("inception_v1.tf_in1k", weights=path).tensors()
    assert found["localresponsenorm0.constants"].tolist() == [5, 1, 0.25, 0.5]
    assert found["localresponsenorm1.constants"].tolist() == [2, 1, 1, 0.5]


def test_a_single_value_fills_a_constant(tmp_path):
    """A constant may be one value for all of its places."""
    path = tmp_path / "graph.pb"
    dimensions = chunk(2, whole(1, 64))
    full = whole(1, 1) + chunk(2, dimensions) + single(5, 0.5)
    said = chunk(1, b"conv2d0_b") + chunk(2, b"Const") + attribute("value", chunk(8, full))
    path.write_bytes(chunk(1, said))
    assert read_graph(path)["conv2d0_pre_relu.bias"].tolist() == [0.5] * 64


# --- what is not as it should be -----------------------------------------------------------------


def refused(call, *arguments, **options):
    with pytest.raises(NetworkError) as caught:
        call(*arguments, **options)
    return caught.value.slug


@pytest.mark.parametrize("left", [-1, 1000, 7_000_000])
def test_cut_short(left, caffe, tf, tmp_path):
    """A file that ends too early is refused, wherever it ends."""
    for name, data in (("a.caffemodel", caffemodel(caffe, old=True)), ("a.pb", graph(tf))):
        (tmp_path / name).write_bytes(data[:left])
        architecture = "inception_v1" if name == "a.caffemodel" else "inception_v1.tf_in1k"
        assert refused(load, architecture, weights=tmp_path / name) == "broken-weights"


def test_a_whole_layer_short(caffe, tmp_path):
    """A file that ends between two layers lacks a tensor, and the message names it."""
    fewer = {name: each for name, each in caffe.items() if "loss3" not in name}
    path = tmp_path / "a.caffemodel"
    path.write_bytes(caffemodel(fewer, old=False))
    with pytest.raises(NetworkError, match=r"lacks head\.weight") as caught:
        load("inception_v1", weights=path)
    assert caught.value.slug == "weights-misfit"


@pytest.mark.parametrize("name", ["a.caffemodel", "a.pb", "a.zip"])
@pytest.mark.parametrize("data", [b"", b"\x89PNG\r\n\x1a\n" * 9, b"<html>not found</html>"])
def test_foreign(name, data, tmp_path):
    """Another kind of file is refused, an empty one too."""
    (tmp_path / name).write_bytes(data)
    read = read_caffemodel if name == "a.caffemodel" else read_graph
    assert refused(read, tmp_path / name) in ("broken-weights", "foreign-weights")


def test_another_network(tmp_path):
    """A caffemodel of another network is refused, and a layer of it is named."""
    path = tmp_path / "a.caffemodel"
    ones = [np.ones((96, 3, 11, 11), np.float32), np.ones(96, np.float32)]
    path.write_bytes(caffe_layer("conv1", ones, True))
    assert refused(load, "inception_v1", weights=path) == "weights-misfit"
    both = {
        f"conv1/7x7_s2.{kind}": each for kind, each in zip(("weight", "bias"), ones, strict=True)
    }
    path.write_bytes(caffemodel(both, old=True) + caffe_layer("fc6", ones, True))
    with pytest.raises(NetworkError, match=r"fc6\.weight"):
        load("inception_v1", weights=path)


@pytest.mark.parametrize("shape", [(64, 3, 7, 8), (2**40, 2**40), (0,)])
def test_shape_and_numbers_differ(shape, tmp_path):
    """A shape that does not hold as many numbers as there are is refused."""
    dimensions = b"".join(varint(number) for number in shape)
    data = chunk(7, chunk(1, dimensions)) + chunk(5, bytes(4 * 64 * 3 * 7 * 7))
    path = tmp_path / "a.caffemodel"
    path.write_bytes(chunk(100, chunk(1, b"conv1/7x7_s2") + chunk(7, data)))
    assert refused(read_caffemodel, path) == "broken-weights"


@pytest.mark.parametrize(
    ("value", "slug"),
    [
        (whole(1, 3) + chunk(4, bytes(8)), "foreign-weights"),  # integers
        (whole(1, 1) + chunk(2, chunk(2, whole(1, 2))) + chunk(4, bytes(7)), "broken-weights"),
        (whole(1, 1) + chunk(2, chunk(2, whole(1, 2**50))) + single(5, 1), "broken-weights"),
    ],
)
def test_odd_constants(value, slug, tmp_path):
    """Constants of another type, with half a number, or endlessly large, are refused."""
    said = chunk(1, b"conv2d0_b") + chunk(2, b"Const") + attribute("value", chunk(8, value))
    (tmp_path / "a.pb").write_bytes(chunk(1, said))
    assert refused(read_graph, tmp_path / "a.pb") == slug


def test_zip_without_the_graph(tf, tmp_path):
    """Only the member of that name is read."""
    path = inception5h(tmp_path / "a.zip", b"", name="other.pb")
    assert refused(read_graph, path) == "foreign-weights"


def test_zip_that_is_too_large(tmp_path, monkeypatch):
    """A member that says it is larger than any such graph is not unpacked."""
    path = inception5h(tmp_path / "a.zip", b"\0" * 2000)
    monkeypatch.setattr("overpaint.networks.weights.importers.MOST_BYTES", 1999)
    with pytest.raises(NetworkError, match="too large"):
        read_graph(path)
    assert MOST_BYTES > 100e6


def test_values_one_by_one():
    """Numbers that are not packed are read as well."""
    message = parse("Blob", single(5, 1.5) + single(5, -2))
    assert list(message.data) == [1.5, -2]
