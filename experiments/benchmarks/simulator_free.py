"""Networks that searches returned, on chips with barriers and free-running: accuracy, latency, energy by component.

`python -m hasnas.experiments.benchmarks.simulator_free RUN... [--mappings DIR] [--samples 64] [--save FILE.json]`

In free-running mode a core reads whatever has arrived; timers add leak and biases once a timestep, whose length is that
of the same chip with barriers, times the factors given. The cost model's figures for the same network, with the
activity that its run measured, stand beside: what a read costs whatever arrives, what driven rows add, the wires, the
leakage. Rows go to the file as they are made; what it holds is not run again.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from hasnas.cim_estimator import Activity, estimate, load_hardware
from hasnas.cim_estimator.mapping import Mapped, check_clusters, chip_of, load_recipe, map_graph, open_mapping
from hasnas.cim_estimator.simulator import Settings
from hasnas.nas.commands.estimate import read_workload
from hasnas.nas.spikes import trace
from hasnas.nas.spikes.on_chip import OnChip, run_on_chip
from hasnas.nas.spikes.sources import Taken, open_source

HARDWARE = load_hardware("rram-32nm")
CHIP = chip_of(HARDWARE)
SYNAPTIC = ("conv", "linear")
PARTS = ("network", "reads", "rows", "leakage")
TITLES = (
    "network", "mode", "timestep ns", "accuracy", "as torch", "spikes", "other spikes", "latency us", "energy nJ",
    *PARTS, "reads", "packets", "packet ns", "events",
)  # fmt: skip


def simulated(name: str, mode: str, period_s: float, found: OnChip, classes: np.ndarray) -> str:
    """One simulation as a row of the table; figures of a sample."""
    run, count = found.simulated, len(classes)
    energy, fired, reads = run.energy_j, int(run.core_counts[:, 4].sum()), int(run.core_counts[:, 2].sum())
    parts = " | ".join(f"{energy[part] * 1e9:,.4g}" for part in PARTS)
    return (
        f"| {name} | {mode} | {period_s * 1e9:,.4g} | {np.mean(found.outputs.argmax(1) == classes):.1%} "
        f"| {found.agreement:.1%} | {fired:,} of {found.spikes:,} | {found.other_spikes:,} | {run.latency_s * 1e6:.4g} "
        f"| {sum(energy.values()) * 1e9:,.4g} | {parts} | {reads // count:,} | {run.packets // count:,} "
        f"| {run.packet_latency_s * 1e9:.4g} | {run.events:,} |"
    )


def priced(run: Path) -> str:
    """The cost model's answer as a row of the table."""
    workload = read_workload(run, measured=True)
    idle, busy = (estimate(workload, HARDWARE, activity) for activity in (Activity.assumed(0.0), Activity.measured()))
    names = list(busy.energy_components)
    apart = [names.index("interconnect"), names.index("leakage")]
    synaptic = np.isin(busy.layer_kinds, SYNAPTIC)
    still, moved = (np.delete(report.energy_by_layer_j, apart, axis=1).sum(1) for report in (idle, busy))
    reads_j = np.where(synaptic, still, moved)
    wires_j, leakage_j = busy.energy_by_layer_j.sum(0)[apart]
    parts = " | ".join(
        f"{joules * 1e9:,.4g}" for joules in (wires_j, reads_j.sum(), (moved - reads_j).sum(), leakage_j)
    )
    return (
        f"| {run.name} | cost model | - | - | - | - | - | {float(busy.latency_s) * 1e6:.4g} "
        f"| {float(busy.energy_j) * 1e9:,.4g} | {parts} | - | - | - | - |"
    )


def mapping_of(run: Path, taken: Taken, mappings: Path | None, recipe: str) -> Mapped:
    """The run's mapping in a folder, or one that is made now."""
    if mappings is None:
        return map_graph(trace(taken.deployed, taken.inputs[:4]), load_recipe(recipe), CHIP)
    mapped = open_mapping(mappings / f"{run.name}.npz", trace(taken.deployed, taken.inputs[:1]))
    check_clusters(mapped.graph, mapped.clusters, CHIP.limits)
    return mapped


def rows(run: Path, arguments: argparse.Namespace, known: dict[str, str]) -> None:
    """All rows of a run; puts those that are missing among the known ones."""
    taken = open_source(run, arguments.samples, None, arguments.data_root)
    assert taken.targets is not None
    classes, inputs = taken.targets.numpy(), taken.inputs
    mapped = mapping_of(run, taken, arguments.mappings, arguments.recipe)
    step_s = 0.0
    for factor in (0.0, *arguments.factors):  # 0 stands for barriers
        key = f"{run.name} {factor} {len(inputs)}"
        if key not in known:
            settings = Settings("free") if factor else Settings("barrier")
            found = run_on_chip(taken.deployed, mapped, CHIP, inputs, settings, period_s=step_s * factor or None)
            step_s = step_s or found.simulated.latency_s / found.built.program.steps
            mode, period_s = ("free", step_s * factor) if factor else ("barrier", step_s)
            known[key] = simulated(f"{run.name}, {len(mapped.tiles)} clusters", mode, period_s, found, classes)
            known[f"{key} step"] = str(step_s)
            if arguments.save:
                arguments.save.write_text(json.dumps(known))
        step_s = float(known[f"{key} step"])
        print(known[key], flush=True)
    print(priced(run), flush=True)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--samples", default="64")
    parser.add_argument("--recipe", default="naive")
    parser.add_argument("--mappings", type=Path, help="folder of RUN.npz as hasnas map --save writes them")
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--factors", type=float, nargs="+", default=[0.3, 1.0, 3.0, 10.0])
    parser.add_argument("--save", type=Path)
    arguments = parser.parse_args()
    known = json.loads(arguments.save.read_text()) if arguments.save and arguments.save.exists() else {}
    print(f"| {' | '.join(TITLES)} |")
    print("|" + "---|" * len(TITLES))
    for run in arguments.runs:
        rows(run, arguments, known)


if __name__ == "__main__":
    main()
