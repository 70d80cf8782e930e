"""The compiled LIF scan beside SpikingJelly's LIF, eager and under torch.compile, alternating in one run.

`python experiments/benchmarks/lif_scan.py --out DIR [--rounds 9] [--threads 2] [--clock wall]`

On a machine that others load, one thread and the processor's clock tell more: waiting is not counted.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from hasnas.files import write_atomic
from hasnas.search_spaces import Architecture, Edge, Genotype, Macro
from hasnas.search_spaces.layers import LIF
from hasnas.search_spaces.lif_scan import compiler_works, scanned, use_lif_scan
from hasnas.search_spaces.network import build_network
from hasnas.search_spaces.neurons.modules import neuron_module

OPERATION = LIF(tau=4 / 3, threshold=1.0, reset=0.0)
SIDES = ("ours", "eager", "compiled")


CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}


def alternate(calls: dict[str, Callable[[], object]], rounds: int, clock: str) -> dict[str, list[float]]:
    """Seconds of each call in each round, in turns; a first round is not counted."""
    now = CLOCKS[clock]
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(rounds + 1):
        for name, call in calls.items():
            start = now()
            call()
            if number:
                seconds[name].append(now() - start)
    return seconds


def ratios(seconds: dict[str, list[float]], other: str) -> dict[str, float]:
    """How many times faster ours is: median over rounds and extremes."""
    each = [b / a for a, b in zip(seconds["ours"], seconds[other], strict=True)]
    return {"median": statistics.median(each), "least": min(each), "most": max(each)}


def neurons() -> dict[str, tuple[nn.Module, Callable[[Tensor], Tensor]]]:
    """The three sides: a module to reset and a function to call."""
    ours, eager, inner = scanned(neuron_module(OPERATION)), neuron_module(OPERATION), neuron_module(OPERATION)
    return {"ours": (ours, ours), "eager": (eager, eager), "compiled": (inner, torch.compile(inner, dynamic=False))}


def layer(timesteps: int, rounds: int, clock: str) -> dict[str, Any]:
    """One layer of neurons on [T, 32, 64, 32, 32]: forward, then forward and backward."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(timesteps, 32, 64, 32, 32, generator=generator)
    gradient = torch.randn(x.shape, generator=generator)
    sides, spikes, gradients = neurons(), {}, {}

    def forward(name: str) -> Tensor:
        module, call = sides[name]
        module.reset()  # type: ignore[operator]
        with torch.no_grad():
            return call(x)

    def both(name: str) -> Tensor:
        module, call = sides[name]
        module.reset()  # type: ignore[operator]
        leaf = x.detach().requires_grad_()
        call(leaf).backward(gradient)
        assert leaf.grad is not None
        return leaf.grad

    for name in SIDES:
        spikes[name], gradients[name] = forward(name), both(name)
    found: dict[str, Any] = {
        "timesteps": timesteps,
        "rate": float(spikes["ours"].mean()),
        "spikes_equal": all(torch.equal(spikes["ours"], spikes[name]) for name in SIDES),
        "largest_gradient_difference": max(
            float((gradients["ours"] - gradients[name]).abs().max()) for name in SIDES
        ),
    }
    spikes.clear()
    gradients.clear()
    for what, call in (("forward", forward), ("both", both)):
        seconds = alternate({name: lambda name=name, call=call: call(name) for name in SIDES}, rounds, clock)  # type: ignore[misc]
        found[what] = {name: statistics.median(values) * 1e3 for name, values in seconds.items()}
        found[f"{what}_ratio"] = {name: ratios(seconds, name) for name in SIDES[1:]}
    return found


def training_step(rounds: int, clock: str) -> dict[str, Any]:
    """A whole training step of a small network, with and without scans."""
    cell = Genotype(2, (Edge(0, 1, "conv3x3"),))
    macro = Macro((3, 32, 32), 10, timesteps=4, channels=16, hidden=0, votes=1, dropout=0.0)
    graph = Architecture((cell, cell), macro).expand()
    x = torch.rand(32, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    targets = torch.arange(32) % 10
    losses: dict[str, float] = {}

    def step(name: str, network: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        optimizer.zero_grad()
        loss = functional.cross_entropy(network(x), targets)
        loss.backward()
        optimizer.step()
        losses[name] = float(loss.detach())

    calls: dict[str, Callable[[], object]] = {}
    for name in ("ours", "eager"):
        network = build_network(graph, seed=0)
        if name == "ours":
            use_lif_scan(network)
        optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
        calls[name] = lambda name=name, network=network, optimizer=optimizer: step(name, network, optimizer)  # type: ignore[misc]
    seconds = alternate(calls, rounds, clock)
    medians = {name: statistics.median(values) * 1e3 for name, values in seconds.items()}
    return {"milliseconds": medians, "ratio": ratios(seconds, "eager"), "last_losses": losses}


def table(results: dict[str, Any]) -> str:
    """Markdown of what was found."""
    titles = ("T", "what", "ours ms", "SpikingJelly / ours", "SpikingJelly compiled / ours", "spikes equal")
    lines = [f"| {' | '.join(titles)} |", "|" + "---|" * len(titles)]
    for item in results["layers"]:
        for what in ("forward", "both"):
            cells = [
                f"{found['median']:.1f} ({found['least']:.1f} to {found['most']:.1f})"
                for found in item[f"{what}_ratio"].values()
            ]
            title = "forward" if what == "forward" else "forward + backward"
            ours = f"{item[what]['ours']:.1f}"
            lines.append(f"| {item['timesteps']} | {title} | {ours} | {' | '.join(cells)} | {item['spikes_equal']} |")
    step = results["training_step"]
    ratio = step["ratio"]
    lines.append(
        f"| 4 | training step | {step['milliseconds']['ours']:.1f} | {ratio['median']:.2f} ({ratio['least']:.2f} to "
        f"{ratio['most']:.2f}) | | |"
    )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--clock", choices=sorted(CLOCKS), default="wall", help="processor: for a loaded machine")
    parser.add_argument("--timesteps", type=int, nargs="+", default=[2, 4, 8])
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(arguments.threads)
    if not compiler_works("cpu"):
        raise SystemExit("torch.compile does not work here")
    results: dict[str, Any] = {
        "rounds": arguments.rounds,
        "threads": arguments.threads,
        "clock": arguments.clock,
        "layers": [],
    }
    for timesteps in arguments.timesteps:
        results["layers"].append(layer(timesteps, arguments.rounds, arguments.clock))
        print(results["layers"][-1], flush=True)
    results["training_step"] = training_step(arguments.rounds, arguments.clock)
    write_atomic(arguments.out / "lif_scan.json", json.dumps(results, indent=1) + "\n")
    write_atomic(arguments.out / "lif_scan.md", table(results))
    print(table(results))


if __name__ == "__main__":
    main()
