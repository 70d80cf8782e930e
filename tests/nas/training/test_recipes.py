"""Trainings with every option, and with none."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn import functional

from hasnas.errors import BadInputError
from hasnas.nas.config.training import (
    AugmentationSection,
    RegularisationSection,
    RetrainSection,
    SurrogateSection,
    TrainingNoiseSection,
)
from hasnas.nas.data.samples import Normalisation, Split, Splits, batches
from hasnas.nas.history.checkpoint import load_checkpoint
from hasnas.nas.training import devices as devices_module
from hasnas.nas.training.devices import check_device, has_bfloat16
from hasnas.nas.training.evaluation import evaluate, firing_rates, measure_activity
from hasnas.nas.training.loop import TrainingDivergedError
from hasnas.nas.training.retrain import build_for_training, retrain
from hasnas.nas.training.schedule import learning_rate_at
from hasnas.nas.training.state import build_optimizer, derived_seed
from hasnas.search_spaces.architecture import Architecture
from hasnas.search_spaces.cells import Edge, Genotype
from hasnas.search_spaces.macro import Macro
from hasnas.search_spaces.network import build_network
from tests.nas.training.conftest import StoppedError, assert_equal, stop_after

pytestmark = pytest.mark.slow

EVERYTHING = RetrainSection(
    epochs=4,
    batch_size=32,
    patience=3,
    ema_decay=0.9,
    precision="bfloat16" if has_bfloat16(gpu=False) else "float32",
    recomputed_parts=3,
    batch_norm="threshold",
    augmentation=AugmentationSection(mixup=0.2, cutmix=1.0, operations=1, flip=0.5, shift=1),
    surrogate=SurrogateSection(family="triangle", width="auto"),
    regularisation=RegularisationSection(rate_weight=0.1, rate_target=0.05, count="operations"),
    noise=TrainingNoiseSection(device="rram-typical"),
)


def test_the_default_recipe_is_the_plain_loop(architecture, few: Splits, tmp_path: Path):
    settings = RetrainSection(epochs=2)
    result = retrain(architecture, few, settings, 3, tmp_path)
    with torch.random.fork_rng():
        network = build_network(Architecture.from_json(architecture).expand(), seed=3)
        optimizer, step, best, accuracies = build_optimizer(network, settings), 0, {}, []
        for epoch in range(2):
            network.train()
            torch.manual_seed(derived_seed(3, "dropout", epoch))
            order = torch.Generator().manual_seed(derived_seed(3, "shuffle", epoch))
            for inputs, targets in list(batches(few.train, 32, order))[:3]:
                for group in optimizer.param_groups:
                    group["lr"] = learning_rate_at(step, 3, settings)
                optimizer.zero_grad()
                functional.cross_entropy(network(inputs), targets, label_smoothing=0.1).backward()
                torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
                optimizer.step()
                step += 1
            accuracies.append(evaluate(network, few.validation))
            if accuracies[-1] == max(accuracies):
                best = {name: value.clone() for name, value in network.state_dict().items()}
    assert [record.merit for record in result.history] == accuracies
    assert all(torch.equal(value, best[name]) for name, value in result.state_dict.items())
    assert load_checkpoint(tmp_path / "last.safetensors")[1]["settings"].keys() == {
        "epochs",
        "batch_size",
        "optimizer",
        "learning_rate",
        "weight_decay",
        "label_smoothing",
        "warmup_epochs",
        "gradient_clip",
    }


def test_with_everything_on_an_interrupted_training_ends_like_an_undisturbed_one(architecture, few, tmp_path: Path):
    undisturbed = retrain(architecture, few, EVERYTHING, 3, tmp_path / "whole")
    for epoch in (1, 2):
        with pytest.raises(StoppedError):
            retrain(architecture, few, EVERYTHING, 3, tmp_path / "parts", stop_after(epoch))
        torch.rand(7)
    assert_equal(retrain(architecture, few, EVERYTHING, 3, tmp_path / "parts"), undisturbed)
    widths = load_checkpoint(undisturbed.checkpoint)[1]["surrogate_widths"]
    assert len(set(widths.values())) > 1
    assert evaluate(undisturbed.network(architecture), few.validation) == undisturbed.merit


def test_recomputing_changes_no_bit_of_a_training(architecture, few: Splits, tmp_path: Path):
    settings = EVERYTHING.with_changes({"epochs": 2})
    kept = retrain(architecture, few, settings.with_changes({"recomputed_parts": 0}), 0, tmp_path / "kept")
    assert_equal(retrain(architecture, few, settings, 0, tmp_path / "recomputed"), kept)


@pytest.mark.parametrize(
    "change",
    [
        {"augmentation": AugmentationSection(mixup=0.4)},
        {"augmentation": AugmentationSection(operations=2)},
        {"noise": TrainingNoiseSection(device="rram-typical")},
        {"regularisation": RegularisationSection(rate_weight=1.0)},
        {"surrogate": SurrogateSection(family="sigmoid")},
        {"surrogate": SurrogateSection(family="arctan", width=1.0)},
        {"ema_decay": 0.9},
    ],
    ids=str,
)
def test_every_option_matters(change: dict[str, object], architecture, few: Splits, tmp_path: Path):
    settings = RetrainSection(epochs=1)
    plain = retrain(architecture, few, settings, 0, tmp_path / "plain")
    other = retrain(architecture, few, settings.with_changes(change), 0, tmp_path / "other")
    assert any(not torch.equal(value, other.state_dict[name]) for name, value in plain.state_dict.items())
    with pytest.raises(BadInputError, match="another settings"):
        retrain(architecture, few, settings.with_changes(change), 0, tmp_path / "plain")


def test_patience_ends_a_training_for_good(architecture, few: Splits, tmp_path: Path):
    random = torch.randint(0, 10, (len(few.train),), generator=torch.Generator().manual_seed(0))
    hopeless = replace(few, train=Split(few.train.inputs, random))
    settings = RetrainSection(epochs=30, patience=2, learning_rate=1e-6)
    epochs: list[int] = []
    result = retrain(architecture, hopeless, settings, 0, tmp_path, lambda n, _: epochs.append(n))
    assert epochs[-1] == len(result.history) < 30
    assert len(result.history) - result.best_epoch == 2
    epochs.clear()
    assert_equal(retrain(architecture, hopeless, settings, 0, tmp_path, lambda n, _: epochs.append(n)), result)
    assert epochs == [record.epoch for record in result.history]


def test_the_average_is_validated_and_returned(architecture, few: Splits, tmp_path: Path):
    settings = RetrainSection(epochs=2, ema_decay=0.99)
    result = retrain(architecture, few, settings, 0, tmp_path)
    tensors, _ = load_checkpoint(tmp_path / "last.safetensors")
    name = "stem.conv.weight"
    assert not torch.equal(tensors[f"model.{name}"], tensors[f"average.{name}"])
    if result.best_epoch == 2:
        assert torch.equal(result.state_dict[name], tensors[f"average.{name}"])
    assert evaluate(result.network(architecture), few.validation) == result.merit


def test_a_rate_penalty_lowers_the_rates(architecture, few: Splits, tmp_path: Path):
    settings, means = RetrainSection(epochs=6), []
    for weight in (0.0, 30.0):
        term = RegularisationSection(rate_weight=weight, rate_target=0.0)
        result = retrain(architecture, few, settings.with_changes({"regularisation": term}), 0, tmp_path / str(weight))
        network = result.network(architecture)
        rates = firing_rates(network.graph, measure_activity(network, few.validation))
        means.append(sum(rates.values()) / len(rates))
    assert means[1] < 0.9 * means[0]


def test_threshold_batch_norm_and_widths_are_set_before_training(architecture, few: Splits):
    network, tuned = build_for_training(architecture, few, EVERYTHING, 0)
    assert tuned is not None
    assert network.get_submodule("stem.norm").weight.eq(1.0).all()
    plain, none = build_for_training(architecture, few, RetrainSection(), 0)
    assert none is None
    own, other = network.state_dict(), plain.state_dict()
    assert all(torch.equal(own[name], other[name]) for name in own if name.endswith("conv.weight"))


def test_with_everything_on_a_nan_is_named_and_the_last_good_state_is_kept(architecture, few: Splits, tmp_path: Path):
    def spoil(epoch: int, metrics: object) -> None:
        if epoch == 2:
            few.train.inputs[:] = float("nan")

    with pytest.raises(TrainingDivergedError, match=r"epoch 3, step 1, first in 'input'.*after epoch 2 is in"):
        retrain(architecture, few, EVERYTHING, 0, tmp_path, spoil)
    tensors, meta = load_checkpoint(tmp_path / "last.safetensors")
    assert len(meta["history"]) == 2
    assert all(torch.isfinite(value).all() for value in tensors.values())


def test_what_the_machine_lacks_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch):
    if not torch.cuda.is_available():
        with pytest.raises(BadInputError, match=r"device is cuda, but torch finds no GPU here"):
            check_device("cuda", RetrainSection())
    monkeypatch.setattr(devices_module, "has_bfloat16", lambda gpu: False)
    with pytest.raises(BadInputError, match=r"precision is bfloat16, but this CPU .* choose float32"):
        check_device("cpu", RetrainSection(precision="bfloat16"))


def test_many_nodes_need_a_launcher(architecture, few: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    monkeypatch.delenv("SLURM_PROCID", raising=False)
    with pytest.raises(BadInputError, match="start the training on every node with torchrun"):
        retrain(architecture, few, RetrainSection(nodes=2), 0, tmp_path)


@pytest.fixture
def sums() -> Splits:
    """Regression: how bright the two halves of an image are."""
    inputs = torch.rand(300, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    targets = torch.stack([inputs[..., :4].mean((1, 2, 3)), inputs[..., 4:].mean((1, 2, 3))], dim=1)
    targets = (targets - targets.mean(0)) / targets.std(0)
    inputs = (inputs - inputs.mean()) / inputs.std()
    parts = [Split(inputs[rows], targets[rows]) for rows in (slice(0, 200), slice(200, 250), slice(250, 300))]
    return Splits(*parts, Normalisation((0.5,), (0.29,)), classes=2)


@pytest.mark.parametrize("loss", ["smooth_l1", "mse"])
def test_regression_learns_and_is_judged_by_its_error(loss: str, sums: Splits, tmp_path: Path):
    cell = Genotype(2, (Edge(0, 1, "conv3x3"),))
    macro = Macro((1, 8, 8), classes=2, timesteps=4, channels=8, hidden=0, votes=1, final_pool=2, dropout=0.0)
    architecture = Architecture((cell, cell), macro).to_json()
    settings = RetrainSection(epochs=12, batch_size=25, loss=loss, learning_rate=0.01)
    result = retrain(architecture, sums, settings, 0, tmp_path)
    network = result.network(architecture)
    targets = sums.validation.targets
    with torch.no_grad():
        error = float((network(sums.validation.inputs) - targets).abs().mean())
    assert result.merit == pytest.approx(-error, rel=1e-5)
    assert error < 0.8 * float(targets.abs().mean())
    mixing = settings.with_changes({"augmentation": AugmentationSection(mixup=0.1)})
    with pytest.raises(BadInputError, match="mix classes"):
        retrain(architecture, sums, mixing, 0, tmp_path / "x")
