"""The macro in numbers: maps, widths and parameters of the networks that are really built."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hasnas.errors import BadInputError
from hasnas.search_spaces import Architecture, Edge, Genotype, Macro
from hasnas.search_spaces.network import build_network

CELL = Genotype(2, (Edge(0, 1, "conv3x3"),))
SMALL = Macro((3, 16, 16), classes=5, timesteps=2, channels=6, hidden=8, votes=3)
MACROS = {
    "plain": SMALL,
    "learned time constants": replace(SMALL, neuron="plif"),
    "no hidden layer": replace(SMALL, neuron="plif", hidden=0),
    "max pools": replace(SMALL, neuron="plif", reduction="max_pool"),
    "one reduction of two": replace(SMALL, neuron="plif", reductions=(2,)),
    "channels stay": replace(SMALL, growth=1),
    "channels grow by a half": replace(SMALL, growth=1.5),
    "no reduction": replace(SMALL, neuron="plif", reductions=()),
    "answers by rate": replace(SMALL, neuron="plif", readout="rate"),
    "strided stem": replace(SMALL, input_shape=(2, 15, 17), stem_stride=2, final_pool=1),
}


@pytest.mark.parametrize("name", MACROS)
def test_parameters_are_those_of_the_built_network(name: str) -> None:
    macro = MACROS[name]
    network = build_network(Architecture((CELL,) * 3, macro).expand(), seed=0)
    inside = sum(
        parameter.numel() for key, parameter in network.named_parameters() if key.startswith("cell")
    )
    total = sum(parameter.numel() for parameter in network.parameters())
    assert macro.parameters_without_cells(3) == total - inside


def test_each_layer_of_learned_neurons_has_one_parameter() -> None:
    def own(**changed: object) -> int:
        lif, plif = (replace(SMALL, neuron=kind, **changed) for kind in ("lif", "plif"))
        return plif.parameters_without_cells(3) - lif.parameters_without_cells(3)

    assert own() == 2 + 1 + 1  # two reductions, the head, the hidden layer
    assert own(hidden=0) == 2 + 1
    assert own(reductions=(1,)) == 1 + 1 + 1
    assert own(reduction="max_pool") == 1 + 1
    assert own(readout="rate") == 2 + 1 + 1 + 1


def test_parameters_by_hand() -> None:
    # Stem 3 -> 6 and its norm; reduction 6 -> 12 with a norm on either side; norm of 12, 12 * 4 * 4 values.
    stem, reduction = 9 * 3 * 6 + 2 * 6, 2 * 6 + 9 * 6 * 12 + 2 * 12
    head = 2 * 12 + (12 * 4 * 4) * 8 + 8 * 15 + 15
    assert SMALL.parameters_without_cells(2) == stem + reduction + head
    assert SMALL.classifier_inputs(2) == 12 * 4 * 4


STRIDES = [(16, 1, 16), (16, 2, 8), (15, 2, 8), (17, 2, 9), (16, 3, 6), (5, 4, 2)]


@pytest.mark.parametrize("side, stride, first", STRIDES)
def test_a_strided_stem_keeps_every_stride_th_place(side: int, stride: int, first: int) -> None:
    macro = replace(SMALL, input_shape=(3, side, 16), stem_stride=stride, final_pool=1)
    assert macro.map_sizes(1) == ((first, 1 + 15 // stride),)
    graph = Architecture((CELL,), macro).expand()
    assert graph.node("stem.conv").shape == (6, first, 1 + 15 // stride)
    assert len(np.arange(0, side, stride)) == first


def test_maps_and_widths_change_behind_the_cells_that_are_named() -> None:
    macro = replace(SMALL, reductions=(1, 3))
    assert macro.map_sizes(4) == ((16, 16), (8, 8), (8, 8), (4, 4))
    assert macro.cell_channels(4) == (6, 12, 12, 24)
    assert replace(macro, reduction="max_pool").cell_channels(4) == (6, 6, 6, 6)
    assert SMALL.map_sizes(3) == ((16, 16), (8, 8), (4, 4))
    with pytest.raises(BadInputError, match="the last reduction may follow cell 2"):
        macro.map_sizes(3)


def test_the_last_pooling_must_fit() -> None:
    assert replace(SMALL, final_pool=4).map_sizes(3)[-1] == (4, 4)
    with pytest.raises(BadInputError, match=r"macro.final_pool 5 does not fit on the last cell's 4 x 4 maps"):
        replace(SMALL, final_pool=5).map_sizes(3)


@pytest.mark.parametrize(
    "field, value",
    [
        ("classes", 0), ("timesteps", 0), ("channels", 0), ("stem_stride", 0), ("final_pool", 0), ("hidden", -1),
        ("votes", 0), ("input_shape", (3, 0, 4)), ("input_shape", (3, 4)), ("dropout", 1.0), ("dropout", -0.1),
        ("tau", 1.0), ("threshold", 0.0),
        ("growth", 0.5), ("neuron", "lfi"), ("reduction", "pool"), ("reductions", (0,)),
        ("reductions", (2, 1)), ("reductions", (1, 1)), ("weight_bits", -1), ("membrane_bits", 1),
        ("readout", "spikes"),
    ],
)  # fmt: skip
def test_what_no_network_can_have_is_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(BadInputError, match=f"macro.{field}"):
        replace(SMALL, **{field: value})


@pytest.mark.parametrize(
    "allowed", [{"hidden": 0}, {"dropout": 0.0}, {"tau": 1.01}, {"tau": 0.5, "neuron": "if"}, {"reductions": ()},
                {"classes": 1, "timesteps": 1, "channels": 1, "votes": 1}, {"weight_bits": 1}, {"membrane_bits": 2},
                {"readout": "rate"}],
)  # fmt: skip
def test_what_lies_at_the_edge_is_allowed(allowed: dict[str, object]) -> None:
    macro = replace(SMALL, **allowed)
    assert Macro.from_json(macro.to_json()) == macro


def test_json_leaves_out_what_came_later_where_it_has_its_default() -> None:
    assert {"neuron", "weight_bits", "membrane_bits", "reduction", "reductions", "readout"}.isdisjoint(SMALL.to_json())
    told = replace(SMALL, neuron="if", reductions=(1,)).to_json()
    assert (told["neuron"], told["reductions"]) == ("if", [1])
