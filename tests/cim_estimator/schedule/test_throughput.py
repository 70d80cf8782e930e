"""Guarantees against goldens and against plain self-timed execution."""

from __future__ import annotations

import numpy as np
import pytest

from hasnas.cim_estimator.schedule import Actor, Channel, DataflowGraph, guarantee
from hasnas.cim_estimator.schedule.firings import unfold
from hasnas.cim_estimator.schedule.throughput import self_timed_starts
from hasnas.errors import BadInputError


@pytest.mark.slow
def test_lenet(lenet: DataflowGraph) -> None:
    """Golden: one firing at a time, the tutorial's graph has the maximum cycle ratio 16."""
    found = guarantee(lenet.one_firing_at_a_time())
    assert found.max_cycle_ratio == 16
    assert found.throughput == 1 / 16
    assert set(found.repetition_vector.values()) == {1}


def test_the_slowest_actor_bounds_a_chain(sample_rate_converter: DataflowGraph) -> None:
    """By hand: 160 firings of 6 are more than 147 of 5 or 32 of 4."""
    found = guarantee(sample_rate_converter)
    assert found.max_cycle_ratio == 960
    assert found.critical_actors == ("f",)
    assert found.latency > 960


def random_live_graph(rng: np.random.Generator) -> DataflowGraph:
    """Random rates that agree, a ring with enough tokens for one iteration, and a few channels across."""
    count = int(rng.integers(2, 5))
    repetitions = rng.integers(1, 4, count)
    actors = tuple(Actor(f"n{n}", float(rng.integers(1, 9))) for n in range(count))

    def channel(a: int, b: int, name: str, tokens: int) -> Channel:
        return Channel(name, f"n{a}", f"n{b}", int(repetitions[b]), int(repetitions[a]), tokens)

    ring = [channel(n, n + 1, f"ring{n}", int(rng.integers(0, 3))) for n in range(count - 1)]
    extra = int(rng.integers(0, 6))
    back = channel(count - 1, 0, "back", int(repetitions[0] * repetitions[-1]) + extra)
    return DataflowGraph(actors, (*ring, back)).one_firing_at_a_time()


def test_self_timed_execution_reaches_what_is_guaranteed() -> None:
    rng = np.random.default_rng(11)
    for _ in range(25):
        graph = random_live_graph(rng)
        starts = self_timed_starts(unfold(graph), 120)
        growth = (starts[-1] - starts[59]) / 60
        assert growth.max() == pytest.approx(guarantee(graph).max_cycle_ratio, rel=0.02)


def test_latency_is_the_makespan_of_the_first_iteration() -> None:
    rng = np.random.default_rng(12)
    for _ in range(10):
        graph = random_live_graph(rng)
        firings = unfold(graph)
        assert guarantee(graph).latency == pytest.approx((self_timed_starts(firings, 1)[0] + firings.time).max())


def test_more_time_or_fewer_tokens_never_speed_a_graph_up(lenet: DataflowGraph) -> None:
    slower = DataflowGraph(tuple(Actor(a.name, 2 * a.execution_time) for a in lenet.actors), lenet.channels)
    assert guarantee(slower).max_cycle_ratio == 2 * guarantee(lenet).max_cycle_ratio
    fuller = tuple(
        Channel(c.name, c.source, c.target, c.production, c.consumption, 2 * c.initial_tokens) for c in lenet.channels
    )
    assert guarantee(DataflowGraph(lenet.actors, fuller)).max_cycle_ratio == guarantee(lenet).max_cycle_ratio / 2


def test_a_deadlock_names_its_cycle() -> None:
    actors = (Actor("a", 1.0), Actor("b", 1.0), Actor("c", 1.0))
    channels = (Channel("ab", "a", "b"), Channel("ba", "b", "a"), Channel("bc", "b", "c"))
    found = guarantee(DataflowGraph(actors, channels))
    assert found.deadlock
    assert (found.throughput, found.latency) == (0, np.inf)
    with pytest.raises(BadInputError, match=r"g is deadlocked: a -> b -> a .* (ab, ba|ba, ab)"):
        found.refuse_deadlock("g")


def test_too_few_tokens_of_several_rates_deadlock() -> None:
    """b takes 3 at once; of the 2 tokens that come back only one firing of a can be paid, so 2 never become 3."""
    channels = (Channel("ab", "a", "b", 2, 3), Channel("ba", "b", "a", 3, 2, 2))
    assert guarantee(DataflowGraph((Actor("a", 1.0), Actor("b", 1.0)), channels)).deadlock
    enough = (channels[0], Channel("ba", "b", "a", 3, 2, 4))
    assert not guarantee(DataflowGraph((Actor("a", 1.0), Actor("b", 1.0)), enough)).deadlock
