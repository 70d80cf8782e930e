"""Networks for tests in which every layer of neurons fires and the output answers the input.

Where nothing spikes, every test that two networks compute the same passes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from hasnas.search_spaces.layers import Input, Neuron
from hasnas.search_spaces.network import SpikingNetwork

PASSES = 3  # statistics inside feedback loops settle


def draw_inputs(network: SpikingNetwork, samples: int, seed: int = 0) -> Tensor:
    """Normal random samples `[B, C, H, W]`, or `[T, B, C, H, W]` where the network takes sequences."""
    (entry,) = (node for node in network.graph.nodes if isinstance(node.operation, Input))
    steps = () if entry.operation.static else (network.graph.timesteps,)
    return torch.randn(*steps, samples, *entry.shape, generator=torch.Generator().manual_seed(seed))


def assert_lively(network: SpikingNetwork, inputs: Tensor) -> None:
    """Each layer of neurons fires, not always, and samples are told apart."""
    with torch.no_grad():
        values = network.run(inputs)
        output = network(inputs)
    assert (output.std(0) > 0).any(), "the network answers every sample alike"
    for node in network.graph.nodes:
        if isinstance(node.operation, Neuron):
            rate = values[node.name].double().mean().item()
            assert 0 < rate < 1, f"{node.name} fires at a rate of {rate}"


@torch.no_grad()
def enliven(network: SpikingNetwork, seed: int = 0, inputs: Tensor | None = None) -> SpikingNetwork:
    """Batch norms and fully connected layers as a training may leave them, so that the network is lively.

    Args:
        network: changed in place.
        seed: of the gains and biases of batch norms and of the inputs.
        inputs: samples that batch norms are calibrated on; normal random ones if none are given.

    Returns:
        The network, in evaluation mode.
    """
    inputs = draw_inputs(network, 32, seed) if inputs is None else inputs
    generator = torch.Generator().manual_seed(seed)
    threshold = max(node.operation.threshold for node in network.graph.nodes if isinstance(node.operation, Neuron))

    def measure(norm: nn.BatchNorm2d, arguments: tuple[Tensor]) -> None:
        norm.running_mean.copy_(arguments[0].mean((0, 2, 3)))
        norm.running_var.copy_(arguments[0].var((0, 2, 3)) + 0.01)

    def scale(layer: nn.Linear, arguments: tuple[Tensor]) -> None:
        layer.weight.mul_(3 * threshold / (functional.linear(arguments[0], layer.weight).std() + 0.01))

    hooks = []
    for module in network.eval().modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.uniform_(1.2, 2.0, generator=generator).mul_(threshold)
            module.bias.normal_(0.4, 0.3, generator=generator).mul_(threshold)
            hooks.append(module.register_forward_pre_hook(measure))
        elif isinstance(module, nn.Linear):
            hooks.append(module.register_forward_pre_hook(scale))
    for _ in range(PASSES):
        network.run(inputs)
    for hook in hooks:
        hook.remove()
    assert_lively(network, inputs)
    return network
