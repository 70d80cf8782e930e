"""Networks that searches returned, on chips with barriers and free-running: accuracy, latency, energy by component.

`python -m hasnas.experiments.benchmarks.simulator_free RUN... [--mappings DIR] [--samples 64] [--save FILE.json]`

In free-running mode a core reads whatever has arrived; timers add leak and biases once a timestep, whose length is that
of the same chip with barriers, times the factors given. The cost model's figures for the same network, with the
activity that its run measured, stand beside: what a read costs whatever arrives, what driven rows add, the wires, the
leakage. Batches of samples go to the file as they are made; what it holds is not run again.
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
BATCH = 4
SYNAPTIC = ("conv", "linear")
PARTS = ("network", "reads", "rows", "leakage")
TITLES = (
    "network", "mode", "timestep ns", "accuracy", "as torch", "spikes", "other spikes", "latency us", "energy nJ",
    *PARTS, "reads", "packets", "packet ns", "events",
)  # fmt: skip


def batch(found: OnChip, classes: np.ndarray) -> dict[str, float]:
    """Totals of some samples."""
    run, count = found.simulated, len(classes)
    delivered = {"packet_s": run.packet_latency_s * run.packets, "latency_s": run.latency_s * count}
    return {
        "samples": count,
        "right": int(np.sum(found.outputs.argmax(1) == classes)),
        "agreeing": round(found.agreement * count),
        "fired": int(run.core_counts[:, 4].sum()),
        "spikes": found.spikes,
        "others": found.other_spikes,
        "reads": int(run.core_counts[:, 2].sum()),
        "packets": run.packets,
        "events": run.events,
        **delivered,
        **{f"{part}_j": joules * count for part, joules in run.energy_j.items()},
    }


def told(name: str, mode: str, period_s: float, all_of: list[dict[str, float]]) -> str:
    """Simulated samples as a row of the table; figures of a sample."""
    total = {key: sum(one[key] for one in all_of) for key in all_of[0]}
    count = total["samples"]
    energy = [total[f"{part}_j"] / count * 1e9 for part in PARTS]
    return (
        f"| {name} | {mode} | {period_s * 1e9:,.4g} "
        f"| {total['right'] / count:.1%} of {count} "
        f"| {total['agreeing'] / count:.1%} | {total['fired']:,} of {total['spikes']:,} | {total['others']:,} "
        f"| {total['latency_s'] / count * 1e6:.4g} | {sum(energy):,.4g} "
        f"| {' | '.join(f'{one:,.4g}' for one in energy)} "
        f"| {total['reads'] / count:,.0f} | {total['packets'] / count:,.0f} "
        f"| {total['packet_s'] / max(total['packets'], 1) * 1e9:.4g} | {total['events']:,} |"
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


def rows(run: Path, arguments: argparse.Namespace, known: dict[str, dict[str, float]]) -> None:
    """All rows of a run; puts batches that are missing among the known ones."""
    taken = open_source(run, arguments.samples, None, arguments.data_root)
    assert taken.targets is not None
    classes, inputs = taken.targets.numpy(), taken.inputs
    mapped = mapping_of(run, taken, arguments.mappings, arguments.recipe)
    name, steps = f"{run.name}, {len(mapped.tiles)} clusters", taken.deployed.graph.timesteps
    step_s = 0.0
    for factor in (0.0, *arguments.factors):  # 0 stands for barriers
        all_of = []
        for first in range(0, len(inputs), BATCH):
            key, these = f"{run.name} {factor} {first}", slice(first, first + BATCH)
            if key not in known or known[key]["samples"] != len(inputs[these]):
                settings = Settings("free") if factor else Settings("barrier")
                found = run_on_chip(taken.deployed, mapped, CHIP, inputs[these], settings, step_s * factor or None)
                known[key] = batch(found, classes[these])
                if arguments.save:
                    arguments.save.write_text(json.dumps(known))
            all_of.append(known[key])
        if not factor:
            step_s = sum(one["latency_s"] for one in all_of) / len(inputs) / steps
        print(told(name, "free" if factor else "barrier", step_s * (factor or 1.0), all_of), flush=True)
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
