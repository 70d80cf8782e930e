"""The graph's own rules: shapes of JSON, order, delays, static parts."""

from __future__ import annotations

import pytest

from hasnas.errors import BadInputError
from hasnas.search_spaces import Architecture, Edge, Genotype, LayerGraph, Macro
from hasnas.search_spaces.graph import Connection, Node
from hasnas.search_spaces.layers import Add, Conv2d, Input, Output

MACRO = Macro((1, 8, 8), classes=3, timesteps=3, channels=4, hidden=8, votes=1)


def graph_of(*edges: Edge, macro: Macro = MACRO) -> LayerGraph:
    cell = Genotype(4, edges)
    return Architecture((cell, cell), macro).expand()


def test_json_round_trip() -> None:
    graph = graph_of(Edge(0, 3, "conv3x3"), Edge(3, 0, "maxpool3x3"), Edge(0, 2, "avgpool3x3"), Edge(2, 3, "identity"))
    assert LayerGraph.from_json(graph.to_json()) == graph


def test_feedback_makes_one_group_of_its_cell() -> None:
    graph = graph_of(Edge(0, 3, "conv3x3"), Edge(3, 0, "conv1x1"))
    large = [group for group in graph.recurrent_groups if len(group) > 1]
    assert [group[0] for group in large] == ["cell1.0.sum", "cell2.0.sum"]
    assert all(len(group) == 1 for group in graph_of(Edge(0, 3, "conv3x3")).recurrent_groups)


def test_groups_come_in_the_order_of_the_data() -> None:
    graph = graph_of(Edge(0, 1, "conv3x3"), Edge(1, 3, "conv3x3"), Edge(3, 2, "conv1x1"), Edge(2, 1, "conv1x1"))
    seen: set[str] = set()
    for group in graph.recurrent_groups:
        seen |= set(group)
        for name in group:
            assert all(link.source in seen for link in graph.inputs(name))


def test_static_parts_end_at_the_first_neuron() -> None:
    graph = graph_of(Edge(0, 1, "avgpool3x3"), Edge(1, 3, "conv3x3"), Edge(0, 3, "identity"))
    assert graph.static_nodes == {"input", "stem.conv", "stem.norm", "cell1.0_1.avgpool3x3.pool"}
    frames = Macro((1, 8, 8), classes=3, timesteps=3, channels=4, static_input=False)
    assert not graph_of(Edge(0, 3, "conv3x3"), macro=frames).static_nodes


def test_structure_ignores_names_and_nothing_else() -> None:
    first = graph_of(Edge(0, 1, "identity"), Edge(1, 3, "avgpool3x3"), Edge(0, 3, "conv3x3"))
    renamed = graph_of(Edge(0, 2, "avgpool3x3"), Edge(2, 3, "identity"), Edge(0, 3, "conv3x3"))
    assert first != renamed
    assert first.structure == renamed.structure
    other = graph_of(Edge(0, 1, "avgpool3x3"), Edge(1, 3, "avgpool3x3"), Edge(0, 3, "conv3x3"))
    twice = graph_of(Edge(0, 1, "identity"), Edge(1, 3, "avgpool3x3"), Edge(0, 3, "avgpool3x3"), Edge(1, 2, "conv3x3"))
    forward, feedback = graph_of(Edge(0, 3, "conv3x3")), graph_of(Edge(0, 3, "conv3x3"), Edge(3, 0, "identity"))
    assert len({graph.structure for graph in (first, other, twice, forward, feedback)}) == 5


INPUT, OUTPUT = Node("input", Input(), (1, 4, 4)), Node("output", Output(), (1, 4, 4))


@pytest.mark.parametrize(
    "nodes, connections, complaint",
    [
        ((INPUT, OUTPUT), (), "'output' \\(Output\\) has 0 inputs"),
        ((INPUT, INPUT, OUTPUT), (Connection("input", "output"),), "share a name"),
        ((INPUT, OUTPUT), (Connection("inptu", "output"),), "no layer 'inptu'"),
        ((INPUT, OUTPUT), (Connection("input", "output", 2),), "delay 2"),
        ((INPUT, OUTPUT), (Connection("input", "output"),) * 2, "has 2 inputs"),
        (
            (INPUT, Node("sum", Add(), (1, 4, 4)), Node("conv", Conv2d(1, 1, 1), (1, 4, 4)), OUTPUT),
            (
                Connection("input", "sum"),
                Connection("conv", "sum"),
                Connection("sum", "conv"),
                Connection("conv", "output"),
            ),
            "points backward without a delay",
        ),
    ],
)
def test_impossible_graphs_are_refused(
    nodes: tuple[Node, ...], connections: tuple[Connection, ...], complaint: str
) -> None:
    with pytest.raises(BadInputError, match=complaint):
        LayerGraph(nodes, connections, timesteps=2)


def test_unknown_kinds_and_versions_are_refused() -> None:
    data = graph_of(Edge(0, 3, "conv3x3")).to_json()
    with pytest.raises(BadInputError, match="version 7"):
        LayerGraph.from_json({**data, "version": 7})
    data["nodes"][1]["kind"] = "Conv3d"
    with pytest.raises(BadInputError, match="did you mean 'Conv2d'"):
        LayerGraph.from_json(data)
