"""Supernets of networks with other neurons and weights of few bits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from nni.nas.strategy import RandomOneShot

from hasnas.nas.supernet.nni.supernet import Supernet, build_supernet
from hasnas.nas.supernet.sharing import inherit, shared_layers
from hasnas.search_spaces.layers import PLIF
from hasnas.search_spaces.network import build_network
from hasnas.search_spaces.neurons.modules import learned_tau
from hasnas.search_spaces.snasnet import CellSpace
from hasnas.search_spaces.space import Codes

pytestmark = pytest.mark.slow

Connected = Callable[[CellSpace, int, int], Codes]


def with_macro(space: CellSpace, neuron: str, weight_bits: int, membrane_bits: int = 0) -> CellSpace:
    bits = {"weight_bits": weight_bits, "membrane_bits": membrane_bits}
    return replace(space, macro=replace(space.macro, neuron=neuron, threshold=0.4, **bits))


def take(supernet: Supernet, codes: tuple[int, ...]) -> None:
    sample = supernet.sample_of(codes)
    for choice in supernet.decisions:
        choice.resample(memo=dict(sample))


@pytest.mark.parametrize("neuron, bits", [("plif", (0, 0)), ("plif", (4, 6)), ("if", (1, 0)), ("alif", (2, 4))])
def test_a_path_equals_the_network_that_inherits_it(
    feedback_space: CellSpace, connected: Connected, neuron: str, bits: tuple[int, int]
) -> None:
    space = with_macro(feedback_space, neuron, *bits)
    supernet = RandomOneShot().mutate_model(build_supernet(space, seed=1))
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, tensor in supernet.state_dict().items():
            if name.endswith("lif.w"):
                tensor.uniform_(-1.0, 2.0, generator=generator)
            elif tensor.ndim == 2:
                tensor.mul_(6.0)
    x = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    for codes in connected(space, 6, 3):
        take(supernet, codes)
        network = inherit(supernet.state_dict(), space.decode(codes))
        for training in (False, True):
            torch.manual_seed(0)
            expected = network.train(training)(x)
            torch.manual_seed(0)
            assert torch.equal(supernet.train(training)(x), expected)
            assert not training or expected.std(0).max() > 0, "every sample is answered alike"


def test_learned_time_constants_are_shared_and_trained(feedback_space: CellSpace, connected: Connected) -> None:
    space = with_macro(feedback_space, "plif", 0)
    layers = {name: node for name, node in shared_layers(space).items() if isinstance(node.operation, PLIF)}
    cells = {f"cell{cell}.{node}.lif" for cell in (1, 2) for node in range(4)}
    assert set(layers) == cells | {"reduction1.lif", "head.lif", "head.hidden_lif"}
    supernet = RandomOneShot().mutate_model(build_supernet(space, seed=1)).train()
    parameters = dict(supernet.named_parameters())
    assert all(learned_tau(parameters[f"{name}.w"]) == pytest.approx(4 / 3) for name in layers)
    optimiser = torch.optim.SGD(supernet.parameters(), lr=1.0)
    for codes in connected(space, 4, 5):
        take(supernet, codes)
        optimiser.zero_grad()
        supernet(torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(1))).square().sum().backward()
        optimiser.step()
    assert learned_tau(parameters["reduction1.lif.w"]) != pytest.approx(4 / 3)


def test_fresh_paths_start_as_fresh_networks(feedback_space: CellSpace) -> None:
    space, codes = with_macro(feedback_space, "plif", 3), (3, 6, 1, 4, 3, 2)
    state = build_supernet(space, seed=9).state_dict()
    network = build_network(space.decode(codes).expand(), seed=9)
    assert all(torch.equal(tensor, state[name]) for name, tensor in network.state_dict().items())
