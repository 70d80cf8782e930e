"""Static orders on tiles."""

from __future__ import annotations

from collections import Counter

import pytest

from hasnas.cim_estimator.schedule import DataflowGraph, guarantee, schedule
from hasnas.errors import BadInputError


def test_lenet_on_two_and_on_four_tiles(lenet: DataflowGraph) -> None:
    """Goldens: 64 with actors 0-3 and 4, 5, 7 on two tiles, 32 on four tiles; all on one: 7 firings of 16."""
    two = {"0": 0, "1": 0, "2": 0, "3": 0, "4": 1, "5": 1, "7": 1}
    four = {actor.name: place % 4 for place, actor in enumerate(lenet.actors)}
    assert schedule(lenet, two).guarantee.max_cycle_ratio == 64
    assert schedule(lenet, four).guarantee.max_cycle_ratio == 32
    assert schedule(lenet, dict.fromkeys(two, 0)).guarantee.max_cycle_ratio == 7 * 16


def test_an_order_holds_every_firing_of_its_actors(sample_rate_converter: DataflowGraph) -> None:
    tile_of = {"a": 0, "b": 1, "c": 0, "d": 1, "e": 2, "f": 2}
    found = schedule(sample_rate_converter, tile_of)
    counts = Counter(name for order in found.orders.values() for name in order)
    assert counts == sample_rate_converter.repetition_vector
    assert all(tile_of[name] == tile for tile, order in found.orders.items() for name in order)


def test_tiles_never_speed_a_graph_up_and_bound_it_by_their_work(sample_rate_converter: DataflowGraph) -> None:
    tile_of = {"a": 0, "b": 1, "c": 0, "d": 1, "e": 2, "f": 2}
    ratio = schedule(sample_rate_converter, tile_of).guarantee.max_cycle_ratio
    work = 32 * 4 + 160 * 6
    assert ratio >= max(work, guarantee(sample_rate_converter).max_cycle_ratio)


def test_bindings_are_checked(lenet: DataflowGraph) -> None:
    with pytest.raises(BadInputError, match="actor '1' has no tile"):
        schedule(lenet, {"0": 0})
    with pytest.raises(BadInputError, match="a tile for 'x'"):
        schedule(lenet, {actor.name: 0 for actor in lenet.actors} | {"x": 1})
