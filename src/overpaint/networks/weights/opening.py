"""Files of weights as people have them, opened: all tensors by name, and nothing executed.

Wrappers become part of the names: `{"state_dict": {"module.fc.weight": …}}` holds
`state_dict.module.fc.weight`. What else a checkpoint keeps beside its tensors (settings, numbers of
NumPy, states of a trainer) comes as stand-ins: classes that a file names are neither imported
nor called.
"""

import pickletools
import re
import struct
import tarfile
import zipfile
from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import IO, Any

import safetensors.torch
import torch
from torch import Tensor

from overpaint.errors import NetworkError
from overpaint.files import json_of, no_file
from overpaint.machine import hand_on
from overpaint.networks.weights import importers

FILES = (
    "model.safetensors.index.json",
    "model.safetensors",
    "pytorch_model.bin.index.json",
    "pytorch_model.bin",
)
"""What a folder of Hugging Face keeps its weights in, the first choice first."""


def files_of(path: Path) -> list[Path]:
    """The files that the weights of a path are read from: itself, or those of a folder.

    Raises NetworkError where nothing is there, or a folder holds no weights that are known.
    """
    if path.is_dir():
        named = next((path / name for name in FILES if (path / name).is_file()), None)
        if named is None:
            raise _no_folder_of_weights(path)
        path = named
    if kind := no_file(path):
        raise NetworkError("broken-weights", f"{path} is no file but {kind}")
    if not path.is_file():
        raise NetworkError("no-weights", f"there is no file of weights {path}")
    if not path.name.endswith(".index.json"):
        return [path]
    try:
        shards = sorted(set(json_of(path)["weight_map"].values()))
        files = [path.parent / Path(shard).name for shard in shards]
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        raise NetworkError("broken-weights", f"{path} is no index of shards") from None
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        raise NetworkError(
            "broken-weights",
            f"{path} names {len(files)} shards, of which {len(missing)} are not beside it: "
            f"{', '.join(missing[:3])}",
        )
    return [path, *files]


def _no_folder_of_weights(path: Path) -> NetworkError:
    if (path / "adapter_config.json").is_file():
        return NetworkError("foreign-weights", f"{path} is {_LORA}")
    known = ("*.safetensors", "*.pth", "*.pt", "*.bin", "*.ckpt", "*.tar")
    files = sorted(file.name for pattern in known for file in path.glob(pattern))
    hint = f"; give one of its files: {', '.join(files[:5])}" if files else ""
    return NetworkError(
        "no-weights", f"the folder {path} holds no model.safetensors and no pytorch_model.bin{hint}"
    )


_LORA = "an adapter (LoRA) without its base: merge the two and save them (merge_and_unload of peft)"


def read_tensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a file or a folder of Hugging Face, wrappers and all, by their full names.

    Raises NetworkError: `no-weights`, `broken-weights`, or `foreign-weights` for a file of another
    kind, which it says.
    """
    tensors: dict[str, Tensor] = {}
    files = files_of(path)
    for file in files[1:] or files:
        if kind := no_file(file):
            raise NetworkError("broken-weights", f"{file} is no file but {kind}")
        tensors |= _tensors_of(file)
    if not tensors:
        raise NetworkError("broken-weights", f"{path} holds no tensors")
    _check(tensors, path)
    return tensors


LONGEST = 500
"""Letters of a tensor's name."""

SPARE = 2**26
"""Bytes that tensors may say they have beyond twice what is in their file: a view of one number may
be a million of them."""


def _check(tensors: Mapping[str, Tensor], path: Path) -> None:
    """A NetworkError for tensors that have no numbers, or far more than the file."""
    stored: dict[int, int] = {}
    claimed = 0
    for name, tensor in tensors.items():
        if len(name) > LONGEST or not name.isprintable():
            raise NetworkError(
                "broken-weights",
                f"{path} holds a tensor whose name has {len(name)} letters or such as cannot be "
                f"printed: {name[:60]!a}",
            )
        kind = ""
        if tensor.is_meta:
            kind = "a tensor without numbers (on the device 'meta')"
        elif tensor.is_nested or tensor.layout != torch.strided:
            kind = "a sparse or nested tensor: write it with to_dense()"
        elif tensor.is_quantized:
            kind = f"quantised numbers ({tensor.dtype}): write it with dequantize()"
        if kind:
            raise NetworkError("broken-weights", f"{path} holds for {name} {kind}")
        storage = tensor.untyped_storage()
        stored[storage.data_ptr()] = storage.nbytes()
        claimed += tensor.numel() * tensor.element_size()
    if claimed > 2 * sum(stored.values()) + SPARE:
        raise NetworkError(
            "broken-weights",
            f"{path} holds tensors of {claimed} bytes that share {sum(stored.values())}: write "
            "them with clone()",
        )


def _tensors_of(path: Path) -> dict[str, Tensor]:
    kind, what = _kind(path)
    if what:
        slug = "broken-weights" if kind == "broken" else "foreign-weights"
        raise NetworkError(slug, f"{path} is {what}")
    try:
        if kind == "safetensors":
            with path.open("rb") as file:
                (header,) = struct.unpack("<Q", file.read(8))
            if header > LARGEST_HEADER:
                raise NetworkError(
                    "broken-weights",
                    f"{path} has a header of {header} bytes; at most {LARGEST_HEADER} are read",
                )
            return safetensors.torch.load_file(path)
        if kind == "importer":
            return importers.READERS[path.suffix](path)
    except OverflowError as error:
        raise NetworkError("broken-weights", f"{path} holds no weights: {error}") from None
    except safetensors.SafetensorError as error:
        raise NetworkError("broken-weights", f"{path} is cut short: {error}") from None
    return _of_pickle(path)


LARGEST_HEADER = 2**24
"""Bytes of the part of a safetensors file that names its tensors: a hundred thousand of them."""


# --- kinds of files ------------------------------------------------------------------------------

_STARTS: tuple[tuple[bytes, str, str], ...] = (
    (b"version https://git-lfs", "broken", "a pointer of Git LFS, not the file: git lfs pull"),
    (b"<", "broken", "a page of the web, not a file of weights: the download went wrong"),
    (b"{", "broken", "a text (JSON), not a file of weights"),
    (b"GGUF", "foreign", "a GGUF file of llama.cpp, which holds no network of pictures"),
    (b"\x89HDF", "foreign", "an HDF5 file, as Keras writes it; overpaint reads PyTorch's weights"),
    (b"\x1f\x8b", "foreign", "a compressed archive (gzip): unpack it, and give the file inside"),
    (b"\xfd7zXZ", "foreign", "a compressed archive (xz): unpack it, and give the file inside"),
    (b"BZh", "foreign", "a compressed archive (bzip2): unpack it, and give the file inside"),
    (b"7z\xbc\xaf", "foreign", "a compressed archive (7z): unpack it, and give the file inside"),
    (b"\x93NUMPY", "foreign", "a single array of NumPy; overpaint reads PyTorch's weights"),
)
_ENDINGS = {
    ".onnx": "an ONNX graph; give the PyTorch weights that it was exported from",
    ".tflite": "a TensorFlow Lite model; overpaint reads PyTorch's weights",
    ".mlmodel": "a Core ML model; overpaint reads PyTorch's weights",
    ".msgpack": "a file of Flax; overpaint reads PyTorch's weights",
    ".engine": "a TensorRT engine; give the PyTorch weights that it was built from",
}


def _kind(path: Path) -> tuple[str, str]:
    """What a file is by its first bytes, and in words if it cannot be read."""
    with path.open("rb") as file:
        start = file.read(512)
    kind, what = "", ""  # PyTorch's, or nothing that is known
    if not start:
        kind, what = "broken", "empty"
    elif path.suffix.lower() in _ENDINGS:
        kind, what = "foreign", _ENDINGS[path.suffix.lower()]
    elif start[8:9] == b"{" and (path.suffix == ".safetensors" or start[4:8] == bytes(4)):
        kind = "safetensors"
    elif _is_zip(path):
        kind, what = _kind_of_zip(path)
    elif path.suffix in importers.READERS:
        kind = "importer"
    elif start[257:262] == b"ustar" and not _is_old_pytorch(path):
        kind, what = "foreign", "an archive (tar): unpack it, and give the file inside"
    else:
        rows = (row for row in _STARTS if start.startswith(row[0]))
        _, kind, what = next(rows, (b"", kind, what))
        if not what and path.suffix == ".safetensors":
            kind, what = "broken", "no safetensors file, or cut short"
    return kind, what


def _is_zip(path: Path) -> bool:
    try:
        return zipfile.is_zipfile(path)
    except zipfile.BadZipFile:  # the library says so of one on several disks
        return True


def _kind_of_zip(path: Path) -> tuple[str, str]:
    try:
        names = _members(path)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, struct.error) as error:
        return "broken", f"a zip that cannot be unpacked: {error}"
    if any(name.endswith("/constants.pkl") for name in names):
        return "foreign", (
            "a TorchScript archive, which holds code; save the state_dict() of the loaded module"
        )
    pickled = any(name.endswith("/data.pkl") for name in names)
    if pickled or path.suffix in importers.READERS:
        return "" if pickled else "importer", ""
    if any(name.endswith(".npy") for name in names):
        return "foreign", (
            "an archive of NumPy (.npz), as JAX's networks are published; let timm read it "
            "(create_model(…, checkpoint_path=…)) and save the state_dict()"
        )
    if any(name.endswith(".weights.h5") for name in names):
        return "foreign", "a file of Keras; overpaint reads PyTorch's weights"
    return "foreign", "a zip of other things: unpack it, and give the file of weights inside"


def _members(path: Path) -> list[str]:
    """The names in a zip; a ValueError for one that holds far more than it has bytes."""
    size = path.stat().st_size
    if directory_of_zip(path) > LARGEST_HEADER:
        raise ValueError("it has more members than weights have")
    with zipfile.ZipFile(path) as archive:
        infos = archive.infolist()
    # PyTorch does not compress; who packs its weights again gains a tenth.
    unpacked = sum(info.file_size for info in infos)
    if unpacked > 4 * size + SPARE:
        raise ValueError(f"its {size} bytes would unpack to {unpacked}")
    pickled = max((i.file_size for i in infos if i.filename.endswith("/data.pkl")), default=0)
    if pickled > LARGEST_HEADER:
        raise ValueError(f"its list of tensors would unpack to {pickled} bytes")
    return [info.filename for info in infos]


def directory_of_zip(path: Path) -> int:
    """Bytes of a zip's list of members, read from its end; 0 where there is none."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 2**16 - 100))
        end = file.read()
    place = end.rfind(b"PK\x05\x06")
    if place < 0 or len(end) < place + 22:
        return 0
    (size,) = struct.unpack_from("<I", end, place + 12)
    large = end.rfind(b"PK\x06\x06")
    if size == 2**32 - 1 and 0 <= large <= len(end) - 48:
        (size,) = struct.unpack_from("<Q", end, large + 40)
    return int(size)


def _is_old_pytorch(path: Path) -> bool:
    """Whether a tar is what PyTorch wrote before 0.1.10."""
    try:
        with tarfile.open(path) as archive:
            return {"storages", "tensors"} <= set(archive.getnames())
    except Exception:  # a broken tar may trip the library anywhere
        return False


# --- PyTorch's pickles -------------------------------------------------------------------------


def _of_pickle(path: Path) -> dict[str, Tensor]:
    try:
        names = sorted(_globals(path))
    except Exception as error:  # whatever bytes that are no pickle lead to
        hand_on(error, path)
        raise NetworkError("broken-weights", f"{path} holds no weights: {_reason(error)}") from None
    code = [name for name in names if name.split(".")[0] in _CODE and name not in _PLAIN]
    if code:
        raise NetworkError(
            "broken-weights",
            f"{path} asks for {', '.join(code[:3])} to be run when it is opened; nothing in a file "
            "is executed, and nothing of this one is used",
        )
    try:
        with _stand_ins(names):
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # PyTorch's message advises to switch the safety off
        hand_on(error, path)
        raise _unreadable(path, names, error) from None
    if isinstance(state, Tensor):
        raise NetworkError(
            "broken-weights", f"{path} holds a single tensor {tuple(state.shape)}, no network"
        )
    named = list(_flat(state, ()))
    tensors = dict(named)
    if len(tensors) < len(named):
        raise NetworkError("broken-weights", f"{path} has several tensors under one name")
    if tensors:
        return tensors
    if isinstance(state, Mapping) and "param_groups" in state:
        raise NetworkError(
            "foreign-weights", f"{path} is the state of an optimiser, without the network's weights"
        )
    if classes := _foreign(names):
        raise NetworkError("foreign-weights", f"{path} {_whole(classes)}")
    raise NetworkError(
        "broken-weights", f"{path} holds {_in_words(state)}, no dictionary of tensors by name"
    )


def _unreadable(path: Path, names: list[str], error: Exception) -> NetworkError:
    """Why PyTorch did not open a pickle, without its own advice."""
    if "torch.storage._load_from_bytes" in names:
        return NetworkError(
            "broken-weights",
            f"{path} is a plain pickle, which cannot be opened without executing it: write the "
            "tensors with torch.save",
        )
    if classes := _foreign(names):
        return NetworkError("foreign-weights", f"{path} {_whole(classes)}")
    return NetworkError("broken-weights", f"{path} holds no weights: {_reason(error)}")


def _reason(error: Exception) -> str:
    """The first line of an error, unless it advises to switch something off that guards."""
    if re.search(r"weights.only|safe_globals|set_int_max|trusted", str(error), re.IGNORECASE):
        return "it is no pickle of tensors"
    first = (str(error).strip() or type(error).__name__).splitlines()[0]
    return first.partition("(Could this error")[0].strip()[:300]


def _in_words(state: object) -> str:
    if isinstance(state, Mapping):
        keys = ", ".join(map(repr, list(state)[:5]))
        return f"a dictionary of {keys}" if keys else "an empty dictionary"
    return f"a {type(state).__name__}"


def _whole(classes: list[str]) -> str:
    return (
        f"is a whole pickled object ({', '.join(classes[:3])}): its classes would have to be "
        "executed, which overpaint never does; where the code is, save its state_dict()"
    )


_CODE = {
    *("builtins", "__builtin__", "os", "posix", "nt", "sys", "subprocess", "shutil", "socket"),
    *("runpy", "importlib", "ctypes", "pty", "code", "codeop", "pickle", "_pickle", "marshal"),
    *("webbrowser", "commands", "timeit", "pdb", "bdb", "platform", "multiprocessing", "pip"),
}
"""Modules of which a file of weights has nothing to ask."""

_PLAIN = {
    f"{module}.{name}"
    for module in ("builtins", "__builtin__")
    for name in (
        *("set", "frozenset", "list", "dict", "tuple", "int", "float", "str", "bool", "bytes"),
        *("bytearray", "complex", "object", "slice", "range", "long", "unicode", "type"),
    )
}

_OBJECTS = ("argparse", "datetime", "enum", "functools", "numpy", "pathlib", "torch")
"""Packages whose values are no dictionaries when they are pickled."""


def _foreign(names: list[str]) -> list[str]:
    """The names of classes that are neither PyTorch's tensors nor Python's own."""
    ours = ("torch._utils.", "torch.storage.", "collections.", "_codecs.", "numpy.", "argparse.")
    return [
        name
        for name in names
        if not name.startswith(ours)
        and not (name.startswith("torch.") and name.count(".") == 1)
        and name not in _PLAIN
        and name != "torch.nn.parameter.Parameter"
    ]


def _globals(path: Path) -> Iterator[str]:
    """The names that a pickle asks for, read from its instructions without following any."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            name = next(name for name in archive.namelist() if name.endswith("/data.pkl"))
            with archive.open(name) as file:
                yield from _asked(file)
        return
    with path.open("rb") as file:
        for _ in range(5):  # magic number, protocol, system, the object, and the storages' keys
            yield from _asked(file)
            if not file.peek(1):  # a plain pickle is one
                break


def _asked(file: IO[bytes]) -> Iterator[str]:
    strings: deque[str] = deque(maxlen=2)
    for number, (code, argument, _) in enumerate(pickletools.genops(file)):
        if number > MOST_STEPS:
            raise ValueError(f"a pickle of more than {MOST_STEPS} steps")
        if code.name in ("GLOBAL", "INST"):
            yield str(argument).replace(" ", ".")
        elif code.name == "STACK_GLOBAL":
            yield ".".join(strings)
        elif isinstance(argument, str):
            strings.append(argument)


MOST_STEPS = 2**22
"""Instructions of a pickle; some forty make a tensor."""


class _Object:
    """Stands for a value that a file keeps beside its tensors, and holds nothing of it."""

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


class _Dictionary:
    """Stands for a class of dictionaries, as configurations are kept in."""

    def __new__(cls, *_: object, **__: object) -> Any:
        return OrderedDict()


def _stand_ins(names: list[str]) -> AbstractContextManager[Any]:
    """While it is open, PyTorch takes a stand-in for each name that it does not know itself."""
    if not hasattr(torch.serialization, "safe_globals"):  # before PyTorch 2.5
        return nullcontext()
    classes: list[Any] = []
    for name in names:
        module, _, inner = name.rpartition(".")
        base = _Object if name.split(".")[0] in _OBJECTS else _Dictionary
        fields = {"__module__": module, "__qualname__": inner}
        classes.append(type(inner, (base,), fields))
    return torch.serialization.safe_globals(classes)


def _flat(state: object, place: tuple[str, ...]) -> Iterator[tuple[str, Tensor]]:
    """Every tensor of dictionaries in dictionaries, but for what optimisers keep."""
    if not isinstance(state, Mapping) or len(place) > _DEEPEST:
        return
    for key, value in state.items():
        if isinstance(key, str):
            if isinstance(value, Tensor):
                yield ".".join((*place, key)), value
            elif not key.lower().startswith(_OPTIMISERS):
                yield from _flat(value, (*place, key))


_DEEPEST = 8
_OPTIMISERS = ("optim", "lr_sched", "sched", "scaler", "amp", "fp16_scaler", "loss_scal", "rng")
