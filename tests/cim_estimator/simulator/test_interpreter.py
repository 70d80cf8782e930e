"""The compiled event loop writes the log of the interpreter in plain Python, event for event."""

from __future__ import annotations

import numpy as np
import pytest

from hasnas.cim_estimator.mapping import mesh, tree
from hasnas.cim_estimator.simulator import Entry, Placement, Settings, simulate

from .scenes import assert_same, computing, machine, random_traffic


@pytest.mark.parametrize("mode", ["barrier", "free"])
@pytest.mark.parametrize("multicast", [True, False])
@pytest.mark.parametrize("room", [1, 3, 1000])
@pytest.mark.parametrize("topology", [mesh(4, 3), tree(2, 3)])
def test_traffic(mode: str, multicast: bool, room: int, topology: object) -> None:
    program, placement, spikes = random_traffic(topology, 15, 300, 10, seed=room)  # type: ignore[arg-type]
    settings = Settings(mode, multicast, 3e-9, log=True)  # type: ignore[arg-type]
    runs = [
        simulate(program, [spikes], placement, machine(topology.tiles, room), settings, engine).runs[0]  # type: ignore[attr-defined]
        for engine in ("compiled", "plain")
    ]
    assert_same(*runs)
    assert runs[0].channels[:, 1].sum() > 0, "nothing had to wait"
    assert runs[0].done


@pytest.mark.parametrize("mode", ["barrier", "free"])
@pytest.mark.parametrize("seed", range(4))
def test_networks_that_compute(mode: str, seed: int) -> None:
    program, spikes = computing(seed)
    clusters = np.random.default_rng(seed).integers(0, 6, program.units)
    placement = Placement(clusters, np.array([0, 1, 2, 3, 4, 5]), mesh(3, 2))
    settings = Settings(mode, True, 50e-9, log=True)  # type: ignore[arg-type]
    one, other = (
        simulate(program, [spikes], placement, machine(6), settings, engine).runs[0] for engine in ("compiled", "plain")
    )
    assert_same(one, other)
    fired = one.raster[:, program.kinds == 1].sum()
    assert fired > 20
    assert mode == "free" or np.mean(one.raster[:, program.kinds == 1]) < 0.9
    assert np.ptp(one.outputs) > 0
    assert set(one.log[:, 1].tolist()) >= {Entry.SENT, Entry.HOP, Entry.DELIVERED, Entry.READ}


def test_a_log_is_as_long_as_it_needs_to_be_and_in_order() -> None:
    program, placement, spikes = random_traffic(mesh(5, 5), 40, 8000, 400, seed=1)
    (run,) = simulate(program, [spikes], placement, machine(25), Settings("free", log=True)).runs
    assert len(run.log) > 4 * (1 << 12)  # more than there was room for at first
    assert np.all(np.diff(run.log[:, 0]) >= 0)
    assert np.sum(run.log[:, 1] == Entry.SENT) == len(spikes.units)
