"""Cells that compute the same function are told from those that do not."""

from __future__ import annotations

from collections import Counter
from itertools import permutations

import networkx
import numpy as np
import pytest

from hasnas.search_spaces.architecture import Architecture
from hasnas.search_spaces.cells import Edge, Genotype
from hasnas.search_spaces.functions import CellFunction, function_key
from hasnas.search_spaces.macro import Macro
from hasnas.search_spaces.snasnet import CellSpace
from hasnas.search_spaces.space import all_codes, sample

C3, C1, SAME, POOL = "conv3x3", "conv1x1", "identity", "avgpool3x3"


def cell(*edges: tuple[int, int, str], nodes: int = 4) -> CellFunction:
    return CellFunction.of(Genotype(nodes, tuple(Edge(*edge) for edge in edges)))


ALIKE = {
    "chains of identities": [
        cell((0, 3, C3)),
        cell((0, 1, C3), (1, 3, SAME)),
        cell((0, 1, SAME), (1, 2, C3), (2, 3, SAME)),
        cell((0, 2, C3), (2, 3, SAME), (0, 1, C1)),
    ],
    "nodes in another order": [
        cell((0, 1, C3), (0, 2, C1), (1, 3, SAME), (2, 3, POOL)),
        cell((0, 2, C3), (0, 1, C1), (2, 3, SAME), (1, 3, POOL)),
    ],
    "equal sums": [
        cell((0, 1, C3), (0, 3, SAME), (1, 3, SAME)),
        cell((0, 1, C3), (0, 2, SAME), (1, 2, SAME), (2, 3, SAME)),
    ],
    "pools of the same sum": [
        cell((0, 1, POOL), (0, 2, POOL), (1, 3, C3), (2, 3, C1)),
        cell((0, 1, POOL), (1, 2, SAME), (1, 3, C3), (2, 3, C1)),
    ],
    "feedback": [
        cell((0, 1, C3), (1, 0, C1), (1, 3, SAME)),
        cell((0, 2, C3), (2, 0, C1), (2, 3, SAME)),
    ],
}


@pytest.mark.parametrize("kind", ALIKE)
def test_the_same_function_has_one_key(kind: str):
    assert len({one.key() for one in ALIKE[kind]}) == 1


def test_other_functions_have_other_keys():
    others = [group[0] for group in ALIKE.values()]
    others += [
        cell((0, 3, SAME)),
        cell((0, 1, SAME), (0, 3, SAME), (1, 3, SAME)),  # twice the input
        cell((0, 1, C3), (1, 3, C3)),
        cell((0, 1, C3), (1, 2, SAME), (1, 3, SAME), (2, 3, SAME)),  # twice one convolution
        cell((0, 1, C3), (0, 2, C3), (1, 3, SAME), (2, 3, SAME)),  # the sum of two: weights of their own
        cell((0, 1, C3), (1, 0, C1), (1, 3, C3)),
        cell((0, 1, C3), (1, 0, SAME), (1, 3, SAME)),  # feedback that has no weights
    ]
    assert len({one.key() for one in others}) == len(others)


def as_graph(function: CellFunction) -> networkx.DiGraph:
    graph = networkx.DiGraph()
    graph.add_node(-1, what="input")
    graph.add_nodes_from((call, {"what": what}) for call, what in enumerate(function.calls))
    graph.add_node("output", what="output")
    for call, terms in [*enumerate(function.inputs), ("output", function.output)]:
        graph.add_edges_from((term, call, {"count": count}) for term, count in terms.items())
    return graph


@pytest.mark.slow
def test_equal_keys_are_equal_graphs_and_the_other_way_round():
    space = CellSpace(Macro(), feedback=True)
    codes = sample(space, np.random.default_rng(0), 1200)
    cells = [space.decode(row).genotypes[0] for row in codes[space.canonical(codes)[1]].tolist()]
    groups: dict[str, list[networkx.DiGraph]] = {}
    for genotype in cells:
        function = CellFunction.of(genotype)
        groups.setdefault(function.key(), []).append(as_graph(function))
    what, count = networkx.algorithms.isomorphism.categorical_node_match("what", ""), None
    count = networkx.algorithms.isomorphism.categorical_edge_match("count", 0)
    assert max(map(len, groups.values())) > 5
    for graphs in groups.values():
        assert all(networkx.is_isomorphic(graphs[0], other, what, count) for other in graphs[1:])
    firsts: dict[object, list[networkx.DiGraph]] = {}
    for graphs in groups.values():
        named = tuple(sorted(str(data["what"]) for _, data in graphs[0].nodes(data=True)))
        firsts.setdefault(named, []).append(graphs[0])
    for alike in firsts.values():
        for one, other in permutations(alike[:8], 2):
            assert not networkx.is_isomorphic(one, other, what, count)


def polynomial(genotype: Genotype) -> Counter[int]:
    """A cell of pools p and identities is a polynomial in p."""
    sums: list[Counter[int]] = [Counter() for _ in range(genotype.nodes)]
    sums[0][0] = 1
    for edge in genotype.edges:
        for power, count in sums[edge.source].items():
            sums[edge.target][power + (edge.operation == POOL)] += count
    return sums[-1]


def test_cells_without_weights_with_one_key_are_one_polynomial():
    space = CellSpace(Macro(), operations=("none", SAME, POOL))
    found: dict[str, set[frozenset[tuple[int, int]]]] = {}
    drawn: set[tuple[Edge, ...]] = set()
    for codes in all_codes(space):
        canonical, connected = space.canonical(codes)
        for row in canonical[connected].tolist():
            genotype = space.decode(row).genotypes[0]
            drawn.add(genotype.edges)
            found.setdefault(CellFunction.of(genotype).key(), set()).add(frozenset(polynomial(genotype).items()))
    assert {len(polynomials) for polynomials in found.values()} == {1}
    assert len(found) < len(drawn) / 3


def test_macro_and_every_cell_count():
    first, second = Genotype(4, (Edge(0, 3, C3),)), Genotype(4, (Edge(0, 3, C1),))
    architectures = [
        Architecture((first, second), Macro()),
        Architecture((second, first), Macro()),
        Architecture((first, first), Macro()),
        Architecture((first, second), Macro(channels=8)),
    ]
    assert len({function_key(one) for one in architectures}) == 4
    late = Genotype(4, (Edge(0, 3, C3), Edge(1, 0, C1), Edge(0, 2, SAME), Edge(2, 1, SAME)))
    short = [Architecture((late, late), Macro(timesteps=timesteps)) for timesteps in (1, 3)]
    alone = Architecture((first, first), Macro(timesteps=1))
    assert function_key(short[0]) == function_key(alone) != function_key(short[1])
