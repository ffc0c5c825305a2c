"""Device: where networks run, and what that machine is good for; the one place that knows.

>>> chosen().device.type in ("cpu", "cuda")
True
>>> from overpaint.networks import build
>>> network = build("inception_small", classes=("cat", "dog"), seed=0)
>>> with on_best_device(network) as device:
...     device_of(network).type == device.type
True

Unless one is asked for, it is a GPU that CUDA reaches (AMD's too, by torch's ROCm), else the CPU.
`--device NAME`, or the variable OVERPAINT_DEVICE, asks for another: "cuda", "cuda:1", "xpu" (a GPU
of Intel's), "mps" (Apple's), "cpu". Intel's and Apple's are taken on request only: none of this
program's numbers was ever checked on them. Apple's has no float64, and not every torch can turn
back the views of a rendering there (`grid_sampler_2d_backward`).

Accelerate owns the device: of several processes each has a GPU of its own, and a process has one
state that all its Accelerators share. So nothing is chosen beside it; it is told, and asked.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import psutil
import torch
from accelerate import Accelerator, PartialState
from accelerate.utils import parse_flag_from_env
from numpy.typing import NDArray
from torch import Tensor, nn

from overpaint.defaults import DEVICE_VARIABLE
from overpaint.errors import NetworkError, nearest
from overpaint.processes import Processes

AT_ONCE = {"cpu": 8, "cuda": 512}
"""The most images of a rendering's batch. On a CPU a larger one is hardly faster, and from 16 on
torch takes other convolutions on one thread, whose last digits differ."""


FORWARD = {"cpu": 32, "cuda": 256}
"""Images of a batch of the feature pass, on a machine with memory enough. Of another size the last
digits may differ, so it is one number a kind of device, and kept with what was begun by it."""

SMALLEST_FORWARD = 32
"""What is taken for granted; only a larger batch is tried before it is settled on."""

PRECISIONS = ("float32", "tf32", "bf16")
"""In which a feature pass may reckon; the first unless a study says otherwise."""


OTHER_GPUS: dict[str, Any] = {"xpu": torch.xpu, "mps": torch.backends.mps}
"""Apple's and Intel's, which Accelerate would take."""


# --- which one -----------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A device, and in words why it is this one."""

    device: torch.device
    why: str


def chosen() -> Choice:
    """The device that networks run on in this process, as Accelerate has it.

    Raises NetworkError: `unknown-device` for a name that is none, or that this machine has not, and
    `device-decided` when another was asked for after the first network ran.
    """
    for variable in ("ACCELERATE_USE_CPU", "ACCELERATE_TORCH_DEVICE"):
        if os.environ.get(variable) == "":  # says nothing; Accelerate would read it as a wrong word
            del os.environ[variable]
    asked = _asked()
    named = asked or os.environ.get("ACCELERATE_TORCH_DEVICE") or None
    cpu_only = named == "cpu" or (not asked and parse_flag_from_env("ACCELERATE_USE_CPU"))
    foreign = [kind for kind, backend in OTHER_GPUS.items() if backend.is_available()]
    if torch.cuda.is_available():
        foreign = []
    # Who asks first makes the state, and every later Accelerator takes it as it is: so what
    # Accelerate would read from the environment itself is handed over here as well.
    with _named_to_accelerate(asked):
        # to bring processes together without a GPU, Accelerate wants to be told that there is none
        several = Processes.started().count > 1 and not torch.cuda.is_available()
        state = PartialState(cpu=cpu_only or ((bool(foreign) or several) and not named))
    device = state.device
    if asked and not _is(device, asked):
        raise NetworkError(
            "device-decided",
            f"networks of this process run on {device} since the first one ran; {DEVICE_VARIABLE} "
            f"now says {asked}: set it before, or start anew",
        )
    source = DEVICE_VARIABLE if asked else "ACCELERATE_TORCH_DEVICE"
    why = f"{source} says {named}" if named else _why(device, foreign, cpu_only=cpu_only)
    if state.num_processes > 1:
        why += f"; process {state.process_index + 1} of {state.num_processes}"
    return Choice(device=device, why=why)


def _why(device: torch.device, foreign: Sequence[str], *, cpu_only: bool) -> str:
    """Why it is this device, where none was named."""
    if device.type == "cuda":
        return f"a GPU is there: {torch.cuda.get_device_name(device)}"
    if device.type != "cpu":
        return "Accelerate has chosen it"
    if cpu_only:
        return "ACCELERATE_USE_CPU asks for it"
    if torch.cuda.is_available():
        return "Accelerate has chosen it, although a GPU is there"
    if foreign:
        return (
            f"a GPU of the kind {foreign[0]} is left alone, for nothing was ever checked on it; "
            f"--device {foreign[0]} takes it"
        )
    return "there is no GPU that CUDA reaches"


def _asked() -> str | None:
    """What the user has asked for, if it can be had."""
    name = os.environ.get(DEVICE_VARIABLE, "").strip().lower()
    if name in ("", "auto"):
        return None
    present = ["cpu"]
    if torch.cuda.is_available():
        present = [
            "cuda",
            *(f"cuda:{number}" for number in range(torch.cuda.device_count())),
            "cpu",
        ]
    present = [*(kind for kind, it in OTHER_GPUS.items() if it.is_available()), *present]
    if name not in present:
        raise NetworkError(
            "unknown-device",
            f"{DEVICE_VARIABLE} says {name!r}; on this machine {nearest(name, present)}",
        )
    return name


@contextmanager
def _named_to_accelerate(name: str | None) -> Iterator[None]:
    """Accelerate reads a device's name from the environment, when it makes its state.

    Of several processes each has a GPU of its own: "cuda" alone leaves the number to Accelerate.
    """
    if name in (None, "cpu", "cuda"):
        yield
        return
    before = os.environ.get("ACCELERATE_TORCH_DEVICE")
    os.environ["ACCELERATE_TORCH_DEVICE"] = str(name)
    try:
        yield
    finally:
        if before is None:
            del os.environ["ACCELERATE_TORCH_DEVICE"]
        else:
            os.environ["ACCELERATE_TORCH_DEVICE"] = before


def _is(device: torch.device, name: str) -> bool:
    """Whether a device is what a name says; a name without a number means any of its kind."""
    wanted = torch.device(name)
    return device.type == wanted.type and wanted.index in (None, device.index)


def accelerator(**options: Any) -> Accelerator:
    """Accelerate's object for a training, on the chosen device and in the precision for it."""
    device = chosen().device
    return Accelerator(mixed_precision="bf16" if trains_in_bfloat16(device) else "no", **options)


def in_words(device: torch.device, *, half: bool = False, tf32: bool = False) -> str:
    """A device and the precision of what was computed on it, as manifests say it.

    >>> in_words(torch.device("cpu"))
    'cpu, float32'
    """
    name = (
        f"{device.type} ({torch.cuda.get_device_name(device)})"
        if device.type == "cuda"
        else device.type
    )
    faster = " with bfloat16" if half else ""
    if tf32 and device.type == "cuda":  # elsewhere it is float32
        faster = " with TensorFloat-32"
    return f"{name}, float32{faster}"


# --- being there ---------------------------------------------------------------------------------


def device_of(network: nn.Module) -> torch.device:
    """Where a network is."""
    return next(network.parameters()).device


def best_device(*networks: nn.Module) -> torch.device:
    """Where `on_best_device` takes these networks."""
    homes = map(device_of, networks)
    return next((home for home in homes if home.type != "cpu"), None) or chosen().device


@contextmanager
def on_best_device(*networks: nn.Module, channels_last: bool = False) -> Iterator[torch.device]:
    """All of the networks on one device inside the block, and each where it was afterwards.

    That is the chosen device, unless one of them has been put elsewhere than on the CPU: then its
    owner has decided, and the others come to it. With `channels_last` their weights lie as
    convolutions like them best, and go on to lie so; those that are somebody else's stay.
    """
    homes, device = [device_of(network) for network in networks], best_device(*networks)
    try:
        for network in networks:
            if channels_last and not getattr(network, "borrowed", False):
                network.to(device)
                _lay_channels_last(network)
            else:
                network.to(device)
        yield device
    finally:
        for network, home in zip(networks, homes, strict=True):
            network.to(home)


def _lay_channels_last(network: nn.Module) -> None:
    """Each kernel of two dimensions; `to` would refuse a network that has one of three as well."""
    for tensor in (*network.parameters(), *network.buffers()):
        if tensor.ndim == 4:
            tensor.data = tensor.data.contiguous(memory_format=torch.channels_last)


# --- what it is good for -------------------------------------------------------------------------


def has_bfloat16(device: torch.device) -> bool:
    """Whether the machine reckons in bfloat16 itself; elsewhere it would be slower, not faster."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    if device.type == "xpu":
        return True
    tell = getattr(torch.cpu, "get_capabilities", dict)  # an older torch cannot tell
    able: dict[str, bool] = tell() if device.type == "cpu" else {}
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))


def trains_in_bfloat16(device: torch.device) -> bool:
    """Whether a training mixes bfloat16 in: on a GPU that has it.

    Never on a CPU, whatever it has: there a training that is killed and goes on comes to the very
    weights of an unbroken one, and to those of any other CPU as nearly as float32 allows.
    """
    return device.type == "cuda" and has_bfloat16(device)


def bfloat16(device: torch.device, *, on: bool = True) -> AbstractContextManager[Any]:
    """Inside the block a network's larger operations are done in bfloat16, if it is on."""
    return torch.autocast(device.type, torch.bfloat16) if on else nullcontext()


def has_float64(device: torch.device) -> bool:
    """Whether a device has double precision: Apple's GPU has none, and sums go to the CPU there."""
    return device.type != "mps"


def exact(*, tf32: bool = False) -> AbstractContextManager[Any]:
    """Inside the block a GPU's convolutions are full float32, by the same algorithms each time.

    With `tf32` they are of TensorFloat-32, which only a GPU of CUDA has.
    """
    return torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=tf32)


@contextmanager
def reckoning(device: torch.device, precision: str) -> Iterator[None]:
    """Inside the block a network's forward is of one of `PRECISIONS`, the same each time."""
    products = torch.backends.cuda.matmul
    before = products.allow_tf32
    try:
        products.allow_tf32 = precision == "tf32"
        with exact(tf32=precision == "tf32"), bfloat16(device, on=precision == "bf16"):
            yield
    finally:
        products.allow_tf32 = before


def outbox(shape: Sequence[int]) -> Tensor:
    """Room for bytes that a GPU can fetch by itself, where there is one.

    torch hands the same memory out again, once it was let go of and the GPU has fetched from it.
    """
    return torch.empty(*shape, dtype=torch.uint8, pin_memory=torch.cuda.is_available())


def sent(values: NDArray[Any], device: torch.device) -> Tensor:
    """A copy of an array on a device; nobody waits until it is there.

    >>> sent(np.arange(3), torch.device("cpu")).tolist()
    [0, 1, 2]
    """
    box = outbox((values.nbytes,))
    box.numpy()[:] = np.ascontiguousarray(values).reshape(-1).view(np.uint8)
    number = torch.from_numpy(np.empty(0, values.dtype)).dtype
    return box.to(device, non_blocking=True).view(number).view(values.shape)


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """A tensor on its way to the host; `array` waits for it."""

    tensor: Tensor
    arrival: torch.cuda.Event | None = None  # None where there is no way to go

    @property
    def here(self) -> bool:
        """Whether it has arrived; nobody waits for the answer."""
        return self.arrival is None or bool(self.arrival.query())  # type: ignore[no-untyped-call]

    def array(self) -> NDArray[Any]:
        """The values, once they are there."""
        if self.arrival is not None:
            self.arrival.synchronize()
        return self.tensor.numpy()


def fetch(tensor: Tensor) -> Fetched:
    """Have a device's tensor brought to the host, and do not wait for it; the host's as it is.

    >>> fetch(torch.arange(3)).array().tolist()
    [0, 1, 2]
    """
    if tensor.device.type != "cuda":
        return Fetched(tensor=tensor.cpu())
    host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    host.copy_(tensor, non_blocking=True)
    arrival = torch.cuda.Event()  # type: ignore[no-untyped-call]
    arrival.record(torch.cuda.current_stream(tensor.device))
    return Fetched(tensor=host, arrival=arrival)


# --- memory --------------------------------------------------------------------------------------


def at_once(device: torch.device) -> int:
    """The most images of a rendering's batch, whatever memory there is."""
    return AT_ONCE.get(device.type, AT_ONCE["cpu"])


def forward_batch(device: torch.device) -> int:
    """The images of a batch of the feature pass, where memory allows."""
    return FORWARD.get(device.type, FORWARD["cpu"])


def free_memory(device: torch.device) -> int:
    """Bytes that may be taken: half of what is free, for others and for what is not counted."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0] // 2
    if device.type == "xpu" and hasattr(torch.xpu, "mem_get_info"):
        return int(torch.xpu.mem_get_info(device)[0]) // 2
    return psutil.virtual_memory().available // 2


def has_own_memory(device: torch.device) -> bool:
    """Whether what lies in the host's memory has to be sent to the device."""
    return device.type != "cpu"


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the memory is not enough.

    >>> out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried …"))
    True
    >>> out_of_memory(RuntimeError("shapes differ"))
    False
    """
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    words = str(error).lower()
    return isinstance(error, RuntimeError) and (
        "out of memory" in words or "allocate memory" in words
    )


def give_back_memory(device: torch.device) -> None:
    """What torch holds of a GPU's memory without using it goes back, for a smaller try."""
    if device.type in ("cuda", "xpu", "mps"):
        getattr(torch, device.type).empty_cache()
