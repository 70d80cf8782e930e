"""One training by several processes that share its batches."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from queue import Empty
from typing import Any

import torch
from torch import Tensor

from hasnas.errors import BadInputError, HasnasError
from hasnas.nas.config.training import RetrainSection
from hasnas.nas.data.samples import Normalisation, Split, Splits

Progress = Callable[[int, Mapping[str, float]], None]
Train = Callable[[Mapping[str, Any], Splits, RetrainSection, int, Path, Progress | None], object]
"""Trains an architecture: its JSON form, data, settings, seed, directory, and what to call after each epoch."""
_LAUNCHED = ("LOCAL_RANK", "SLURM_PROCID")
_PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class Job:
    """A training as plain data.

    Args:
        architecture: its JSON form.
        settings: how to train.
        seed: decides everything random.
        directory: see `hasnas.nas.training.retrain.retrain`.
    """

    architecture: Mapping[str, Any]
    settings: RetrainSection
    seed: int
    directory: str


def is_launched(settings: RetrainSection) -> bool:
    """Whether this process is one of a training's, rather than the one that starts them.

    Raises:
        BadInputError: if the training is spread over nodes and no launcher has started its processes.
    """
    if settings.processes == 1 or any(name in os.environ for name in _LAUNCHED):
        return True
    if settings.nodes > 1:
        raise BadInputError(
            f"retrain.nodes is {settings.nodes}, but no launcher started this process; "
            "start the training on every node with torchrun or srun"
        )
    return False


def process_number(settings: RetrainSection) -> int:
    """This process's number among those of a training; number 0 stores results."""
    if settings.processes == 1:
        return 0
    return int(os.environ.get("RANK") or os.environ.get("SLURM_PROCID") or 0)


def train_in_processes(train: Train, job: Job, splits: Splits, progress: Progress | None) -> None:
    """Train in `devices` processes of this machine; what they store is the result.

    Args:
        train: what each process calls, a function at the top of a module.
        job: the training; a stored state is gone on from.
        splits: written to a temporary file, which every process maps into its memory.
        progress: called here after every epoch.

    Raises:
        HasnasError: what a process raised; also if one died without a word.
    """
    context = get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "splits.safetensors"
        _save_splits(path, splits)
        messages = context.Queue()
        port = _free_port()
        described = (splits.normalisation, splits.classes)
        workers = [
            context.Process(target=_work, args=(number, port, train, job, str(path), described, messages))
            for number in range(job.settings.devices)
        ]
        with _running(workers):
            _listen(workers, messages, progress)


@contextmanager
def _running(workers: Sequence[BaseProcess]) -> Iterator[None]:
    for worker in workers:
        worker.start()
    try:
        yield
    finally:
        for worker in workers:
            worker.kill()
            worker.join()


def _listen(workers: Sequence[BaseProcess], messages: Any, progress: Progress | None) -> None:
    """Pass on what the processes say until all have ended well."""
    while True:
        ended = all(worker.exitcode == 0 for worker in workers)
        dead = [worker.exitcode for worker in workers if worker.exitcode]
        try:
            message = messages.get(timeout=0.0 if ended else 1.0 if dead else 0.1)
        except Empty:
            if ended:
                return
            if dead:
                raise HasnasError(
                    f"a process of the training died with exit code {dead[0]}; start it again, it goes on where it was"
                ) from None
            continue
        if isinstance(message, Exception):
            raise message
        if progress:
            progress(*message)


def _work(
    number: int, port: int, train: Train, job: Job, path: str, described: tuple[Normalisation, int], messages: Any
) -> None:
    os.environ.update(
        MASTER_ADDR="127.0.0.1",
        MASTER_PORT=str(port),
        WORLD_SIZE=str(job.settings.devices),
        RANK=str(number),
        LOCAL_RANK=str(number),
        NODE_RANK="0",
    )
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // job.settings.devices))
    speak = (lambda epoch, metrics: messages.put((epoch, dict(metrics)))) if number == 0 else None
    try:
        splits = _load_splits(path, described)
        train(job.architecture, splits, job.settings, job.seed, Path(job.directory), speak)
    except HasnasError as error:
        messages.put(error)
    except Exception as error:  # whatever it was, the process that waits must hear of it
        messages.put(HasnasError(f"a process of the training failed with {type(error).__name__}: {error}"))


def _save_splits(path: Path, splits: Splits) -> None:
    from safetensors.torch import save_file

    tensors: dict[str, Tensor] = {}
    for name in _PARTS:
        part: Split = getattr(splits, name)
        tensors |= {f"{name}.inputs": part.inputs.contiguous(), f"{name}.targets": part.targets.contiguous()}
    save_file(tensors, path)


def _load_splits(path: str, described: tuple[Normalisation, int]) -> Splits:
    from safetensors.torch import load_file

    tensors = load_file(path)
    unit, place = described[0].target_unit, described[0].place
    train, validation, test = (
        Split(tensors[f"{name}.inputs"], tensors[f"{name}.targets"], unit, place) for name in _PARTS
    )
    return Splits(train, validation, test, *described)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
