import math
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from hasnas.errors import BadInputError
from hasnas.nas.config.training import SurrogateSection
from hasnas.nas.training.surrogates import (
    FAMILIES,
    apply_surrogates,
    gradient_norms,
    set_surrogates,
    surrogate_of,
    tune_widths,
)
from hasnas.search_spaces.architecture import Architecture
from hasnas.search_spaces.cells import Edge, Genotype
from hasnas.search_spaces.graph import Connection, LayerGraph, Node
from hasnas.search_spaces.layers import LIF, AvgPool2d, Conv2d, Flatten, Input, Linear, Operation, Output
from hasnas.search_spaces.macro import Macro
from hasnas.search_spaces.network import SpikingNetwork, build_network
from tests.lively import enliven

TARGETS = torch.arange(8) % 3


def loss(outputs: Tensor) -> Tensor:
    return functional.cross_entropy(outputs, TARGETS)


def chain(depth: int, threshold: float = 0.5) -> SpikingNetwork:
    """Convolutions without batch norm: gradients fade or grow from layer to layer."""
    nodes = [Node("input", Input(), (4, 6, 6))]

    def add(name: str, operation: Operation, shape: tuple[int, ...]) -> None:
        nodes.append(Node(name, operation, shape))

    for index in range(depth):
        add(f"conv{index}", Conv2d(4, 4, 3, padding=1), (4, 6, 6))
        add(f"lif{index}", LIF(threshold=threshold), (4, 6, 6))
    add("pool", AvgPool2d(6, 6), (4, 1, 1))
    add("flat", Flatten(), (4,))
    add("classifier", Linear(4, 3), (3,))
    add("output", Output(), (3,))
    links = tuple(Connection(a.name, b.name) for a, b in pairwise(nodes))
    network = build_network(LayerGraph(tuple(nodes), links, timesteps=3), seed=0)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.startswith("conv"):
                parameter.mul_(2.5)
    return network.train()


def slopes(family: str, width: float | None, x: Tensor) -> Tensor:
    at = x.clone().requires_grad_()
    surrogate_of(family, width)(at).sum().backward()
    return at.grad


@pytest.mark.parametrize("family", FAMILIES)
def test_families_have_height_one_and_stretch_with_their_width(family: str):
    x = torch.linspace(-3, 3, 601, dtype=torch.float64)
    usual = FAMILIES[family][1]
    assert torch.equal(slopes(family, None, x), slopes(family, usual, x))
    for width in (0.25, 2.0):
        assert slopes(family, width, torch.zeros(1)).item() == pytest.approx(1.0)
        torch.testing.assert_close(slopes(family, width, x), slopes(family, None, x * usual / width))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_usual_width_has_area_one(family: str):
    x = torch.linspace(-500, 500, 1_000_001, dtype=torch.float64)
    assert slopes(family, None, x).sum().item() * 1e-3 == pytest.approx(1.0, abs=2e-3)


@pytest.mark.slow
@pytest.mark.parametrize("neuron, bits", [("lif", 0), ("plif", 0), ("if", 0), ("alif", 0), ("lif", 4), ("plif", 6)])
def test_every_neuron_takes_the_surrogate_and_spikes_as_before(neuron: str, bits: int):
    cell = Genotype(3, (Edge(0, 1, "conv3x3"), Edge(1, 2, "conv3x3"), Edge(2, 1, "conv1x1")))
    macro = Macro((1, 8, 8), classes=3, timesteps=3, channels=4, hidden=6, votes=1, dropout=0.0, neuron=neuron)
    macro = replace(macro, membrane_bits=bits)
    network = enliven(build_network(Architecture((cell, cell), macro).expand(), seed=1)).train()
    x = torch.rand(8, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    first, before = network(x), gradient_norms(network, x, loss)
    set_surrogates(network, "triangle", 2.0)
    assert torch.equal(network(x), first)
    after = gradient_norms(network, x, loss)
    assert sum(after[name] != before[name] for name in before) >= len(before) - 1
    tuned = tune_widths(network, x, loss)
    assert torch.equal(network(x), first)
    assert tuned.widths.keys() == before.keys()


def test_tuned_widths_keep_gradients_alive_in_a_deep_chain():
    x = torch.rand(8, 4, 6, 6, generator=torch.Generator().manual_seed(0))
    plain = chain(12)
    untuned = gradient_norms(plain, x, loss)
    network = chain(12)
    tuned = tune_widths(network, x, loss)
    norms = [tuned.gradient_norms[f"lif{index}"] for index in range(12)]
    assert norms[-1] == 1.0
    assert all(0.75 < norm < 1.25 for norm in norms), norms
    after = gradient_norms(network, x, loss)
    spread = [math.log(norm["lif11"] / norm["lif0"]) for norm in (untuned, after)]
    assert spread[0] > 3
    assert abs(spread[1]) < 0.3
    assert list(tuned.widths) == [f"lif{index}" for index in reversed(range(12))]


def test_reported_norms_are_those_of_the_input_currents():
    x = torch.rand(8, 4, 6, 6, generator=torch.Generator().manual_seed(0))
    network = chain(5)
    tuned = tune_widths(network, x, loss)
    values = network.run(x)
    currents = [values[f"conv{index}"] for index in range(1, 5)]
    gradients = torch.autograd.grad(loss(values["output"].mean(0)), currents)
    measured = [float(gradient.norm()) for gradient in gradients]
    for index, norm in enumerate(measured, start=1):
        assert norm / measured[-1] == pytest.approx(tuned.gradient_norms[f"lif{index}"], rel=1e-3)


def test_tuning_changes_nothing_else_and_repeats():
    x = torch.rand(8, 4, 6, 6, generator=torch.Generator().manual_seed(0))
    network = chain(4)
    before, state = {k: v.clone() for k, v in network.state_dict().items()}, torch.random.get_rng_state()
    first = tune_widths(network, x, loss)
    assert tune_widths(network, x, loss) == first
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert torch.equal(torch.random.get_rng_state(), state)
    assert network.training


def test_settings_decide():
    x, network = torch.rand(8, 4, 6, 6), chain(2)
    usual = network.get_submodule("lif0").surrogate_function
    assert apply_surrogates(network, SurrogateSection(), x, loss) is None
    assert network.get_submodule("lif0").surrogate_function is usual
    assert apply_surrogates(network, SurrogateSection(family="sigmoid", width=0.5), x, loss) is None
    assert network.get_submodule("lif0").surrogate_function.width == 0.5
    assert apply_surrogates(network, SurrogateSection(family="sigmoid", width="auto"), x, loss) is not None
    with pytest.raises(BadInputError, match="did you mean 'arctan'"):
        set_surrogates(network, "arctanh")
