"""The quantiser's levels, its gradient, and networks whose layers use it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from hasnas.errors import BadInputError
from hasnas.search_spaces import Architecture, Edge, Genotype, LayerGraph, Macro
from hasnas.search_spaces.layers import Conv2d, Linear
from hasnas.search_spaces.network import SpikingNetwork, build_network
from hasnas.search_spaces.quantization import (
    QuantisedConv2d,
    QuantisedLinear,
    column_scales,
    largest_code,
    quantise,
    weight_bits_of,
    weight_codes,
)
from tests.lively import enliven

BITS = (1, 2, 3, 4, 8, 16)
CELL = Genotype(3, (Edge(0, 1, "conv3x3"), Edge(1, 2, "conv1x1"), Edge(2, 0, "conv1x1")))
MACRO = Macro((1, 8, 8), classes=3, timesteps=3, channels=4, hidden=6, votes=2, dropout=0.0)


def weights(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    """Normal weights; columns differ in size by orders of magnitude."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(shape, generator=generator, dtype=dtype)
    return drawn * torch.logspace(-3, 2, shape[0], dtype=dtype).reshape(-1, *[1] * (len(shape) - 1))


def network_of(bits: int) -> SpikingNetwork:
    return enliven(build_network(Architecture((CELL, CELL), replace(MACRO, weight_bits=bits)).expand(), seed=0))


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("shape", [(6, 4, 3, 3), (5, 700)])
def test_each_column_has_its_own_few_levels(bits: int, shape: tuple[int, ...]) -> None:
    levels = quantise(weights(*shape), bits).flatten(1)
    for column in levels:
        found = column.unique()
        assert len(found) <= (2 if bits == 1 else 2**bits - 1)
        assert torch.equal(found.abs().max(), column.abs().max())
    codes = weight_codes(weights(*shape), bits)
    assert codes.abs().max() <= largest_code(bits)
    assert (codes.flatten(1).abs().amax(1) == largest_code(bits)).all()


@pytest.mark.parametrize("bits", BITS[1:])
def test_the_error_is_at_most_half_a_step_and_the_largest_weight_stays(bits: int) -> None:
    exact = weights(8, 60, dtype=torch.float64)
    step = column_scales(exact, bits) / largest_code(bits)
    assert ((quantise(exact, bits) - exact).abs() <= step / 2 * (1 + 1e-9)).all()
    at = exact.abs().argmax(1, keepdim=True)
    assert torch.equal(quantise(exact, bits).gather(1, at), exact.gather(1, at))


def test_one_bit_is_the_sign_times_the_mean_magnitude() -> None:
    assert quantise(torch.tensor([[1.0, -2.0, 3.0], [0.0, 0.0, -3.0]]), 1).tolist() == [[2, -2, 2], [1, 1, -1]]


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_quantising_twice_is_quantising_once(bits: int, dtype: torch.dtype) -> None:
    once = quantise(weights(7, 4, 3, 3, dtype=dtype), bits)
    assert torch.equal(weight_codes(once, bits), weight_codes(weights(7, 4, 3, 3, dtype=dtype), bits))
    tolerance = 1e-6 if bits == 1 else 0  # the mean of equal numbers may be rounded
    torch.testing.assert_close(quantise(once, bits), once, rtol=tolerance, atol=0)


def test_copies_in_another_precision_get_the_same_codes() -> None:
    halves = (torch.arange(-127, 128) + 0.5).float()[None] * 0.1  # many weights between two levels, up to rounding
    single = torch.cat([halves, torch.full((1, 1), 12.7)], dim=1)
    assert torch.equal(weight_codes(single, 8), weight_codes(single.double(), 8))


def test_zero_bits_and_empty_columns_pass() -> None:
    zeros = torch.zeros(2, 3)
    assert quantise(zeros, 0) is zeros
    assert all(torch.equal(quantise(zeros, bits), zeros) for bits in BITS)


@pytest.mark.parametrize("bits", BITS)
def test_the_gradient_passes_straight_through(bits: int) -> None:
    layer = QuantisedLinear(Linear(5, 3, weight_bits=bits))
    x = torch.rand(4, 5, generator=torch.Generator().manual_seed(0))
    layer(x).square().sum().backward()
    levels = layer.quantised_weight().detach().requires_grad_(True)
    nn.functional.linear(x, levels).square().sum().backward()
    torch.testing.assert_close(layer.weight.grad, levels.grad)
    weight = weights(3, 5).requires_grad_(True)
    quantise(weight, bits).sum().backward()
    assert torch.equal(weight.grad, torch.ones(3, 5))


def test_layers_compute_with_levels_and_keep_the_names_of_float_layers() -> None:
    conv = QuantisedConv2d(Conv2d(4, 6, 3, stride=2, padding=1, groups=2, bias=True, weight_bits=2))
    plain = nn.Conv2d(4, 6, 3, 2, 1, groups=2)
    plain.load_state_dict(conv.state_dict())
    with torch.no_grad():
        plain.weight.copy_(quantise(conv.weight, 2))
    x = torch.rand(2, 4, 8, 8)
    assert torch.equal(conv(x), plain(x))


@pytest.mark.slow
def test_the_whole_network_is_quantised() -> None:
    network = network_of(2)
    layers = [module for module in network.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    assert len(layers) == 10
    assert all(isinstance(module, QuantisedConv2d | QuantisedLinear) for module in layers)
    assert network.state_dict().keys() == network_of(0).state_dict().keys()
    assert not any(isinstance(module, QuantisedConv2d | QuantisedLinear) for module in network_of(0).modules())


@pytest.mark.slow
@torch.no_grad()
def test_many_bits_compute_as_float_weights_nearly() -> None:
    x = torch.rand(16, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    exact = network_of(0).run(x)["stem.conv"]
    errors = [float((network_of(bits).run(x)["stem.conv"] - exact).abs().max()) for bits in (2, 4, 8, 16)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 1e-4 < errors[0]


@pytest.mark.slow
def test_gradients_reach_every_float_weight() -> None:
    network = network_of(1).train()
    network(torch.rand(8, 1, 8, 8, generator=torch.Generator().manual_seed(0))).square().sum().backward()
    assert all(parameter.grad.abs().max() > 0 for parameter in network.parameters())


def test_bits_are_part_of_the_architecture_only_where_they_are_set() -> None:
    plain, few = Architecture((CELL,), MACRO), Architecture((CELL,), replace(MACRO, weight_bits=4))
    assert "weight_bits" not in plain.to_json()["macro"]
    assert few.to_json()["macro"]["weight_bits"] == 4
    assert plain.key != few.key
    assert Architecture.from_json(few.to_json()) == few
    graph = few.expand()
    assert LayerGraph.from_json(graph.to_json()) == graph
    assert graph.node("stem.conv").operation.weight_bits == graph.node("head.classifier").operation.weight_bits == 4
    assert not any("weight_bits" in node for node in plain.expand().to_json()["nodes"])
    assert graph.parameter_count == plain.expand().parameter_count


@pytest.mark.parametrize("bits", [-1, 17, 2.0, True])
def test_impossible_bits_are_refused(bits: int) -> None:
    with pytest.raises(BadInputError, match=r"macro.weight_bits is .*; give 1 to 16 bits, or 0 for float weights"):
        replace(MACRO, weight_bits=bits)
    with pytest.raises(BadInputError, match="weight_bits is"):
        weight_codes(torch.ones(1, 1), bits)


def test_float_weights_have_no_codes() -> None:
    with pytest.raises(BadInputError, match="float weights have no codes"):
        weight_codes(torch.ones(1, 1), 0)


def test_the_bits_of_a_layer_are_told() -> None:
    layers = [Conv2d(2, 2, 1, weight_bits=3), Linear(4, 2, weight_bits=5)]
    assert [weight_bits_of(module) for module in (QuantisedConv2d(layers[0]), QuantisedLinear(layers[1]))] == [3, 5]
    assert weight_bits_of(torch.nn.Conv2d(2, 2, 1)) == 0
