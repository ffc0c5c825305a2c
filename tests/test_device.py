"""The device: one rule for trainings, features and renderings, in Accelerate's agreement."""

import os
from types import SimpleNamespace

import pytest
import torch
from accelerate import Accelerator, PartialState
from accelerate.state import AcceleratorState

from overpaint import device as devices
from overpaint.device import Choice, accelerator, chosen, on_best_device
from overpaint.errors import NetworkError
from overpaint.networks import build
from overpaint.render import dream, render, render_pair, render_steps
from overpaint.render.objectives import channel

CPU, GPU, OTHER = torch.device("cpu"), torch.device("cuda", 0), torch.device("cuda", 1)


@pytest.fixture
def fresh(monkeypatch):
    """Accelerate as in a new process, before and after, and nothing asked of it."""
    monkeypatch.delenv("ACCELERATE_USE_CPU", raising=False)
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


class Movable:
    """Stands in for a network: goes to any device, and remembers the way."""

    def __init__(self, home=CPU, *, fails=None):
        self.way, self.fails = [home], fails

    def parameters(self):
        return iter([SimpleNamespace(device=self.way[-1])])

    def to(self, device, memory_format=None):
        if device == self.fails:
            raise RuntimeError("CUDA out of memory")
        self.way.append(device)


@pytest.fixture
def gpu(monkeypatch):
    monkeypatch.setattr(devices, "chosen", lambda: Choice(device=GPU, why="it is pretended"))


def test_trainings_take_the_device_that_all_else_takes(fresh):
    """Accelerate's own choice, and ours, are one, whoever is asked first."""
    assert chosen().device == accelerator().device == Accelerator().device == chosen().device


@pytest.mark.skipif(
    torch.cuda.is_available() or torch.backends.mps.is_available() or torch.xpu.is_available(),
    reason="where there is one, the reason is another",
)
def test_without_a_gpu_the_reason_says_so(fresh):
    """The reason is a sentence for people."""
    assert chosen() == Choice(device=CPU, why="there is no GPU that CUDA reaches")


def test_a_gpu_that_nobody_has_checked_is_left_alone(fresh, monkeypatch):
    """Apple's is there, Accelerate would take it, and nothing goes there unasked."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(PartialState, "default_device", property(lambda _: torch.device("mps")))
    assert chosen().device == accelerator().device == CPU
    assert "kind mps is left alone" in chosen().why


def test_what_the_environment_says_is_done(fresh, monkeypatch):
    """A device that is asked for is taken, and the reason names who asked."""
    monkeypatch.setenv("ACCELERATE_TORCH_DEVICE", "meta")
    assert chosen() == Choice(device=torch.device("meta"), why="ACCELERATE_TORCH_DEVICE says meta")


def test_a_cpu_that_is_asked_for_is_taken(fresh, monkeypatch):
    """`accelerate launch --cpu` holds for all, also where there is a GPU."""
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    monkeypatch.setattr(PartialState, "default_device", property(lambda _: GPU))
    assert chosen() == Choice(device=CPU, why="ACCELERATE_USE_CPU asks for it")
    assert accelerator().device == CPU


def test_of_several_processes_each_has_the_device_that_accelerate_gave_it(fresh, monkeypatch):
    """The fourth process of a launch has the fourth GPU, not the first."""
    state = SimpleNamespace(device=torch.device("cuda", 3), num_processes=4, process_index=3)
    monkeypatch.setattr(devices, "PartialState", lambda **_: state)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _device: "NVIDIA H100")
    assert chosen() == Choice(
        device=torch.device("cuda", 3), why="a GPU is there: NVIDIA H100; process 4 of 4"
    )


def test_networks_are_there_for_the_while_and_then_back(gpu):
    """All go to the device, and each goes home."""
    networks = [Movable(), Movable()]
    with on_best_device(*networks) as place:
        assert [network.way[-1] for network in networks] == [place, place] == [GPU, GPU]
    assert [network.way for network in networks] == [[CPU, GPU, CPU]] * 2


def test_they_go_back_also_after_an_exception(gpu):
    """Also when the second does not fit beside the first."""
    networks = [Movable(), Movable(fails=GPU)]
    with pytest.raises(RuntimeError, match="out of memory"), on_best_device(*networks):
        pass
    assert [network.way[-1] for network in networks] == [CPU, CPU]
    with pytest.raises(KeyboardInterrupt), on_best_device(networks[0]):
        raise KeyboardInterrupt
    assert networks[0].way[-1] == CPU


def test_a_network_that_lies_on_a_gpu_stays_on_that_one(gpu):
    """Its owner has decided; one from the CPU comes to it, not to the device of the program."""
    there, here = Movable(OTHER), Movable()
    with on_best_device(here, there) as place:
        assert here.way[-1] == there.way[-1] == place == OTHER
    assert (here.way[-1], there.way[-1]) == (CPU, OTHER)


DOORS = {
    "render": lambda network: render(network, "conv2d0", [1], steps=1, size=32),
    "render_steps": lambda network: list(render_steps(network, "conv2d0", [1], steps=1, size=32)),
    "render_pair": lambda network: render_pair(
        network, network, "conv2d0", [1], reach=[(1.0, 1.0)], steps=1, size=32
    ),
    "dream": lambda network: dream(
        network, torch.zeros(32, 32, 3, dtype=torch.uint8).numpy(), channel("conv2d0", 1), steps=1
    ),
}


@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)
def test_the_python_door_uses_the_device_as_the_command_line_does(door, monkeypatch):
    """What draws from Python takes its network to the device, and home again."""
    network, places = build("inception_small", classes=("a", "b"), seed=0), []
    here = chosen()
    monkeypatch.setattr(devices, "chosen", lambda: places.append("asked") or here)
    door(network)
    assert places == ["asked"]


def test_training_in_bfloat16_is_for_gpus_alone(monkeypatch):
    """A CPU that has it renders in it, and trains in float32; a GPU does both."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True}, raising=False)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    assert (devices.has_bfloat16(CPU), devices.trains_in_bfloat16(CPU)) == (True, False)
    assert (devices.has_bfloat16(GPU), devices.trains_in_bfloat16(GPU)) == (True, True)
    assert not devices.has_bfloat16(torch.device("mps"))


def test_the_device_that_is_asked_for_is_taken(fresh, monkeypatch):
    """OVERPAINT_DEVICE comes before what the environment says to Accelerate."""
    monkeypatch.setenv("OVERPAINT_DEVICE", "cpu")
    monkeypatch.setattr(PartialState, "default_device", property(lambda _: GPU))
    assert chosen() == Choice(device=CPU, why="OVERPAINT_DEVICE says cpu")
    assert accelerator().device == CPU


def test_a_gpu_that_nobody_has_checked_is_taken_on_request(fresh, monkeypatch):
    """Apple's, named; Accelerate is told by its own variable, which is as it was afterwards."""
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(PartialState, "set_device", lambda _: None)
    monkeypatch.setenv("OVERPAINT_DEVICE", "mps")
    assert chosen() == Choice(device=torch.device("mps"), why="OVERPAINT_DEVICE says mps")
    assert "ACCELERATE_TORCH_DEVICE" not in os.environ


@pytest.mark.parametrize("name", ["cuda:7", "gpu", "mps", "cpu:0 "])
def test_a_device_that_is_not_there_is_refused(fresh, monkeypatch, name):
    """The message says which there are."""
    for module in (torch.cuda, torch.backends.mps, torch.xpu):
        monkeypatch.setattr(module, "is_available", lambda: False)
    monkeypatch.setenv("OVERPAINT_DEVICE", name)
    with pytest.raises(NetworkError, match="known: cpu") as caught:
        chosen()
    assert caught.value.slug == "unknown-device"


def test_a_device_is_decided_once(fresh, monkeypatch):
    """Who asks for another after the first network ran is told so, and not left on the first."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert chosen().device == CPU
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setenv("OVERPAINT_DEVICE", "mps")
    with pytest.raises(NetworkError) as caught:
        chosen()
    assert caught.value.slug == "device-decided"


def test_an_empty_variable_of_the_environment_says_nothing(fresh, monkeypatch):
    """Neither ours nor Accelerate's."""
    for name in ("OVERPAINT_DEVICE", "ACCELERATE_USE_CPU", "ACCELERATE_TORCH_DEVICE"):
        monkeypatch.setenv(name, "")
    assert chosen().device.type in ("cpu", "cuda")


def test_a_manifest_says_what_networks_ran_on(monkeypatch):
    """Device and precision."""
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _device: "NVIDIA H100")
    assert devices.in_words(GPU, half=True) == "cuda (NVIDIA H100), float32 with bfloat16"
