"""Each rule of the mean field against what a network with random weights does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from hasnas.nas.scoring.isometry import IsometricDepth
from hasnas.nas.scoring.mean_field import InputStatistics, propagate, window_share
from hasnas.nas.scoring.score import ScoringTask
from hasnas.search_spaces import Architecture, Edge, Genotype, Macro
from hasnas.search_spaces.autosnn import AutoSNNSpace
from hasnas.search_spaces.network import build_network
from hasnas.search_spaces.snasnet import CellSpace

pytestmark = pytest.mark.slow

MACRO = Macro((3, 24, 24), classes=4, timesteps=5, channels=24, hidden=0, votes=1, final_pool=4)
OPERATIONS = ("none", "identity", "conv3x3", "avgpool3x3", "maxpool3x3", "conv3x3_t0.5", "conv3x3_t1.5", "conv1x1")
SPACE = CellSpace(MACRO, feedback=True, operations=OPERATIONS)
NOISE = InputStatistics(neighbour_correlation=0.0)
CELLS = {
    "one convolution": (Edge(0, 3, "conv3x3"),),
    "low threshold": (Edge(0, 3, "conv3x3_t0.5"),),
    "high threshold": (Edge(0, 1, "conv3x3"), Edge(1, 3, "conv3x3_t1.5")),
    "chain": (Edge(0, 1, "conv3x3"), Edge(1, 2, "conv1x1"), Edge(2, 3, "conv3x3")),
    "sum of convolutions": (Edge(0, 1, "conv3x3"), Edge(0, 2, "conv3x3"), Edge(1, 2, "conv3x3"), Edge(2, 3, "conv3x3")),
    "identity twice": (Edge(0, 1, "identity"), Edge(0, 2, "identity"), Edge(1, 2, "identity"), Edge(2, 3, "conv3x3")),
    "identity and convolution": (Edge(0, 1, "conv3x3"), Edge(0, 2, "identity"), Edge(1, 2, "identity"),
                                 Edge(2, 3, "conv3x3")),
    "average": (Edge(0, 1, "avgpool3x3"), Edge(1, 3, "conv3x3_t0.5")),
    "average beside its input": (Edge(0, 1, "avgpool3x3"), Edge(0, 2, "identity"), Edge(1, 2, "identity"),
                                 Edge(2, 3, "conv3x3")),
    "maximum": (Edge(0, 1, "maxpool3x3"), Edge(1, 3, "conv3x3")),
    "feedback convolution": (Edge(0, 1, "conv3x3"), Edge(1, 3, "conv3x3"), Edge(3, 0, "conv3x3")),
    "feedback identity": (Edge(0, 1, "conv3x3"), Edge(1, 2, "identity"), Edge(2, 3, "conv3x3"), Edge(3, 1, "identity")),
}  # fmt: skip


def measured(architecture: Architecture, inputs: torch.Tensor) -> dict[str, torch.Tensor]:
    network = build_network(architecture.expand(), seed=3).train()
    with torch.no_grad():
        return network.run(inputs)


def noise(batch: int = 16) -> torch.Tensor:
    return torch.randn(batch, *MACRO.input_shape, generator=torch.Generator().manual_seed(1))


def neuron(cell: int, edge: Edge) -> str:
    suffix = edge.operation.partition("_t")[2]
    return f"cell{cell}.{edge.source}.lif" + (f"_t{suffix.replace('.', '_')}" if suffix else "")


@pytest.mark.parametrize("name", CELLS)
def test_rates_of_white_noise(name: str) -> None:
    genotype = Genotype(4, CELLS[name])
    architecture = Architecture((genotype, genotype), MACRO)
    field = propagate(SPACE, np.array([SPACE.encode(architecture)]), NOISE)
    values = measured(architecture, noise())
    rates = []
    for number, cell in enumerate(field.cells, start=1):
        for edge in genotype.edges:
            if edge.operation.startswith("conv"):
                rates.append(float(values[neuron(number, edge)].mean()))
                predicted = float(cell.rate[0, edge.source, edge.target])
                assert predicted == pytest.approx(rates[-1], rel=0.35, abs=0.025), (number, edge)
    assert float(field.reduction_rates[0, 0]) == pytest.approx(float(values["reduction1.lif"].mean()), rel=0.25)
    if min(rates) > 0.02:  # sums of rarer spikes are no longer Gaussian
        assert float(field.head_rate[0]) == pytest.approx(float(values["head.lif"].mean()), rel=0.3)


def test_values_add_up_by_how_they_arrive() -> None:
    genotype = Genotype(4, CELLS["identity and convolution"])
    architecture = Architecture((genotype, genotype), MACRO)
    field = propagate(SPACE, np.array([SPACE.encode(architecture)]), NOISE)
    np.testing.assert_allclose(field.cells[0].variance[0], [1, 1, 2, 1], rtol=2e-3)
    values = measured(architecture, noise())
    assert float(values["cell1.2.sum"].var()) == pytest.approx(2.0, rel=0.05)
    twice = Genotype(4, CELLS["identity twice"])
    codes = np.array([SPACE.encode(Architecture((twice, twice), MACRO))])
    np.testing.assert_allclose(propagate(SPACE, codes, NOISE).cells[0].variance[0, 2], 4.0, rtol=1e-6)


@pytest.mark.parametrize(
    "operation, tolerance", [("avgpool3x3", 0.15), ("maxpool3x3", 0.15), ("avgpool5x5", 0.15), ("maxpool5x5", 0.2)]
)
def test_variance_after_pools_of_noise(operation: str, tolerance: float) -> None:
    beside = (Edge(0, 2, "identity"), Edge(1, 2, "identity"), Edge(2, 3, "conv3x3"))
    genotype = Genotype(4, (Edge(0, 1, operation), *beside))
    architecture = Architecture((genotype, genotype), MACRO)
    space = CellSpace(MACRO, operations=("none", "identity", "conv3x3", operation))
    field = propagate(space, np.array([space.encode(architecture)]), NOISE)
    values = measured(architecture, noise())
    inner = values["cell1.2.sum"][..., 2:-2, 2:-2]
    pooled = values[f"cell1.0_1.{operation}.pool"][..., 2:-2, 2:-2]
    assert field.cells[0].variance[0, 1] == pytest.approx(float(pooled.var()), rel=tolerance)
    assert field.cells[0].variance[0, 2] == pytest.approx(float(inner.var()), rel=tolerance)


def test_reduction_of_smooth_inputs() -> None:
    smooth = torch.nn.functional.avg_pool2d(noise(32), 5, 1, 2)
    genotype = Genotype(4, CELLS["one convolution"])
    architecture = Architecture((genotype, genotype), MACRO)
    values = measured(architecture, smooth / smooth.std())
    stem = values["stem.norm"]
    neighbours = float((stem[..., 1:] * stem[..., :-1]).mean() / stem.var())
    codes = np.array([SPACE.encode(architecture)])
    field = propagate(SPACE, codes, InputStatistics(neighbours, decay=0.75))
    assert field.cells[1].variance[0, 0] == pytest.approx(float(values["reduction1.pool"].var()), rel=0.15)
    assert field.cells[1].rate[0, 0, 3] == pytest.approx(float(values["cell2.0.lif"].mean()), rel=0.3)
    plain = propagate(SPACE, codes, NOISE)
    assert plain.cells[1].variance[0, 0] == pytest.approx(0.25, rel=0.02), "a mean of four independent values"
    assert field.cells[1].variance[0, 0] > plain.cells[1].variance[0, 0], "smooth values survive a mean"


def test_other_leaks_and_frames() -> None:
    macro = Macro((2, 24, 24), 4, 4, 24, static_input=False, hidden=0, votes=1, final_pool=4, tau=2.0, threshold=0.7)
    genotype = Genotype(4, CELLS["chain"])
    architecture = Architecture((genotype, genotype), macro)
    space = CellSpace(macro, operations=OPERATIONS)
    field = propagate(space, np.array([space.encode(architecture)]), NOISE)
    frames = torch.randn(4, 16, 2, 24, 24, generator=torch.Generator().manual_seed(2))
    values = measured(architecture, frames)
    for node in (0, 1, 2):
        rate = float(values[f"cell1.{node}.lif"].mean())
        assert field.cells[0].rate[0, node, node + 1] == pytest.approx(rate, rel=0.3, abs=0.01)


BLOCKS = AutoSNNSpace(MACRO)
CHAINS = {
    "skips": (0, 0, 0, 0, 0),
    "convolutions": (1, 1, 2, 1, 1),
    "residual blocks": (3, 3, 3, 3, 3),
    "large residual blocks": (4, 4, 4, 4, 4),
    "all kinds": (1, 3, 2, 4, 0),
    "skips between": (3, 0, 1, 0, 4),
    "a convolution on pooled inputs": (0, 0, 1, 0, 0),
}


@pytest.mark.parametrize("smooth", [False, True])
@pytest.mark.parametrize("name", CHAINS)
def test_chains_of_blocks(name: str, smooth: bool) -> None:
    inputs = torch.nn.functional.avg_pool2d(noise(32), 5, 1, 2) if smooth else noise()
    values = measured(BLOCKS.decode(CHAINS[name]), inputs / inputs.std())
    stem = values["stem.norm"]
    near, far = (float((stem[..., step:] * stem[..., :-step]).mean() / stem.var()) for step in (1, 2))
    statistics = InputStatistics(near, decay=far / near) if smooth else NOISE
    field = propagate(BLOCKS, np.array([CHAINS[name]]), statistics)
    for number, cell in enumerate(field.cells, start=1):
        for node in range(2):
            if f"cell{number}.{node}.lif" in values:
                rate = float(values[f"cell{number}.{node}.lif"].mean())
                assert float(np.nanmax(cell.rate[0, node])) == pytest.approx(rate, rel=0.25), (number, node)
        if f"reduction{number}.pool" in values:
            pooled, following = values[f"reduction{number}.pool"], field.cells[number]
            assert following.variance[0, 0] == pytest.approx(float(pooled.var()), rel=0.3)
            assert following.mean[0, 0] == pytest.approx(float(pooled.mean()), rel=0.1)
    assert float(field.head_rate[0]) == pytest.approx(float(values["head.lif"].mean()), rel=0.15)


def test_blocks_add_up_to_a_path() -> None:
    depths = IsometricDepth()(ScoringTask(BLOCKS), np.array([[0, 0, 0, 0, 0], [1, 0, 0, 0, 0], [1, 1, 0, 0, 3]])).total
    assert depths[0] == 0 < depths[1] < 1
    assert depths[2] > 2 * depths[1]


@pytest.mark.parametrize("kind", ["if", "alif"])
def test_other_neurons(kind: str) -> None:
    space = CellSpace(replace(MACRO, neuron=kind), operations=OPERATIONS)
    architecture = Architecture((Genotype(4, CELLS["chain"]),) * 2, space.macro)
    field = propagate(space, np.array([space.encode(architecture)]), NOISE)
    values = measured(architecture, noise())
    for node in range(3):
        rate = float(values[f"cell1.{node}.lif"].mean())
        assert field.cells[0].rate[0, node, node + 1] == pytest.approx(rate, rel=0.3, abs=0.01)


def test_a_population_is_its_members() -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, [len(gene.choices) for gene in SPACE.genes], size=(20, len(SPACE.genes)))
    together = propagate(SPACE, codes)
    for index in np.flatnonzero(together.connected)[:6]:
        alone = propagate(SPACE, codes[index : index + 1])
        for one, many in zip(alone.cells, together.cells, strict=True):
            np.testing.assert_allclose(one.rate[0], many.rate[index], rtol=0.05)


def test_window_share_counts_pairs() -> None:
    places = [(x, y) for x in range(3) for y in range(3)]
    pairs = [abs(a - c) + abs(b - d) for a, b in places for c, d in places]
    expected = np.mean([1.0 if distance == 0 else 0.3 * 0.8 ** (distance - 1) for distance in pairs])
    assert float(window_share(np.array(0.3), 0.8, (3, 3))) == pytest.approx(expected)


LOOP = Genotype(
    4, (Edge(0, 1, "identity"), Edge(1, 2, "identity"), Edge(2, 0, "identity"), Edge(2, 3, "conv3x3"))
)  # fmt: skip


@pytest.mark.parametrize("static, variance", [(True, (1 + 4 + 9) / 3), (False, (1 + 2 + 3) / 3)])
def test_values_of_several_timesteps_add_up_as_they_are_correlated(static: bool, variance: float) -> None:
    # The output comes back as it is, so the input node holds x_t + x_{t-1} + ..., one to three terms in three
    # timesteps: equal ones add coherently, independent ones their variances.
    macro = replace(MACRO, timesteps=3, static_input=static)
    space = CellSpace(macro, feedback=True, cells=1, nodes=4, operations=("none", "identity", "conv3x3"))
    field = propagate(space, np.array([space.encode(Architecture((LOOP,), macro))]), replace(NOISE, static_share=1.0))
    np.testing.assert_allclose(field.cells[0].variance[0, :3], [variance] * 3, rtol=1e-9)


def test_a_share_that_stands_still_adds_coherently_and_the_rest_does_not() -> None:
    macro = replace(MACRO, timesteps=2)
    space = CellSpace(macro, feedback=True, cells=1, nodes=4, operations=("none", "identity", "conv3x3"))
    codes = np.array([space.encode(Architecture((LOOP,), macro))])
    field = propagate(space, codes, InputStatistics(0.0, static_share=0.25))
    # 1 at the first timestep, 0.25 * 2^2 + 0.75 * 2 at the second.
    assert field.cells[0].variance[0, 0] == pytest.approx((1 + 2.5) / 2, rel=1e-9)
    assert field.cells[0].static_share[0, 0] == pytest.approx((0.25 + 1 / 2.5) / 2, rel=1e-9)


def test_a_loop_is_followed_for_twelve_timesteps() -> None:
    macro = replace(MACRO, timesteps=40, static_input=False)
    space = CellSpace(macro, feedback=True, cells=1, nodes=4, operations=("none", "identity", "conv3x3"))
    field = propagate(space, np.array([space.encode(Architecture((LOOP,), macro))]), replace(NOISE, static_share=1.0))
    np.testing.assert_allclose(field.cells[0].variance[0, :3], [sum(range(1, 13)) / 12] * 3, rtol=1e-9)
