"""Our device model beside CrossSim on one layer: same weights, inputs, cell bits, variation and converters.

Needs a checkout of github.com/sandialabs/cross-sim (3.2.0); nothing of it is copied here.

python experiments/benchmarks/nonideal_crosssim.py PATH_TO_CROSS_SIM --chips 20 --seed 0
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hasnas.cim_estimator.nonideal import (
    AdcLimits,
    NonidealSpec,
    calibrate,
    load_nonideal,
    multiply,
    program,
    to_conductances,
    with_wire_resistance,
)

OUTPUTS, INPUTS, ROWS, SAMPLES = 128, 576, 144, 128  # Conv 3x3, 64 -> 128 channels, on arrays of 144 rows
FEW_SAMPLES = 16  # where CrossSim draws or solves every cell for every input


@dataclass(frozen=True)
class Case:
    """One comparison."""

    label: str
    device: NonidealSpec
    inputs: str = "spikes"


BASE = NonidealSpec(rows=ROWS, columns=OUTPUTS + 1, off_resistance_ohm=1e5)
CASES = (
    Case(
        "8-bit weight on 4 x 2-bit cells, no variation, 6-bit ADC per slice",
        BASE.with_changes({"cell_bits": 2, "weight_bits": 8, "adc_bits": 6}),
    ),
    Case("4-bit cell, differential, variation 10 % of G", BASE.with_changes({"cell_bits": 4, "device_variation": 0.1})),
    Case("the same, 6-bit ADC", BASE.with_changes({"cell_bits": 4, "device_variation": 0.1, "adc_bits": 6})),
    Case(
        "8-bit weight on 4 x 2-bit cells, variation 10 %, 6-bit ADC per slice",
        BASE.with_changes({"cell_bits": 2, "weight_bits": 8, "device_variation": 0.1, "adc_bits": 6}),
    ),
    Case(
        "offset column, 8-bit weight on 4 x 2-bit cells, variation 5 %, 8-bit ADC",
        BASE.with_changes(
            {"signed": "offset", "cell_bits": 2, "weight_bits": 8, "device_variation": 0.05, "adc_bits": 8}
        ),
    ),
    Case(
        "4-bit cell, variation 5 % of G_on, no ADC",
        BASE.with_changes({"cell_bits": 4, "device_variation": 0.05, "variation_scales_with": "maximum"}),
    ),
    Case("4-bit cell, read noise 10 % of G", BASE.with_changes({"cell_bits": 4, "read_noise": 0.1})),
    Case(
        "measured cells of Milo 2021, 4-bit weight, 8-bit ADC",
        load_nonideal("rram-milo-2021").with_changes({"rows": ROWS, "cell_bits": 3, "weight_bits": 4, "adc_bits": 8}),
    ),
    Case(
        "4-bit cell, 8-bit inputs bit-serial, variation 10 %, 6-bit ADC per bit",
        BASE.with_changes({"cell_bits": 4, "device_variation": 0.1, "adc_bits": 6, "input_bits": 8}),
        inputs="real",
    ),
    Case(
        "4-bit cell, wires of 1 ohm, no variation",
        BASE.with_changes({"cell_bits": 4, "row_wire_ohm": 1.0, "column_wire_ohm": 1.0}),
    ),
    Case(
        "4-bit cell, wires of 1 ohm, variation 10 %",
        BASE.with_changes({"cell_bits": 4, "device_variation": 0.1, "row_wire_ohm": 1.0, "column_wire_ohm": 1.0}),
    ),
)


def layer(seed: int, kind: str, samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights `[outputs, inputs]` and inputs `[samples, inputs]`: spikes (20 %) or values in [0, 1]."""
    rng = np.random.default_rng(seed)
    weights = rng.normal(0, 0.05, (OUTPUTS, INPUTS))
    draws = rng.random((samples, INPUTS))
    return weights, (draws < 0.2).astype(float) if kind == "spikes" else draws


def ours(
    case: Case, weights: np.ndarray, inputs: np.ndarray, limits: AdcLimits | None, chips: int, seed: int
) -> np.ndarray:
    """Outputs `[chips, samples, outputs]` of our model."""
    cells = with_wire_resistance(program(to_conductances(weights, case.device), chips, seed))
    scale = 1.0 if case.inputs == "real" else None
    return multiply(cells, inputs, limits, scale, np.random.default_rng(seed))


def theirs(
    case: Case, weights: np.ndarray, inputs: np.ndarray, limits: AdcLimits | None, chips: int, seed: int
) -> np.ndarray:
    """Outputs `[chips, samples, outputs]` of CrossSim."""
    from simulator import AnalogCore

    np.random.seed(seed)  # CrossSim draws from numpy's global generator
    outputs = []
    for _ in range(chips):
        core = AnalogCore(weights, crosssim_parameters(case, weights, limits))
        outputs.append(np.asarray(core @ inputs.T).T)
    return np.stack(outputs)


def crosssim_parameters(case: Case, weights: np.ndarray, limits: AdcLimits | None) -> Any:
    """The case in CrossSim's terms."""
    from simulator import CrossSimParameters
    from simulator.parameters.core_parameters import BitSlicedCoreStyle, CoreStyle, OffsetCoreStyle

    device, params = case.device, CrossSimParameters()
    bits = device.weight_bits or device.cell_bits + 1
    params.core.rows_max, params.core.cols_max, params.core.weight_bits = ROWS, OUTPUTS, bits
    weight_range = params.core.mapping.weights
    weight_range.percentile, weight_range.clipping = None, False
    weight_range.max = float(np.abs(weights).max())
    weight_range.min = -weight_range.max
    if device.slices > 1:
        params.core.style = CoreStyle.BITSLICED
        params.core.bit_sliced.num_slices = device.slices
        offset = device.signed == "offset"
        params.core.bit_sliced.style = BitSlicedCoreStyle.OFFSET if offset else BitSlicedCoreStyle.BALANCED
        params.core.offset.style = OffsetCoreStyle.UNIT_COLUMN_SUBTRACTION
    else:
        params.core.style = CoreStyle.BALANCED
    cell = params.xbar.device
    cell.cell_bits, cell.Rmin, cell.Rmax = device.cell_bits, device.on_resistance_ohm, device.off_resistance_ohm
    model = "NormalProportionalDevice" if device.variation_scales_with == "conductance" else "NormalIndependentDevice"
    if device.programming_error_s:
        cell.programming_error.enable, cell.programming_error.model = True, "RRAMMilo"
    elif device.device_variation:
        cell.programming_error.enable, cell.programming_error.model = True, model
        cell.programming_error.magnitude = device.device_variation
    if device.read_noise:
        cell.read_noise.enable, cell.read_noise.model, cell.read_noise.magnitude = True, model, device.read_noise
    if device.row_wire_ohm:
        wires = params.xbar.array.parasitics
        wires.enable, wires.Rp_row, wires.Rp_col = True, device.row_wire_ohm, device.column_wire_ohm
        params.simulation.Verr_th_mvm = 1e-5
    if case.inputs == "real":
        params.core.mapping.inputs.mvm.min, params.core.mapping.inputs.mvm.max = 0.0, 1.0
        params.core.mapping.inputs.vmm.min, params.core.mapping.inputs.vmm.max = 0.0, 1.0
        dac = params.xbar.dac.mvm
        dac.model, dac.bits, dac.signed, dac.input_bitslicing = "QuantizerDAC", device.input_bits, False, True
    if limits is not None:
        ranges = np.stack([limits.low, limits.high], axis=1).tolist()
        params.xbar.adc.mvm.model = "QuantizerADC" if limits.low[0] == 0 else "SignMagnitudeADC"
        adc = params.xbar.adc.mvm  # setting the model replaced the object
        adc.bits, adc.adc_per_ibit = device.adc_bits, case.inputs == "real"
        adc.calibrated_range = ranges if device.slices > 1 else ranges[0]
        if params.xbar.adc.mvm.bits != device.adc_bits:
            raise RuntimeError("CrossSim did not take the converter's settings; is this release 3.2.0?")
    return params


def figures(
    run: Callable[..., np.ndarray], case: Case, weights: np.ndarray, inputs: np.ndarray, chips: int, seed: int
) -> tuple[float, float, float, int]:
    """Mean absolute error, standard deviation of the error, seconds, number of outputs."""
    scale = 1.0 if case.inputs == "real" else None
    design = to_conductances(weights, case.device)
    limits = calibrate(design, inputs, scale) if case.device.adc_bits else None
    start = time.perf_counter()
    error = run(case, weights, inputs, limits, chips, seed) - inputs @ weights.T
    return float(np.abs(error).mean()), float(error.std()), time.perf_counter() - start, error.size


def main() -> None:
    """Print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("crosssim", type=Path)
    parser.add_argument("--chips", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    sys.path.insert(0, str(options.crosssim))
    columns = "outputs | MAE ours | MAE CrossSim | ratio | SD ours | SD CrossSim | ratio | s ours | s CrossSim"
    print(f"| layer of 576 x 128 on arrays of 144 rows | {columns} |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for case in CASES:
        samples = FEW_SAMPLES if case.device.read_noise or case.device.row_wire_ohm else SAMPLES
        weights, inputs = layer(options.seed, case.inputs, samples)
        a, b = (figures(run, case, weights, inputs, options.chips, options.seed) for run in (ours, theirs))
        print(
            f"| {case.label} | {a[3]:,} | {a[0]:.5f} | {b[0]:.5f} | {a[0] / b[0]:.4f} | {a[1]:.5f} | {b[1]:.5f} "
            f"| {a[1] / b[1]:.4f} | {a[2]:.2f} | {b[2]:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
