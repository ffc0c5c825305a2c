"""Files of weights that are none, or would take more than they hold: each by its name."""

import io
import json
import os
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Callable

import numpy as np
import torch
from bad_pictures import Made, bound, of, sparse

from overpaint.networks.weights import protobuf


def safetensors(header: object, data: bytes = b"", length: int | None = None) -> bytes:
    """A file with that header, which may be a text."""
    text = header.encode() if isinstance(header, str) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def tensor(
    shape: list[object], start: object, end: object, dtype: str = "F32"
) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


def saved(value: object, **options: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer, **options)
    return buffer.getvalue()


def changed(data: bytes, change: Callable[[str, bytes], bytes], method: int = 0) -> bytes:
    """A zip of PyTorch with members that are others."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w", method) as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return buffer.getvalue()


def net(**tensors: torch.Tensor) -> dict[str, torch.Tensor]:
    return tensors


ONE = torch.zeros(2**18)

SMALL = net(weight=torch.zeros(4, 4))


class Runs:
    def __init__(self, *call: object) -> None:
        self.call = call

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return self.call[0], self.call[1:]


class Own:
    """A class of somebody's own."""


def graph(
    shape: list[int], values: list[float], name: str = "conv2d0_w", content: bytes = b""
) -> bytes:
    message = protobuf.parse("GraphDef", b"")
    node = message.node.add(name=name, op="Const")
    value = node.attr.add(key="value").value
    value.tensor.dtype = 1
    for size in shape:
        value.tensor.shape.dim.add(size=size)
    value.tensor.float_val.extend(values)
    value.tensor.content = content
    return message.SerializeToString()


def big_graph() -> bytes:
    """Constants of one value each, for every place that InceptionV1 has, as large as may be."""
    from overpaint.networks.weights.importers import BRANCH, LAYERS

    names = [
        f"{layer}_{branch}_w" if layer.startswith("mixed") else f"{layer}_w"
        for layer in LAYERS
        for branch in (BRANCH.values() if layer.startswith("mixed") else [""])
    ]
    return b"".join(graph([2**26], [1.0], name) for name in names)


def caffemodel(shape: list[int], values: int, value: float = 0.5) -> bytes:
    message = protobuf.parse("NetParameter", b"")
    blob = message.layer.add(name="l").blobs.add()
    blob.shape.dim.extend(shape)
    blob.data.extend([value] * values)
    return message.SerializeToString()


def empty_layers(count: int) -> bytes:
    return b"\xa2\x06\x00" * count


def nested(depth: int) -> bytes:
    data = b""
    for _ in range(depth):
        data = b"\x0b" + data + b"\x0c"  # groups within groups
    return data


def zipped(name: str, data: bytes, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr(name, data)
    return buffer.getvalue()


def many_members(count: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in range(count):
            archive.writestr(f"archive/data/{number}", b"")
        archive.writestr("archive/data.pkl", pickle.dumps({}, 2))
    return buffer.getvalue()


def tar_of(name: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo(name))
    return buffer.getvalue()


def deep_state(depth: int) -> bytes:
    """A pickle of dictionaries in dictionaries, and no tensor."""
    return b"\x80\x02" + b"}X\x01\x00\x00\x00a" * depth + b"}" + b"s" * depth + b"."


def bomb_of_storage(count: int) -> bytes:
    """A zip of PyTorch whose storage is compressed: gigabytes of zeros in some megabytes."""
    buffer = io.BytesIO()
    data = saved(net(weight=torch.zeros(1)).copy())
    with (
        zipfile.ZipFile(io.BytesIO(data)) as old,
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as new,
    ):
        for name in old.namelist():
            if name.endswith("/data/0"):
                with new.open(name, "w", force_zip64=True) as file:
                    for _ in range(count // 2**20):
                        file.write(bytes(2**20))
            elif name.endswith("data.pkl"):
                pickled = old.read(name).replace(b"cpuq\x05K\x01", b"cpuq\x05J" + _i32(count // 4))
                new.writestr(name, pickled)
            else:
                new.writestr(name, old.read(name))
    return buffer.getvalue()


def _i32(number: int) -> bytes:
    return struct.pack("<i", number)


def bomb_of_pickle(count: int) -> bytes:
    """A zip of PyTorch whose pickle is as large."""

    def change(name: str, data: bytes) -> bytes:
        if name.endswith("data.pkl"):
            return b"\x80\x02" + b"N0" * (count // 2) + b"}."
        return data

    return changed(saved(SMALL), change, zipfile.ZIP_DEFLATED)


HEAD = {"weight": tensor([4, 4], 0, 64)}

ROWS: dict[str, tuple[str, Made, str, str]] = {
    # no files
    "a FIFO": ("pt", os.mkfifo, "broken-weights", "pipe"),
    "a socket": ("pt", bound, "broken-weights", "socket"),
    "a device": ("pt", lambda path: path.symlink_to("/dev/zero"), "broken-weights", "device"),
    "a file of a terabyte": ("pt", sparse(2**40), "broken-weights", ""),
    "a caffemodel of a terabyte": ("caffemodel", sparse(2**40), "broken-weights", ""),
    "a graph of a terabyte": ("pb", sparse(2**40), "broken-weights", ""),
    "an empty file": ("pt", of(b""), "broken-weights", "empty"),
    "a link to itself": ("pt", lambda path: path.symlink_to(path.name), "no-weights", ""),
    # safetensors
    "a scalar in place of a matrix": (
        "safetensors",
        of(safetensors({"head.weight": tensor([], 0, 4)}, bytes(4))),
        "weights-misfit",
        "",
    ),
    "a scalar head in a pickle": (
        "pt",
        of(lambda: saved({"head.weight": torch.tensor(1.0), "head.bias": torch.tensor(1.0)})),
        "weights-misfit",
        "",
    ),
    "a header of 2^62 bytes": (
        "safetensors",
        of(safetensors(HEAD, length=2**62)),
        "broken-weights",
        "header",
    ),
    "a header of 90 MB": (
        "safetensors",
        of(lambda: safetensors("{" + " " * (9 * 10**7) + "}")),
        "broken-weights",
        "",
    ),
    "a header of 400,000 names": (
        "safetensors",
        of(lambda: safetensors({f"a{n}": tensor([0], 0, 0) for n in range(400_000)})),
        "broken-weights",
        "header",
    ),
    "a header of nested lists": (
        "safetensors",
        of(safetensors('{"a":' + "[" * 10**6 + "]" * 10**6 + "}")),
        "broken-weights",
        "",
    ),
    "a header that is no JSON": ("safetensors", of(safetensors("{]")), "broken-weights", ""),
    "offsets beyond the file": (
        "safetensors",
        of(safetensors({"a": tensor([2**20], 0, 2**22)}, bytes(4))),
        "broken-weights",
        "",
    ),
    "offsets below zero": (
        "safetensors",
        of(safetensors({"a": tensor([1], -4, 0)})),
        "broken-weights",
        "",
    ),
    "offsets that overlap": (
        "safetensors",
        of(safetensors({"a": tensor([4], 0, 16), "b": tensor([4], 4, 20)}, bytes(20))),
        "broken-weights",
        "",
    ),
    "a shape that overflows": (
        "safetensors",
        of(safetensors({"a": tensor([2**33, 2**33], 0, 4)}, bytes(4))),
        "broken-weights",
        "",
    ),
    "a dtype of nobody": (
        "safetensors",
        of(safetensors({"a": tensor([1], 0, 4, "F3")}, bytes(4))),
        "broken-weights",
        "",
    ),
    "metadata of numbers": (
        "safetensors",
        of(safetensors({"__metadata__": {"a": 1}})),
        "broken-weights",
        "",
    ),
    "numbers of 8 bits": (
        "safetensors",
        of(safetensors({"head.weight": tensor([1, 4], 0, 4, "F8_E4M3")}, bytes(4))),
        "weights-misfit",
        "",
    ),
    "nothing but a header": ("safetensors", of(safetensors({})), "broken-weights", "no tensors"),
    # PyTorch
    "code in a pickle": (
        "pt",
        of(lambda: saved({"a": Runs(print, "here")})),
        "broken-weights",
        "print",
    ),
    "code in a plain pickle": (
        "pt",
        of(lambda: pickle.dumps({"a": Runs(os.system, "touch here")})),
        "broken-weights",
        "to be run",
    ),
    "a class of one's own": (
        "pt",
        of(lambda: saved({"net": Own()})),
        "foreign-weights",
        "state_dict",
    ),
    "a pickle of NumPy": (
        "pt",
        of(lambda: pickle.dumps({"a": np.zeros(3)})),
        "foreign-weights",
        "state_dict",
    ),
    "a pickle of tensors": ("pt", of(lambda: pickle.dumps(SMALL)), "broken-weights", "torch.save"),
    "a list of tensors": ("pt", of(lambda: saved([torch.zeros(3)])), "broken-weights", "list"),
    "a single tensor": ("pt", of(lambda: saved(torch.zeros(3))), "broken-weights", "single tensor"),
    "a pickle cut short": ("pt", of(lambda: saved(SMALL)[:300]), "broken-weights", ""),
    "an opcode of nobody": ("pt", of(b"\x80\x02\xff."), "broken-weights", ""),
    "a pickle that pops nothing": ("pt", of(b"\x80\x020000."), "broken-weights", ""),
    "a pickle of 2^31 letters": ("pt", of(b"\x80\x02X\xff\xff\xff\x7f."), "broken-weights", ""),
    "a pickle of 2^63 bytes": (
        "pt",
        of(b"\x80\x04\x8e" + b"\xff" * 8 + b"."),
        "broken-weights",
        "",
    ),
    "a pickle with a frame of 2^60": (
        "pt",
        of(b"\x80\x04\x95" + struct.pack("<Q", 2**60) + b"}."),
        "broken-weights",
        "",
    ),
    "a memo at 2^31": ("pt", of(b"\x80\x02}r\xff\xff\xff\x7f."), "broken-weights", ""),
    "a number of 10 MB": (
        "pt",
        of(b"\x80\x02\x8b" + _i32(10**7) + b"\x7f" * 10**7 + b"."),
        "broken-weights",
        "",
    ),
    "a decimal of 5,000 digits": (
        "pt",
        of(b"\x80\x02I" + b"9" * 5000 + b"\n."),
        "broken-weights",
        "",
    ),
    "dictionaries 100,000 deep": ("pt", of(lambda: deep_state(100_000)), "broken-weights", ""),
    "lists 100,000 deep": (
        "pt",
        of(b"\x80\x02" + b"]" * 10**5 + b"a" * (10**5 - 1) + b"."),
        "broken-weights",
        "",
    ),
    "a storage of 2 GB, compressed": (
        "pt",
        of(lambda: bomb_of_storage(2**31)),
        "broken-weights",
        "unpack",
    ),
    "a pickle of 200 MB, compressed": (
        "pt",
        of(lambda: bomb_of_pickle(2 * 10**8)),
        "broken-weights",
        "unpack",
    ),
    "a zip of 100,000 members": ("pt", of(lambda: many_members(100_000)), "broken-weights", ""),
    "a tensor without numbers (meta)": (
        "pt",
        of(lambda: saved({"head.weight": torch.zeros(2**40, device="meta")})),
        "broken-weights",
        "without numbers",
    ),
    "a tensor of 2^40 by strides of 0": (
        "pt",
        of(lambda: saved({"head.weight": torch.zeros(1).expand(2**40)})),
        "broken-weights",
        "",
    ),
    "a sparse tensor": (
        "pt",
        of(
            lambda: saved(
                {"head.weight": torch.sparse_coo_tensor([[0], [0]], [1.0], (2**20, 2**20))}
            )
        ),
        "broken-weights",
        "sparse",
    ),
    "a quantised tensor": (
        "pt",
        of(
            lambda: saved(
                {"head.weight": torch.quantize_per_tensor(torch.zeros(4, 4), 1.0, 0, torch.qint8)}
            )
        ),
        "broken-weights",
        "quantised",
    ),
    "a nested tensor": (
        "pt",
        of(
            lambda: saved(
                {"head.weight": torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)])}
            )
        ),
        "broken-weights",
        "",
    ),
    "complex numbers": (
        "pt",
        of(lambda: saved({"head.weight": torch.zeros(1, 4, dtype=torch.complex64)})),
        "weights-misfit",
        "",
    ),
    "names of 100,000 letters": (
        "pt",
        of(lambda: saved({"a" * 10**5: torch.zeros(3)})),
        "broken-weights",
        "",
    ),
    "names that hide": (
        "pt",
        of(lambda: saved({"a\x1b[2J\n\u202eb": torch.zeros(3)})),
        "broken-weights",
        "",
    ),
    "100,000 dots in a name": (
        "pt",
        of(lambda: saved({"." * 10**5: torch.zeros(3)})),
        "broken-weights",
        "",
    ),
    "a member that is no tensor at all": (
        "pt",
        of(lambda: saved({"state_dict": 3})),
        "broken-weights",
        "",
    ),
    "NaN in a graph": ("pb", of(graph([1], [float("nan")])), "broken-weights", "NaN"),
    "infinite numbers in a caffemodel": (
        "caffemodel",
        of(caffemodel([3], 3, value=float("inf"))),
        "broken-weights",
        "infinite",
    ),
    "a thousand views of one storage": (
        "pt",
        of(lambda: saved({f"a{n}": ONE[n:] for n in range(1000)})),
        "broken-weights",
        "clone",
    ),
    # Caffe and TensorFlow
    "a graph of 6 KB that takes 8 GB": ("pb", of(big_graph), "broken-weights", "too large"),
    "a constant of 2^60 numbers": ("pb", of(graph([2**60], [1.0])), "broken-weights", ""),
    "a constant of 2^20 dimensions": (
        "pb",
        of(lambda: graph([1] * 2**20, [1.0])),
        "broken-weights",
        "",
    ),
    "a constant below zero": ("pb", of(graph([-1, -1], [1.0])), "broken-weights", ""),
    "a constant of nothing": ("pb", of(graph([0, 2**62, 2**62], [1.0])), "broken-weights", ""),
    "a constant without a shape": ("pb", of(graph([], [1.0])), "weights-misfit", ""),
    "half a number": ("pb", of(graph([1], [], content=b"abc")), "broken-weights", "half"),
    "a graph of nothing": ("pb", of(b""), "broken-weights", "empty"),
    "groups 100,000 deep": ("pb", of(lambda: nested(100_000)), "broken-weights", "groups"),
    "a graph zipped 1,000 times smaller": (
        "zip",
        of(lambda: zipped("tensorflow_inception_graph.pb", bytes(3 * 10**8))),
        "broken-weights",
        "",
    ),
    "a graph that claims another size": (
        "zip",
        of(
            zipped("tensorflow_inception_graph.pb", bytes(999)).replace(
                struct.pack("<I", 999), struct.pack("<I", 9)
            )
        ),
        "broken-weights",
        "",
    ),
    "20 million layers": (
        "caffemodel",
        of(lambda: empty_layers(20_000_000)),
        "broken-weights",
        "parts",
    ),
    "a blob of 2^62 numbers": (
        "caffemodel",
        of(caffemodel([2**31, 2**31], 3)),
        "broken-weights",
        "",
    ),
    "a blob of 2^20 dimensions": (
        "caffemodel",
        of(lambda: caffemodel([1] * 2**20, 1)),
        "broken-weights",
        "",
    ),
    "a caffemodel of another network": ("caffemodel", of(caffemodel([3], 3)), "weights-misfit", ""),
    "a prototxt": (
        "caffemodel",
        of(b'name: "GoogleNet"\nlayer { name: "data" }\n'),
        "broken-weights",
        "",
    ),
    # other kinds
    "a tar": ("tar", of(lambda: tar_of("a")), "foreign-weights", "tar"),
    "a page of the web": ("pt", of(b"<html>404</html>"), "broken-weights", "web"),
    "an HDF5 file": ("h5", of(b"\x89HDF\r\n\x1a\n" + bytes(99)), "foreign-weights", "HDF5"),
}
"""What a file is -> its ending, how it is made, the slug, and what the message says."""
