"""Compromises between objectives, and recipes that name every objective there is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hasnas.cim_estimator import load_hardware
from hasnas.cim_estimator.mapping import SpikeTimes, chip_of, compromises, evaluate, load_recipe, map_graph
from hasnas.cim_estimator.mapping.placers import JUDGED, OBJECTIVES
from hasnas.errors import BadInputError

from .graphs import random_graph

CHIP = chip_of(load_hardware("rram-32nm", {"crossbar.size": "16"}))


def graph():  # type: ignore[no-untyped-def]
    bare = random_graph(60, 300, 1, inputs=10)
    fires = np.random.default_rng(0).random((60, 20)) < 0.4
    offsets, steps = np.concatenate([[0], np.cumsum(fires.sum(1))]), np.nonzero(fires)[1].astype(np.int32)
    return replace(bare, spikes=fires.sum(1), times=SpikeTimes(offsets, np.zeros_like(steps), steps))


def test_no_compromise_beats_another() -> None:
    names = ["energy", "congestion"]
    found = compromises(graph(), replace(load_recipe("naive"), placer="climb"), CHIP, names, steps=3)
    values = np.array([[one.figures[name] for name in names] for one in found])
    assert len(found) >= 2
    for row in values:
        assert not ((values <= row).all(1) & (values < row).any(1)).any()
    alone = replace(load_recipe("naive"), placer="climb", objective={"energy": 1.0, "congestion": 0.01})
    hop_j = CHIP.network.hop_energy_j
    energies = [evaluate(one.mapped, CHIP).communication_energy_j for one in found]
    assert energies == pytest.approx(values[:, 0] * hop_j)
    assert min(energies) <= evaluate(map_graph(graph(), alone, CHIP), CHIP).communication_energy_j * (1 + 1e-9)


@pytest.mark.parametrize("name", [*OBJECTIVES, *JUDGED])
def test_every_objective_can_be_weighed_in_a_recipe(name: str) -> None:
    recipe = replace(load_recipe("random"), placer="climb", objective={name: 1.0})
    lowered, by_chance = map_graph(graph(), recipe, CHIP), map_graph(graph(), load_recipe("random"), CHIP)
    found, chance = evaluate(lowered, CHIP), evaluate(by_chance, CHIP)
    if name in ("energy", "mean_latency", "queueing_latency"):
        assert found.latency_s < chance.latency_s
    elif name == "isi_distortion":
        assert found.isi_distortion_s < chance.isi_distortion_s  # type: ignore[operator]
    elif name == "leakage":
        assert found.leakage_w < chance.leakage_w
    assert len(set(lowered.tiles.tolist())) == found.clusters


def test_bad_compromises_are_named() -> None:
    with pytest.raises(BadInputError, match="unknown objective 'heat'"):
        compromises(graph(), load_recipe("naive"), CHIP, ["energy", "heat"])
    with pytest.raises(BadInputError, match="1 objectives and 4 steps"):
        compromises(graph(), load_recipe("naive"), CHIP, ["energy"])
