"""Layers as a user writes them, and as arrays."""

import numpy as np
import pytest

from hasnas.cim_estimator import LayerKind, LayerSpec, Workload
from hasnas.errors import BadInputError

CONV = LayerSpec("conv", 4, 8, kernel_size=3, in_size=8, biases=8)


def test_a_layer_list_becomes_arrays():
    network = Workload.from_layers([CONV, LayerSpec("lif", 8, 8, in_size=8), LayerSpec("linear", 512, 10)], 5)
    assert network.names == ("conv0", "lif1", "linear2")
    assert network.kind.tolist() == [LayerKind.CONV, LayerKind.LIF, LayerKind.LINEAR]
    assert network.weights.tolist() == [288, 0, 5120]
    assert network.neurons.tolist() == [0, 512, 0]
    assert network.parameters.tolist() == [296, 0, 5120]
    assert network.evaluations.tolist() == [5, 5, 5]
    assert network.level.tolist() == [0, 1, 2]
    assert np.isnan(network.input_rate).all()


def test_arrays_become_the_same_layer_list():
    layers = [CONV, LayerSpec("add", 16, 8, in_size=(8, 4), evaluations=1, delay=1, input_rate=0.5, level=3)]
    network = Workload.from_layers(layers, 5)
    again = Workload.from_layers(network.layers(), 5)
    for name in (
        "kind",
        "in_channels",
        "in_height",
        "in_width",
        "out_width",
        "evaluations",
        "delay",
        "level",
        "biases",
    ):
        np.testing.assert_array_equal(getattr(network, name), getattr(again, name))
    assert again.names == network.names


def test_grouped_convolutions_hold_fewer_weights():
    network = Workload.from_layers([LayerSpec("conv", 8, 8, kernel_size=3, groups=4, in_size=4)], 1)
    assert (network.weights.tolist(), network.fan_in.tolist()) == ([144], [18])


def test_a_padded_convolution_keeps_the_map_and_a_stride_halves_it():
    assert LayerSpec("conv", 1, 1, kernel_size=3, in_size=7).output_shape == (7, 7)
    assert LayerSpec("conv", 1, 1, kernel_size=3, stride=2, in_size=(7, 4)).output_shape == (4, 2)


def test_rows_cut_candidates_and_keep_what_they_share():
    network = _population()
    part = network.rows(1, 3)
    assert part.shape == (2, 2)
    np.testing.assert_array_equal(part.kernel_size, [[3, 3], [1, 1]])
    assert part.in_channels.shape == (2,)


def _population(**changes) -> Workload:
    one = np.ones(2, np.int64)
    columns = {
        "kind": one, "in_channels": 4 * one, "out_channels": 4 * one, "kernel_size": np.array([[1, 1], [3, 3], [1, 1]]),
        "stride": one, "groups": one, "in_height": one, "in_width": one, "out_height": one, "out_width": one,
        "evaluations": one, "input_bits": one, "weight_bits": 0 * one, "biases": 0 * one, "parameters": one,
        "input_rate": np.full(2, np.nan), "level": one,
    }  # fmt: skip
    return Workload(names=("a", "b"), timesteps=2, **{**columns, **changes})


@pytest.mark.parametrize(
    "field, value, message",
    [
        ("kind", "konv", "unknown kind; did you mean 'conv'?"),
        ("in_channels", 0, "in_channels is 0; give a whole number of at least 1"),
        ("out_channels", 2.5, "out_channels is 2.5"),
        ("groups", 3, "groups is 3, which does not divide 4 -> 8 channels"),
        ("in_size", 0, "in_size is 0"),
        ("in_size", (1, 2, 3), "in_size is (1, 2, 3)"),
        ("out_size", -1, "out_size is -1"),
        ("input_rate", 1.5, "input_rate is 1.5; give 0 to 1, or leave it out if unknown"),
        ("input_rate", float("nan"), "input_rate is nan"),
        ("evaluations", -1, "evaluations is -1"),
        ("kernel_size", True, "kernel_size is True"),
    ],
)
def test_impossible_layers_are_refused(field: str, value, message: str):
    with pytest.raises(BadInputError) as refused:
        LayerSpec(**{"kind": "conv", "in_channels": 4, "out_channels": 8, field: value})
    assert message in str(refused.value)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"kind": np.array([1, 9])}, "kind must be 0 to 6"),
        ({"in_channels": np.array([4, 0])}, "layer 'b': in_channels is below 1"),
        ({"in_channels": np.array([4.0, 1.0])}, "in_channels holds float64 numbers"),
        ({"in_channels": np.array([1, 2, 3])}, "in_channels has 3 slots, but there are 2 names"),
        ({"level": np.ones((2, 2), int)}, "do not broadcast together"),
        ({"input_rate": np.array([0.1, 1.1])}, "layer 'b': input_rate lies outside 0 to 1"),
    ],
)
def test_impossible_arrays_are_refused(changes: dict, message: str):
    with pytest.raises(BadInputError) as refused:
        _population(**changes)
    assert message in str(refused.value)


def test_unused_slots_may_hold_anything():
    network = _population(kind=np.array([1, 0]), in_channels=np.array([4, 0]), groups=np.array([1, 0]))
    assert network.weights.shape == (3, 2)


def test_a_network_needs_layers_and_timesteps():
    with pytest.raises(BadInputError, match="no layers"):
        Workload.from_layers([], 5)
    with pytest.raises(BadInputError, match="timesteps is 0"):
        Workload.from_layers([CONV], 0)
    with pytest.raises(BadInputError, match="many candidates"):
        _population().layers()


def test_a_number_may_be_a_thousand_million() -> None:
    assert LayerSpec("linear", 10**9, 1).in_channels == 10**9
    with pytest.raises(BadInputError, match="at most 1000000000"):
        LayerSpec("linear", 10**9 + 1, 1)
