"""Genotypes: pruning against the cell unrolled over time, counts against the published figures."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hasnas.errors import BadInputError
from hasnas.search_spaces import Architecture, Edge, Genotype, Macro

NAMES = ("none", "identity", "conv1x1", "conv3x3", "avgpool3x3")


def from_matrix(rows: str) -> Genotype:
    """A cell as SNASNet prints it: row = source, column = destination, digit = operation."""
    edges = [
        Edge(source, target, NAMES[int(digit)])
        for source, row in enumerate(rows.split())
        for target, digit in enumerate(row)
    ]
    return Genotype(4, tuple(edges))


def alive_when_unrolled(genotype: Genotype, timesteps: int | None) -> set[Edge]:
    """Edges that carry something from an input to an output in the cell laid out over time, one copy a timestep."""
    length = 2 * genotype.nodes + 1 if timesteps is None else timesteps
    arcs = [
        ((edge.source, t), (edge.target, t + edge.delay), edge)
        for edge in genotype.edges
        for t in range(length - edge.delay)
    ]
    after = {(0, t) for t in range(length)}
    before = {(genotype.nodes - 1, t) for t in range(length)}
    for _ in arcs:
        after |= {end for start, end, _ in arcs if start in after}
        before |= {start for start, end, _ in arcs if end in before}
    return {edge for start, end, edge in arcs if start in after and end in before}


@st.composite
def genotypes(draw: st.DrawFn) -> Genotype:
    nodes = draw(st.integers(2, 4))
    edges = [
        Edge(source, target, draw(st.sampled_from(NAMES)))
        for source in range(nodes)
        for target in range(nodes)
        if source != target and draw(st.booleans())
    ]
    return Genotype(nodes, tuple(edges))


@given(genotypes(), st.sampled_from([None, 1, 2, 3, 4]))
def test_canonical_keeps_what_lies_on_a_path(genotype: Genotype, timesteps: int | None) -> None:
    assert set(genotype.canonical(timesteps).edges) == alive_when_unrolled(genotype, timesteps)


@given(genotypes())
def test_canonical_twice_is_canonical_and_keeps_the_key(genotype: Genotype) -> None:
    once = genotype.canonical()
    assert once.canonical() == once
    assert once.key == genotype.key


@given(genotypes())
def test_json_round_trip(genotype: Genotype) -> None:
    assert Genotype.from_json(genotype.to_json()) == genotype


def test_a_feedback_edge_can_be_the_only_way() -> None:
    cell = Genotype(4, (Edge(0, 2, "conv3x3"), Edge(2, 1, "conv1x1"), Edge(1, 3, "identity")))
    assert cell.is_connected
    assert not cell.canonical(timesteps=1).edges, "the result would arrive after the sample has ended"
    assert len(cell.canonical(timesteps=2).edges) == 3


def test_published_parameter_counts() -> None:
    cell = from_matrix("0302 0030 3003 0000")
    released = Architecture((cell, cell), Macro(classes=100, votes=5, channels=128))
    assert released.drawn_parameter_count == 20_624_500
    none, full = Genotype(4, ()), Genotype(4, tuple(Edge(s, t, "conv3x3") for s in range(4) for t in range(s + 1, 4)))
    assert Architecture((none, none), Macro(channels=128)).drawn_parameter_count == 17_179_620
    assert Architecture((full, full), Macro(channels=128)).drawn_parameter_count == 21_607_908


def test_dead_edges_count_as_drawn_and_cost_nothing_deployed() -> None:
    dead = Genotype(4, (Edge(0, 3, "conv3x3"), Edge(0, 1, "conv3x3")))
    live = Genotype(4, (Edge(0, 3, "conv3x3"),))
    macro = Macro(channels=8, hidden=16, votes=1)
    drawn, pruned = Architecture((dead, dead), macro), Architecture((live, live), macro)
    assert drawn.drawn_parameter_count > drawn.expand().parameter_count == pruned.drawn_parameter_count
    assert drawn.key == pruned.key


@pytest.mark.parametrize(
    "edges, complaint",
    [
        ((Edge(0, 4, "identity"),), "not between two of the 4 nodes"),
        ((Edge(1, 1, "identity"),), "not between two"),
        ((Edge(0, 1, "conv3x3"), Edge(0, 1, "identity")), "drawn twice"),
        ((Edge(0, 1, "conv3x4"),), "did you mean 'conv3x3'"),
    ],
)
def test_impossible_cells_are_refused(edges: tuple[Edge, ...], complaint: str) -> None:
    with pytest.raises(BadInputError, match=complaint):
        Genotype(4, edges)


def test_a_cell_without_a_path_cannot_be_deployed() -> None:
    with pytest.raises(BadInputError, match="cell1 has no path"):
        Architecture((Genotype(4, ()),) * 2, Macro()).expand()


@pytest.mark.parametrize(
    "change, complaint",
    [
        ({"timesteps": 0}, "macro.timesteps is 0"),
        ({"tau": 0.5}, "macro.tau"),
        ({"threshold": float("nan")}, "macro.threshold"),
        ({"dropout": 1.0}, "macro.dropout"),
        ({"chanels": 3}, "did you mean 'channels'"),
    ],
)
def test_impossible_macros_are_refused(change: dict[str, float], complaint: str) -> None:
    with pytest.raises(BadInputError, match=complaint):
        Macro.from_json({**Macro().to_json(), **change})


def test_maps_that_shrink_to_nothing_are_refused() -> None:
    with pytest.raises(BadInputError, match="final_pool"):
        Macro((1, 8, 8), final_pool=8).map_sizes(cells=2)


def test_architecture_file(tmp_path) -> None:
    cell = from_matrix("0303 0030 2002 0200")
    architecture = Architecture((cell, cell), Macro())
    architecture.save(tmp_path / "arch.json")
    assert Architecture.load(tmp_path / "arch.json") == architecture
    (tmp_path / "arch.json").write_text('{"version": 9}')
    with pytest.raises(BadInputError, match=r"arch.json: not an architecture of version 1 \(found 9\)"):
        Architecture.load(tmp_path / "arch.json")
