"""How tracing, dividing and placing grow with the synapses of a network: seconds of a processor, and memory.

    python -m hasnas.experiments.benchmarks.mapping_growth [--sizes 1e4,1e5,1e6,1e7] [--recipe spinemap]

Networks are two convolutions of 3 x 3 with full mixing of channels and fresh weights on one sample of noise; each size
runs in a process of its own, after a small network that compiles everything.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from itertools import pairwise

import numpy as np
import torch

from hasnas.cim_estimator import load_hardware
from hasnas.cim_estimator.mapping import arrange, chip_of, load_recipe, partition, split_wide
from hasnas.nas.export.deploy import deploy
from hasnas.nas.spikes import trace
from hasnas.search_spaces.graph import Connection, LayerGraph, Node
from hasnas.search_spaces.layers import LIF, Conv2d, Input, Output
from hasnas.search_spaces.network import build_network

SHAPES = {1e4: (4, 6), 1e5: (8, 9), 1e6: (16, 15), 1e7: (32, 23)}  # channels, side of the maps


def network(channels: int, side: int) -> LayerGraph:
    """Input, convolution, neurons, convolution, neurons."""
    shape = (channels, side, side)
    conv = Conv2d(channels, channels, 3, padding=1)
    kinds = [Input(static=False), conv, LIF(threshold=0.05), conv, LIF(threshold=0.05), Output()]
    nodes = tuple(Node(f"layer{number}", kind, shape) for number, kind in enumerate(kinds))
    links = tuple(Connection(one.name, other.name) for one, other in pairwise(nodes))
    return LayerGraph(nodes, links, timesteps=4)


def measure(size: float, recipe_name: str) -> dict[str, float]:
    """Seconds by step."""
    chip, recipe = chip_of(load_hardware("rram-32nm")), load_recipe(recipe_name)
    found: dict[str, float] = {}
    for shape in (SHAPES[1e4], SHAPES[size]):
        start = time.process_time()
        graph = network(*shape)
        sample = torch.rand(1, 4, shape[0], shape[1], shape[1], generator=torch.Generator().manual_seed(0)) < 0.2
        deployed = deploy(graph, build_network(graph, 0).state_dict())
        traced = trace(deployed, sample.float())
        ends = [time.process_time()]
        narrow = split_wide(traced, chip.limits.rows)
        rng = np.random.default_rng(0)
        clusters = partition(narrow, chip.limits, recipe.partitioner, rng, recipe.refined)
        ends.append(time.process_time())
        arrange(narrow, clusters, recipe, chip, rng)
        ends.append(time.process_time())
        found = {
            "synapses": traced.synapses, "spikes": int(traced.spikes.sum()), "clusters": int(clusters.max()) + 1,
            "trace": ends[0] - start, "divide": ends[1] - ends[0], "place": ends[2] - ends[1],
            "memory_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
        }  # fmt: skip
    return found


def main() -> None:
    """Print a line for each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="1e4,1e5,1e6,1e7")
    parser.add_argument("--recipe", default="spinemap")
    parser.add_argument("--one", type=float)
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(measure(asked.one, asked.recipe)))
        return
    heads = (
        "synapses",
        "spikes",
        "clusters",
        "trace (s)",
        "split and divide (s)",
        "order and place (s)",
        "all (s)",
        "GB",
    )
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}", flush=True)
    for size in asked.sizes.split(","):
        module = "hasnas.experiments.benchmarks.mapping_growth"
        arguments = [sys.executable, "-m", module, "--one", size, "--recipe", asked.recipe]
        one = json.loads(subprocess.run(arguments, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
        counts = [f"{one[name]:,}" for name in ("synapses", "spikes", "clusters")]
        seconds = [one[name] for name in ("trace", "divide", "place")]
        cells = [*counts, *(f"{value:.2f}" for value in [*seconds, sum(seconds), one["memory_gb"]])]
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
