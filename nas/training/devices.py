"""Where this process computes, and what suits the device: precision, layout of the weights, samples at a time.

A run says so once (`device` in its config), and everything that runs networks asks here. Worker processes inherit what
the run says; worker i takes GPU i modulo their number. Without a run the device is the CPU.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import nn

from hasnas.errors import BadInputError
from hasnas.nas.config.training import RetrainSection

Network = TypeVar("Network", bound=nn.Module)

NAME, WORKER = "HASNAS_DEVICE", "HASNAS_WORKER"
CPU_BATCH = 256
# Values that a network's layers may hold at a time on a GPU, as a share of its free memory, 4 bytes each.
MEMORY_SHARE, VALUE_BYTES = 0.25, 4
MOST_SAMPLES = 4096


def assigned(name: str, worker: int, gpus: int) -> torch.device:
    """The device that a config's word means for one of a run's workers.

    Args:
        name: `auto`, `cpu`, `cuda` or `cuda:N`.
        worker: its number, from 0.
        gpus: how many this machine has.

    Raises:
        BadInputError: if there is no such device here.

    >>> [str(assigned(name, 3, 2)) for name in ("auto", "cuda", "cuda:0", "cpu")]
    ['cuda:1', 'cuda:1', 'cuda:0', 'cpu']
    >>> str(assigned("auto", 3, 0))
    'cpu'
    """
    if name == "cpu" or (name == "auto" and not gpus):
        return torch.device("cpu")
    number = re.fullmatch(r"cuda(?::(\d+))?|auto", name)
    if number is None:
        raise BadInputError(f"device is '{name}'; give auto, cpu, cuda or cuda:N")
    if not gpus:
        raise BadInputError(f"device is {name}, but torch finds no GPU here; choose cpu or auto")
    index = worker % gpus if number[1] is None else int(number[1])
    if index >= gpus:
        raise BadInputError(f"device is {name}, but this machine has {gpus}; the last is cuda:{gpus - 1}")
    return torch.device("cuda", index)


def current_device() -> torch.device:
    """The device of this process.

    Raises:
        BadInputError: see `assigned`.
    """
    name = os.environ.get(NAME, "cpu")
    gpus = 0 if name == "cpu" else torch.cuda.device_count()
    return assigned(name, int(os.environ.get(WORKER, "0")), gpus)


@contextmanager
def on_device(name: str) -> Iterator[torch.device]:
    """This process, and workers that start meanwhile, compute on a device while the context lasts.

    Raises:
        BadInputError: see `assigned`.

    >>> with on_device("cpu") as device:
    ...     str(device), str(current_device())
    ('cpu', 'cpu')
    """
    before = os.environ.get(NAME)
    os.environ[NAME] = name
    try:
        yield current_device()
    finally:
        os.environ.pop(NAME) if before is None else os.environ.__setitem__(NAME, before)


def placed(network: Network, device: torch.device | None = None) -> Network:
    """The network itself, moved to a device (that of this process) in the layout that its convolutions are fast in."""
    where = device or current_device()
    if where.type == "cuda":
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs do not know it
    return network.to(where)


def device_of(module: nn.Module) -> torch.device:
    """Where a module's parameters are; the CPU if it has none."""
    return next((parameter.device for parameter in module.parameters()), torch.device("cpu"))


def precision_on(device: torch.device, wanted: str) -> str:
    """The precision of convolutions and matrix products: `auto` is bfloat16 on GPUs that compute in it, else float32.

    >>> precision_on(torch.device("cpu"), "auto"), precision_on(torch.device("cpu"), "bfloat16")
    ('float32', 'bfloat16')
    """
    if wanted != "auto":
        return wanted
    return "bfloat16" if device.type == "cuda" and has_bfloat16(True) else "float32"


def samples_at_a_time(values: int, device: torch.device, most: int | None = None) -> int:
    """How many samples to evaluate at a time: some hundred on a CPU, what memory holds on a GPU.

    Args:
        values: that all layers hold of one sample, over its timesteps.
        device: where.
        most: that are ever needed.

    >>> samples_at_a_time(10**6, torch.device("cpu"))
    256
    """
    if device.type != "cuda":
        return CPU_BATCH
    free, _ = torch.cuda.mem_get_info(device)
    fitting = int(MEMORY_SHARE * free / (VALUE_BYTES * max(values, 1)))
    return max(1, min(fitting, MOST_SAMPLES, most or MOST_SAMPLES))


def describe(device: torch.device) -> str:
    """The device in words, with the precision and layout that it is used with."""
    if device.type != "cuda":
        return "cpu, float32"
    layout = f"{precision_on(device, 'auto')}, channels last"
    return f"{device} ({torch.cuda.get_device_name(device)}), {layout}"


def check_device(name: str, settings: RetrainSection) -> None:
    """Refuse a device, or a precision on it, that this machine does not have.

    Raises:
        BadInputError: if so.
    """
    with on_device(name) as device:
        _check_precision(device, settings.precision)


def _check_precision(device: torch.device, precision: str) -> None:
    gpu = device.type == "cuda"
    if precision == "bfloat16" and not has_bfloat16(gpu):
        where = "this GPU" if gpu else "this CPU (it has neither AVX512-BF16 nor AMX)"
        raise BadInputError(f"retrain.precision is bfloat16, but {where} does not compute in it; choose float32")


def has_bfloat16(gpu: bool) -> bool:
    """Whether the hardware multiplies in bfloat16."""
    if gpu:
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def lightning_place(settings: RetrainSection | None = None) -> tuple[str, int | list[int]]:
    """What Lightning is told: kind of device, and which; several processes of a training take a device each, and
    trainings side by side take others.

    Raises:
        BadInputError: if the machine lacks the device or the precision.
    """
    device = current_device()
    if settings is not None:
        _check_precision(device, settings.precision)
    count = 1 if settings is None else settings.devices
    if device.type == "cuda":
        return "gpu", [device.index] if count == 1 else group(int(os.environ.get(WORKER, "0")), count)
    return "cpu", count


def group(worker: int, count: int, gpus: int | None = None) -> list[int]:
    """The GPUs of a training of several processes: those of a run's workers do not overlap as long as there are enough.

    Args:
        worker: its number, from 0.
        count: GPUs that it takes.
        gpus: how many this machine has; None asks torch.

    Raises:
        BadInputError: if the machine has fewer than one training takes.

    >>> group(0, 2, 4), group(1, 2, 4), group(2, 2, 4)
    ([0, 1], [2, 3], [0, 1])
    """
    there = torch.cuda.device_count() if gpus is None else gpus
    if count > there:
        raise BadInputError(f"retrain.devices is {count}, but this machine has {there} GPUs; give at most as many")
    return [(worker * count + place) % there for place in range(count)]
