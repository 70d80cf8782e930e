"""Eleven networks on simulated chips with barriers: every spike must be the one that torch computes.

`python -m hasnas.experiments.benchmarks.simulator_networks [--samples 64] [--save FILE.json]`

Architectures are drawn from two spaces, with each kind of neurons, images and sequences, feedback, maxima, few-bit
membranes; weights as drawn, batch norms calibrated so that every layer fires. Compared is the deployed network in
double precision, and, for orientation, the network as trained in single precision. Rows go to the file as they are
made; what it holds is not run again.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from hasnas.cim_estimator import load_hardware
from hasnas.cim_estimator.mapping import chip_of, load_recipe, map_graph
from hasnas.cim_estimator.simulator import Kind
from hasnas.nas.export.deploy import deploy
from hasnas.nas.spikes import trace
from hasnas.nas.spikes.on_chip import OnChip, run_on_chip
from hasnas.search_spaces import Architecture, Edge, Genotype, Macro
from hasnas.search_spaces.network import SpikingNetwork, build_network
from tests.lively import draw_inputs, enliven

BASE = Macro((1, 8, 8), classes=10, timesteps=4, channels=8, hidden=16, votes=1)
CONV = Genotype(2, (Edge(0, 1, "conv3x3"),))
BRANCHES = Genotype(3, (Edge(0, 1, "conv3x3"), Edge(1, 2, "avgpool3x3"), Edge(0, 2, "conv1x1")))
LOOP = Genotype(3, (Edge(0, 1, "conv3x3"), Edge(1, 2, "conv3x3"), Edge(2, 1, "conv3x3")))
SILENT_LOOP = Genotype(3, (Edge(0, 1, "conv3x3"), Edge(1, 2, "identity"), Edge(2, 1, "identity")))
MAXIMA = Genotype(3, (Edge(0, 1, "maxpool3x3"), Edge(1, 2, "conv3x3")))
NETWORKS: dict[str, tuple[Genotype, Macro, str]] = {
    "LIF": (CONV, BASE, "128"),
    "LIF, small crossbars": (BRANCHES, replace(BASE, input_shape=(1, 6, 6)), "32"),
    "IF": (BRANCHES, replace(BASE, neuron="if"), "128"),
    "adaptive threshold": (BRANCHES, replace(BASE, neuron="alif", votes=2), "128"),
    "soft reset": (CONV, replace(BASE, neuron="lif_soft_reset"), "128"),
    "leaky synapses": (CONV, replace(BASE, neuron="synaptic_lif"), "128"),
    "learned time constants": (CONV, replace(BASE, neuron="plif", channels=12), "128"),
    "feedback": (LOOP, BASE, "128"),
    "feedback without neurons": (SILENT_LOOP, BASE, "128"),
    "maxima": (MAXIMA, replace(BASE, channels=4, reduction="max_pool"), "256"),
    "sequences, 5-bit membranes": (
        CONV, replace(BASE, input_shape=(2, 8, 8), static_input=False, membrane_bits=5, timesteps=8), "128",
    ),
}  # fmt: skip


def single_precision(network: SpikingNetwork, found: OnChip, inputs: torch.Tensor) -> int:
    """Spikes that the network as trained, in single precision, and the chip do not share."""
    with torch.no_grad():
        values = network.run(inputs if found.built.static else inputs.transpose(0, 1))
    other = 0
    for name, first in found.built.first.items():
        if found.built.program.kinds[first] == Kind.NEURON:
            spikes = network.at_every_step(values, name).flatten(2).transpose(0, 1).numpy()
            rasters = np.stack([run.raster[:, first : first + spikes.shape[2]] for run in found.simulated.runs])
            other += int(np.abs(rasters - spikes).sum())
    return other


def row(name: str, count: int) -> str:
    """One network as a row of the table."""
    cell, macro, size = NETWORKS[name]
    network = enliven(build_network(Architecture((cell, cell), macro).expand(), 0))
    inputs = draw_inputs(network, count, 1)
    inputs = inputs if inputs.dim() == 4 else inputs.transpose(0, 1)
    deployed = deploy(network.graph, network.state_dict())
    chip = chip_of(load_hardware("rram-32nm", {"crossbar.size": size}))
    mapped = map_graph(trace(deployed, inputs[:2]), load_recipe("naive"), chip)
    start = time.process_time()
    found = run_on_chip(deployed, mapped, chip, inputs)
    seconds = time.process_time() - start
    return (
        f"| {name} | {mapped.graph.neurons:,} | {len(mapped.tiles)} | {found.spikes:,} | {found.other_spikes} "
        f"| {single_precision(network, found, inputs)} | {np.abs(found.outputs - found.own_outputs).max():.1g} "
        f"| {found.simulated.events:,} | {seconds:.2f} s |"
    )


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--save", type=Path)
    arguments = parser.parse_args()
    rows = json.loads(arguments.save.read_text()) if arguments.save and arguments.save.exists() else {}
    print("| network | neurons | clusters | spikes | others | others, float32 | outputs differ by | events | time |")
    print("|" + "---|" * 9)
    for name in NETWORKS:
        rows[name] = rows.get(name) or row(name, arguments.samples)
        print(rows[name], flush=True)
        if arguments.save:
            arguments.save.write_text(json.dumps(rows))


if __name__ == "__main__":
    main()
