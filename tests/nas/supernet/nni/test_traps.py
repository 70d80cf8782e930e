"""NNI 3.0 with spiking networks: each known trap, shown on the real library, beside what we do instead.

A change upstream that removes a trap, or makes ours unnecessary, shows here.
"""

from __future__ import annotations

import copy

import nni
import numpy as np
import pytest
import torch
from nni.mutable import Categorical
from nni.mutable.exception import SampleMissingError
from nni.nas.evaluator.pytorch import Classification, DataLoader, Lightning, LightningModule, Trainer
from nni.nas.execution import SequentialExecutionEngine
from nni.nas.nn.pytorch import LayerChoice, ModelSpace
from nni.nas.oneshot.pytorch.profiler import ExpectationProfilerPenalty
from nni.nas.profiler.pytorch.flops import FlopsParamsProfiler, NumParamsProfiler
from nni.nas.space import ExecutableModelSpace, ModelStatus, RawFormatModelSpace
from nni.nas.strategy import DARTS, RandomOneShot
from spikingjelly.activation_based import neuron
from torch import Tensor, nn

from hasnas.nas.supernet.nni.engine import BatchEngine
from hasnas.nas.supernet.nni.oneshot import SeededRandomOneShot
from hasnas.nas.supernet.nni.supernet import Supernet, build_supernet
from hasnas.nas.supernet.sharing import shared_layers, supernet_report
from hasnas.search_spaces.snasnet import CellSpace

pytestmark = pytest.mark.slow

SILENT = {
    "accelerator": "cpu",
    "devices": 1,
    "logger": False,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "max_epochs": 2,
}


class Plain(ModelSpace):
    """NNI's own kind of space: a cheap and a dear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = LayerChoice(
            {"dear": nn.Sequential(nn.Linear(8, 64), nn.Linear(64, 8)), "cheap": nn.Linear(8, 8)}, label="layer"
        )
        self.head = nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.relu(self.layer(x)))


class ChoosesTimesteps(Plain):
    """A plain space with T as a variable of the space itself."""

    def __init__(self) -> None:
        super().__init__()
        self.timesteps = self.add_mutable(nni.choice("T", [2, 4]))


class LeavesStateBehind(ModelSpace):
    """A spiking space whose neurons nobody resets."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = LayerChoice({"a": nn.Linear(8, 8), "b": nn.Linear(8, 8)}, label="layer")
        self.lif = neuron.LIFNode(step_mode="m")
        self.head = nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.lif(self.layer(x).unsqueeze(0).repeat(2, 1, 1)).mean(0))


def classification() -> Classification:
    generator = torch.Generator().manual_seed(0)
    data = [(torch.rand(8, generator=generator), index % 2) for index in range(16)]
    loader = DataLoader(data, batch_size=8)
    return Classification(train_dataloaders=loader, val_dataloaders=loader, num_classes=2, **SILENT)


# Trap 1: the penalty of NNI's differentiable strategies has no gradient.


def alphas(penalty: bool) -> Tensor:
    torch.manual_seed(0)
    space = Plain()
    profiler = NumParamsProfiler(space, torch.rand(1, 8))
    strategy = DARTS(
        arc_learning_rate=0.05,
        penalty=ExpectationProfilerPenalty(profiler, baseline=100.0, scale=100.0) if penalty else None,
    )
    strategy(RawFormatModelSpace.from_model(space, classification()), SequentialExecutionEngine())
    (alpha,) = (p.detach().clone() for n, p in strategy.supernet.named_parameters() if "arch" in n.lower())
    return alpha


def test_the_penalty_of_nni_never_reaches_the_architecture():
    penalised, free = alphas(penalty=True), alphas(penalty=False)
    assert torch.equal(penalised, free)
    assert penalised.abs().min() > 1e-3  # they did learn, but the ten times dearer layer was not avoided


# Trap 2: NNI's random one-shot cannot be seeded.


class Listens(LightningModule):
    """Notes the path of each step."""

    def __init__(self) -> None:
        super().__init__()
        self.paths: list[tuple[int, ...]] = []

    def training_step(self, batch: Tensor, batch_index: int) -> Tensor:
        self.paths.append(self.model.codes)
        return self.model.get_submodule("stem.norm").weight.sum()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.model.parameters(), 0.0)


def paths_of(strategy: RandomOneShot, supernet: Supernet) -> list[tuple[int, ...]]:
    torch.manual_seed(0)
    np.random.seed(0)
    recipe = Listens()
    evaluator = Lightning(recipe, Trainer(**SILENT), train_dataloaders=torch.zeros(10, 1), val_dataloaders=[])
    strategy(RawFormatModelSpace.from_model(supernet, evaluator), SequentialExecutionEngine())
    return recipe.paths


def test_nni_draws_other_paths_each_time_and_ours_the_same(feedback_space: CellSpace):
    def stock() -> list[tuple[int, ...]]:
        return paths_of(RandomOneShot(), build_supernet(feedback_space))

    def ours(seed: int) -> list[tuple[int, ...]]:
        def draw(rng: np.random.Generator) -> tuple[int, ...]:
            return (*rng.integers(0, 9, 2).tolist(), 1, *rng.integers(0, 9, 3).tolist())

        return paths_of(SeededRandomOneShot(draw, seed), build_supernet(feedback_space))

    assert len(stock()) == 20
    assert stock() != stock()
    assert ours(3) == ours(3)
    assert ours(3) != ours(4)


# Trap 3 (torchvision and torchaudio for CUDA beside a CPU torch) is in tests/nas/test_compat.py.


# Trap 4: neurons keep their membranes, and DARTS runs two forward passes a batch.


def train_with_darts(space: ModelSpace) -> ModelSpace:
    strategy = DARTS()
    strategy(RawFormatModelSpace.from_model(space, classification()), SequentialExecutionEngine())
    return strategy.supernet


def test_membranes_that_nobody_resets_stop_training_and_copying(feedback_space: CellSpace):
    space = LeavesStateBehind()
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        train_with_darts(space)
    with pytest.raises(RuntimeError, match="deepcopy"):
        copy.deepcopy(space)
    ours = build_supernet(feedback_space, {"cell/2_3": ("conv3x3",), "cell/0_2": ("conv1x1",)})
    for _ in range(2):
        ours(torch.rand(2, 1, 8, 8)).sum().backward()
    copy.deepcopy(ours)


# Trap 5: a variable of the space itself, such as T, is never sampled.


def test_timesteps_as_a_variable_are_neither_sampled_nor_frozen(feedback_space: CellSpace):
    strategy = RandomOneShot()
    space = ChoosesTimesteps()
    strategy(RawFormatModelSpace.from_model(space, classification()), SequentialExecutionEngine())
    with pytest.raises(SampleMissingError, match="T"), pytest.warns(UserWarning, match="arbitrary architecture"):
        next(strategy.list_models())
    with pytest.raises(NotImplementedError, match="freeze"):
        ChoosesTimesteps().freeze({"layer": "cheap", "T": 2})
    # Ours holds T in the macro: the genes are all that NNI sees.
    assert set(build_supernet(feedback_space).simplify()) == {gene.label for gene in feedback_space.genes}


# Trap 6: NNI's profiler cannot follow neurons.


def test_nni_cannot_price_spiking_layers_and_we_do_not_ask_it_to(feedback_space: CellSpace):
    with pytest.raises(RuntimeError, match="no shape inference formula is found for LIFNode"):
        FlopsParamsProfiler(LeavesStateBehind(), torch.rand(1, 8))
    supernet = build_supernet(feedback_space)
    count = sum(parameter.numel() for parameter in supernet.parameters())
    assert count == supernet_report(feedback_space).parameters_after
    assert count == sum(node.parameter_count for node in shared_layers(feedback_space).values())


# Trap 7: metrics are single Python floats.


@pytest.mark.parametrize("metric", [np.float32(0.5), torch.tensor(0.5), {"accuracy": 0.5}])
def test_nni_takes_python_floats_only_and_the_engine_converts(metric: object):
    model = ExecutableModelSpace(ModelStatus.Frozen)
    with pytest.raises(ValueError, match=r"is not a number|does not contain key 'default'"):
        model.metrics.final = metric
    if not isinstance(metric, dict):
        engine = BatchEngine(batch=1, evaluate=lambda batch: [metric])
        engine.submit_models(model)
        assert type(model.metric) is float
        assert model.metric == 0.5


# Not in the list of traps: labels with a slash need NNI's own type.


def test_labels_with_a_slash_are_refused_as_text(feedback_space: CellSpace):
    with pytest.raises(ValueError, match="slash"):
        Categorical([1, 2], label="cell/0_1")
    assert build_supernet(feedback_space).decisions[0].decision.label == "cell/0_1"
