"""Repairs for packages that are installed but cannot be imported beside a CPU build of torch.

PyPI's Linux wheels of torchvision and torchaudio are built for CUDA. Beside a CPU torch they fail on import
(`operator torchvision::nms does not exist`, `libc10_cuda.so: cannot open shared object file`), and take torchmetrics,
Lightning, NNI and `spikingjelly.datasets` with them, none of which need what is missing. `repair_imports` is called
before any of those is imported; it does nothing where the packages are absent or sound.
"""

from __future__ import annotations

import importlib
import logging
import sys
import types
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from multiprocessing import parent_process
from typing import Any

from hasnas.errors import HasnasError

logger = logging.getLogger(__name__)

# The libraries that hold the operators we declare: torch forgets the declarations when these are collected.
_declared: list[Any] = []

_BOXES = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


@dataclass(frozen=True)
class Repair:
    """One repair that was done: the package, what was wrong with it, and what was done about it."""

    package: str
    symptom: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.package}: {self.remedy} (it failed with: {self.symptom})"


def repair_imports() -> tuple[Repair, ...]:
    """Make torchvision and torchaudio importable where their binaries do not match the installed torch.

    Each repair is logged once, as information; calling again does nothing.

    Returns:
        The repairs done by this call; empty where nothing was wrong.

    Raises:
        HasnasError: if torchvision stays broken; whatever else is wrong with the packages is raised unchanged.

    >>> repair_imports()  # a second call finds nothing left to do
    ()
    """
    done = tuple(repair for repair in (_repair_torchvision(), _repair_torchaudio()) if repair)
    # Nobody who starts a command needs to know; workers repair themselves too, once is enough to read about it.
    level = logging.INFO if parent_process() is None else logging.DEBUG
    for repair in done:
        logger.log(level, "%s", repair)
    return done


def _repair_torchvision() -> Repair | None:
    """Declare the two operators whose absence stops torchvision's import; nothing we use calls them."""
    try:
        _import_once("torchvision")
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
        symptom = str(error)
    else:
        return None
    import torch

    _forget("torchvision")
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(name + _BOXES)
    _declared.append(library)
    try:
        importlib.import_module("torchvision")
    except (RuntimeError, OSError, ImportError) as error:
        raise HasnasError(
            f"torchvision cannot be imported beside torch {torch.__version__} ({error}); "
            "install the torchvision build that matches torch, or uninstall torchvision"
        ) from error
    return Repair("torchvision", symptom, "declared the missing operators torchvision::nms and torchvision::qnms")


def _repair_torchaudio() -> Repair | None:
    """Put an empty module in torchaudio's place, so that packages which only look for it can be imported."""
    try:
        _import_once("torchaudio")
    except OSError as error:
        symptom = str(error)
    else:
        return None
    _forget("torchaudio")
    empty = types.ModuleType("torchaudio")
    empty.__spec__ = ModuleSpec("torchaudio", None)
    sys.modules["torchaudio"] = empty
    return Repair("torchaudio", symptom, "replaced by an empty module; install the build that matches torch to use it")


def _import_once(package: str) -> None:
    if package not in sys.modules and find_spec(package):
        importlib.import_module(package)


def _forget(package: str) -> None:
    """Drop a half-imported package, so that the next import starts anew."""
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        del sys.modules[name]
