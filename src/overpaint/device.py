"""Device: where networks run, and what that machine is good for; the one place that knows.

>>> chosen().device.type in ("cpu", "cuda")
True
>>> from overpaint.networks import build
>>> network = build("inception_small", classes=("cat", "dog"), seed=0)
>>> with on_best_device(network) as device:
...     device_of(network).type == device.type
True

There are two kinds of device here: a GPU that CUDA reaches (AMD's too, by torch's ROCm), and the
CPU. Other GPUs are left alone unless they are asked for (`ACCELERATE_TORCH_DEVICE=mps`): Apple's
cannot turn back the views of a rendering (`grid_sampler_2d_backward`) in every torch, has no
float64, and none of this program's numbers was ever checked on it.

Accelerate owns the device: of several processes each has a GPU of its own, and a process has one
state that all its Accelerators share. So nothing is chosen beside it; it is asked.
"""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import psutil
import torch
from accelerate import Accelerator, PartialState
from accelerate.utils import parse_flag_from_env
from torch import Tensor, nn

AT_ONCE = {"cpu": 8, "cuda": 512}
"""The most images of a rendering's batch. On a CPU a larger one is hardly faster, and from 16 on
torch takes other convolutions on one thread, whose last digits differ."""


OTHER_GPUS: dict[str, Any] = {"mps": torch.backends.mps, "xpu": torch.xpu}
"""Apple's and Intel's, which Accelerate would take."""


# --- which one -----------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A device, and in words why it is this one."""

    device: torch.device
    why: str


def chosen() -> Choice:
    """The device that networks run on in this process, as Accelerate has it."""
    named = os.environ.get("ACCELERATE_TORCH_DEVICE")
    cpu_only = bool(parse_flag_from_env("ACCELERATE_USE_CPU"))
    foreign = [kind for kind, backend in OTHER_GPUS.items() if backend.is_available()]
    if torch.cuda.is_available():
        foreign = []
    # Who asks first makes the state, and every later Accelerator takes it as it is: so what
    # Accelerate would read from the environment itself is handed over here as well.
    state = PartialState(cpu=cpu_only or bool(foreign))
    device = state.device
    if named:
        why = f"ACCELERATE_TORCH_DEVICE says {named}"
    elif device.type == "cuda":
        why = f"a GPU is there: {torch.cuda.get_device_name(device)}"
    elif device.type != "cpu":
        why = "Accelerate has chosen it"
    elif cpu_only:
        why = "ACCELERATE_USE_CPU asks for it"
    elif torch.cuda.is_available():
        why = "Accelerate has chosen it, although a GPU is there"
    elif foreign:
        why = f"a GPU of the kind {foreign[0]} is left alone: nothing was ever checked on it"
    else:
        why = "there is no GPU that CUDA reaches"
    if state.num_processes > 1:
        why += f"; process {state.process_index + 1} of {state.num_processes}"
    return Choice(device=device, why=why)


def accelerator(**options: Any) -> Accelerator:
    """Accelerate's object for a training, on the chosen device and in the precision for it."""
    device = chosen().device
    return Accelerator(mixed_precision="bf16" if trains_in_bfloat16(device) else "no", **options)


# --- being there ---------------------------------------------------------------------------------


def device_of(network: nn.Module) -> torch.device:
    """Where a network is."""
    return next(network.parameters()).device


@contextmanager
def on_best_device(*networks: nn.Module, channels_last: bool = False) -> Iterator[torch.device]:
    """All of the networks on one device inside the block, and each where it was afterwards.

    That is the chosen device, unless one of them has been put elsewhere than on the CPU: then its
    owner has decided, and the others come to it. With `channels_last` their weights lie as
    convolutions like them best, and go on to lie so.
    """
    homes = [device_of(network) for network in networks]
    device = next((home for home in homes if home.type != "cpu"), None) or chosen().device
    try:
        for network in networks:
            if channels_last:
                network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
            else:
                network.to(device)
        yield device
    finally:
        for network, home in zip(networks, homes, strict=True):
            network.to(home)


# --- what it is good for -------------------------------------------------------------------------


def has_bfloat16(device: torch.device) -> bool:
    """Whether the machine reckons in bfloat16 itself; elsewhere it would be slower, not faster."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
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


def exact() -> AbstractContextManager[Any]:
    """Inside the block a GPU's convolutions are full float32, by the same algorithms each time."""
    return torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False)


def pinned(batch: Tensor) -> Tensor:
    """A batch in memory that a GPU can fetch from by itself, where there is one."""
    return batch.pin_memory() if torch.cuda.is_available() else batch


# --- memory --------------------------------------------------------------------------------------


def at_once(device: torch.device) -> int:
    """The most images of a rendering's batch, whatever memory there is."""
    return AT_ONCE.get(device.type, AT_ONCE["cpu"])


def free_memory(device: torch.device) -> int:
    """Bytes that may be taken: half of what is free, for others and for what is not counted."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0] // 2
    return psutil.virtual_memory().available // 2


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
    if device.type == "cuda":
        torch.cuda.empty_cache()
