import numpy as np
import pytest
import torch

from hasnas.cim_estimator.model.estimator import synaptic_operations
from hasnas.nas.config.training import RegularisationSection
from hasnas.nas.training.parts import forward_pass
from hasnas.nas.training.regularisation import multiply_accumulates, operation_shares, rate_penalty
from hasnas.search_spaces.architecture import Architecture
from hasnas.search_spaces.cells import Edge, Genotype
from hasnas.search_spaces.layers import Conv2d, Linear
from hasnas.search_spaces.lowering import lower
from hasnas.search_spaces.macro import Macro
from hasnas.search_spaces.network import build_network

CELL = Genotype(3, (Edge(0, 1, "conv3x3"), Edge(0, 2, "identity"), Edge(1, 2, "conv1x1")))
MACRO = Macro((1, 8, 8), classes=3, timesteps=3, channels=4, hidden=6, votes=1, dropout=0.0)
GRAPH = Architecture((CELL, CELL), MACRO).expand()


def test_layers_are_weighed_as_the_estimator_counts():
    workload = lower(GRAPH)
    counted = dict(zip(workload.names, np.ravel(synaptic_operations(workload)), strict=True))
    for node in GRAPH.nodes:
        if isinstance(node.operation, Conv2d | Linear):
            evaluations = 1 if node.name in GRAPH.static_nodes else GRAPH.timesteps
            assert multiply_accumulates(GRAPH, node.name) * evaluations == counted[node.name]
    shares = operation_shares(GRAPH)
    assert sum(shares.values()) == pytest.approx(1)
    fed = {"cell1.0.lif": "cell1.0_1.conv3x3.conv", "head.hidden_lif": "head.classifier"}
    ratio = shares["cell1.0.lif"] / shares["head.hidden_lif"]
    assert ratio == pytest.approx(counted[fed["cell1.0.lif"]] / counted[fed["head.hidden_lif"]])


def test_only_excess_is_punished():
    names = list(operation_shares(GRAPH))
    rates = {name: torch.tensor(0.3 if index == 0 else 0.05) for index, name in enumerate(names)}
    penalty = rate_penalty(GRAPH, rates, RegularisationSection(rate_weight=2.0, rate_target=0.1))
    assert penalty.item() == pytest.approx(2 * 0.2**2 / len(names))
    weighted = RegularisationSection(rate_weight=2.0, rate_target=0.0, count="operations")
    total = sum(share * rates[name].item() for name, share in operation_shares(GRAPH).items())
    assert rate_penalty(GRAPH, rates, weighted).item() == pytest.approx(2 * total**2)
    assert rate_penalty(GRAPH, rates, RegularisationSection(rate_weight=2.0, rate_target=0.9)) == 0


@pytest.mark.parametrize("count", ["spikes", "operations"])
def test_following_the_gradient_lowers_the_rates(count: str):
    network = build_network(GRAPH, seed=0).train()
    x = torch.rand(8, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    settings = RegularisationSection(rate_weight=1.0, rate_target=0.0, count=count)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.02)
    penalties = []
    for _ in range(12):
        penalty = rate_penalty(GRAPH, forward_pass(network, x, rates=True).rates, settings)
        optimizer.zero_grad()
        penalty.backward()
        optimizer.step()
        penalties.append(penalty.item())
    assert penalties[-1] < 0.5 * penalties[0]
