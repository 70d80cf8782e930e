"""Networks on simulated chips: with barriers they fire exactly the spikes that torch computes, whatever they are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from hasnas.cim_estimator import load_hardware
from hasnas.cim_estimator.mapping import Mapped, chip_of, load_recipe, map_graph
from hasnas.cim_estimator.simulator import Kind, Settings
from hasnas.errors import BadInputError
from hasnas.nas.export.deploy import Deployed, deploy
from hasnas.nas.spikes import trace
from hasnas.nas.spikes.on_chip import OnChip, run_on_chip
from hasnas.nas.spikes.program import program_of
from hasnas.search_spaces.architecture import Architecture
from hasnas.search_spaces.cells import Edge, Genotype
from hasnas.search_spaces.macro import Macro
from hasnas.search_spaces.network import build_network
from tests.lively import draw_inputs, enliven

CONV = Genotype(2, (Edge(0, 1, "conv3x3"),))
SMALL = Macro((1, 6, 6), classes=3, timesteps=3, channels=4, hidden=0, votes=1)
CASES = {
    "plain": (CONV, SMALL, "128"),
    "split over crossbars": (CONV, replace(SMALL, channels=12), "64"),
    "adaptive threshold, branches, votes": (
        Genotype(3, (Edge(0, 1, "conv3x3"), Edge(1, 2, "avgpool3x3"), Edge(0, 2, "conv1x1"))),
        replace(SMALL, neuron="alif", hidden=8, votes=2),
        "128",
    ),
    "soft reset, feedback": (
        Genotype(3, (Edge(0, 1, "conv3x3"), Edge(1, 2, "conv3x3"), Edge(2, 1, "conv3x3"))),
        replace(SMALL, neuron="lif_soft_reset"),
        "64",
    ),
    "feedback without neurons": (
        Genotype(3, (Edge(0, 1, "conv3x3"), Edge(1, 2, "identity"), Edge(2, 1, "identity"))),
        SMALL,
        "128",
    ),
    "maxima": (
        Genotype(3, (Edge(0, 1, "maxpool3x3"), Edge(1, 2, "conv3x3"))),
        replace(SMALL, channels=2, neuron="if", reduction="max_pool"),
        "96",
    ),
    "leaky synapses, few bits": (CONV, replace(SMALL, neuron="synaptic_lif", membrane_bits=6), "128"),
    "sequences, few bits": (CONV, replace(SMALL, static_input=False, membrane_bits=5), "128"),
}


def placed(case: str, samples: int = 3) -> tuple[Deployed, torch.Tensor, Mapped, object]:
    """A lively network of a case, samples batch first, and where it is."""
    cell, macro, size = CASES[case]
    network = enliven(build_network(Architecture((cell, cell), macro).expand(), 0))
    inputs = draw_inputs(network, samples, 1)
    inputs = inputs if inputs.dim() == 4 else inputs.transpose(0, 1)
    deployed = deploy(network.graph, network.state_dict())
    chip = chip_of(load_hardware("rram-32nm", {"crossbar.size": size}))
    return deployed, inputs, map_graph(trace(deployed, inputs), load_recipe("naive"), chip), chip


def on_chip(case: str, settings: Settings | None = None) -> OnChip:
    """What the chip makes of it."""
    deployed, inputs, mapped, chip = placed(case)
    return run_on_chip(deployed, mapped, chip, inputs, settings)  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_barriers_give_the_networks_own_spikes(case: str) -> None:
    found = on_chip(case)
    assert found.other_spikes == 0
    assert found.outputs == pytest.approx(found.own_outputs, abs=1e-12)
    assert found.spikes == found.simulated.core_counts[:, 4].sum() > 100
    assert found.simulated.packets > 100


@pytest.mark.slow
def test_maxima_are_computed_where_they_are_read() -> None:
    deployed, _, mapped, _ = placed("maxima")
    built = program_of(deployed, mapped)
    synapses, clusters = built.program.synapses, built.placement.clusters
    behind = built.program.kinds[synapses.sources] == Kind.MAXIMUM
    assert behind.any()
    assert np.array_equal(clusters[synapses.sources[behind]], clusters[synapses.targets[behind]])


@pytest.mark.slow
def test_free_running_chips_answer_otherwise_and_sooner_or_later_as_long_as_they_are_given() -> None:
    deployed, inputs, mapped, chip = placed("plain")
    free = Settings("free")
    found = run_on_chip(deployed, mapped, chip, inputs, free)  # type: ignore[arg-type]
    locked = run_on_chip(deployed, mapped, chip, inputs)  # type: ignore[arg-type]
    assert found.settings.period_s == pytest.approx(locked.simulated.latency_s / 3)
    assert found.other_spikes > 0
    slow = run_on_chip(deployed, mapped, chip, inputs, free, period_s=1e-4)  # type: ignore[arg-type]
    assert slow.simulated.latency_s > 2e-4 > found.simulated.latency_s


@pytest.mark.slow
@pytest.mark.parametrize("case, message", [("feedback without neurons", "never settle"), ("maxima", "maxima of sums")])
def test_what_cannot_run_freely_says_so(case: str, message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        on_chip(case, Settings("free"))


@pytest.mark.slow
def test_a_mapping_of_another_network_is_refused() -> None:
    deployed, *_ = placed("plain")
    _, _, mapped, _ = placed("adaptive threshold, branches, votes")
    with pytest.raises(BadInputError, match="another network"):
        program_of(deployed, mapped)
