"""How often each layer does what: the numbers that energies and times are multiplied by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hasnas.cim_estimator.hardware.spec import GeneralHardware
from hasnas.cim_estimator.workload.workload import LayerKind, Workload

from . import components as circuit
from .crossbars import Placement, place

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Counts:
    """Counts of one workload on one hardware; every array broadcasts to `[..., L]`.

    Args:
        workload, hardware, placement: what is counted, and where its weights lie.
        converter: the ADC.
        rates: share of active inputs.
        reads: patches x evaluations x input bits, or fewer if a DAC takes several bits at once; per sample. An array
            that drives its rows group by group takes several steps for one.
        patch_bits: patches x evaluations x input bits, per sample.
        converted: share of reads (of steps of one) in which an array is converted.
        conversions: of columns and reference columns, per sample.
        active_share: share of values that are moved and computed with; all of them unless the readout is by events.
        updates: LIF updates per sample.
        inputs, outputs: values per evaluation.
        digital_operations: additions of pooling, adding and scaling, per evaluation.
    """

    workload: Workload
    hardware: GeneralHardware
    placement: Placement
    converter: circuit.Converter
    rates: FloatArray
    reads: NDArray[Any]
    patch_bits: NDArray[Any]
    converted: NDArray[Any]
    conversions: NDArray[Any]
    active_share: NDArray[Any]
    updates: NDArray[Any]
    inputs: NDArray[Any]
    outputs: NDArray[Any]
    digital_operations: NDArray[Any]

    @staticmethod
    def of(workload: Workload, hardware: GeneralHardware, rates: FloatArray) -> Counts:
        """Count what a workload does on the hardware when a share `rates` of its inputs is active."""
        placement = place(workload, hardware)
        on, present = workload.on_crossbar, workload.kind != LayerKind.NONE
        patches = np.where(on, workload.positions * workload.evaluations.astype(float), 0.0)
        reads = patches * -(-workload.input_bits // hardware.dac.bits)
        event, ones = hardware.readout == "event", np.ones(1)
        rows = workload.fan_in / np.maximum(placement.row_groups, 1)  # that are driven at once
        converted = any_active(rates, rows) if event else ones
        beside = placement.arrays // np.maximum(placement.row_blocks, 1)  # arrays that hold the other outputs
        references = beside * placement.row_groups if hardware.crossbar.signed == "offset" else 0
        active_share = rates if event else ones
        outputs = np.where(present, workload.out_channels * workload.positions, 0)
        return Counts(
            workload, hardware, placement, circuit.converter(hardware), rates, reads,
            patch_bits=patches * workload.input_bits,
            converted=converted,
            conversions=reads * (placement.columns * placement.row_groups + references) * converted,
            active_share=active_share,
            updates=workload.neurons * workload.evaluations * active_share,
            inputs=np.where(present, workload.in_channels * workload.in_height * workload.in_width, 0),
            outputs=outputs,
            digital_operations=outputs * _additions_per_output(workload, hardware),
        )  # fmt: skip


def any_active(rates: FloatArray, inputs: NDArray[Any]) -> FloatArray:
    """Probability that at least one of `inputs` independent inputs is active, `1 - (1 - rate)^inputs`.

    >>> any_active(np.array([0.5]), np.array([2]))
    array([0.75])
    """
    return 1.0 - (1.0 - rates) ** inputs


def _additions_per_output(workload: Workload, hardware: GeneralHardware) -> NDArray[Any]:
    """Additions of value width per output: a pooling window, the operands of a sum, a multiply-add of a scale."""
    kind = workload.kind
    operands = np.maximum(workload.in_channels // np.maximum(workload.out_channels, 1), 2)
    multiply_add = hardware.precision.value_bits + 1  # a multiplication adds once for each bit
    scale = np.where(kind == LayerKind.SCALE, multiply_add, 0)
    adds = np.where(kind == LayerKind.ADD, operands - 1, scale)
    return np.where(kind == LayerKind.POOL, workload.kernel_places, adds)
