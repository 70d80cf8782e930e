"""Exported NIR files in SpikingJelly, snnTorch, Norse and sinabs: who opens them, and who computes the same.

Random cells with and without feedback and chains without branches, of LIF, integrate-and-fire and synaptic neurons,
exported and run step by step. Norse and sinabs are asked twice: by their own `from_nir`, and for their modules by
`nirtorch.nir_to_torch`, which puts them together as SpikingJelly and snnTorch have it done. "same": all output steps
within 1e-4 of ours, in single precision, for over four fifths of the samples; membranes within rounding of a threshold
may spike elsewhere.

    python experiments/benchmarks/export_elsewhere.py [networks]      # from the repository's root
"""

from __future__ import annotations

import contextlib
import io
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from hasnas.nas.export.deploy import deploy
from hasnas.nas.export.nir_writer import TIMESTEP_S, write_nir
from hasnas.nas.export.target import probe
from hasnas.search_spaces.architecture import Architecture
from hasnas.search_spaces.cells import Edge, Genotype
from hasnas.search_spaces.network import SpikingNetwork, build_network
from tests.nas.export.conftest import draw_architecture, train_a_little

SAMPLES = 16


def spikingjelly(path: Path) -> Callable[[torch.Tensor, Any], Any]:
    """SpikingJelly's importer."""
    from spikingjelly.activation_based.nir_exchange import import_from_nir

    return import_from_nir(path, dt=TIMESTEP_S)


def snntorch(path: Path) -> Callable[[torch.Tensor, Any], Any]:
    """snnTorch's importer; its neurons hold their states themselves."""
    import nir
    from snntorch.import_nir import import_from_nir

    return import_from_nir(nir.read(path))


def norse(path: Path) -> Callable[[torch.Tensor, Any], Any]:
    """Norse's importer, which has to be told the timestep."""
    import nir
    from norse.torch import from_nir

    return from_nir(nir.read(path), ignore_warnings=True, dt=TIMESTEP_S)


def sinabs(path: Path) -> Callable[[torch.Tensor, Any], Any]:
    """sinabs' importer."""
    import nir
    from sinabs.nir import from_nir

    return from_nir(nir.read(path), batch_size=SAMPLES)


def _together(path: Path, module_of: Callable[[Any], Any]) -> Callable[[torch.Tensor, Any], Any]:
    """A tool's modules, put together by nirtorch."""
    import nir
    import nirtorch

    graph = nir.read(path)
    kinds = {type(node) for node in graph.nodes.values()} - {nir.Input, nir.Output, nir.Delay}
    return nirtorch.nir_to_torch(graph, dict.fromkeys(kinds, module_of))


def norse_together(path: Path) -> Callable[[torch.Tensor, Any], Any]:
    """Norse's modules, put together by nirtorch."""
    from norse.torch.utils.import_nir import _import_norse_module

    return _together(path, lambda node: _import_norse_module(node, True, dt=TIMESTEP_S))


def sinabs_together(path: Path) -> Callable[[torch.Tensor, Any], Any]:
    """sinabs' modules, put together by nirtorch."""
    from sinabs.nir import _import_sinabs_module

    return _together(path, lambda node: _import_sinabs_module(node, SAMPLES, None))


TOOLS = {
    "SpikingJelly": spikingjelly, "snnTorch": snntorch, "Norse": norse, "Norse, nir_to_torch": norse_together,
    "sinabs": sinabs, "sinabs, nir_to_torch": sinabs_together,
}  # fmt: skip
CHAIN = Genotype(
    4, (Edge(0, 1, "conv3x3"), Edge(1, 2, "avgpool3x3"), Edge(2, 3, "conv1x1"))
)  # one way through the cell


def chain(seed: int) -> Architecture:
    """An architecture without branches."""
    return replace(draw_architecture(seed, False), genotypes=(CHAIN, CHAIN))


def networks(count: int) -> dict[str, list[SpikingNetwork]]:
    """By kind, trained a little."""
    found = {}
    for neuron in ("lif", "if", "synaptic_lif"):
        for kind in ("chains", "forward", "feedback"):
            made = []
            for seed in range(count):
                architecture = chain(seed) if kind == "chains" else draw_architecture(seed, kind == "feedback")
                graph = replace(architecture, macro=replace(architecture.macro, neuron=neuron)).expand()
                made.append(train_a_little(build_network(graph, seed), seed))
            found[f"{neuron}, {kind}"] = made
    return found


@torch.no_grad()
def tried(network: SpikingNetwork, path: Path, opened: Callable[[Path], Any]) -> tuple[str, float]:
    """What a tool makes of a file, and the share of samples that it computes as we do."""
    inputs = probe(network, SAMPLES)
    static = inputs.ndim == 4
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            module, state, steps = opened(path), None, []
            for step in range(network.graph.timesteps):
                result = module(inputs if static else inputs[step], state)
                output, state = result if isinstance(result, tuple) else (result, None)
                steps.append(output)
    except ImportError:
        raise
    except Exception as error:  # importers raise whatever comes
        return f"refused ({type(error).__name__})", 0.0
    found, expected = torch.stack(steps), network.steps(inputs)
    if found.shape != expected.shape:
        return "opened, answering with another layer's values", 0.0
    differences = (found - expected).abs().amax((0, 2))
    share = float((differences < 1e-4).float().mean())
    return ("the same" if share > 0.8 else "other values"), share


def main() -> None:
    """Print a table: kind and tool against what became of the files."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    print("| networks | with a Delay | tool | what became of the files | samples as ours |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.nir"
        for kind, made in networks(count).items():
            outcomes: dict[str, Counter[str]] = {name: Counter() for name in TOOLS}
            shares: dict[str, list[float]] = {name: [] for name in TOOLS}
            delays = 0
            for network in made:
                write_nir(path, deploy(network.graph, network.state_dict()))
                delays += _has_delay(path)
                for name, opened in TOOLS.items():
                    try:
                        outcome, share = tried(network, path, opened)
                    except ImportError as error:
                        outcome, share = f"not installed ({error.name})", 0.0
                    outcomes[name][outcome] += 1
                    shares[name] += [share] if outcome in ("the same", "other values") else []
            for name, counted in outcomes.items():
                told = "; ".join(f"{number} {outcome}" for outcome, number in counted.most_common())
                mean = f"{sum(shares[name]) / len(shares[name]):.3f}" if shares[name] else "-"
                print(f"| {len(made)} {kind} | {delays} | {name} | {told} | {mean} |", flush=True)


def _has_delay(path: Path) -> bool:
    import nir

    return any(isinstance(node, nir.Delay) for node in nir.read(path).nodes.values())


if __name__ == "__main__":
    main()
