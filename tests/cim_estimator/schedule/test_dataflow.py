"""Repetition vectors, contradictions, names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hasnas.cim_estimator.schedule import Actor, Channel, DataflowGraph
from hasnas.errors import BadInputError

PAIR = (Actor("a", 1.0), Actor("b", 1.0))


def test_repetition_vector_of_the_sample_rate_converter(sample_rate_converter: DataflowGraph) -> None:
    assert list(sample_rate_converter.repetition_vector.values()) == [147, 147, 98, 28, 32, 160]


@given(st.lists(st.tuples(st.integers(1, 12), st.integers(1, 12)), min_size=1, max_size=5))
def test_an_iteration_leaves_every_channel_as_it_was(rates: list[tuple[int, int]]) -> None:
    actors = tuple(Actor(str(number), 1.0) for number in range(len(rates) + 1))
    channels = tuple(Channel(f"c{n}", str(n), str(n + 1), *rate) for n, rate in enumerate(rates))
    graph = DataflowGraph(actors, channels)
    counts = graph.repetition_vector
    assert all(counts[c.source] * c.production == counts[c.target] * c.consumption for c in channels)
    halves = [n for n in range(2, 13) if all(count % n == 0 for count in counts.values())]
    assert not halves, "the smallest one"


def test_parts_that_are_not_connected_are_counted_by_themselves() -> None:
    actors = (*PAIR, Actor("c", 1.0))
    graph = DataflowGraph(actors, (Channel("ab", "a", "b", 2, 4),))
    assert graph.repetition_vector == {"a": 2, "b": 1, "c": 1}


def test_a_contradicting_channel_is_named() -> None:
    graph = DataflowGraph(PAIR, (Channel("there", "a", "b", 2, 1), Channel("back", "b", "a", 1, 1)), "loop")
    with pytest.raises(BadInputError, match=r"loop: the rates of channel '(there|back)'"):
        _ = graph.repetition_vector


def test_too_many_firings_are_refused() -> None:
    actors = tuple(Actor(str(n), 1.0) for n in range(9))
    channels = tuple(Channel(f"c{n}", str(n), str(n + 1), 11, 2) for n in range(8))
    with pytest.raises(BadInputError, match="an iteration has"):
        _ = DataflowGraph(actors, channels).repetition_vector


def test_two_million_firings_are_taken() -> None:
    assert DataflowGraph(PAIR, (Channel("ab", "a", "b", 1_999_999, 1),)).repetition_vector["b"] == 1_999_999
    with pytest.raises(BadInputError, match="2,000,001 firings"):
        _ = DataflowGraph(PAIR, (Channel("ab", "a", "b", 2_000_000, 1),)).repetition_vector


@pytest.mark.parametrize(
    ("actors", "channels", "message"),
    [
        ((), (), "no actor"),
        ((Actor("a", 1.0), Actor("a", 1.0)), (), "two actors are called 'a'"),
        (PAIR, (Channel("x", "a", "b"), Channel("x", "b", "a")), "two channels are called 'x'"),
        (PAIR, (Channel("x", "a", "c"),), "ends at 'c'"),
        (PAIR, (Channel("x", "a", "b", 0, 1),), "at least 1 token"),
        (PAIR, (Channel("x", "a", "b", 1, 1, -1),), "starts with -1 tokens"),
        ((Actor("a", -1.0),), (), "takes -1.0"),
        ((Actor("a", float("nan")),), (), "takes nan"),
    ],
)
def test_bad_graphs_are_refused(actors: tuple[Actor, ...], channels: tuple[Channel, ...], message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        DataflowGraph(actors, channels)


def test_rooms_smaller_than_what_lies_there_are_refused() -> None:
    graph = DataflowGraph(PAIR, (Channel("x", "a", "b", initial_tokens=3),))
    with pytest.raises(BadInputError, match="room for 2 tokens but starts with 3"):
        graph.with_capacities({"x": 2})
    with pytest.raises(BadInputError, match="no channel 'y'"):
        graph.with_capacities({"y": 2})


def test_one_firing_at_a_time_adds_no_second_loop() -> None:
    graph = DataflowGraph(PAIR, (Channel("own", "a", "a", 1, 1, 2),)).one_firing_at_a_time()
    assert [(c.source, c.target) for c in graph.channels] == [("a", "a"), ("b", "b")]
    assert graph.one_firing_at_a_time() == graph
