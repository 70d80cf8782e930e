from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
from nni.mutable import frozen_context
from nni.nas.evaluator.pytorch import Lightning, LightningModule, Trainer
from nni.nas.execution import SequentialExecutionEngine
from nni.nas.oneshot.pytorch.profiler import ExpectationProfilerPenalty
from nni.nas.oneshot.pytorch.supermodule.proxyless import ProxylessMixedLayer
from nni.nas.space import RawFormatModelSpace
from nni.nas.strategy import DARTS
from torch import Tensor, nn

from hasnas.errors import BadInputError
from hasnas.nas.config.sections import PenaltySection, SupernetSection
from hasnas.nas.data.samples import Split
from hasnas.nas.supernet.choosing import log_probabilities, most_probable, reached_sources
from hasnas.nas.supernet.cost_table import CostTable, fit_cost_table
from hasnas.nas.supernet.mixture import mixture
from hasnas.nas.supernet.nni.differentiable import (
    DartsTrainer,
    GatedGeneChoice,
    ProxylessTrainer,
    SeededDarts,
    SeededGumbelDarts,
    SeededProxyless,
)
from hasnas.nas.supernet.nni.penalty import CostProfiler, LivePenalty
from hasnas.nas.supernet.nni.supernet import Supernet, build_supernet
from hasnas.nas.supernet.settings import Choosing
from hasnas.nas.supernet.sharing import inherit
from hasnas.search_spaces.macro import Macro
from hasnas.search_spaces.snasnet import CellSpace, SNASNetSpace
from hasnas.search_spaces.space import Codes, Gene, all_codes
from hasnas.search_spaces.spikenas_bench import SpikeNASBenchSpace

pytestmark = pytest.mark.slow

MACRO = Macro((1, 8, 8), classes=3, timesteps=3, channels=4, hidden=6, votes=2, dropout=0.25)  # of the spaces
Connected = Callable[[CellSpace, int, int], Codes]

SPACES = {
    "snasnet": SNASNetSpace(MACRO),
    "thresholds": SpikeNASBenchSpace(MACRO),
    "own cells": CellSpace(MACRO, shared=False, nodes=3),
    "large kernels": CellSpace(MACRO, cells=1, operations=("none", "identity", "conv5x5", "maxpool3x3")),
}
SILENT = {"accelerator": "cpu", "devices": 1, "logger": False, "enable_checkpointing": False, "max_epochs": 2}


def images(count: int, seed: int = 0) -> Tensor:
    return torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(seed))


RATE = 0.02


def everything(codes: Codes) -> np.ndarray:
    return np.ones(len(codes), bool)


def region(space: CellSpace) -> Codes:
    codes, keep = space.canonical(next(all_codes(space)))
    return np.unique(codes[keep], axis=0)


def choosing_of(space: CellSpace, **fields: object) -> Choosing:
    split = Split(images(12, seed=1), torch.arange(12) % 3)
    return Choosing(**{"samples": split, "codes": region(space), "admits": everything, **fields})


def with_alphas(supernet: Supernet, strategy: DARTS | None = None) -> Supernet:
    """The supernet as a strategy mixes it, with statistics that differ from a fresh network's."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, tensor in supernet.state_dict().items():
            if tensor.is_floating_point():
                noise = torch.rand(tensor.shape, generator=generator)
                if name.endswith("running_mean"):
                    tensor.copy_(0.4 * (noise - 0.5))
                else:
                    tensor.copy_(0.3 * noise + 0.1 if name.endswith("running_var") else tensor * (noise + 2.0))
    return (strategy or SeededDarts(RATE, None, {})).mutate_model(supernet)


def settle(supernet: Supernet, codes: tuple[int, ...]) -> None:
    """All of the probability on one architecture."""
    for choice, code in zip(supernet.decisions, codes, strict=True):
        with torch.no_grad():
            choice.alpha.fill_(-1000.0)
            choice.alpha[choice.allowed.index(choice.gene.choices[code])] = 1000.0


@pytest.mark.parametrize("name", SPACES)
def test_a_mixture_with_weights_0_and_1_is_the_deployed_network(name: str, connected: Connected):
    space = SPACES[name]
    supernet = with_alphas(build_supernet(space, seed=1)).eval()
    outputs = set()
    for codes in connected(space, 12, 3).tolist():
        settle(supernet, codes)
        network = inherit(supernet.state_dict(), space.decode(codes)).eval()
        expected = network(images(4))
        assert (supernet(images(4)) - expected).abs().max() <= 1e-6
        outputs.add(tuple(expected.flatten().tolist()))
    assert len(outputs) > 4


def test_the_mixture_has_the_layers_of_the_supernet_and_one_neuron_for_each_threshold():
    space = SPACES["thresholds"]
    supernet = build_supernet(space)
    graph = mixture(space).graph
    assert {node.name for node in graph.nodes if node.parameter_count} == {
        name.rsplit(".", 1)[0] for name in supernet.state_dict()
    }
    own = {node.name for node in graph.nodes if node.name.startswith("cell1.") and ".lif" in node.name}
    thresholds = {operation.rsplit("_t", 1)[1].replace(".", "_") for operation in space.operations if "_t" in operation}
    assert own == {f"cell1.{node}.lif_t{value}" for node in range(space.nodes - 1) for value in thresholds}


def test_options_that_are_left_out_are_not_mixed():
    space = SPACES["snasnet"]
    options = {
        "cell/0_1": ("none",), "cell/0_2": ("conv3x3",), "cell/0_3": ("none", "conv1x1"), "cell/2_3": ("identity",),
        "cell/1_2": ("none", "conv3x3"),
    }  # fmt: skip
    layers = mixture(space, options)
    names = {node.name for node in layers.graph.nodes if node.name.startswith("cell1.")}
    assert not any(name.startswith(("cell1.1", "cell1.0_1")) for name in names)  # nothing arrives at node 1
    assert set(layers.terms["cell1.2.sum"]) == {None, ("cell/0_2", 0)}
    supernet = with_alphas(build_supernet(space, options)).eval()
    settle(supernet, (0, 3, 2, 0, 0, 1))
    expected = inherit(supernet.state_dict(), space.decode((0, 3, 2, 0, 0, 1))).eval()(images(4))
    assert (supernet(images(4)) - expected).abs().max() <= 1e-6


def test_two_passes_a_batch_leave_no_state():
    space = SPACES["snasnet"]
    for strategy in (
        SeededDarts(RATE, None, {}),
        SeededGumbelDarts(RATE, None, {}, (0, 3)),
        SeededProxyless(RATE, region(space), None, {}, seed=0),
    ):
        supernet = with_alphas(build_supernet(space), strategy)
        if isinstance(strategy, SeededProxyless):
            strategy.take_path(supernet)
        supernet.judges_choices = True
        for _ in range(2):
            supernet(images(4)).square().sum().backward()
        assert all(alpha.grad is not None and alpha.grad.abs().sum() > 0 for alpha in supernet.alphas.values())
        twin = copy.deepcopy(supernet)
        assert twin.alphas.keys() == supernet.alphas.keys()


def test_the_gates_have_the_gradient_of_nni():
    names = ["a", "b", "c"]
    layers = {name: nn.Linear(4, 4) for name in names}
    alpha = nn.Parameter(torch.tensor([0.3, -0.2, 0.9]))
    x = images(1)[0, 0, :5, :4]
    with frozen_context({"layer": "a"}):
        theirs = ProxylessMixedLayer(layers, alpha, nn.Softmax(-1), "layer")
    theirs.resample({"layer": "b"})
    theirs(x).square().sum().backward()
    expected, alpha.grad = alpha.grad, None
    with frozen_context({"layer": "a"}):
        ours = GatedGeneChoice(Gene("layer", tuple(names)), names, alpha, nn.Softmax(-1))
    ours.take("b", reached=True)
    gates = ours.weights(judged=True)
    assert gates.tolist() == [0, 1, 0]
    sum(gate * layers[name](x) for gate, name in zip(gates, names, strict=True)).square().sum().backward()
    assert torch.allclose(alpha.grad, expected, rtol=1e-5)
    ours.take("b", reached=False)
    assert not ours.weights(judged=True).requires_grad
    assert ours.weights(judged=False) is None


def test_gates_run_what_is_deployed(connected: Connected):
    space = SPACES["snasnet"]
    strategy = SeededProxyless(RATE, region(space), None, {}, seed=4)
    supernet = with_alphas(build_supernet(space), strategy).eval()
    for _ in range(8):
        sample = strategy.take_path(supernet)
        supernet.judges_choices = True
        mixed = supernet(images(4))
        supernet.judges_choices = False
        assert (mixed - supernet(images(4))).abs().max() <= 1e-6
        assert supernet.codes_of(sample) in {tuple(row) for row in region(space).tolist()}


def test_paths_are_drawn_from_the_region_by_the_product_of_probabilities():
    space = CellSpace(MACRO, nodes=2, operations=("none", "identity", "conv1x1", "conv3x3"))
    strategy = SeededProxyless(RATE, np.array([[1], [3]], np.int16), None, {}, seed=0)
    supernet = with_alphas(build_supernet(space), strategy)
    with torch.no_grad():
        supernet.alphas["cell/0_1"].copy_(torch.tensor([9.0, 1.0, 5.0, 0.0]))
    drawn = [supernet.codes_of(strategy.take_path(supernet))[0] for _ in range(2000)]
    assert set(drawn) == {1, 3}
    assert np.mean(np.array(drawn) == 1) == pytest.approx(np.e / (1 + np.e), abs=0.03)


def test_the_reached_sources_follow_the_drawn_edges():
    found = reached_sources(SPACES["snasnet"], (0, 3, 0, 4, 4, 1))
    assert found == {
        "cell/0_1": True, "cell/0_2": True, "cell/0_3": True, "cell/1_2": False, "cell/1_3": False, "cell/2_3": True
    }  # fmt: skip


# The architecture that is proposed.


def certain(space: CellSpace, codes: tuple[int, ...], share: float = 0.9) -> dict[str, dict[str, float]]:
    rest = (1 - share) / 4
    return {
        gene.label: {name: share if name == gene.choices[code] else rest for name in gene.choices}
        for gene, code in zip(space.genes, codes, strict=True)
    }


def test_the_most_probable_choices_are_proposed_in_canonical_form():
    space = SPACES["snasnet"]
    drawn = (3, 0, 2, 0, 0, 4)  # edges 0-1 and 2-3 are dead
    assert most_probable(space, certain(space, drawn), region(space), everything) == (0, 0, 2, 0, 0, 0)


@pytest.mark.parametrize("reason", ["disconnected", "outside the budget"])
def test_what_cannot_be_deployed_gives_way_to_the_most_probable_of_the_region(reason: str):
    space = SPACES["snasnet"]
    favourite = (3, 0, 0, 0, 0, 0) if reason == "disconnected" else (0, 0, 2, 0, 0, 0)
    inside = np.array([[0, 0, 3, 0, 0, 0], [4, 4, 4, 4, 4, 4], [3, 0, 0, 0, 1, 0]], np.int16)

    def admits(codes: Codes) -> np.ndarray:
        return (codes[:, None] == inside[None]).all(-1).any(1)

    probabilities = certain(space, favourite)
    found = most_probable(space, probabilities, inside, admits)
    assert found == tuple(inside[np.argmax(log_probabilities(space, probabilities, inside))].tolist())
    assert found == ((3, 0, 0, 0, 1, 0) if reason == "disconnected" else (0, 0, 3, 0, 0, 0))


# The penalty.


def table_of(space: CellSpace) -> CostTable:
    """Costs in joules, tiny as those of chips: a conv3x3 costs nine times a conv1x1."""
    price = np.array([0.0, 0.1, 1.0, 9.0, 0.5]) * 1e-9
    codes = region(space)
    return fit_cost_table(space, codes, price[codes].sum(1) + 2e-9, "energy_j")


class Judges(LightningModule):
    """A step whose loss depends on the weights of the layers alone: only a penalty can move the alphas."""

    def training_step(self, batch: Tensor, batch_index: int) -> Tensor:
        return self.model.get_submodule("stem.norm").weight.sum()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD([self.model.get_submodule("stem.norm").weight], 0.0)


def moved(live: bool) -> tuple[float, float]:
    """How far the alphas went, and by how much the expected cost fell."""
    torch.manual_seed(0)
    space = SPACES["snasnet"]
    supernet = build_supernet(space)
    profiler = CostProfiler(supernet, table_of(space))
    penalty: ExpectationProfilerPenalty = LivePenalty(profiler, 10.0, supernet)
    if not live:
        penalty = ExpectationProfilerPenalty(profiler, baseline=profiler.table.reference, scale=10.0)
    strategy = SeededDarts(0.1, penalty, {})
    before: dict[str, Tensor] = {}
    start: list[float] = []

    class Watches(Judges):
        def on_train_start(self) -> None:
            before.update({label: alpha.detach().clone() for label, alpha in supernet.alphas.items()})
            start.append(float(LivePenalty(profiler, 1.0, supernet).profile({}).detach()))

    evaluator = Lightning(Watches(), Trainer(**SILENT, enable_progress_bar=False, enable_model_summary=False),
                          train_dataloaders=torch.zeros(5, 1), val_dataloaders=torch.zeros(5, 1))  # fmt: skip
    strategy(RawFormatModelSpace.from_model(supernet, evaluator), SequentialExecutionEngine())
    distance = max(float((alpha.detach() - before[label]).abs().max()) for label, alpha in supernet.alphas.items())
    return distance, float(LivePenalty(profiler, 1.0, supernet).profile({}).detach()) / start[0]


def test_nnis_penalty_moves_nothing_and_ours_the_alphas():
    # Nothing but NNI's weight decay acts where the loss does not depend on the alphas; there is no gradient at all.
    assert moved(live=False) == (0.0, 1.0)
    distance, ratio = moved(live=True)
    assert distance > 0.3
    assert ratio < 0.8


def test_the_gradient_of_the_penalty_is_that_of_finite_differences():
    space = SPACES["snasnet"]
    supernet = with_alphas(build_supernet(space)).double()
    table = table_of(space)
    penalty = LivePenalty(CostProfiler(supernet, table), 3.0, supernet)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for alpha in supernet.alphas.values():
            alpha.copy_(torch.randn(alpha.shape, generator=generator, dtype=torch.float64))

    def loss() -> Tensor:
        return penalty(torch.tensor(1.0, dtype=torch.float64), {})[0]

    expected = table.expected([alpha.detach().softmax(-1).tolist() for alpha in supernet.alphas.values()])
    assert float(penalty.profile({})) == pytest.approx(expected, rel=1e-9)
    assert float(loss()) == pytest.approx(1 + 3 * (expected / table.reference - 1))
    loss().backward()
    for alpha in supernet.alphas.values():
        for index in range(len(alpha)):
            values = []
            for step in (1e-5, -1e-5):
                with torch.no_grad():
                    alpha[index] += step
                    values.append(float(loss()))
                    alpha[index] -= step
            assert float(alpha.grad[index]) == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-5, abs=1e-9)


@pytest.mark.parametrize("trainer", [DartsTrainer, ProxylessTrainer])
def test_a_larger_weight_gives_a_lower_expected_cost(trainer: type[DartsTrainer]):
    space = SNASNetSpace(Macro((1, 8, 8), classes=3, timesteps=2, channels=2, hidden=0, votes=1))
    table = table_of(space)
    data = Split(images(16), torch.arange(16) % 3)
    expected, cost = [], []
    for weight in (0.0, 0.05, 30.0):
        penalty, choosing = PenaltySection(weight=weight), choosing_of(space, table=table)
        settings = SupernetSection(
            strategy="darts",
            epochs=6,
            batch_size=8,
            learning_rate=0.02,
            architecture_learning_rate=0.1,
            penalty=penalty,
        )
        trained = trainer().train(space, lambda rng: (3,) * 6, data, settings=settings, seed=1, choosing=choosing)
        expected.append(table.expected([list(row.values()) for row in trained.probabilities.values()]))
        cost.append(table.predict(np.array([trained.codes]))[0])
    assert expected[0] > expected[1] > expected[2]
    assert cost[2] < cost[0]


def test_an_additive_cost_is_found_exactly_and_another_with_its_error():
    space = SPACES["snasnet"]
    table = table_of(space)
    assert table.r_squared == pytest.approx(1)
    codes = region(space)
    price = np.array([0.0, 0.1, 1.0, 9.0, 0.5]) * 1e-9
    assert np.allclose(table.predict(codes), price[codes].sum(1) + 2e-9, rtol=1e-9, atol=0)
    product = fit_cost_table(space, codes, 1.0 + codes[:, 0] * codes[:, 4], "area_m2")
    assert 0 < product.r_squared < 0.95
    with pytest.raises(BadInputError, match="give at least one"):
        fit_cost_table(space, codes[:0], np.empty(0), "energy_j")


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"codes": np.empty((0, 6), np.int16)}, "no architecture is left"),
        ({"samples": Split(images(1), torch.zeros(1, dtype=torch.long))}, "judged on 1 samples"),
    ],
)
def test_what_cannot_be_chosen_by_is_refused(fields: dict[str, object], message: str):
    with pytest.raises(BadInputError, match=message):
        choosing_of(SPACES["snasnet"], **fields)


def test_the_alphas_learn_which_operation_is_good():
    """Identity alone cannot tell the classes apart that a convolution can: a class is where the bright row is."""
    space = CellSpace(Macro((1, 8, 8), classes=2, timesteps=2, channels=6, hidden=0, votes=1, dropout=0.0), nodes=2)
    targets = torch.arange(64) % 2
    inputs = 0.3 * torch.rand(64, 1, 8, 8, generator=torch.Generator().manual_seed(3))
    for index, target in enumerate(targets.tolist()):
        inputs[index, 0, :, index % 7] += 2.0
        if target:
            inputs[index, 0, index % 5, :] += 2.0
    split = Split(inputs, targets)
    choosing = Choosing(split, region(space), everything)
    settings = SupernetSection(epochs=12, batch_size=16, learning_rate=0.02, architecture_learning_rate=0.1)
    losses: list[float] = []
    trained = DartsTrainer().train(
        space, lambda rng: (3,), split, settings=settings, seed=0, choosing=choosing,
        progress=lambda step: losses.append(step.loss),
    )  # fmt: skip
    assert np.mean(losses[-4:]) < 0.7 * np.mean(losses[:4])
    row = trained.probabilities["cell/0_1"]
    assert row["none"] < 0.2 < max(row.values())
    assert space.operations[trained.codes[0]] != "none"
