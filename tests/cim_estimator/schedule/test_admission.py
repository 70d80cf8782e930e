"""A second network on a busy chip: where it goes, what it costs the first, and when it is turned away."""

from __future__ import annotations

import numpy as np
import pytest

from hasnas.cim_estimator.mapping import mesh
from hasnas.cim_estimator.schedule.admission import admit, place_on
from hasnas.cim_estimator.schedule.mapped import Rates
from hasnas.cim_estimator.simulator import machine_of
from hasnas.errors import BadInputError

from .test_mapped import CHIP, mapped

FIRST, SECOND = mapped(0), mapped(1)
MACHINES = machine_of(CHIP, FIRST), machine_of(CHIP, SECOND)
LARGE = mesh(FIRST.topology.width, 4 * FIRST.topology.height)  # the first network's tiles keep their numbers


def test_both_run_if_the_chip_is_large_enough() -> None:
    found = admit(FIRST, SECOND, MACHINES, 1.0, LARGE)
    assert found.admitted
    assert found.after is not None
    assert len(set(found.tiles.tolist())) == len(SECOND.tiles)
    assert not set(found.tiles.tolist()) & set(FIRST.tiles.tolist())
    assert found.after.guaranteed.throughput <= found.before.guaranteed.throughput
    actors = found.after.guaranteed.repetition_vector
    assert sum(name.startswith("core") for name in actors) == len(FIRST.tiles) + len(SECOND.tiles)


def test_it_is_turned_away_where_the_promise_would_break() -> None:
    promised = admit(FIRST, SECOND, MACHINES, 1.0, LARGE).after
    assert promised is not None
    rate = promised.guaranteed.throughput
    assert admit(FIRST, SECOND, MACHINES, rate * 0.999, LARGE).admitted
    refused = admit(FIRST, SECOND, MACHINES, rate * 1.001, LARGE)
    assert not refused.admitted
    assert "are needed" in refused.reason


def test_it_is_turned_away_where_tiles_are_lacking() -> None:
    found = admit(FIRST, SECOND, MACHINES, 1.0)
    assert not found.admitted
    assert found.after is None
    free = FIRST.topology.tiles - len(FIRST.tiles)
    assert found.reason == f"it needs {len(SECOND.tiles)} tiles, {free} are free"


def test_clusters_that_talk_are_neighbours() -> None:
    flows = np.array([[0, 1], [1, 2], [2, 3]])
    rates = Rates(flows, np.ones(3, np.int64), np.array([5.0, 9.0, 5.0]), np.ones(3))
    tiles = place_on(rates, 4, np.array([0, 4, 5, 6, 7, 15]), mesh(4, 4))
    where = [(tile % 4, tile // 4) for tile in tiles.tolist()]
    for one, other in flows:
        assert abs(where[one][0] - where[other][0]) + abs(where[one][1] - where[other][1]) == 1


def test_requests_that_cannot_be() -> None:
    with pytest.raises(BadInputError, match="give a rate above 0"):
        admit(FIRST, SECOND, MACHINES, 0.0)
    with pytest.raises(BadInputError, match="map it to this chip"):
        admit(FIRST, SECOND, MACHINES, 1.0, mesh(2, 1))
