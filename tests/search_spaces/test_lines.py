"""Networks on lines `[C, 1, L]`: everything goes along the line, and costs what that takes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from hasnas.cim_estimator import LayerSpec, Workload, estimate, load_hardware
from hasnas.errors import BadInputError
from hasnas.nas.export.deploy import deploy
from hasnas.nas.export.nir_reader import read_nir
from hasnas.nas.export.nir_writer import write_nir
from hasnas.nas.scoring.mean_field import propagate
from hasnas.nas.training.methods.readout import fan_out
from hasnas.search_spaces.architecture import Architecture
from hasnas.search_spaces.cells import Edge, Genotype
from hasnas.search_spaces.graph import LayerGraph, Node
from hasnas.search_spaces.layers import Conv2d, layer_from_json, layer_to_json, pair
from hasnas.search_spaces.lowering import lower
from hasnas.search_spaces.macro import Macro
from hasnas.search_spaces.network import build_network
from hasnas.search_spaces.operations import operation_like, operation_named
from hasnas.search_spaces.snasnet import CellSpace
from tests.lively import assert_lively, draw_inputs, enliven

LINE = Macro((2, 1, 24), classes=3, timesteps=3, channels=4, hidden=0, votes=1, stem_stride=2, dropout=0.0)


def graph_of(*operations: str, macro: Macro = LINE) -> LayerGraph:
    edges = tuple(Edge(index, index + 1, name) for index, name in enumerate(operations))
    cell = Genotype(len(operations) + 1, edges)
    return Architecture((cell, cell), macro).expand()


def test_stem_reduction_and_head_go_along_the_line():
    graph = graph_of("conv1x3", "maxpool1x5")
    shapes = {node.name: node.shape for node in graph.nodes}
    assert (shapes["stem.conv"], shapes["reduction1.pool"], shapes["head.pool"]) == ((4, 1, 12), (8, 1, 6), (8, 1, 3))
    windows = {pair(one.operation.kernel_size) for one in graph.nodes if hasattr(one.operation, "kernel_size")}
    assert windows == {(1, 2), (1, 3), (1, 5)}


def test_a_kernel_along_a_line_takes_its_places_as_rows():
    assert operation_named("conv1x5").parameters(8) == 5 * 8 * 8 + 2 * 8
    square, line = (lower(graph_of(name)) for name in ("conv3x3", "conv1x3"))
    slot = square.names.index("cell1.0_1.conv3x3.conv")
    assert (square.fan_in[slot], line.fan_in[slot]) == (9 * 4, 3 * 4)
    listed = LayerSpec("conv", 64, 64, kernel_size=(1, 3), stride=(1, 2), in_size=(1, 32))
    assert listed.output_shape == (1, 16)
    network = Workload.from_layers([listed], timesteps=2)
    assert network.layers()[0].kernel_size == (1, 3)
    chip = load_hardware("rram-32nm")
    three = Workload.from_layers([LayerSpec("conv", 64, 64, kernel_size=3, in_size=(1, 32))], timesteps=2)
    assert estimate(network, chip).parameters * 3 == estimate(three, chip).parameters


def test_operations_along_lines_have_names_and_sizes():
    assert operation_like("conv1d", 7, 0.5).name == "conv1x7_t0.5"
    assert operation_named("conv1x1").kind == "conv"
    for name in ("conv1x4", "conv3x1", "conv5x3", "avgpool1x3_t0.5", "conv1x33", "conv01x3"):
        with pytest.raises(BadInputError, match="unknown operation"):
            operation_named(name)


def test_layers_along_lines_go_through_files_of_plain_data():
    layer = Conv2d(2, 4, (1, 5), (1, 2), (0, 2))
    told = {"name": "c", "kind": "Conv2d", **layer_to_json(layer)}
    assert layer_from_json({**told, "kernel_size": [1, 5], "stride": [1, 2], "padding": [0, 2]}) == layer
    assert Conv2d(2, 4, (3, 3)) == Conv2d(2, 4, 3)


@torch.no_grad()
def test_a_network_on_lines_equals_its_file(tmp_path: Path):
    network = enliven(build_network(graph_of("conv1x7", "avgpool1x3", "dwsep1x3"), seed=0)).double()
    samples = draw_inputs(network, 6).double()
    assert_lively(network, samples)
    write_nir(tmp_path / "a.nir", deploy(network.graph, network.state_dict()))
    torch.testing.assert_close(read_nir(tmp_path / "a.nir", torch.float64)(samples), network(samples))


def test_means_along_a_line_keep_less_variance_the_longer_they_are():
    space = CellSpace(LINE, operations=("none", "avgpool1x3", "avgpool1x9", "avgpool3x3", "conv1x3"), nodes=3)
    field = propagate(space, np.array([[1, 0, 4], [2, 0, 4], [3, 0, 4]]))
    short, long, square = field.cells[0].variance[:, 1]
    assert 1 > short > square > 0
    assert short > long > 0


def test_fan_out_counts_a_kernel_along_a_line():
    layer = Conv2d(1, 2, (1, 3), padding=(0, 1))
    line = torch.zeros(1, 1, 1, 4, requires_grad=True)
    functional.conv2d(line, torch.ones(2, 1, 1, 3), padding=(0, 1)).sum().backward()
    assert line.grad is not None
    assert fan_out(Node("conv", layer, (2, 1, 4)), (1, 1, 4)).tolist() == line.grad[0, 0].tolist()
