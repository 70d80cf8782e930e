"""hasnas: hardware-aware search for spiking neural networks on ReRAM compute-in-memory crossbars.

The names below are what most scripts need; each is imported when it is first used. Pricing needs the core install
alone, searching and loading networks the extra `search`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .cim_estimator import Activity as Activity
    from .cim_estimator import CostReport as CostReport
    from .cim_estimator import LayerSpec as LayerSpec
    from .cim_estimator import Workload as Workload
    from .cim_estimator import estimate as estimate
    from .cim_estimator import load_hardware as load_hardware
    from .cim_estimator import read_layers as read_layers
    from .errors import BadInputError as BadInputError
    from .errors import HasnasError as HasnasError
    from .nas.commands.import_network import import_network as import_network
    from .nas.commands.import_network import tune_network as tune_network
    from .nas.export.saved_network import load_network as load_network
    from .nas.opened_run import Run as Run
    from .nas.opened_run import open_run as open_run
    from .nas.opened_run import search as search
    from .search_spaces import Architecture as Architecture
    from .search_spaces import LayerGraph as LayerGraph
    from .search_spaces import read_nir as read_nir
    from .search_spaces.lowering import lower as lower

__version__ = "0.1.0"

_HOMES = {
    "Activity": "cim_estimator",
    "Architecture": "search_spaces",
    "BadInputError": "errors",
    "CostReport": "cim_estimator",
    "HasnasError": "errors",
    "LayerGraph": "search_spaces",
    "LayerSpec": "cim_estimator",
    "Run": "nas.opened_run",
    "Workload": "cim_estimator",
    "estimate": "cim_estimator",
    "import_network": "nas.commands.import_network",
    "load_hardware": "cim_estimator",
    "load_network": "nas.export.saved_network",
    "lower": "search_spaces.lowering",
    "open_run": "nas.opened_run",
    "read_layers": "cim_estimator",
    "read_nir": "search_spaces",
    "search": "nas.opened_run",
    "tune_network": "nas.commands.import_network",
}
__all__ = [
    "Activity",
    "Architecture",
    "BadInputError",
    "CostReport",
    "HasnasError",
    "LayerGraph",
    "LayerSpec",
    "Run",
    "Workload",
    "estimate",
    "import_network",
    "load_hardware",
    "load_network",
    "lower",
    "open_run",
    "read_layers",
    "read_nir",
    "search",
    "tune_network",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    except ModuleNotFoundError as error:
        from .extras import missing_extra

        raise missing_extra(error, f"hasnas.{name}") or error from error
    globals()[name] = value  # asked once
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
