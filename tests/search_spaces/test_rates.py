"""Measured rates: of every slot of every network, at the price of the same rates assumed, and unknown ones by name."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from hasnas.cim_estimator import Activity, estimate, load_hardware
from hasnas.search_spaces import Architecture, Edge, Genotype, Macro
from hasnas.search_spaces.graph import LayerGraph
from hasnas.search_spaces.lowering import INPUTS, lower, rate_name
from hasnas.search_spaces.network import build_network

MACRO = Macro((1, 8, 8), classes=3, timesteps=4, channels=4, hidden=8, votes=2, dropout=0.0)
LOOP = Genotype(
    4,
    (Edge(0, 1, "conv3x3_t0.5"), Edge(0, 3, "maxpool3x3"), Edge(1, 3, "avgpool3x3"), Edge(3, 0, "conv1x1")),
)
MACROS = {
    "images": MACRO,
    "frames": replace(MACRO, static_input=False, input_shape=(2, 8, 8)),
    "adaptive thresholds": replace(MACRO, neuron="alif"),
    "learned time constants, max pools": replace(MACRO, neuron="plif", reduction="max_pool"),
}
EVENT, CLOCKED = (load_hardware("rram-32nm", {"readout": readout}) for readout in ("event", "clocked"))


def graph_of(macro: Macro) -> LayerGraph:
    return Architecture((LOOP, LOOP), macro).expand()


@pytest.mark.parametrize("name", MACROS)
@pytest.mark.parametrize("rate", [0.0, 0.05, 1.0])
def test_measured_rates_price_as_the_same_rate_assumed(name: str, rate: float):
    graph = graph_of(MACROS[name])
    measured = estimate(lower(graph, {rate_name(node): rate for node in graph.nodes}), EVENT, Activity.measured())
    assumed = estimate(lower(graph), EVENT, Activity.assumed(rate))
    np.testing.assert_allclose(measured.energy_by_layer_j, assumed.energy_by_layer_j, rtol=1e-12)
    assert not measured.warnings or measured.warnings == assumed.warnings


@pytest.mark.parametrize("name", MACROS)
def test_a_network_tells_the_rates_of_all_that_is_priced(name: str):
    macro = MACROS[name]
    graph = graph_of(macro)
    network, generator = build_network(graph, seed=0).eval(), torch.Generator().manual_seed(1)
    shape = (6, *macro.input_shape) if macro.static_input else (macro.timesteps, 6, *macro.input_shape)
    x = 4 * torch.rand(shape, generator=generator)
    values, rates = network.run(x), network.activity(x)
    workload = lower(graph, rates)
    assert not np.isnan(workload.input_rate).any()
    firing = rates["cell1.0.lif_t0_5"]
    assert 0 < firing < 1
    assert firing == rates["cell1.0_1.conv3x3_t0_5.conv"] == float((values["cell1.0.lif_t0_5"] != 0).double().mean())
    # The loop's value arrives one timestep late, with zeros before: T - 1 of T timesteps of one operand of two.
    fed_back, entering = values["cell1.3_0.conv1x1.norm"], values["stem.norm"]
    late = float((fed_back[:-1] != 0).double().mean()) * (macro.timesteps - 1) / macro.timesteps
    assert rates["cell1.0.sum"] == pytest.approx((float((entering != 0).double().mean()) + late) / 2)
    assert rates["cell1.0.lif_t0_5" + INPUTS] == float((values["cell1.0.sum"] != 0).double().mean())


def test_rates_that_are_not_known_are_named_where_they_change_the_price():
    graph = graph_of(MACRO)
    weighted = {"stem.conv", "reduction1.conv", "head.hidden", "head.classifier"}
    weighted |= {node.name for node in graph.nodes if node.name.endswith(".conv")}
    workload = lower(graph, dict.fromkeys(weighted, 0.1))
    (event,) = [text for text in estimate(workload, EVENT, Activity.measured()).warnings if "no measured" in text]
    for name in ("cell1.0.lif_t0_5", "head.pool", "head.vote", "cell1.0.sum", "head.norm"):
        assert name in event
    assert not [name for name in weighted if name in event.replace(",", "").split()]
    assert estimate(workload, CLOCKED, Activity.measured()).warnings == ()
    assert "head.hidden" in estimate(lower(graph), CLOCKED, Activity.measured()).warnings[0]
