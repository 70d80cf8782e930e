"""The same code on another device: on GPUs where there are any, on a pretended device everywhere.

Every path gives what it gives on the CPU, so that no tensor of it was left behind or made on the wrong device.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import _disable_current_modes

from hasnas.errors import BadInputError
from hasnas.nas.config.loading import config_from_tree
from hasnas.nas.config.training import RegularisationSection, RetrainSection, TrainingNoiseSection
from hasnas.nas.data.needs import DataReference
from hasnas.nas.data.samples import Splits, load_splits
from hasnas.nas.executors.process_pool import ProcessPool
from hasnas.nas.history.checkpoint import save_checkpoint
from hasnas.nas.scoring import SCORES, ScoringTask, network_scores
from hasnas.nas.scoring.forward_scores import ForwardScore
from hasnas.nas.stages.evaluation import DeviceReference, InheritedTask, evaluate_inherited
from hasnas.nas.training import devices
from hasnas.nas.training.loop import TrainingLoop
from hasnas.nas.training.losses import task_loss
from hasnas.nas.training.retrain import retrain
from hasnas.search_spaces import Architecture, Edge, Genotype, Macro
from hasnas.search_spaces.layers import LIF
from hasnas.search_spaces.lif_scan import lif_scan
from hasnas.search_spaces.network import build_network
from hasnas.search_spaces.snasnet import CellSpace
from tests.elsewhere import device_elsewhere
from tests.lively import assert_lively

LOOP = Genotype(4, (Edge(0, 1, "conv3x3"), Edge(1, 3, "conv3x3"), Edge(0, 2, "avgpool3x3"), Edge(2, 3, "identity"),
                    Edge(3, 0, "conv1x1")))  # fmt: skip
MACRO = Macro((1, 8, 8), classes=10, timesteps=3, channels=4, hidden=8, votes=1, dropout=0.0, threshold=0.3)
NETWORK = Architecture((LOOP, LOOP), MACRO)
PLAIN = Architecture((Genotype(2, (Edge(0, 1, "conv3x3"),)),), MACRO)
SCORED = CellSpace(MACRO, operations=("none", "identity", "conv3x3", "avgpool3x3"))
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no GPU here")


@pytest.fixture(params=["elsewhere", pytest.param("cuda", marks=needs_gpu)])
def other(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[torch.device]:
    """A device that is not the CPU, as that of this process."""
    if request.param == "cuda":
        with devices.on_device("cuda") as device:
            yield device
        return
    with device_elsewhere() as device:
        for module in (devices, network_scores):
            monkeypatch.setattr(module, "current_device", lambda: device)
        yield device


@pytest.fixture(scope="module")
def digits() -> Splits:
    return load_splits("digits", None, validation_share=0.2, seed=0)


def loop_of(splits: Splits, settings: RetrainSection) -> TrainingLoop:
    network = build_network(NETWORK.expand(), seed=0).train()
    assert_lively(network, splits.train.inputs[:32])
    return TrainingLoop(network, splits, settings, 0, 0, lambda record: True)


def step(loop: TrainingLoop, splits: Splits, device: torch.device | None) -> dict[str, np.ndarray]:
    """One step of training on a device; the weights that it leaves, and the mean of them over steps."""
    if device is not None:
        loop.network.to(device)
    inputs, targets = splits.train.inputs[:32], splits.train.targets[:32]
    moved = (inputs, targets) if device is None else (inputs.to(device), targets.to(device))
    loss = loop.training_step(moved, 0)
    loss.backward()
    loop.on_after_backward()
    loop.on_before_optimizer_step(loop.optimizer)
    loop.optimizer.step()
    assert loop.average is not None
    loop.average.update(loop.network)
    means = {f"mean {name}": value for name, value in loop.average.state.items()}
    found = {"loss": loss.detach(), **loop.network.state_dict(), **means}
    return {name: value.cpu().numpy().copy() for name, value in found.items()}


def test_a_step_of_training(other: torch.device, digits: Splits, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = RetrainSection(
        optimizer="sgd", precision="float32", ema_decay=0.5, noise=TrainingNoiseSection(device="rram-typical"),
        regularisation=RegularisationSection(rate_weight=0.1, count="operations"),
    )  # fmt: skip
    monkeypatch.setattr(TrainingLoop, "epoch", 0)  # which Lightning's trainer counts
    with _disable_current_modes():
        here = step(loop_of(digits, settings), digits, None)
        away = loop_of(digits, settings)
    there = step(away, digits, other)
    for name, value in here.items():
        np.testing.assert_allclose(there[name], value, rtol=1e-3, atol=1e-4, err_msg=name)


def test_a_step_of_the_supernet(other: torch.device) -> None:
    build_supernet = pytest.importorskip("hasnas.nas.supernet.nni.supernet").build_supernet

    def gradients(device: torch.device) -> dict[str, np.ndarray]:
        with _disable_current_modes():
            supernet = build_supernet(SCORED, {"cell/0_3": ("conv3x3",)}).train()
            inputs = torch.randn(8, *MACRO.input_shape, generator=torch.Generator().manual_seed(0))
        devices.placed(supernet, device)
        task_loss(supernet(inputs.to(device)), torch.arange(8, device=device), False).backward()
        return {name: p.grad.cpu().numpy() for name, p in supernet.named_parameters() if p.grad is not None}

    there = gradients(other)
    with _disable_current_modes():
        here = gradients(torch.device("cpu"))
    assert sum(float(np.abs(value).max()) > 0 for value in here.values()) > 4
    for name, value in here.items():
        np.testing.assert_allclose(there[name], value, rtol=1e-3, atol=1e-5, err_msg=name)


@pytest.mark.slow
def test_inherited_weights_on_imperfect_chips(other: torch.device, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    with _disable_current_modes():
        save_checkpoint(path, build_network(PLAIN.expand(), seed=0).state_dict(), {})
    data, chips = DataReference("digits", None, 0.03, seed=0), DeviceReference("rram-typical", 2)
    task = InheritedTask(PLAIN.to_json(), data, str(path), 2, 64, seed=0, device=chips)
    there = evaluate_inherited(task)
    with _disable_current_modes(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(devices, "current_device", lambda: torch.device("cpu"))
        here = evaluate_inherited(task)
    assert here["firing_rate"] > 0.05
    assert there == pytest.approx(here, abs=0.01)


@pytest.mark.parametrize("name", ["sahd", "noise_sensitivity", "synflow", "snip", "zico", "jacobian"])
def test_scores_that_run_networks(other: torch.device, name: str) -> None:
    codes = np.array([[2, 0, 1, 2, 0, 2], [2, 3, 0, 0, 1, 1]])
    with _disable_current_modes():
        inputs = torch.randn(8, *MACRO.input_shape, generator=torch.Generator().manual_seed(0))
    task = ScoringTask(SCORED, inputs, np.arange(8) % 10)
    kind = SCORES.get(name)
    there = kind()(task, codes).total
    with _disable_current_modes(), pytest.MonkeyPatch.context() as patch:
        for module in (devices, network_scores):
            patch.setattr(module, "current_device", lambda: torch.device("cpu"))
        # On a CPU candidates share what they have in common, in 8 bits; on other devices they do not.
        here = (kind(shared=False) if issubclass(kind, ForwardScore) else kind())(task, codes).total
    assert np.isfinite(here).all()
    np.testing.assert_allclose(there, here, rtol=2e-3)


def test_a_tensor_that_was_left_behind_is_noticed(other: torch.device) -> None:
    with _disable_current_modes():
        network, inputs = build_network(NETWORK.expand(), seed=0), torch.zeros(2, *MACRO.input_shape)
    devices.placed(network, other)
    with pytest.raises(RuntimeError):
        network(inputs)


@needs_gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_compiled_scan_on_a_gpu(dtype: torch.dtype) -> None:
    currents = (3 * torch.rand(5, 4096, generator=torch.Generator().manual_seed(0))).to(dtype)
    here, _ = lif_scan(currents.float(), LIF(tau=2.0))
    there, membrane = lif_scan(currents.cuda(), LIF(tau=2.0))
    assert (there.dtype, membrane.dtype) == (dtype, torch.float32)
    assert (there.float().cpu() == here).float().mean() > 0.999


@needs_gpu
@pytest.mark.slow
def test_a_training_on_a_gpu(digits: Splits, tmp_path: Path) -> None:
    with devices.on_device("cuda"):
        result = retrain(NETWORK.to_json(), digits, RetrainSection(epochs=3), 0, tmp_path)
        assert devices.device_of(result.network(NETWORK.to_json())).type == "cuda"
    assert result.merit > 0.5


def test_workers_take_gpus_in_turn() -> None:
    assert [str(devices.assigned("auto", worker, 2)) for worker in range(3)] == ["cuda:0", "cuda:1", "cuda:0"]
    assert [str(devices.assigned("cuda:1", worker, 2)) for worker in range(3)] == ["cuda:1"] * 3
    wrong = ("cuda", 0, "finds no GPU"), ("cuda:2", 2, r"the last is cuda:1"), ("gpu", 1, "give auto")
    for name, gpus, message in wrong:
        with pytest.raises(BadInputError, match=message):
            devices.assigned(name, 0, gpus)
    tree = {"name": "a", "dataset": {"name": "digits"}, "hardware": "rram-32nm"}
    assert config_from_tree({**tree, "device": "cuda:1"}, "a.yaml").device == "cuda:1"
    with pytest.raises(BadInputError, match="device is 'gpu'"):
        config_from_tree({**tree, "device": "gpu"}, "a.yaml")


@pytest.mark.slow
def test_workers_know_their_number() -> None:
    pool = ProcessPool(2)
    try:
        outcomes = list(pool.map(os.getenv, [devices.WORKER] * 2))
    finally:
        pool.close()
    assert sorted(outcome.value or outcome.error for outcome in outcomes) == ["0", "1"]


@pytest.mark.slow
def test_workers_of_a_map_within_a_map_have_numbers_of_their_own() -> None:
    """As where a trained network is tried on hardware while others are still being trained."""
    pool, number = ProcessPool(2), f"__import__('os').environ[{devices.WORKER!r}]"
    trainings = pool.map(eval, [number, "__import__('time').sleep(600)"])
    try:
        assert next(trainings).value == "0"
        trials = [outcome.value for outcome in pool.map(eval, [f"__import__('time').sleep(1) or {number}"] * 2)]
    finally:
        trainings.close()
        pool.close()
    assert trials == ["0", "2"], "1 is still training"
