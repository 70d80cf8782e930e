"""What every plug-in must do, as suites of tests that run wherever the plug-in is developed.

Subclass the suite of a seam in a test file and name what is put to the test; pytest does the rest:

    from hasnas.conformance import CheckStrategy

    class TestMine(CheckStrategy):
        names = ("my_strategy",)  # as registered, here by an entry point of the group `hasnas.strategies`

A suite looks names up in the registry of its seam. Override its `build` to test what is not registered, or what takes
more than a name to make. The suites need pytest, and torch where their seam does.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .cost import CheckCost
    from .cost_model import CheckCostModel
    from .dataset_source import CheckDatasetSource
    from .encoding import CheckEncoding
    from .executor import CheckExecutor
    from .export_target import CheckExportTarget
    from .neuron import CheckNeuron
    from .operation import CheckOperation
    from .score import CheckScore
    from .search_space import CheckSearchSpace
    from .strategy import CheckStrategy
    from .supernet_trainer import CheckSupernetTrainer
    from .training_method import CheckTrainingMethod

_ROOMS = {
    "CheckCost": "cost",
    "CheckCostModel": "cost_model",
    "CheckDatasetSource": "dataset_source",
    "CheckEncoding": "encoding",
    "CheckExecutor": "executor",
    "CheckExportTarget": "export_target",
    "CheckNeuron": "neuron",
    "CheckOperation": "operation",
    "CheckScore": "score",
    "CheckSearchSpace": "search_space",
    "CheckStrategy": "strategy",
    "CheckSupernetTrainer": "supernet_trainer",
    "CheckTrainingMethod": "training_method",
}
__all__ = [
    "CheckCost",
    "CheckCostModel",
    "CheckDatasetSource",
    "CheckEncoding",
    "CheckExecutor",
    "CheckExportTarget",
    "CheckNeuron",
    "CheckOperation",
    "CheckScore",
    "CheckSearchSpace",
    "CheckStrategy",
    "CheckSupernetTrainer",
    "CheckTrainingMethod",
]

pytest.register_assert_rewrite(*(f"{__name__}.{room}" for room in _ROOMS.values()))


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)
