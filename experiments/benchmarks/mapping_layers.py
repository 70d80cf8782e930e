"""The estimator's interconnect energy beside that of the mapped network, by layer, for networks that searches found.

    python -m hasnas.experiments.benchmarks.mapping_layers RUN... [--samples 16] [--recipes naive,spinemap] [--seed 0]

Layers are named by what hears: neurons, or sums that travel. Convolutions and fully connected layers in front of it
stand in the same row, as their crossbars send nothing between. All is by sample, with measured spikes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from hasnas.cim_estimator import load_hardware
from hasnas.cim_estimator.mapping import SpikeGraph, chip_of, load_recipe, map_and_evaluate, traffic_by_layer
from hasnas.nas.commands.estimate import Question, answer
from hasnas.nas.spikes.sources import open_source
from hasnas.nas.spikes.synapses import sending_layers
from hasnas.nas.spikes.trace import trace
from hasnas.search_spaces.graph import LayerGraph
from hasnas.search_spaces.layers import Output


def hearers(graph: LayerGraph) -> dict[str, str]:
    """For each layer, the layer that sends and hears it first: itself, or the next behind it in the graph's order."""
    senders = {*sending_layers(graph), *(node.name for node in graph.nodes if isinstance(node.operation, Output))}
    found: dict[str, str] = {}
    for node in reversed(graph.nodes):
        behind = [link.target for link in graph.connections if link.source == node.name and not link.delay]
        found[node.name] = node.name if node.name in senders or not behind else found[behind[0]]
    return found


def assumed_j(run: Path) -> dict[str, float]:
    """Interconnect energy of a sample by layer, with measured spikes."""
    report = answer(Question(run))[0].report
    at = report.energy_components.index("interconnect")
    return dict(zip(report.layer_names, report.energy_by_layer_j[:, at].tolist(), strict=True))


def mapped_j(graph: SpikeGraph, recipe: str, seed: int) -> dict[str, float]:
    """Energy of a sample's packets between tiles by the layer that hears."""
    chip = chip_of(load_hardware("rram-32nm"))
    mapped, _ = map_and_evaluate(graph, load_recipe(recipe), chip, seed)
    return {part.layer: part.energy_j / graph.samples for part in traffic_by_layer(mapped, chip)}


def rows_of(run: Path, samples: int, recipes: list[str], seed: int) -> list[tuple[str, list[float]]]:
    """Layer that hears, and joules: assumed, then by recipe."""
    taken = open_source(run, str(samples))
    graph, behind = trace(taken.deployed, taken.inputs), hearers(taken.deployed.graph)
    columns = [dict.fromkeys(behind.values(), 0.0)]
    for layer, energy_j in assumed_j(run).items():
        columns[0][behind[layer]] += energy_j
    columns += [mapped_j(graph, recipe, seed) for recipe in recipes]
    names = [name for name in columns[1] if any(column[name] for column in columns)]
    return [(name, [column[name] for column in columns]) for name in names]


def main() -> None:
    """Print one table a run, in nanojoules."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--recipes", default="naive,spinemap")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    recipes = asked.recipes.split(",")
    print(f"| network | layer that hears | assumed (nJ) | {' (nJ) | '.join(recipes)} (nJ) | {recipes[-1]} / assumed |")
    print("|---" * (len(recipes) + 4) + "|")
    for run in asked.runs:
        rows = rows_of(run, asked.samples, recipes, asked.seed)
        rows.append(("all", [sum(column) for column in zip(*(values for _, values in rows), strict=True)]))
        for layer, values in rows:
            ratio = f"{values[-1] / values[0]:.3g}" if values[0] else "-"
            shown = " | ".join(f"{value * 1e9:.4g}" for value in values)
            print(f"| {run.name} | {layer} | {shown} | {ratio} |", flush=True)


if __name__ == "__main__":
    main()
