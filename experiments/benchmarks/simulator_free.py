"""Networks that searches returned, on chips with barriers and free-running: accuracy, latency, energy.

`python -m hasnas.experiments.benchmarks.simulator_free RUN... [--samples 64] [--recipe naive] [--data-root DIR]`

In free-running mode a core reads whatever has arrived; timers add leak and biases once a timestep, whose length is that
of the same chip with barriers, times the factors given. The cost model's figures for the same network and the same
spikes stand beside.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from hasnas.cim_estimator import load_hardware
from hasnas.cim_estimator.mapping import chip_of, load_recipe, map_graph
from hasnas.cim_estimator.simulator import Settings
from hasnas.nas.spikes import trace
from hasnas.nas.spikes.on_chip import OnChip, run_on_chip
from hasnas.nas.spikes.sources import open_source


def row(name: str, mode: str, period_s: float, found: OnChip, classes: np.ndarray) -> str:
    """One simulation as a row of the table."""
    energy = found.simulated.energy_j
    accuracy = float(np.mean(found.outputs.argmax(1) == classes))
    fired = int(found.simulated.core_counts[:, 4].sum())
    parts = " + ".join(f"{energy[part] * 1e9:,.4g}" for part in ("network", "reads", "rows", "leakage"))
    return (
        f"| {name} | {mode} | {period_s * 1e9:,.4g} | {accuracy:.1%} | {found.agreement:.1%} "
        f"| {fired:,} of {found.spikes:,} | {found.simulated.latency_s * 1e6:.4g} | {sum(energy.values()) * 1e9:,.4g} "
        f"| {parts} | {found.simulated.packets // len(classes):,} | {found.simulated.packet_latency_s * 1e9:.4g} |"
    )


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--samples", default="64")
    parser.add_argument("--recipe", default="naive")
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--factors", type=float, nargs="+", default=[0.3, 1.0, 3.0, 10.0])
    arguments = parser.parse_args()
    print("| network | mode | timestep ns | accuracy | as torch | spikes | latency us | energy nJ "
          "| network + reads + rows + leakage | packets | packet ns |")  # fmt: skip
    print("|" + "---|" * 11)
    chip = chip_of(load_hardware("rram-32nm"))
    for run in arguments.runs:
        taken = open_source(run, arguments.samples, None, arguments.data_root)
        assert taken.targets is not None
        classes, inputs = taken.targets.numpy(), taken.inputs
        mapped = map_graph(trace(taken.deployed, inputs[:4]), load_recipe(arguments.recipe), chip)
        found = run_on_chip(taken.deployed, mapped, chip, inputs)
        step_s = found.simulated.latency_s / found.built.program.steps
        print(row(run.name, "barrier", step_s, found, classes), flush=True)
        for factor in arguments.factors:
            free = run_on_chip(taken.deployed, mapped, chip, inputs, Settings("free"), period_s=step_s * factor)
            print(row(run.name, "free", step_s * factor, free, classes), flush=True)


if __name__ == "__main__":
    main()
