"""Arrays for a population must say what the graph of each member says."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from hasnas.cim_estimator import estimate, load_hardware
from hasnas.cim_estimator.workload.workload import LayerKind, Workload
from hasnas.errors import BadInputError
from hasnas.search_spaces import Architecture, Edge, Genotype, Macro
from hasnas.search_spaces.autosnn import AutoSNNSpace
from hasnas.search_spaces.graph import Connection, LayerGraph, Node
from hasnas.search_spaces.hasnas import HASNASSpace
from hasnas.search_spaces.layers import LIF, Add, AvgPool2d, BatchNorm, Conv2d, Flatten, Input, Operation, Output
from hasnas.search_spaces.lowering import lower
from hasnas.search_spaces.lowering_codes import lower_codes
from hasnas.search_spaces.network import build_network
from hasnas.search_spaces.snasnet import CellSpace, SNASNetSpace
from hasnas.search_spaces.space import sample
from hasnas.search_spaces.spikenas_bench import SpikeNASBenchSpace

SMALL = Macro((1, 8, 8), classes=10, timesteps=4, channels=4, hidden=16, votes=2)
FRAMES = Macro((2, 8, 8), classes=10, timesteps=3, channels=4, hidden=0, votes=1, static_input=False, final_pool=1)
LINES = ("none", "identity", "conv1x3", "conv1x5_t0.5", "avgpool1x3", "maxpool1x5")
SPACES = {
    "forward": SNASNetSpace(SMALL),
    "feedback": SNASNetSpace(SMALL, feedback=True),
    "feedback, few timesteps": SNASNetSpace(Macro((1, 8, 8), timesteps=2, channels=4), feedback=True),
    "thresholds": SpikeNASBenchSpace(SMALL),
    "spikes at the input": SNASNetSpace(replace(FRAMES, largest_count=1)),
    "counts at the input": AutoSNNSpace(replace(FRAMES, largest_count=9)),
    "own cells, frames": CellSpace(
        FRAMES, cells=3, shared=False, feedback=True, operations=("none", "identity", "conv5x5", "maxpool3x3")
    ),
    "blocks": AutoSNNSpace(SMALL),
    "blocks, frames": AutoSNNSpace(FRAMES, cells=3, operations=("conv1x1", "conv3x3_t0.5")),
    "blocks, reductions with convolutions": AutoSNNSpace(replace(SMALL, reductions=(1, 3)), cells=4),
    "hasnas": HASNASSpace(SMALL),
    "max pools": CellSpace(replace(SMALL, reduction="max_pool"), feedback=True, shared=False, cells=3),
    "one of three cells reduced": CellSpace(replace(SMALL, reduction="max_pool", reductions=(2,)), cells=3, nodes=3),
    "channels grow by a half": CellSpace(replace(SMALL, growth=1.5), cells=3, nodes=3),
    "no reductions": CellSpace(replace(SMALL, reductions=()), cells=2, nodes=3),
    "learned time constants, 4 bits": SpikeNASBenchSpace(replace(SMALL, neuron="plif", weight_bits=4)),
    "integrators, 1 bit": CellSpace(replace(SMALL, neuron="if", weight_bits=1), feedback=True, cells=3, shared=False),
    "adaptive thresholds": SpikeNASBenchSpace(replace(SMALL, neuron="alif", weight_bits=2)),
    "membranes of 6 bits": SpikeNASBenchSpace(replace(SMALL, membrane_bits=6)),
    "answers by rate": SNASNetSpace(replace(SMALL, readout="rate", votes=3), feedback=True),
    "answers by rate of one adaptive neuron each": SNASNetSpace(replace(SMALL, readout="rate", votes=1, neuron="alif")),
    "lines": CellSpace(replace(SMALL, input_shape=(2, 1, 17), stem_stride=2, final_pool=3), True, operations=LINES),
    "lines, max pools": CellSpace(replace(SMALL, input_shape=(2, 1, 9), reduction="max_pool"), operations=LINES),
    "adaptive thresholds, membranes of 4 bits": SNASNetSpace(replace(SMALL, neuron="alif", membrane_bits=4)),
}
FIELDS = (
    "kind in_channels out_channels kernel_size kernel_height stride groups in_height in_width out_height out_width "
    "evaluations input_bits weight_bits membrane_bits biases parameters level delay"
).split()


def slot_name(node: str) -> str:
    """The population's slot of a graph's layer: pairs carry no operation and run from the lower node."""
    part = node.split(".")
    if not part[0].startswith("cell") or "_" not in part[1]:
        return node
    low, high = sorted(part[1].split("_"))
    return f"{part[0]}.{low}_{high}"


def rows(workload: Workload, candidate: int | None = None) -> dict[str, tuple[int, ...]]:
    """Used slots by name."""
    columns = []
    for name in FIELDS:
        array = np.broadcast_to(getattr(workload, name), workload.shape)
        columns.append(array if candidate is None or array.ndim == 1 else array[candidate])
    table = {slot_name(name): tuple(int(column[i]) for column in columns) for i, name in enumerate(workload.names)}
    return {name: row for name, row in table.items() if row[0] != LayerKind.NONE}


@pytest.mark.slow
@pytest.mark.parametrize("name", SPACES)
def test_population_equals_graphs(name: str) -> None:
    space = SPACES[name]
    codes = sample(space, np.random.default_rng(7), 300)
    codes = codes[space.canonical(codes)[1]]
    population = lower_codes(space, codes)
    for index, code in enumerate(codes):
        graph = space.decode(code).expand()
        assert rows(population, index) == rows(lower(graph)), code
        assert rows(lower(graph)) != {}


@pytest.mark.parametrize("name", ["feedback", "learned time constants, 4 bits"])
def test_parameters_of_a_workload_are_those_of_the_network(name: str) -> None:
    space = SPACES[name]
    for code in sample(space, np.random.default_rng(3), 40):
        architecture = space.decode(code)
        if architecture.is_connected:
            graph = architecture.expand()
            assert lower(graph).parameters.sum() == graph.parameter_count


def test_bits_of_what_a_layer_reads() -> None:
    cell = Genotype(2, (Edge(0, 1, "conv3x3"),))
    workload = lower(Architecture((cell, cell), SMALL).expand())
    bits = dict(zip(workload.names, workload.input_bits, strict=True))
    assert bits["stem.conv"] == 8, "the stem reads real values"
    assert bits["cell1.0_1.conv3x3.conv"] == 1, "a convolution of a cell reads spikes"
    assert bits["head.hidden"] == 3, "a mean over 2 x 2 spikes has five levels"
    assert bits["head.classifier"] == 1


@pytest.mark.parametrize("largest, wanted", [(0, 8), (1, 1), (2, 2), (9, 4), (255, 8), (1000, 8)])
def test_bits_of_what_enters_follow_from_its_largest_count(largest: int, wanted: int) -> None:
    cell = Genotype(2, (Edge(0, 1, "conv3x3"),))
    workload = lower(Architecture((cell, cell), replace(FRAMES, largest_count=largest)).expand())
    assert dict(zip(workload.names, workload.input_bits, strict=True))["stem.conv"] == wanted


def bits_read(*layers: tuple[str, Operation, tuple[str, ...]], shape: tuple[int, ...] = (4, 8, 8)) -> dict[str, int]:
    """Bits that each layer reads in a graph given as name, operation and sources; "-" marks those a timestep late."""
    nodes = [Node("input", Input(static=False, largest_count=1), shape)]
    links = []
    for name, operation, sources in layers:
        nodes.append(Node(name, operation, shape))
        links += [Connection(source.lstrip("-"), name, int(source.startswith("-"))) for source in sources]
    workload = lower(LayerGraph(tuple(nodes), tuple(links), timesteps=4))
    return dict(zip(workload.names, workload.input_bits.tolist(), strict=True))


def test_sums_and_means_of_spikes_have_few_bits() -> None:
    conv, pool = Conv2d(4, 4, 3, padding=1), AvgPool2d(3, 1, 1)
    bits = bits_read(
        ("conv1", conv, ("input",)), ("lif1", LIF(), ("conv1",)),
        ("conv2", conv, ("lif1",)), ("lif2", LIF(), ("conv2",)),
        ("sum", Add(), ("lif1", "lif2")), ("conv3", conv, ("sum",)), ("lif3", LIF(), ("conv3",)),
        ("more", Add(), ("sum", "lif3", "input")), ("pool", pool, ("more",)), ("again", pool, ("pool",)),
        ("conv4", conv, ("pool",)), ("conv5", conv, ("again",)), ("mixed", Add(), ("lif1", "conv5")),
        ("conv6", conv, ("mixed",)),
    )  # fmt: skip
    assert (bits["conv1"], bits["conv2"], bits["conv3"]) == (1, 1, 2), "a sum of two spike maps is 0, 1 or 2"
    assert bits["pool"] == 3, "the sum of two, one and one is at most 4"
    assert bits["conv4"] == bits["again"] == 6, "a mean over nine of those has 36 levels above 0"
    assert bits["conv5"] == 8, "324 levels are as good as real values"
    assert (bits["lif1"], bits["mixed"], bits["conv6"]) == (8, 8, 8), "what has passed weights is real"


def test_what_comes_back_is_spikes_only_from_neurons() -> None:
    conv = Conv2d(4, 4, 3, padding=1)
    spikes = bits_read(("sum", Add(), ("input", "-lif")), ("conv", conv, ("sum",)), ("lif", LIF(), ("conv",)))
    assert spikes["conv"] == 2
    real = bits_read(
        ("sum", Add(), ("input", "-norm")), ("conv", conv, ("sum",)), ("lif", LIF(), ("conv",)),
        ("norm", BatchNorm(4), ("lif",)),
    )  # fmt: skip
    assert real["conv"] == 8


def test_spikes_at_the_input_cost_less_than_real_values() -> None:
    cell, chip = Genotype(2, (Edge(0, 1, "conv3x3"),)), load_hardware("rram-32nm")
    real, spikes = (
        estimate(lower(Architecture((cell, cell), replace(FRAMES, largest_count=largest)).expand()), chip)
        for largest in (0, 1)
    )
    stem = real.layer_names.index("stem.conv")
    assert real.latency_by_layer_s[stem] > 2 * spikes.latency_by_layer_s[stem]
    assert real.energy_j > spikes.energy_j


def test_static_layers_run_once() -> None:
    cell = Genotype(3, (Edge(0, 1, "avgpool3x3"), Edge(1, 2, "conv3x3")))
    workload = lower(Architecture((cell, cell), SMALL).expand())
    runs = dict(zip(workload.names, workload.evaluations, strict=True))
    assert runs["stem.conv"] == runs["cell1.0_1.avgpool3x3.pool"] == 1
    assert runs["cell2.0_1.avgpool3x3.pool"] == runs["cell1.1_2.conv3x3.conv"] == SMALL.timesteps


def test_measured_rates_reach_their_layer() -> None:
    cell = Genotype(2, (Edge(0, 1, "conv3x3"),))
    workload = lower(Architecture((cell, cell), SMALL).expand(), {"head.hidden": 0.25})
    rates = dict(zip(workload.names, workload.input_rate, strict=True))
    assert rates["head.hidden"] == 0.25
    assert np.isnan(rates["head.classifier"])


WIDE = Macro((3, 16, 16), timesteps=4, channels=40, hidden=100)
CELL = Genotype(3, (Edge(0, 1, "conv3x3"), Edge(1, 2, "conv1x1"), Edge(2, 0, "conv1x1")))


@pytest.mark.parametrize("signed", ["differential", "offset"])
@pytest.mark.parametrize("chip", ["rram-22nm", "rram-65nm", "spikesim-65nm-rram"])
def test_prices_rise_with_the_bits_of_weights(chip: str, signed: str) -> None:
    hardware = load_hardware(chip, {} if chip.startswith("spikesim") else {"crossbar.signed": signed})
    costs = {}
    for bits in (0, *range(1, 17)):
        found = estimate(lower(Architecture((CELL, CELL), replace(WIDE, weight_bits=bits)).expand()), hardware)
        totals = (found.energy_j, found.area_m2, found.latency_s, found.memory_bits, found.parameters)
        costs[bits] = np.array([float(value) for value in totals])
    steps = np.diff([costs[bits] for bits in range(1, 17)], axis=0)
    assert (steps >= -1e-12 * costs[16]).all()
    assert (steps[:, 3] > 0).all(), "every bit is stored"
    np.testing.assert_array_equal(costs[0], costs[hardware.precision.weight_bits])
    if not chip.startswith("spikesim"):  # its published formulas know one precision
        assert costs[16][0] > 1.2 * costs[1][0]
        assert costs[16][1] > 1.2 * costs[1][1]


def test_an_adaptive_threshold_is_a_second_state() -> None:
    plain = lower(Architecture((CELL, CELL), WIDE).expand())
    adaptive = lower(Architecture((CELL, CELL), replace(WIDE, neuron="alif")).expand())
    assert adaptive.neurons.sum() == 2 * plain.neurons.sum()
    assert adaptive.parameters.sum() == plain.parameters.sum()
    assert max(adaptive.level) == max(plain.level), "both states are updated side by side"


def test_a_graph_without_a_layer_that_costs_anything_is_refused():
    nodes = (Node("input", Input(), (1, 8, 8)), Node("flat", Flatten(), (64,)), Node("output", Output(), (64,)))
    links = (Connection("input", "flat"), Connection("flat", "output"))
    with pytest.raises(BadInputError, match="no layer that costs anything"):
        lower(LayerGraph(nodes, links, timesteps=4))


def chain(*operations: object, beside: str = "") -> Workload:
    """Operations one after another on 4 channels of 6 x 6 places; `beside` also reads what the norm reads."""
    shape = (4, 6, 6)
    names = ["input", *(type(operation).__name__.lower() for operation in operations)]
    nodes = [Node(name, operation, shape) for name, operation in zip(names, [Input(False), *operations], strict=True)]
    links = [Connection(source, target) for source, target in pairwise(names)]
    if beside:
        nodes.append(Node("sum", Add(), shape))
        links += [Connection(names[-1], "sum"), Connection(beside, "sum")]
    nodes.append(Node("output", Output(), shape))
    links.append(Connection(nodes[-2].name, "output"))
    return lower(LayerGraph(tuple(nodes), tuple(links), timesteps=3))


def kinds(workload: Workload) -> list[str]:
    return [LayerKind(int(kind)).name for kind in workload.kind]


def test_a_norm_is_part_of_the_convolution_that_it_alone_reads() -> None:
    conv, norm = Conv2d(4, 4, 3, 1, 1), BatchNorm(4)
    folded = chain(conv, norm)
    assert kinds(folded) == ["CONV"]
    assert folded.biases.tolist() == [4]
    assert folded.parameters.tolist() == [4 * 4 * 9 + 2 * 4]
    read_twice = chain(conv, norm, beside="conv2d")
    assert kinds(read_twice) == ["CONV", "SCALE", "ADD"]
    assert read_twice.biases.tolist() == [0, 4, 0]
    assert read_twice.in_channels.tolist() == [4, 4, 8]
    assert kinds(chain(LIF(2.0, 1.0), norm)) == ["LIF", "SCALE"]
    assert kinds(chain(conv, LIF(2.0, 1.0), norm)) == ["CONV", "LIF", "SCALE"]


def test_kernels_strides_and_groups_reach_their_slot() -> None:
    workload = chain(Conv2d(4, 4, 3, 1, 1, 2), LIF(2.0, 1.0), AvgPool2d(5, 1, 2))
    assert workload.kernel_size.tolist() == [3, 1, 5]
    assert workload.stride.tolist() == [1, 1, 1]
    assert workload.groups.tolist() == [2, 1, 1]
    assert workload.weights.tolist() == [4 * 2 * 9, 0, 0]
    halved = lower(Architecture((Genotype(2, (Edge(0, 1, "conv3x3"),)),) * 2, SMALL).expand())
    rows = dict(zip(halved.names, zip(halved.kernel_size, halved.stride, strict=True), strict=True))
    assert rows["reduction1.pool"] == (2, 2)
    assert rows["reduction1.conv"] == (3, 1)


@pytest.mark.parametrize("name", ["thresholds", "hasnas", "blocks"])
def test_weights_on_the_crossbars_are_those_of_the_network(name: str) -> None:
    space = SPACES[name]
    codes = sample(space, np.random.default_rng(2), 40)
    for code in codes[space.canonical(codes)[1]][:5]:
        graph = space.decode(code).expand()
        weights = [value for key, value in build_network(graph, 0).state_dict().items() if value.dim() > 1]
        assert lower(graph).weights.sum() == sum(value.numel() for value in weights)
