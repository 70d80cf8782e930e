import signal
import time
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import pytest
import torch

from hasnas.cim_estimator.nonideal import NonidealSpec
from hasnas.errors import BadInputError
from hasnas.nas.config.training import RetrainSection
from hasnas.nas.data.needs import DataReference
from hasnas.nas.data.samples import Splits
from hasnas.nas.history.checkpoint import load_checkpoint, save_checkpoint
from hasnas.nas.imperfect_chips import evaluate_on_chips
from hasnas.nas.training import loop
from hasnas.nas.training.evaluation import evaluate
from hasnas.nas.training.folders import read_activity, retrain_directory
from hasnas.nas.training.loop import TrainingDivergedError, steps_per_epoch
from hasnas.nas.training.retrain import RetrainTask, retrain, run_retrain_task
from hasnas.search_spaces.architecture import Architecture
from hasnas.search_spaces.cells import Edge, Genotype
from hasnas.search_spaces.macro import Macro
from tests.nas.training.conftest import StoppedError, assert_equal, stop_after

pytestmark = pytest.mark.slow

SETTINGS = RetrainSection(epochs=4, batch_size=32)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_interrupted_training_ends_like_an_undisturbed_one(optimizer: str, architecture, few: Splits, tmp_path: Path):
    settings = SETTINGS.with_changes({"optimizer": optimizer})
    undisturbed = retrain(architecture, few, settings, 3, tmp_path / "whole")
    for epoch in (1, 3):
        with pytest.raises(StoppedError):
            retrain(architecture, few, settings, 3, tmp_path / "parts", stop_after(epoch))
        torch.rand(7)  # whatever else draws from torch's generator must not matter
    assert_equal(retrain(architecture, few, settings, 3, tmp_path / "parts"), undisturbed)
    assert_equal(retrain(architecture, few, settings, 3, tmp_path / "parts"), undisturbed)


def test_a_damaged_state_costs_one_epoch(architecture, few: Splits, tmp_path: Path):
    undisturbed = retrain(architecture, few, SETTINGS, 3, tmp_path / "whole")
    with pytest.raises(StoppedError):
        retrain(architecture, few, SETTINGS, 3, tmp_path / "parts", stop_after(3))
    last = tmp_path / "parts" / "last.safetensors"
    last.write_bytes(last.read_bytes()[:-5])
    epochs = []
    resumed = retrain(architecture, few, SETTINGS, 3, tmp_path / "parts", lambda epoch, _: epochs.append(epoch))
    assert_equal(resumed, undisturbed)
    assert epochs == [1, 2, 3, 4]


def test_the_caller_hears_and_sees_nothing(architecture, few: Splits, tmp_path: Path, capfd, caplog):
    before = torch.random.get_rng_state()
    seen = []
    result = retrain(architecture, few, SETTINGS, 0, tmp_path, lambda epoch, metrics: seen.append((epoch, metrics)))
    assert [epoch for epoch, _ in seen] == [1, 2, 3, 4]
    assert seen[-1][1] == result.history[-1].metrics()
    assert torch.equal(torch.random.get_rng_state(), before)
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err == ""
    assert not caplog.records
    assert not (Path.cwd() / "lightning_logs").exists()


def test_the_best_epoch_is_returned(architecture, few: Splits, tmp_path: Path):
    result = retrain(architecture, few, SETTINGS, 0, tmp_path)
    accuracies = [record.merit for record in result.history]
    assert result.merit == max(accuracies)
    assert accuracies[result.best_epoch - 1] == max(accuracies)
    network = result.network(architecture)
    assert evaluate(network, few.validation) == result.merit
    tensors, meta = load_checkpoint(result.checkpoint)
    assert meta["architecture"] == architecture
    assert all(torch.equal(tensors[name], value) for name, value in network.state_dict().items())


@pytest.mark.parametrize("kept, merits, expected", [
    ("best", (0.50, 0.96, 0.96, 0.94), 3), ("last", (0.50, 0.96, 0.96, 0.40), 4),
    ("within_error", (0.50, 1.00, 0.90, 0.975), 4),  # of 40 samples: (40 + 2) / 44 right, an error of 0.031
    ("within_error", (0.50, 1.00, 0.90, 0.96), 2), ("within_error", (0.98, 0.97, 1.00, 0.90), 3),
])  # fmt: skip
def test_the_epoch_that_is_kept_is_chosen(kept, merits, expected, architecture, few: Splits, tmp_path, monkeypatch):
    judged = iter(merits)
    monkeypatch.setattr(loop, "evaluate", lambda network, split: next(judged))
    result = retrain(architecture, few, SETTINGS.with_changes({"kept_epoch": kept}), 0, tmp_path)
    assert (result.best_epoch, result.merit) == (expected, merits[expected - 1])
    tensors, _ = load_checkpoint(tmp_path / "last.safetensors")
    last = [torch.equal(tensors[f"model.{name}"], value) for name, value in result.state_dict.items()]
    assert all(last) == (expected == len(merits))


def test_small_cells_learn_digits(digits: Splits, tmp_path: Path):
    cell = Genotype(2, (Edge(0, 1, "conv3x3"),))
    macro = Macro((1, 8, 8), classes=10, timesteps=2, channels=8, hidden=0, votes=5, dropout=0.0)
    architecture = Architecture((cell, cell), macro).to_json()
    result = retrain(architecture, digits, SETTINGS.with_changes({"epochs": 5, "learning_rate": 0.01}), 0, tmp_path)
    assert result.merit > 0.9


@pytest.mark.parametrize("epochs, seed, named", [(9, 0, "settings"), (4, 1, "seed")])
def test_a_directory_of_another_training_is_refused(epochs, seed, named, architecture, few: Splits, tmp_path: Path):
    with pytest.raises(StoppedError):
        retrain(architecture, few, SETTINGS, 0, tmp_path, stop_after(1))
    with pytest.raises(BadInputError, match=f"another {named}"):
        retrain(architecture, few, SETTINGS.with_changes({"epochs": epochs}), seed, tmp_path)


def test_a_state_of_another_version_is_refused(architecture, few: Splits, tmp_path: Path):
    with pytest.raises(StoppedError):
        retrain(architecture, few, SETTINGS, 0, tmp_path, stop_after(1))
    tensors, meta = load_checkpoint(tmp_path / "last.safetensors")
    meta["history"][0]["validation_accuracy"] = meta["history"][0].pop("merit")
    save_checkpoint(tmp_path / "last.safetensors", tensors, meta)
    with pytest.raises(BadInputError, match=r"last.safetensors is of another version of hasnas .*; delete it"):
        retrain(architecture, few, SETTINGS, 0, tmp_path)


def test_nan_in_the_data_is_named_and_the_last_good_state_is_kept(architecture, few: Splits, tmp_path: Path):
    def spoil(epoch: int, metrics: object) -> None:
        if epoch == 2:
            few.train.inputs[:] = float("nan")

    with pytest.raises(TrainingDivergedError, match=r"epoch 3, step 1, first in 'input'.*after epoch 2 is in"):
        retrain(architecture, few, SETTINGS, 0, tmp_path, spoil)
    tensors, meta = load_checkpoint(tmp_path / "last.safetensors")
    assert len(meta["history"]) == 2
    assert all(torch.isfinite(value).all() for value in tensors.values())


def test_an_exploding_layer_is_named(architecture, few: Splits, tmp_path: Path):
    beyond = {"learning_rate": 3e38, "optimizer": "sgd", "gradient_clip": None}
    settings = SETTINGS.model_copy(update=beyond)  # unlike with_changes, it checks nothing
    named = r"first in '(stem|cell|reduction|head)[\w.]+'.*no epoch was finished"
    with pytest.raises(TrainingDivergedError, match=named):
        retrain(architecture, few, settings, 0, tmp_path)


@pytest.mark.parametrize("neuron", ["lif", "plif"])
def test_membranes_of_few_bits_train_and_are_deployed_as_trained(neuron: str, architecture, digits: Splits, tmp_path):
    chosen = {**architecture, "macro": {**architecture["macro"], "membrane_bits": 4, "neuron": neuron}}
    settings = RetrainSection(epochs=3, batch_size=32, learning_rate=5e-3)
    some = replace(digits, train=digits.train.take(torch.arange(600)))
    result = retrain(chosen, some, settings, 0, tmp_path / "first")
    assert_equal(result, retrain(chosen, some, settings, 0, tmp_path / "second"))
    assert result.merit > 0.2
    assert result.history[-1].loss < result.history[0].loss
    network = result.network(chosen)
    assert evaluate(network, some.validation) == result.merit
    perfect = evaluate_on_chips(network, some.validation, NonidealSpec(), chips=1, seed=0)
    assert perfect.mean == pytest.approx(result.merit, abs=0.01)
    assert result.history != retrain(architecture, some, settings, 0, tmp_path / "float").history


def test_a_last_batch_of_one_is_left_out():
    assert [steps_per_epoch(samples, 32) for samples in (31, 32, 33, 34)] == [1, 1, 1, 2]


def test_directories_differ_by_key_and_seed():
    assert retrain_directory("run", "a", 0) != retrain_directory("run", "a", 1) != retrain_directory("run", "b", 1)


def test_killed_in_another_process_it_ends_the_same(architecture, tmp_path: Path):
    settings = SETTINGS.with_changes({"epochs": 4})
    task = RetrainTask(architecture, DataReference("digits", None, 0.2, 0), settings, 0, str(tmp_path / "killed"))
    process = get_context("spawn").Process(target=run_retrain_task, args=(task,))
    process.start()
    while not (tmp_path / "killed" / "last.safetensors").exists() and process.is_alive():
        time.sleep(0.02)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    resumed = run_retrain_task(task)
    undisturbed = run_retrain_task(replace(task, checkpoint_directory=str(tmp_path / "whole")))
    assert replace(resumed, checkpoint="") == replace(undisturbed, checkpoint="")
    assert 0 <= resumed.test_accuracy <= 1
    assert read_activity(tmp_path / "killed") == resumed.activity
    assert read_activity(tmp_path) == {}
    first, second = (load_checkpoint(outcome.checkpoint)[0] for outcome in (resumed, undisturbed))
    assert all(torch.equal(value, second[name]) for name, value in first.items())
