"""Bits that a network keeps on the chip."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hasnas.cim_estimator.hardware.spec import HardwareSpec
from hasnas.cim_estimator.workload.workload import LayerKind, Workload


def memory_by_layer_bits(workload: Workload, hardware: HardwareSpec) -> NDArray[np.int64]:
    """Bits each layer keeps: weights, biases, membranes and values held for the next timestep, `[..., L]`.

    >>> from hasnas.cim_estimator import LayerSpec, load_hardware
    >>> layer = Workload.from_layers([LayerSpec("linear", 10, 4, biases=4)], timesteps=1)
    >>> memory_by_layer_bits(layer, load_hardware("rram-22nm")).tolist()  # 40 weights of 8 bits, 4 biases of 16
    [384]
    """
    return present(workload, np.asarray(sum(memory_parts_bits(workload, hardware).values())))


def memory_parts_bits(workload: Workload, hardware: HardwareSpec) -> dict[str, NDArray[Any]]:
    """The same by what is kept; each array broadcasts to `[..., L]`."""
    precision = hardware.precision
    weight_bits = np.where(workload.weight_bits > 0, workload.weight_bits, precision.weight_bits)
    used = workload.kind != LayerKind.NONE
    return {
        "weights": workload.weights * weight_bits,
        "biases": np.where(used, workload.biases * precision.bias_bits, 0),
        "membranes": workload.neurons * membrane_bits(workload, hardware),
        "delayed": np.where(
            used, workload.delay * workload.out_channels * workload.positions * precision.value_bits, 0
        ),
    }


def live_bits_by_layer(workload: Workload, hardware: HardwareSpec) -> NDArray[np.int64]:
    """Bits each layer reads and writes in a timestep, `[..., L]`: its input map and its output map, spikes of one bit.

    >>> from hasnas.cim_estimator import LayerSpec, load_hardware
    >>> layer = Workload.from_layers([LayerSpec("linear", 10, 4)], timesteps=1)  # 10 spikes, 4 values of 8 bits
    >>> live_bits_by_layer(layer, load_hardware("rram-22nm")).tolist()
    [42]
    """
    inputs = workload.in_channels * workload.in_height * workload.in_width * workload.input_bits
    bits = np.where(workload.kind == LayerKind.LIF, 1, hardware.precision.value_bits)
    return present(workload, inputs + workload.out_channels * workload.positions * bits)


def membrane_bits(workload: Workload, hardware: HardwareSpec) -> NDArray[np.int64]:
    """Bits of each slot's membranes: the layer's own, or those of the hardware; broadcasts to `[..., L]`."""
    return np.where(workload.membrane_bits > 0, workload.membrane_bits, hardware.precision.membrane_bits)


def present(workload: Workload, values: NDArray[Any]) -> NDArray[np.int64]:
    """Whole numbers of each slot, zero where a candidate does not use it, `[..., L]`."""
    whole = np.where(workload.kind != LayerKind.NONE, values, 0).astype(np.int64)
    return np.broadcast_to(whole, np.broadcast_shapes(whole.shape, workload.shape))
