"""Trainings in rungs: gone on with bit for bit, on more and more of the data, given up where nothing gets through."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from hasnas.errors import BadInputError
from hasnas.nas.config.multi_fidelity import MultiFidelitySection, Rung
from hasnas.nas.config.training import RetrainSection
from hasnas.nas.data.samples import Split, Splits
from hasnas.nas.history.checkpoint import load_checkpoint
from hasnas.nas.training import rungs
from hasnas.nas.training.evaluation import recalibrate_batch_norm
from hasnas.nas.training.retrain import retrain
from hasnas.nas.training.rungs import RungResult, dead_layers, seen_at, share_of, train_to_rung
from hasnas.search_spaces.architecture import Architecture
from hasnas.search_spaces.cells import Edge, Genotype
from hasnas.search_spaces.macro import Macro
from hasnas.search_spaces.network import SpikingNetwork

CELL = Genotype(3, (Edge(0, 1, "conv3x3"), Edge(0, 2, "identity"), Edge(1, 2, "conv1x1")))
LONG = Architecture((CELL, CELL), Macro((1, 8, 8), timesteps=4, channels=8, hidden=0, votes=2, dropout=0.2)).to_json()
RUNGS = (Rung(1, timesteps=0.5, data=0.5), Rung(2, data=0.5), Rung(4))
SETTINGS = RetrainSection(epochs=4, batch_size=16)


class CrashError(Exception):
    """Stands for a crash between two epochs."""


def assert_equal(one: RungResult, other: RungResult) -> None:
    assert (one.epochs, one.dead) == (other.epochs, other.dead)
    assert one.network.graph == other.network.graph
    for name, value in one.network.state_dict().items():
        assert torch.equal(value, other.network.state_dict()[name]), name


@pytest.mark.slow
def test_rung_by_rung_is_the_same_as_all_at_once(architecture: dict[str, Any], few: Splits, tmp_path: Path) -> None:
    whole = train_to_rung(LONG, few, SETTINGS, 3, tmp_path / "whole", RUNGS)
    steps = [train_to_rung(LONG, few, SETTINGS, 3, tmp_path / "steps", RUNGS[: n + 1]) for n in range(3)]
    assert [step.epochs for step in steps] == [1, 2, 4]
    assert [step.network.graph.timesteps for step in steps] == [2, 4, 4]
    assert_equal(whole, steps[-1])
    (tmp_path / "whole" / "rung-2.safetensors").unlink()  # lost: made again from the rung before
    assert_equal(whole, train_to_rung(LONG, few, SETTINGS, 3, tmp_path / "whole", RUNGS))
    assert_equal(steps[0], train_to_rung(LONG, few, SETTINGS, 3, tmp_path / "again", RUNGS[:1]))


@pytest.mark.slow
def test_a_training_in_rungs_of_everything_is_an_ordinary_one(
    architecture: dict[str, Any], few: Splits, tmp_path: Path
) -> None:
    ordinary = retrain(architecture, few, SETTINGS, 3, tmp_path / "ordinary")
    train_to_rung(architecture, few, SETTINGS, 3, tmp_path / "rungs", (Rung(1), Rung(4)))
    tensors, meta = load_checkpoint(tmp_path / "rungs" / "rung-1.safetensors")
    assert [record["loss"] for record in meta["history"]] == [record.loss for record in ordinary.history]
    best = {name.removeprefix("best."): value for name, value in tensors.items() if name.startswith("best.")}
    if ordinary.best_epoch > 1:  # the best of the last rung counts
        assert all(torch.equal(value, best[name]) for name, value in ordinary.state_dict.items())


@pytest.mark.slow
def test_an_interruption_within_a_rung_does_not_matter(
    architecture: dict[str, Any], few: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train_to_rung(LONG, few, SETTINGS, 3, tmp_path / "whole", RUNGS)

    asked, original = [0], rungs.what_is_dead

    def crash_in_the_third_epoch(network: SpikingNetwork, seen: Splits, dead_rate: float) -> str:
        asked[0] += 1
        if asked[0] == 3:
            raise CrashError
        return original(network, seen, dead_rate)

    monkeypatch.setattr(rungs, "what_is_dead", crash_in_the_third_epoch)
    with pytest.raises(CrashError):
        train_to_rung(LONG, few, SETTINGS, 3, tmp_path / "parts", RUNGS)
    monkeypatch.undo()
    assert len(load_checkpoint(tmp_path / "parts" / "rung-2.safetensors")[1]["history"]) == 3
    assert_equal(whole, train_to_rung(LONG, few, SETTINGS, 3, tmp_path / "parts", RUNGS))


@pytest.mark.slow
def test_other_rungs_are_another_training(architecture: dict[str, Any], few: Splits, tmp_path: Path) -> None:
    train_to_rung(architecture, few, SETTINGS, 3, tmp_path, (Rung(1),))
    with pytest.raises(BadInputError, match="belongs to a training with another rung 0"):
        train_to_rung(architecture, few, SETTINGS, 3, tmp_path, (Rung(1, data=0.5),))


@pytest.mark.slow
def test_a_silent_network_is_given_up_at_once(few: Splits, tmp_path: Path) -> None:
    """A threshold that no current reaches."""
    cell = Genotype(2, (Edge(0, 1, "conv3x3"),))
    silent = Architecture((cell,), Macro((1, 8, 8), 10, timesteps=2, channels=4, hidden=0, votes=1, threshold=1e6))
    for _ in range(2):  # trained, and found trained
        result = train_to_rung(silent.to_json(), few, SETTINGS, 0, tmp_path, (Rung(3), Rung(4)))
        assert result.epochs == 1
        assert "never fires" in result.dead
        assert not (tmp_path / "rung-1.safetensors").exists()


def test_what_gets_through_one_path_keeps_a_network_alive(architecture: dict[str, Any]) -> None:
    graph = Architecture.from_json(architecture).expand()
    names = ("cell1.0.lif", "cell1.1.lif", "reduction1.lif", "cell2.0.lif", "cell2.1.lif", "head.lif")
    alive = dict.fromkeys(names, 0.3)
    assert set(alive) <= {node.name for node in graph.nodes}
    assert dead_layers(graph, alive, 0.0) == []
    assert dead_layers(graph, {**alive, "cell1.1.lif": 0.0}, 0.0) == [], "a shortcut leads around it"
    assert dead_layers(graph, {**alive, "head.lif": 1.0}, 0.0) == ["head.lif"]
    assert dead_layers(graph, {**alive, "head.lif": 0.98}, 0.0) == []
    assert dead_layers(graph, {**alive, "head.lif": 0.98}, 0.05) == ["head.lif"]


def test_shares_hold_each_other_and_every_class_in_proportion(digits: Splits) -> None:
    small, large = share_of(digits.train, 0.1, 0), share_of(digits.train, 0.3, 0)
    assert len(small) == 115
    counts, smaller = torch.bincount(digits.train.targets), torch.bincount(small.targets)
    assert (smaller - 0.1 * counts).abs().max() <= 1
    among = {tuple(image.flatten().tolist()) for image in large.inputs}
    assert all(tuple(image.flatten().tolist()) in among for image in small.inputs)
    assert not torch.equal(small.inputs, share_of(digits.train, 0.1, 1).inputs)
    assert share_of(digits.train, 1.0, 0) is digits.train


def test_places_stay_places(digits: Splits) -> None:
    frames = Split(torch.rand(4, 3, 1, 4, 4), torch.rand(4, 2), torch.ones(2), place=True)
    seen = seen_at(Splits(frames, frames, frames, digits.normalisation, 2), Rung(1, timesteps=0.5), seed=0)
    assert (seen.train.place, seen.train.inputs.shape[1]) == (True, 2)
    assert torch.equal(seen.validation.unit, torch.ones(2))


@pytest.mark.slow
def test_batch_norm_is_that_of_training_samples(few: Splits, tmp_path: Path) -> None:
    """However few the steps were, the network answers as if its running statistics had settled."""
    result = train_to_rung(LONG, few, SETTINGS, 3, tmp_path, RUNGS[:1])
    settled = recalibrate_batch_norm(result.network, [result.splits.train.inputs])
    inputs = result.splits.validation.inputs
    with torch.no_grad():
        assert torch.allclose(result.network(inputs), settled(inputs), atol=1e-5)
    names = [name for name in result.network.state_dict() if name.endswith("running_mean")]
    assert names
    tensors, _ = load_checkpoint(tmp_path / "rung-0.safetensors")
    assert not all(torch.allclose(tensors["best." + name], result.network.state_dict()[name]) for name in names)


def test_recordings_are_cut_to_the_first_timesteps(digits: Splits) -> None:
    frames = Split(torch.rand(6, 5, 1, 4, 4), torch.arange(6) % 2)
    splits = Splits(frames, frames, frames, digits.normalisation, 2)
    seen = seen_at(splits, Rung(1, timesteps=0.5), seed=0)
    assert torch.equal(seen.train.inputs, frames.inputs[:, :3])
    assert torch.equal(seen.validation.inputs, frames.inputs[:, :3])
    assert seen.test is frames


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"epochs": (2, 2)}, "each rung trains for more than the one before"),
        ({"data": (0.5, 1.0)}, "data has 2 shares for 3 rungs; give one for each"),
        ({"timesteps": (1.0, 0.5, 1.0)}, "timesteps gets smaller from one rung to the next"),
        ({"keep": 1.0}, "search.multi_fidelity.keep is 1"),
        ({"epochs": (3,)}, "at least 2"),
        ({"data": (0.0, 1.0, 1.0)}, "greater than 0"),
    ],
)
def test_rungs_that_make_no_sense_are_refused(values: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInputError, match=said):
        MultiFidelitySection(**values)
