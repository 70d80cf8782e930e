"""The formulas of the published SpikeSim script, generalised to any order, depth and mix of kernels.

For a stack of convolutions of one kernel size the functions give the script's numbers bit for bit, in its units (pJ,
um2, ns). The script itself refuses or fails on stacks whose PE counts are not sorted, on more than 12 layers, and on
layers narrower than the crossbar; the formulas have no such limit. What is added to them:

- a fully connected layer is a 1x1 convolution on a 1x1 map;
- every PE of the chip holds as many arrays as the largest kernel of the network needs;
- a layer runs `evaluations` times instead of T times, and real values enter bit by bit;
- with an activity below 1 the crossbar's energy follows the active rows. With `readout: event`, control follows the
  patches that hold a spike and the neurons the outputs that change, as in spikingjelly's `op_counter.spikesim`.

Source: SpikeSim, `SNN_train_infer_quantization_ela/ela_spikesim.py`, commit c2627bc; doi 10.1109/TCAD.2023.3274918.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .hardware.spec import SpikeSimHardware
from .model.counts import any_active
from .model.pricing import Price
from .model.tally import Tally
from .workload.workload import LayerKind, Workload

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.integer[Any]]

_UNPRICED = (LayerKind.POOL, LayerKind.ADD, LayerKind.SCALE)


def pe_counts(workload: Workload, size: int) -> IntArray:
    """Processing elements of each layer, `ceil(in / X) * ceil(out / X)`; zero where there are no weights.

    Args:
        workload: the layers.
        size: X, rows and columns of a crossbar.
    """
    count = -(-workload.in_channels // size) * -(-workload.out_channels // size)
    return np.where(workload.on_crossbar, count, 0)


def tile_count(pes: IntArray, hardware: SpikeSimHardware) -> FloatArray:
    """Tiles of each layer; with `sharing: layers` the script's `ceil(sum(PE) / PEs per tile)`, divided by PE share."""
    per_tile = hardware.tile.pes
    if hardware.tile.sharing == "none":
        return np.asarray(-(-pes // per_tile), float)
    total = pes.sum(axis=-1, keepdims=True)
    return pes * (-(-total // per_tile) / np.maximum(total, 1))


def pe_cycle_parts_pj(hardware: SpikeSimHardware, kernel_places: IntArray) -> dict[str, FloatArray]:
    """Energy of one PE cycle by component, in pJ; their sum is the script's `PE_cycle_energy`.

    Args:
        hardware: the description.
        kernel_places: k * k of each layer.
    """
    published, size = hardware.spikesim, hardware.crossbar.rows
    crossbar = getattr(published, f"crossbar_{hardware.crossbar.device}_pj")
    n = size / hardware.crossbar.columns_per_adc
    constant = {
        "interconnect": published.htree_pj,
        "fetch": published.fetch_pj,
        "neuron": published.neuron_pj,
        "adc": n * n * published.adc_pj,
        "mux": n * n * published.mux_pj,
        "accumulate": n * published.subtractions_per_column * published.subtract_pj,
        "temporary_buffer": n * published.temporary_buffer_pj,
        "tile_buffer": published.tile_buffer_pj,
    }
    fixed = {name: np.full(1, value) for name, value in constant.items()}
    return {"crossbar": n * np.asarray(kernel_places) * crossbar, **fixed}


def pe_cycle_energy_pj(hardware: SpikeSimHardware, kernel_places: IntArray) -> FloatArray:
    """Energy of one PE cycle in the script's order of operations, in pJ."""
    published, size = hardware.spikesim, hardware.crossbar.rows
    crossbar = getattr(published, f"crossbar_{hardware.crossbar.device}_pj")
    n = size / hardware.crossbar.columns_per_adc
    pe = np.asarray(kernel_places) * crossbar + n * (published.adc_pj + published.mux_pj)
    fixed = published.htree_pj + published.fetch_pj + published.neuron_pj
    subtract = n * published.subtractions_per_column * published.subtract_pj
    return fixed + n * pe + subtract + n * published.temporary_buffer_pj + published.tile_buffer_pj


def layer_energy_pj(workload: Workload, hardware: SpikeSimHardware) -> FloatArray:
    """Dense energy of each layer per sample, in pJ: PEs x positions x PE-cycle energy x evaluations.

    >>> from hasnas.cim_estimator import LayerSpec, load_hardware
    >>> stack = Workload.from_layers([LayerSpec("conv", 3, 64, kernel_size=3, in_size=32)], timesteps=5)
    >>> round(float(layer_energy_pj(stack, load_hardware("spikesim-65nm-rram"))[0]), 3)
    4241849.074
    """
    cycles = pe_counts(workload, hardware.crossbar.rows) * workload.positions
    steps = workload.evaluations * workload.input_bits
    return cycles * pe_cycle_energy_pj(hardware, workload.kernel_places) * steps


def area_parts_um2(workload: Workload, hardware: SpikeSimHardware) -> dict[str, FloatArray]:
    """Area of each layer by component, in um2; the tiles' area is divided among the layers by their PEs."""
    published, size = hardware.spikesim, hardware.crossbar.rows
    n = size / hardware.crossbar.columns_per_adc
    tiles = tile_count(pe_counts(workload, size), hardware)
    largest = np.where(workload.on_crossbar, workload.kernel_places, 0).max(axis=-1, keepdims=True)
    crossbar = getattr(published, f"crossbar_{hardware.crossbar.device}_um2")
    bits = published.memory_um2_per_bit * hardware.precision.membrane_bits
    inputs = np.where(workload.on_crossbar, workload.in_channels * workload.in_height * workload.in_width, 0)
    return {
        "crossbar": tiles * hardware.tile.pes * largest * crossbar,
        "adc": tiles * (hardware.tile.pes * n * published.adc_um2),
        "mux": tiles * (hardware.tile.pes * n * published.mux_um2),
        "accumulate": tiles * (n * published.subtract_um2),
        "temporary_buffer": tiles * published.temporary_buffer_um2,
        "tile_buffer": tiles * published.tile_buffer_um2,
        "interconnect": tiles * published.htree_um2,
        "input_buffer": inputs * bits,
        "neuron": _counted_outputs(workload, published.neuron_memory_layers) * bits,
    }


def tile_area_um2(hardware: SpikeSimHardware) -> tuple[float, float]:
    """Area of one crossbar array, and of one tile with its converters and buffers but without arrays."""
    published = hardware.spikesim
    n = hardware.crossbar.rows / hardware.crossbar.columns_per_adc
    converters = hardware.tile.pes * n * (published.adc_um2 + published.mux_um2)
    buffers = published.temporary_buffer_um2 + published.tile_buffer_um2
    tile = n * published.subtract_um2 + converters + buffers + published.htree_um2
    return getattr(published, f"crossbar_{hardware.crossbar.device}_um2"), tile


def _counted_outputs(workload: Workload, first: int) -> IntArray:
    """Outputs whose neuron memory counts: those of the first few layers (the script's first five), or of all with 0."""
    counted = workload.on_crossbar
    if first:
        counted = counted & (np.cumsum(workload.on_crossbar, axis=-1) <= first)
    return np.where(counted, workload.out_channels * workload.positions, 0)


def latency_cycles(workload: Workload, hardware: SpikeSimHardware) -> FloatArray:
    """Outputs that each layer adds to the critical path: the next starts at 75 %, the last one runs to its end."""
    outputs = workload.positions * workload.out_channels
    until_next = np.floor(hardware.spikesim.overlap * outputs)
    rank = np.cumsum(workload.on_crossbar, axis=-1)
    last = rank == rank[..., -1:]
    steps = workload.evaluations * workload.input_bits
    return np.where(workload.on_crossbar, np.where(last, outputs, until_next) * steps, 0)


def latency_ns(workload: Workload, hardware: SpikeSimHardware) -> FloatArray:
    """Latency of a sample in ns, layer after layer."""
    cycle_ns = hardware.spikesim.cycles_per_output * (1000 / (hardware.clock_hz / 1e6))
    return latency_cycles(workload, hardware).sum(axis=-1) * cycle_ns


def price(workload: Workload, hardware: SpikeSimHardware, rates: FloatArray, keep: bool) -> Price:
    """Price a workload with the published formulas.

    Args:
        workload: the layers.
        hardware: the description.
        rates: share of active inputs, broadcastable to `[..., L]`.
        keep: whether to keep the parts by layer and component.
    """
    leading = workload.shape[:-1]
    energy, area = Tally(leading, keep), Tally(leading, keep)
    for component, values in energy_parts_j(workload, hardware, rates).items():
        energy.add(component, values)
    for component, parts in area_parts_um2(workload, hardware).items():
        area.add(component, parts * 1e-12)
    pes = pe_counts(workload, hardware.crossbar.rows)
    by_layer = latency_cycles(workload, hardware) * (hardware.spikesim.cycles_per_output / hardware.clock_hz)
    total = by_layer.sum(axis=-1)
    cells = pes * workload.kernel_places * (hardware.crossbar.rows * hardware.crossbar.columns)
    used = workload.weights.sum(axis=-1) / np.maximum(cells.sum(axis=-1), 1)
    return Price(energy, area, by_layer, total, total, np.asarray(pes, float), used, _warnings(workload))


def energy_parts_j(workload: Workload, hardware: SpikeSimHardware, rates: FloatArray) -> dict[str, NDArray[Any]]:
    """Energy of each layer per sample by component, in joules, at the given activity."""
    cycles = pe_counts(workload, hardware.crossbar.rows) * workload.positions.astype(float)
    cycles = cycles * (workload.evaluations * workload.input_bits) * 1e-12
    factors = _activity_factors(workload, hardware, rates)
    parts = pe_cycle_parts_pj(hardware, workload.kernel_places).items()
    return {name: cycles * values * factors.get(name, factors["control"]) for name, values in parts}


def _activity_factors(workload: Workload, hardware: SpikeSimHardware, rates: FloatArray) -> dict[str, FloatArray]:
    """Share of the dense energy that each kind of component still spends."""
    one = np.ones(1)
    if hardware.readout == "clocked":
        return {"crossbar": rates, "control": one}
    inputs = np.minimum(workload.in_channels, hardware.crossbar.rows) * np.maximum(workload.kernel_places, 1)
    patch = any_active(rates, inputs)
    site = any_active(rates, workload.fan_in)
    return {"crossbar": rates, "control": patch, "neuron": site}


def _warnings(workload: Workload) -> list[str]:
    present = [kind.name.lower() for kind in _UNPRICED if bool(np.any(workload.kind == kind))]
    warnings = []
    if present:
        warnings.append(f"the SpikeSim formulas have no figure for {', '.join(present)} layers: they cost nothing here")
    if bool(np.any(workload.on_crossbar & (workload.groups > 1))):
        warnings.append("the SpikeSim formulas know no grouped convolutions: they are priced as full ones")
    if bool(np.any(workload.membrane_bits > 0)):
        warnings.append(
            "the SpikeSim formulas know one width of membranes, the hardware's: a layer's own counts in memory alone"
        )
    return warnings
