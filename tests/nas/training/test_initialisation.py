import math

import torch

from hasnas.nas.training.initialisation import threshold_batch_norm, threshold_scales
from hasnas.search_spaces.architecture import Architecture
from hasnas.search_spaces.cells import Edge, Genotype
from hasnas.search_spaces.macro import Macro
from hasnas.search_spaces.network import build_network

CELL = Genotype(3, (Edge(0, 1, "conv3x3"), Edge(0, 2, "conv1x1"), Edge(1, 2, "conv1x1")))


def test_scales_follow_threshold_and_summands():
    macro = Macro((1, 8, 8), classes=3, timesteps=2, channels=4, hidden=0, votes=1, threshold=0.6)
    graph = Architecture((CELL, CELL), macro).expand()
    scales = threshold_scales(graph)
    assert scales["stem.norm"] == 0.6
    assert scales["cell1.0_1.conv3x3.norm"] == 0.6
    network = build_network(graph, seed=0)
    threshold_batch_norm(network)
    for name, scale in scales.items():
        assert network.get_submodule(name).weight.eq(torch.tensor(scale)).all()
    # A cell's last sum meets the batch norm of the reduction before any neuron.
    assert "cell1.1_2.conv1x1.norm" not in scales
    assert network.get_submodule("cell1.1_2.conv1x1.norm").weight.eq(1).all()


def test_summed_branches_share_the_threshold():
    cell = Genotype(4, (Edge(0, 1, "conv3x3"), Edge(0, 2, "conv3x3"), Edge(1, 2, "conv1x1"), Edge(2, 3, "conv1x1")))
    macro = Macro((1, 8, 8), classes=3, timesteps=2, channels=4, hidden=0, votes=1)
    scales = threshold_scales(Architecture((cell, cell), macro).expand())
    assert scales["cell1.0_2.conv3x3.norm"] == scales["cell1.1_2.conv1x1.norm"] == 1 / math.sqrt(2)
    assert scales["cell1.0_1.conv3x3.norm"] == 1.0
