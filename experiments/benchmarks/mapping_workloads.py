"""Every recipe on the ten workloads of the literature and on networks that our own searches found.

    python -m hasnas.experiments.benchmarks.mapping_workloads FILE.json [--seeds 10] [--only LeNet,EdgeDet]
        [--recipes naive,spinemap] [--graph digits=digits.npz]
        [--cells pcm-unverified] [--set device.on_resistance_ohm=10kohm] [--wires NAME]
    python -m hasnas.experiments.benchmarks.mapping_workloads FILE.json --show

A seed draws a workload's weights and spikes (those of found networks are measured, see `hasnas map --save-graph`) and
is the only source of chance of the recipes; each recipe's figures are written at once. The clusters of `spinemap` are
also those of `espine` and `thermal`, as all three divide the neurons alike. The bound of a lifetime is what it would be
if the busiest neuron's synapses, with the conductance of a cell that is off, lay on the strongest cells; nothing inside
crossbars can exceed it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from hasnas.cim_estimator import load_hardware
from hasnas.cim_estimator.mapping import (
    Chip,
    MappingMetrics,
    SpikeGraph,
    arrange,
    chip_of,
    evaluate,
    load_recipe,
    map_and_evaluate,
    open_graph,
    partition,
    split_wide,
)

from .mapping_graphs import WORKLOADS

RECIPES = ("naive", "random", "spinemap", "espine", "thermal")
SHARED = RECIPES[2:]
SHOWN = {
    "clusters": ("clusters", 1.0), "global_spikes": ("global spikes (1e3)", 1e-3),
    "communication_energy_j": ("energy (nJ)", 1e9), "latency_s": ("latency (ns)", 1e9),
    "isi_distortion_s": ("ISI distortion (ns)", 1e9), "lifetime_s": ("lifetime (h)", 1 / 3600),
    "warmer_k": ("warming (K)", 1.0), "leakage_w": ("leakage (uW)", 1e6), "seconds": ("mapping (s)", 1.0),
}  # fmt: skip


def measured(graph: SpikeGraph, chip: Chip, seed: int, recipes: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The metrics of one recipe after another; `warmer_k` is the mean temperature above the ambient."""
    narrow = split_wide(graph, chip.limits.rows)
    bound = bound_s(narrow, chip)
    for name, metrics in _mapped(graph, narrow, chip, seed, recipes):
        warmer_k = metrics.temperature_k - chip.cells.ambient_k
        yield name, {**asdict(metrics), "warmer_k": warmer_k, "bound_s": bound}


def _mapped(
    graph: SpikeGraph, narrow: SpikeGraph, chip: Chip, seed: int, recipes: Sequence[str]
) -> Iterator[tuple[str, MappingMetrics]]:
    for name in (name for name in recipes if name not in SHARED):
        yield name, map_and_evaluate(graph, load_recipe(name), chip, seed)[1]
    shared = [name for name in recipes if name in SHARED]
    if not shared:
        return
    start, recipe = time.perf_counter(), load_recipe("spinemap")
    clusters = partition(narrow, chip.limits, recipe.partitioner, np.random.default_rng(seed), recipe.refined)
    dividing = time.perf_counter() - start
    for name in shared:
        start = time.perf_counter()
        mapped = arrange(narrow, clusters, load_recipe(name), chip, np.random.default_rng(seed))
        yield name, evaluate(mapped, chip, name, dividing + time.perf_counter() - start)


def bound_s(graph: SpikeGraph, chip: Chip) -> float | None:
    """No order within crossbars gives a longer life."""
    busiest = int(graph.spikes[np.diff(graph.offsets) > 0].max(initial=0))
    array = chip.array
    coolest = float(array.power_w.min()) * (array.least_share if graph.strengths is not None else 1.0)
    longest = float(array.endurance_at(np.array(coolest)))
    return longest / busiest * graph.duration_s if busiest else None


def ratio(found: list[dict[str, Any]], one: str, other: str, key: str) -> float:
    """Median over seeds of one recipe's figure over another's."""
    pairs = [(seed[one][key], seed[other][key]) for seed in found if {one, other} <= seed.keys()]
    return statistics.median(a / b for a, b in pairs if a is not None and b)


def show(results: dict[str, list[dict[str, Any]]]) -> None:
    """A table with medians and ranges, and one with the ratios that are asked for."""
    titles = [title for title, _ in SHOWN.values()]
    print(f"| workload | recipe | {' | '.join(titles)} |\n|---|---|{'---|' * len(titles)}")
    for name, found in results.items():
        for recipe in (name for name in RECIPES if any(name in seed for seed in found)):
            known = [seed[recipe] for seed in found if recipe in seed]
            cells = [_cell([metrics[key] for metrics in known], scale) for key, (_, scale) in SHOWN.items()]
            print(f"| {name} ({len(known)}) | {recipe} | {' | '.join(cells)} |")
    heads = (
        "SpiNeMap / naive: energy",
        "latency",
        "eSpine / SpiNeMap: lifetime",
        "of the bound",
    )
    heads += "thermal / SpiNeMap: warming", "leakage", "cooler by (K)"  # fmt: skip
    print(f"\n| workload | {' | '.join(heads)} |\n|---|{'---|' * len(heads)}")
    rows = []
    for name, seeds in results.items():
        found = [seed for seed in seeds if {"naive", *SHARED} <= seed.keys()]
        if not found:
            continue
        bounds = [(seed["espine"]["lifetime_s"], seed["espine"]["bound_s"]) for seed in found]
        cooler = [seed["spinemap"]["temperature_k"] - seed["thermal"]["temperature_k"] for seed in found]
        rows.append([
            ratio(found, "spinemap", "naive", "communication_energy_j"), ratio(found, "spinemap", "naive", "latency_s"),
            ratio(found, "espine", "spinemap", "lifetime_s"), statistics.median(a / b for a, b in bounds if a and b),
            ratio(found, "thermal", "spinemap", "warmer_k"), ratio(found, "thermal", "spinemap", "leakage_w"),
            statistics.median(cooler),
        ])  # fmt: skip
        print(f"| {name} | {' | '.join(f'{value:.3g}' for value in rows[-1])} |")
    if rows:
        print(f"| mean | {' | '.join(f'{value:.3g}' for value in np.mean(rows, axis=0))} |")


def _cell(values: list[float | None], scale: float) -> str:
    known = [value * scale for value in values if value is not None]
    if not known:
        return "-"
    low, high = min(known), max(known)
    return f"{statistics.median(known):.4g}" + (f" ({low:.3g} to {high:.3g})" if high > low * 1.005 else "")


def main() -> None:
    """Measure what the file does not hold yet, or show it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--only", default=",".join(WORKLOADS))
    parser.add_argument("--graph", action="append", default=[], metavar="NAME=FILE.npz")
    parser.add_argument("--recipes", default=",".join(RECIPES))
    parser.add_argument("--hardware", default="rram-32nm")
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--cells", default="unverified")
    parser.add_argument("--wires", default="rram-typical")
    parser.add_argument("--show", action="store_true")
    asked = parser.parse_args()
    results = json.loads(asked.file.read_text()) if asked.file.is_file() else {}
    if asked.show:
        return show(results)
    settings = dict(text.split("=", 1) for text in asked.set)
    chip = chip_of(load_hardware(asked.hardware, settings), cells=asked.cells, wires=asked.wires)
    given = dict(text.split("=", 1) for text in asked.graph)
    for name in [name for name in asked.only.split(",") if name] + list(given):
        done = results.setdefault(name, [])
        for seed in range(asked.seeds):
            if seed == len(done):
                done.append({})
            missing = [recipe for recipe in asked.recipes.split(",") if recipe not in done[seed]]
            if not missing:
                continue
            graph = open_graph(given[name]) if name in given else WORKLOADS[name](np.random.default_rng(seed))
            for recipe, metrics in measured(graph, chip, seed, missing):
                done[seed][recipe] = metrics
                asked.file.write_text(json.dumps(results, indent=1))
    return show(results)


if __name__ == "__main__":
    main()
