"""Buffer sizes against throughput, exact on graphs small enough to try all sizes."""

from __future__ import annotations

import itertools

import pytest

from hasnas.cim_estimator.schedule import Actor, Channel, DataflowGraph, guarantee, trade_off
from hasnas.errors import BadInputError


def chain_of(*rates: tuple[int, int], times: tuple[float, ...]) -> DataflowGraph:
    actors = tuple(Actor("abcd"[place], time) for place, time in enumerate(times))
    channels = tuple(Channel(f"c{n}", "abcd"[n], "abcd"[n + 1], *rate) for n, rate in enumerate(rates))
    return DataflowGraph(actors, channels).one_firing_at_a_time()


def front_of_all_sizes(graph: DataflowGraph, most: int) -> list[tuple[int, float]]:
    names = [channel.name for channel in graph.channels if channel.source != channel.target]
    best: dict[int, float] = {}
    for sizes in itertools.product(range(1, most + 1), repeat=len(names)):
        found = guarantee(graph.with_capacities(dict(zip(names, sizes, strict=True))))
        if not found.deadlock:
            best[sum(sizes)] = max(best.get(sum(sizes), 0.0), found.throughput)
    front: list[tuple[int, float]] = []
    for total, throughput in sorted(best.items()):
        if not front or throughput > front[-1][1] * (1 + 1e-9):
            front.append((total, throughput))
    return front


@pytest.mark.parametrize(
    "graph",
    [
        chain_of((2, 3), (1, 2), times=(1.0, 2.0, 2.0)),  # the example of Stuijk et al.
        chain_of((1, 1), (1, 1), times=(3.0, 1.0, 2.0)),
        chain_of((3, 2), times=(2.0, 3.0)),
    ],
    ids=["stuijk", "plain", "two"],
)
def test_equals_trying_all_sizes(graph: DataflowGraph) -> None:
    found = [(storage.total, storage.throughput) for storage in trade_off(graph)]
    assert found == [(total, pytest.approx(throughput)) for total, throughput in front_of_all_sizes(graph, 9)]


def test_example_of_stuijk() -> None:
    """Published: the smallest storage of this graph is 6 tokens (4 and 2); its last actor then fires every 7."""
    first = trade_off(chain_of((2, 3), (1, 2), times=(1.0, 2.0, 2.0)))[0]
    assert first.total == 6
    assert first.throughput == pytest.approx(1 / 7)


def test_what_cannot_be_answered_is_refused() -> None:
    pair = (Actor("a", 1.0), Actor("b", 1.0))
    with pytest.raises(BadInputError, match="deadlocked"):
        trade_off(DataflowGraph(pair, (Channel("ab", "a", "b"), Channel("ba", "b", "a"))))
    with pytest.raises(BadInputError, match="nothing bounds"):
        trade_off(DataflowGraph(pair, (Channel("ab", "a", "b"),)))
    with pytest.raises(BadInputError, match="more than 1 combinations"):
        trade_off(chain_of((3, 2), (2, 3), times=(1.0, 1.0, 1.0)), most_tried=1)


def test_as_many_combinations_as_allowed_are_tried() -> None:
    pair = chain_of((1, 1), times=(1.0, 1.0))
    assert [storage.total for storage in trade_off(pair, most_tried=1)] == [1, 2]
    with pytest.raises(BadInputError, match="more than 0 combinations"):
        trade_off(pair, most_tried=0)
