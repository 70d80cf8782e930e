"""Long trainings run their LIF neurons as compiled scans; in short ones compiling takes longer than it saves."""

from __future__ import annotations

import logging

import torch
from torch import Tensor

from hasnas.search_spaces.graph import LayerGraph
from hasnas.search_spaces.layers import LIF, Neuron
from hasnas.search_spaces.lif_scan import compiler_works, scanned, use_lif_scan
from hasnas.search_spaces.network import SpikingNetwork
from hasnas.search_spaces.neurons.modules import neuron_module

_log = logging.getLogger(__name__)

# SpikingJelly's loop takes some 10 ns for an update with its gradient, the compiler up to a minute (lif_scan.py among
# the benchmarks): with so many updates it is a tenth of what it saves.
WORTHWHILE_UPDATES = 2e10
PROBED_NEURONS = 4096


def neuron_updates(graph: LayerGraph, samples: int) -> int:
    """Membrane updates that samples cause: neurons times timesteps times samples.

    >>> from hasnas.search_spaces import Architecture, Edge, Genotype, Macro
    >>> cell = Genotype(2, (Edge(0, 1, "conv3x3"),))
    >>> macro = Macro((1, 4, 4), 2, timesteps=3, channels=2, hidden=0, votes=1, final_pool=1)
    >>> neuron_updates(Architecture((cell,), macro).expand(), samples=10)   # two layers of 2 x 4 x 4
    1920
    """
    neurons = sum(node.size for node in graph.nodes if isinstance(node.operation, Neuron))
    return neurons * graph.timesteps * samples


def compile_if_worthwhile(network: SpikingNetwork, samples: int, device: torch.device | None = None) -> int:
    """Exchange a network's LIF neurons for compiled scans if that saves time.

    On a CPU results stay bit for bit the same.

    Whether they do is tried first, on this machine, with spikes and gradients of random currents.

    Args:
        network: changed in place.
        samples: that it will be trained on, over all epochs.
        device: where; the CPU unless given.

    Returns:
        Layers of neurons that were exchanged.
    """
    neurons = [node.operation for node in network.graph.nodes if isinstance(node.operation, LIF)]
    operations = [operation for operation in neurons if not operation.membrane_bits]
    where = device or torch.device("cpu")
    if not operations or neuron_updates(network.graph, samples) < WORTHWHILE_UPDATES or not compiler_works(where.type):
        return 0
    if not all(_agrees(operation, network.graph.timesteps, where) for operation in set(operations)):
        _log.warning("LIF neurons run as SpikingJelly's plain loop: compiled ones give other bits on this machine")
        return 0
    return use_lif_scan(network)


def _agrees(operation: LIF, timesteps: int, device: torch.device) -> bool:
    generator = torch.Generator().manual_seed(0)
    currents = 2 * torch.rand(timesteps, PROBED_NEURONS, generator=generator) * operation.threshold * operation.tau
    currents, arriving = currents.to(device), torch.randn(currents.shape, generator=generator).to(device)
    plain = neuron_module(operation).to(device)
    return all(
        _alike(ours, theirs)
        for ours, theirs in zip(
            _spikes_and_gradient(scanned(plain), currents, arriving),
            _spikes_and_gradient(plain, currents, arriving),
            strict=True,
        )
    )


def _alike(ours: Tensor, theirs: Tensor) -> bool:
    """Equal bits; on a GPU, whose compiler rounds products and sums once, all but one value in a thousand."""
    if ours.device.type == "cpu":
        return torch.equal(ours, theirs)
    return float(torch.isclose(ours, theirs, rtol=1e-3, atol=1e-5).float().mean()) > 0.999


def _spikes_and_gradient(neurons: torch.nn.Module, currents: Tensor, arriving: Tensor) -> tuple[Tensor, Tensor]:
    inputs = currents.clone().requires_grad_()
    with torch.enable_grad():
        spikes = neurons.multi_step_forward(inputs)  # type: ignore[operator]
        return spikes.detach(), torch.autograd.grad(spikes, inputs, arriving)[0]
