"""The cost model's front: workload and hardware in, report out."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hasnas.errors import BadInputError

from . import general, spikesim
from .activity import Activity
from .pricing import Price
from .report import CostReport
from .spec import GeneralHardware, HardwareSpec, SpikeSimHardware
from .tally import Tally
from .workload import LayerKind, Workload

FloatArray = NDArray[np.float64]
_DENSE = Activity.dense()
_KIND_NAMES = np.array([kind.name.lower() for kind in LayerKind])


def estimate(workload: Workload, hardware: HardwareSpec, activity: Activity = _DENSE) -> CostReport:
    """Price a network, or a whole population at once, by layer and component.

    Args:
        workload: the layers; leading axes are candidates.
        hardware: the description, from `load_hardware`.
        activity: how many inputs spike; dense unless said otherwise.

    Raises:
        BadInputError: if a layer cannot be mapped onto the hardware.

    >>> from hasnas.cim_estimator import LayerSpec, load_hardware
    >>> network = Workload.from_layers([LayerSpec("conv", 3, 64, kernel_size=3, in_size=32)], timesteps=5)
    >>> report = estimate(network, load_hardware("spikesim-65nm-rram"))
    >>> round(float(report.energy_j) * 1e6, 6)
    4.241849
    """
    price = _price(workload, hardware, activity, keep=True)
    memory = memory_by_layer_bits(workload, hardware)
    parameters = _present(workload, workload.parameters)
    energy_names, energy = _stack(price.energy, workload.shape)
    area_names, area = _stack(price.area, workload.shape)
    return CostReport(
        hardware=hardware.name,
        layer_names=workload.names,
        layer_kinds=_KIND_NAMES[np.broadcast_to(workload.kind, workload.shape)],
        energy_components=energy_names,
        area_components=area_names,
        operations=2.0 * _synaptic(workload).sum(axis=-1),
        utilisation=np.asarray(price.cells_used, float),
        energy_by_layer_j=energy,
        area_by_layer_m2=area,
        latency_by_layer_s=np.broadcast_to(price.latency_by_layer_s, workload.shape),
        memory_by_layer_bits=memory,
        parameters_by_layer=parameters,
        crossbars_by_layer=np.broadcast_to(price.crossbars, workload.shape),
        interval_s=price.interval_s,
        warnings=(*_activity_warnings(workload, activity), *price.warnings),
        **_totals(price, memory, parameters, workload),
    )


def estimate_costs(
    workload: Workload, hardware: HardwareSpec, activity: Activity = _DENSE, chunk: int = 4096
) -> dict[str, NDArray[Any]]:
    """The five totals of every candidate, without the breakdown: what a budget screen needs.

    Args:
        workload: the layers; with leading axes it is priced in chunks of the first one.
        hardware: the description.
        activity: how many inputs spike.
        chunk: candidates priced at once; the working memory follows it.

    Returns:
        `parameters`, `memory_bits`, `area_m2`, `latency_s`, `energy_j`, each `[...]`.
    """
    if len(workload.shape) == 1:
        return _costs(workload, hardware, activity)
    count = workload.shape[0]
    parts = [
        _costs(workload.rows(start, start + chunk), hardware, activity) for start in range(0, max(count, 1), chunk)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _costs(workload: Workload, hardware: HardwareSpec, activity: Activity) -> dict[str, NDArray[Any]]:
    price = _price(workload, hardware, activity, keep=False)
    memory = memory_by_layer_bits(workload, hardware)
    return _totals(price, memory, _present(workload, workload.parameters), workload)


def _price(workload: Workload, hardware: HardwareSpec, activity: Activity, keep: bool) -> Price:
    rates = activity.rates(workload)
    if isinstance(hardware, SpikeSimHardware):
        return spikesim.price(workload, hardware, rates, keep)
    if isinstance(hardware, GeneralHardware):
        return general.price(workload, hardware, rates, keep)
    raise BadInputError(f"hardware is a {type(hardware).__name__}; read one with load_hardware")


def memory_by_layer_bits(workload: Workload, hardware: HardwareSpec) -> NDArray[np.int64]:
    """Bits each layer keeps: weights, biases, membranes and values held for the next timestep, `[..., L]`."""
    precision = hardware.precision
    weight_bits = np.where(workload.weight_bits > 0, workload.weight_bits, precision.weight_bits)
    delayed = workload.delay * workload.out_channels * workload.positions
    bits = (
        workload.weights * weight_bits
        + workload.biases * precision.bias_bits
        + workload.neurons * precision.membrane_bits
        + delayed * precision.value_bits
    )
    return _present(workload, bits)


def _present(workload: Workload, values: NDArray[Any]) -> NDArray[Any]:
    return np.broadcast_to(np.where(workload.kind != LayerKind.NONE, values, 0).astype(np.int64), workload.shape)


def _synaptic(workload: Workload) -> FloatArray:
    """Multiply-adds of each layer per sample if every input were active."""
    macs = workload.weights * workload.positions.astype(float) * workload.evaluations
    return np.broadcast_to(macs, workload.shape)


def synaptic_operations(workload: Workload, activity: Activity = _DENSE) -> FloatArray:
    """Additions of a weight spikes cause, per layer and sample: fan-in x outputs x evaluations x rate, `[..., L]`."""
    return _synaptic(workload) * activity.rates(workload)


def _totals(
    price: Price, memory: NDArray[Any], parameters: NDArray[Any], workload: Workload
) -> dict[str, NDArray[Any]]:
    leading = workload.shape[:-1]
    return {
        "parameters": parameters.sum(axis=-1),
        "memory_bits": memory.sum(axis=-1),
        "area_m2": np.broadcast_to(price.area.total, leading),
        "latency_s": np.broadcast_to(price.latency_s, leading),
        "energy_j": np.broadcast_to(price.energy.total, leading),
    }


def _stack(tally: Tally, shape: tuple[int, ...]) -> tuple[tuple[str, ...], FloatArray]:
    names = tuple(tally.parts)
    return names, np.stack([np.broadcast_to(tally.parts[name], shape) for name in names], axis=-1)


def _activity_warnings(workload: Workload, activity: Activity) -> list[str]:
    if activity.kind != "measured":
        return []
    unknown = np.isnan(workload.input_rate) & workload.on_crossbar
    slots = np.nonzero(np.broadcast_to(unknown, workload.shape).reshape(-1, len(workload.names)).any(axis=0))[0]
    names = [workload.names[int(slot)] for slot in slots]
    return [f"no measured spike rate for {', '.join(names)}: counted as dense"] if names else []
