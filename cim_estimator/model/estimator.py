"""The cost model's front: workload and hardware in, report out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hasnas.cim_estimator import spikesim
from hasnas.cim_estimator.hardware.spec import GeneralHardware, HardwareSpec, SpikeSimHardware
from hasnas.cim_estimator.report.report import CostReport
from hasnas.cim_estimator.workload.activity import Activity
from hasnas.cim_estimator.workload.workload import LayerKind, Workload
from hasnas.errors import BadInputError, nearest

from . import general
from .memory import live_bits_by_layer, memory_by_layer_bits, memory_parts_bits, present
from .pricing import Price
from .tally import Tally
from .totals import TOTALS, Totals

FloatArray = NDArray[np.float64]
_DENSE = Activity.dense()
ENGINES = ("auto", "numpy", "compiled")
_CHUNK = 4096  # candidates priced at once: their arrays stay in cache
_MANY = 20_000  # from here on compiled loops repay their start-up
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
    energy_names, energy = _stack(price.energy, workload.shape)
    area_names, area = _stack(price.area, workload.shape)
    return CostReport(
        hardware=hardware.name,
        layer_names=workload.names,
        layer_kinds=_KIND_NAMES[np.broadcast_to(workload.kind, workload.shape)],
        energy_components=energy_names,
        area_components=area_names,
        utilisation=np.asarray(price.cells_used, float),
        energy_by_layer_j=energy,
        area_by_layer_m2=area,
        latency_by_layer_s=np.broadcast_to(price.latency_by_layer_s, workload.shape),
        memory_by_layer_bits=memory_by_layer_bits(workload, hardware),
        memory_by_component_bits={
            name: np.broadcast_to(present(workload, bits).sum(axis=-1), workload.shape[:-1])
            for name, bits in memory_parts_bits(workload, hardware).items()
        },
        operations_by_layer=2.0 * _synaptic(workload),
        operations_done_by_layer=2.0 * synaptic_operations(workload, activity),
        input_bits_by_layer=_input_bits(workload),
        parameters_by_layer=present(workload, workload.parameters),
        crossbars_by_layer=np.broadcast_to(price.crossbars, workload.shape),
        warnings=(*_activity_warnings(workload, hardware, activity), *price.warnings),
        **_totals(price, workload, hardware),
    )


def estimate_costs(
    workload: Workload, hardware: HardwareSpec, activity: Activity = _DENSE, engine: str = "auto"
) -> Totals:
    """The totals of every candidate, without the breakdown: what a budget screen needs.

    Args:
        workload: the layers; leading axes are candidates.
        hardware: the description.
        activity: how many inputs spike.
        engine: `"numpy"` prices every layer of every candidate in chunks; `"compiled"` prices equal layers once and
            adds them up in compiled loops; `"auto"` compiles for large populations. Results differ by rounding only.

    Returns:
        Each `[...]`.

    Raises:
        BadInputError: if a layer cannot be mapped onto the hardware, or the engine is unknown.
    """
    if engine not in ENGINES:
        raise BadInputError(f"unknown engine '{engine}'{nearest(engine, ENGINES)}")
    shape = workload.shape
    if len(shape) == 1:
        return _costs(workload, hardware, activity)
    if shape[0] and (engine == "compiled" or (engine == "auto" and shape[0] >= _MANY)):
        compiled = _compiled_costs(workload, hardware, activity)
        if compiled is not None:
            return compiled
    starts = range(0, max(shape[0], 1), _CHUNK)
    parts = [_costs(workload.rows(start, start + _CHUNK), hardware, activity) for start in starts]
    return Totals(**{name: np.concatenate([part[name] for part in parts]) for name in TOTALS})


def _compiled_costs(workload: Workload, hardware: HardwareSpec, activity: Activity) -> Totals | None:
    """Totals by compiled loops, or None where the costs are not a sum over a few distinct layers."""
    separable = isinstance(hardware, SpikeSimHardware) or hardware.tile.sharing == "none"
    if len(workload.shape) != 2 or not separable:
        return None
    from .batch import compress, price_choices  # numba is only imported where it pays

    compressed = compress(workload)
    return None if compressed is None else price_choices(*compressed, hardware, activity)


def _costs(workload: Workload, hardware: HardwareSpec, activity: Activity) -> Totals:
    return _totals(_price(workload, hardware, activity, keep=False), workload, hardware)


def _price(workload: Workload, hardware: HardwareSpec, activity: Activity, keep: bool) -> Price:
    rates = activity.rates(workload)
    if isinstance(hardware, SpikeSimHardware):
        return spikesim.price(workload, hardware, rates, keep)
    if isinstance(hardware, GeneralHardware):
        return general.price(workload, hardware, rates, keep)
    raise BadInputError(f"hardware is a {type(hardware).__name__}; read one with load_hardware")


def _synaptic(workload: Workload) -> FloatArray:
    """Multiply-adds of each layer per sample if every input were active."""
    macs = workload.weights * workload.positions.astype(float) * workload.evaluations
    return np.broadcast_to(macs, workload.shape)


def synaptic_operations(workload: Workload, activity: Activity = _DENSE) -> FloatArray:
    """Additions of a weight spikes cause, per layer and sample: fan-in x outputs x evaluations x rate, `[..., L]`."""
    return _synaptic(workload) * activity.rates(workload)


def _input_bits(workload: Workload) -> FloatArray:
    values = workload.in_channels * workload.in_height * workload.in_width
    return present(workload, values * workload.input_bits * workload.evaluations).astype(float)


def _totals(price: Price, workload: Workload, hardware: HardwareSpec) -> Totals:
    leading = workload.shape[:-1]
    memory = memory_by_layer_bits(workload, hardware).sum(axis=-1)
    return Totals(
        parameters=present(workload, workload.parameters).sum(axis=-1),
        memory_bits=memory,
        peak_memory_bits=memory + live_bits_by_layer(workload, hardware).max(axis=-1, initial=0),
        area_m2=np.broadcast_to(price.area.total, leading),
        latency_s=np.broadcast_to(price.latency_s, leading),
        interval_s=np.broadcast_to(price.interval_s, leading),
        energy_j=np.broadcast_to(price.energy.total, leading),
        timesteps=np.full(leading, workload.timesteps),
    )


def _stack(tally: Tally, shape: tuple[int, ...]) -> tuple[tuple[str, ...], FloatArray]:
    names = tuple(tally.parts)
    return names, np.stack([np.broadcast_to(tally.parts[name], shape) for name in names], axis=-1)


def _activity_warnings(workload: Workload, hardware: HardwareSpec, activity: Activity) -> list[str]:
    """Name the layers whose rates are not known but would change the price."""
    if activity.kind != "measured":
        return []
    counted = workload.on_crossbar
    if isinstance(hardware, GeneralHardware) and hardware.readout == "event":
        counted = workload.kind != LayerKind.NONE
    unknown = np.isnan(workload.input_rate) & counted
    slots = np.nonzero(np.broadcast_to(unknown, workload.shape).reshape(-1, len(workload.names)).any(axis=0))[0]
    names = [workload.names[int(slot)] for slot in slots]
    return [f"no measured spike rate for {', '.join(names)}: counted as dense"] if names else []
