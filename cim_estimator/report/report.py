"""What a network costs, by layer and component, with warnings."""

from __future__ import annotations

import json
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hasnas.cim_estimator.model.totals import TOTALS, Totals
from hasnas.errors import BadInputError

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class CostReport:
    """Costs of one network or of many candidates; leading axes `[...]` are the workload's.

    Args:
        hardware: name of the hardware description.
        layer_names, layer_kinds: of the L slots.
        energy_components, area_components: names of the last axis of the breakdowns.
        parameters: trainable parameters as trained, `[...]`.
        memory_bits: weights, biases, membranes and delayed values as deployed, `[...]`.
        peak_memory_bits: those and the largest live buffer, see `Totals`, `[...]`.
        area_m2, latency_s, energy_j: totals, `[...]`; energy and latency are of one sample over all timesteps.
        interval_s: time between two samples of a stream, `[...]`; its inverse is the throughput.
        timesteps: T, `[...]`.
        utilisation: share of the allotted cells that hold weights, `[...]`.
        energy_by_layer_j, area_by_layer_m2: `[..., L, C]`.
        latency_by_layer_s: time each layer is busy per sample, `[..., L]`.
        memory_by_layer_bits, parameters_by_layer, crossbars_by_layer: `[..., L]`.
        operations_by_layer, operations_done_by_layer: synaptic multiplications and additions per sample, if every input
            were active, and of the inputs that were; `[..., L]`.
        memory_by_component_bits: weights, biases, membranes and delayed values of the whole network, each `[...]`.
        input_bits_by_layer: bits brought to each layer per sample, `[..., L]`.
        warnings: what the reader should know.
    """

    hardware: str
    layer_names: tuple[str, ...]
    layer_kinds: NDArray[Any]
    energy_components: tuple[str, ...]
    area_components: tuple[str, ...]
    parameters: NDArray[Any]
    memory_bits: NDArray[Any]
    peak_memory_bits: NDArray[Any]
    area_m2: FloatArray
    latency_s: FloatArray
    energy_j: FloatArray
    interval_s: FloatArray
    timesteps: NDArray[Any]
    utilisation: FloatArray
    energy_by_layer_j: FloatArray
    area_by_layer_m2: FloatArray
    latency_by_layer_s: FloatArray
    memory_by_layer_bits: NDArray[Any]
    parameters_by_layer: NDArray[Any]
    memory_by_component_bits: dict[str, NDArray[Any]]
    crossbars_by_layer: FloatArray
    operations_by_layer: FloatArray
    operations_done_by_layer: FloatArray
    input_bits_by_layer: FloatArray
    warnings: tuple[str, ...] = ()

    def costs(self) -> Totals:
        """The totals without the breakdown."""
        return Totals(**{name: getattr(self, name) for name in TOTALS})

    @property
    def operations(self) -> FloatArray:
        """Synaptic multiply-adds of a sample if every input were active, each counted twice, as in TOPS; `[...]`."""
        return self.operations_by_layer.sum(axis=-1)

    @property
    def operations_done(self) -> FloatArray:
        """Those of the inputs that were active, `operations` times their rates; `[...]`."""
        return self.operations_done_by_layer.sum(axis=-1)

    @property
    def leakage_j(self) -> FloatArray:
        """Leakage energy of a sample, part of `energy_j`."""
        if "leakage" not in self.energy_components:
            return np.zeros_like(self.energy_j)
        return self.energy_by_layer_j[..., self.energy_components.index("leakage")].sum(axis=-1)

    @property
    def energy_delay_js(self) -> FloatArray:
        """Energy-delay product of a sample, in J*s."""
        return self.energy_j * self.latency_s

    @property
    def tops_per_watt(self) -> FloatArray:
        """Synaptic operations that were done per energy, in 1e12 operations per joule; zero where none is spent."""
        return _ratio(self.operations_done * 1e-12, self.energy_j)

    @property
    def throughput_hz(self) -> FloatArray:
        """Samples per second in a stream; zero where nothing takes time."""
        return _ratio(np.ones_like(self.interval_s), self.interval_s)

    @property
    def bottleneck(self) -> str:
        """The layer that is busy longest (one network only)."""
        self._require_one("bottleneck")
        return self.layer_names[int(np.argmax(self.latency_by_layer_s))] if self.layer_names else ""

    def to_dict(self) -> dict[str, Any]:
        """Totals in SI and the tree of layers and components below them (one network only)."""
        self._require_one("to_dict")
        totals = {name: _number(value) for name, value in self.costs().items()}
        derived = {
            "leakage_j": self.leakage_j, "energy_delay_js": self.energy_delay_js, "tops_per_watt": self.tops_per_watt,
            "throughput_hz": self.throughput_hz, "utilisation": self.utilisation, "operations": self.operations,
            "operations_done": self.operations_done,
        }  # fmt: skip
        return {
            "hardware": self.hardware,
            **totals,
            **{name: _number(value) for name, value in derived.items()},
            "bottleneck": self.bottleneck,
            "warnings": list(self.warnings),
            "components": {
                "memory_bits": {name: _number(bits) for name, bits in self.memory_by_component_bits.items()},
                "energy_j": _named(self.energy_components, self.energy_by_layer_j.sum(axis=0)),
                "area_m2": _named(self.area_components, self.area_by_layer_m2.sum(axis=0)),
            },
            "layers": self._layers(),
        }

    def to_json(self, indent: int | None = 2) -> str:
        """`to_dict` as JSON text."""
        return json.dumps(self.to_dict(), indent=indent)

    def _repr_html_(self) -> str:
        """How a notebook shows the report of one network; of many, as text."""
        from .formats import to_html

        return to_html(self) if np.ndim(self.energy_j) == 0 else f"<pre>{escape(repr(self))}</pre>"

    def _layers(self) -> list[dict[str, Any]]:
        columns = {
            "name": self.layer_names,
            "kind": self.layer_kinds.tolist(),
            "parameters": self.parameters_by_layer.tolist(),
            "memory_bits": self.memory_by_layer_bits.tolist(),
            "area_m2": self.area_by_layer_m2.sum(axis=-1).tolist(),
            "latency_s": self.latency_by_layer_s.tolist(),
            "energy_j": self.energy_by_layer_j.sum(axis=-1).tolist(),
            "crossbars": self.crossbars_by_layer.tolist(),
            "operations": self.operations_by_layer.tolist(),
            "operations_done": self.operations_done_by_layer.tolist(),
            "energy_by_component_j": [_named(self.energy_components, row) for row in self.energy_by_layer_j],
            "area_by_component_m2": [_named(self.area_components, row) for row in self.area_by_layer_m2],
        }
        rows = zip(*columns.values(), strict=True)
        return [layer for layer in (dict(zip(columns, row, strict=True)) for row in rows) if layer["kind"] != "none"]

    def _require_one(self, what: str) -> None:
        if np.ndim(self.energy_j):
            held = np.shape(self.energy_j)
            raise BadInputError(f"{what} is for one network, but this report holds {held} candidates")


def _ratio(over: FloatArray, under: FloatArray) -> FloatArray:
    return np.divide(over, under, out=np.zeros(np.shape(under)), where=np.asarray(under) > 0)


def _number(value: Any) -> float | int:
    return int(value) if np.issubdtype(np.asarray(value).dtype, np.integer) else float(value)


def _named(names: tuple[str, ...], values: FloatArray) -> dict[str, float]:
    return dict(zip(names, values.tolist(), strict=True))
