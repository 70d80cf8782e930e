"""`hasnas import` and `hasnas tune`: networks found elsewhere are priced, tried on chips, mapped, trained further."""

from __future__ import annotations

import json
from pathlib import Path

import nir
import numpy as np
import pytest
import torch

from hasnas import load_network
from hasnas.nas.cli import run_command
from hasnas.nas.commands.python_source import load_module
from hasnas.nas.data.samples import load_splits
from hasnas.nas.export.deploy import deploy
from hasnas.nas.export.nir_reader import read_nir
from hasnas.nas.export.nir_writer import write_nir
from hasnas.nas.export.saved_network import load_bare_network
from hasnas.search_spaces.network import build_network
from tests.lively import assert_lively
from tests.nas.export.conftest import draw_architecture, train_a_little

NETWORK = """
import torch
from torch import nn
from spikingjelly.activation_based import functional, layer, neuron

def make():
    torch.manual_seed(0)
    net = nn.Sequential(
        layer.Conv2d(1, 4, 3, padding=1), layer.BatchNorm2d(4, eps=1e-3), neuron.LIFNode(tau=2.0, v_threshold=0.25),
        layer.MaxPool2d(2, 2), layer.Flatten(), layer.Linear(64, 16), neuron.ParametricLIFNode(3.0, v_threshold=0.1),
        layer.Linear(16, 10),
    )
    net[1].running_mean.uniform_(-0.2, 0.2)
    net[1].running_var.uniform_(0.05, 0.2)
    functional.set_step_mode(net, "m")
    return net

def subtracting():  # neurons without leak that subtract the threshold, which no layer of ours does
    net = make()
    net[2] = neuron.IFNode(0.25, v_reset=None, step_mode="m")
    return net

def silent():
    net = make()
    net[2].v_threshold = net[6].v_threshold = 1e6
    return net

class Unknown(nn.Module):
    def forward(self, x):
        return torch.fft.fft(x).real
"""
CONFIG = """
name: small
dataset: {name: digits}
hardware: rram-32nm
retrain: {epochs: 2, batch_size: 64, learning_rate: 0.02}
"""
SHAPE = ("--input", "1,8,8", "--timesteps", "3")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a network in Python, as it was imported, and a config."""
    place = tmp_path_factory.mktemp("import")
    (place / "net.py").write_text(NETWORK)
    (place / "small.yaml").write_text(CONFIG)
    assert run_command(["import", f"{place}/net.py:make", *SHAPE, "-o", str(place / "taken")]) == 0
    return place


def out(capsys: pytest.CaptureFixture[str]) -> dict:
    return json.loads(capsys.readouterr().out)


@torch.no_grad()
def test_a_module_is_taken_over_with_its_weights(folder: Path) -> None:
    network = load_bare_network(folder / "taken")
    inputs = 2 * torch.rand(8, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    assert_lively(network, inputs)
    module = load_module(folder / "net.py:make").eval()
    expected = module(inputs.expand(3, *inputs.shape)).mean(0)
    torch.testing.assert_close(network(inputs), expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(load_network(folder / "taken")(inputs), network(inputs))


def test_what_is_imported_costs_what_the_module_costs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    costs = []
    assert run_command(["estimate", f"{folder}/taken", "--hardware", "rram-32nm", "--activity", "measured"]) == 2
    assert "holds no measured activity" in capsys.readouterr().err
    for source in (["taken"], ["taken/graph.json"], ["net.py:make", *SHAPE]):
        command = ["estimate", f"{folder}/{source[0]}", *source[1:], "--hardware", "rram-32nm", "--json"]
        assert run_command(command) == 0
        costs.append(out(capsys)["energy_j"])
    assert costs[0] == costs[1] == costs[2] > 0


@pytest.mark.slow
def test_it_is_trained_further_and_tried_on_chips(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tuned = folder / "tuned"
    command = ["tune", str(folder / "taken"), str(folder / "small.yaml"), "-o", str(tuned), "--json"]
    assert run_command(command) == 0
    found = out(capsys)
    assert found["after"] > found["before"] + 0.2
    assert found["best_epoch"] in (1, 2)
    network, raw = load_network(tuned), load_network(folder / "taken").normalisation
    assert network.normalisation == raw, "samples are as the network was made for"
    splits = load_splits("digits", None, 0.2, 0)
    given = splits.test.inputs * splits.normalisation.deviation[0] + splits.normalisation.mean[0]
    accuracy = float((network(given).argmax(1) == splits.test.targets).float().mean())
    assert accuracy == pytest.approx(found["test"], abs=0.005)
    assert run_command(command) == 0
    assert out(capsys) == found, "a training that is done is not done again"
    chips = ["estimate", str(tuned), "--nonideal", "rram-typical", "--chips", "2", "--dataset", "digits", "--json"]
    assert run_command(chips) == 0
    report = out(capsys)
    assert report["perfect"] == pytest.approx(found["after"], abs=0.005)
    assert 0.1 < report["worst"] <= report["mean"] <= 1
    energies = []
    for activity in ("measured", "dense"):
        command = ["estimate", str(tuned), "--hardware", "rram-32nm", "--activity", activity, "--json"]
        assert run_command(command) == 0
        energies.append(out(capsys)["energy_j"])
    assert 0 < energies[0] < energies[1]
    np.save(folder / "samples.npy", given[:2].numpy())
    mapped = ["map", str(tuned), "--samples", str(folder / "samples.npy"), "--recipe", "naive", "--json"]
    assert run_command(mapped) == 0
    assert capsys.readouterr().out


@torch.no_grad()
def test_a_nir_file_comes_back_as_the_network_that_was_exported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network = train_a_little(build_network(draw_architecture(1, True).expand(), 1), 1).eval()
    write_nir(tmp_path / "network.nir", deploy(network.graph, network.state_dict()))
    taken = tmp_path / "taken"
    assert run_command(["import", str(tmp_path / "network.nir"), "-o", str(taken), "--json"]) == 0
    assert out(capsys)["parameters"] == network.graph.parameter_count
    inputs = torch.randn(8, *network.graph.entry.shape, generator=torch.Generator().manual_seed(0))
    assert_lively(network, inputs)
    loaded = load_bare_network(taken)
    assert torch.equal(loaded(inputs), read_nir(tmp_path / "network.nir")(inputs))
    close = (loaded(inputs) - network(inputs)).abs().amax(1) < 1e-4
    assert close.float().mean() > 0.8, "rounding moves a spike now and then"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["net.py:make"], "needs --input C,H,W and --timesteps"),
        (["net.py:Unknown", *SHAPE], "fft"),
        (["net.py:subtracting", *SHAPE], "layers of hasnas answer"),
        (["net.py:make", *SHAPE, "--mean", "0.5,0.5"], "the network takes 1"),
        (["net.py:make", *SHAPE, "--deviation", "x"], "give numbers with commas"),
        (["absent.nir"], "cannot read"),
        (["small.yaml"], "is of no known kind"),
    ],
)
def test_what_cannot_be_taken_is_one_line(
    folder: Path, tmp_path: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source, *options = arguments
    assert run_command(["import", f"{folder}/{source}", *options, "-o", str(tmp_path / "taken")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not (tmp_path / "taken").exists()


def test_what_only_resembles_is_taken_when_asked_for(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["import", f"{folder}/net.py:subtracting", *SHAPE, "-o", str(tmp_path / "taken"), "--approximately"]
    assert run_command(command) == 0
    assert "warning: layer '2' subtracts at reset" in capsys.readouterr().out
    assert run_command(["import", f"{folder}/net.py:silent", *SHAPE, "-o", str(tmp_path / "silent")]) == 0
    assert "warning: it answers every random sample alike" in capsys.readouterr().out
    assert run_command(["import", f"{folder}/net.py:make", *SHAPE, "-o", str(tmp_path / "lively")]) == 0
    assert "warning" not in capsys.readouterr().out


def test_what_does_not_fit_is_not_trained(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for changes, message in (
        (["retrain.method=soft_lif"], "retrain.method surrogate"),
        (["dataset.name=bragg_generated"], "hasnas: error: "),
    ):
        command = ["tune", str(folder / "taken"), str(folder / "small.yaml"), *changes, "-o", str(tmp_path / "t")]
        assert run_command(command) == 2
        assert message in capsys.readouterr().err
    (tmp_path / "searched").mkdir()
    (tmp_path / "searched" / "architecture.json").touch()
    command = ["tune", str(folder / "taken"), str(folder / "small.yaml"), "-o", str(tmp_path / "searched")]
    assert run_command(command) == 2
    assert "holds a searched network already" in capsys.readouterr().err
    assert not (tmp_path / "searched" / "training").exists(), "told before anything is trained"
    damaged = folder / "damaged"
    damaged.mkdir()
    for name in ("graph.json", "weights.safetensors"):
        (damaged / name).write_bytes((folder / "taken" / name).read_bytes())
    (damaged / "graph.json").write_text((damaged / "graph.json").read_text().replace('"LIF"', '"LIFE"'))
    assert run_command(["estimate", str(damaged), "--hardware", "rram-32nm"]) == 2
    assert "unknown kind 'LIFE'; did you mean 'LIF'" in capsys.readouterr().err
    (damaged / "graph.json").write_text('{"version": 1, "nodes": 3}')
    assert run_command(["estimate", str(damaged), "--hardware", "rram-32nm"]) == 2
    assert "holds no graph of layers" in capsys.readouterr().err


def test_nir_files_with_unknown_nodes_or_wrong_shapes_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entry, one = nir.Input(np.array([4])), np.ones(3)
    weights = nir.Affine(np.ones((3, 5)), 0 * one)
    lif = nir.LIF(tau=1e-3 * one, r=one, v_leak=0 * one, v_threshold=one, v_reset=0 * one)
    integrator = nir.NIRGraph.from_list(entry, nir.Affine(np.ones((3, 4)), 0 * one), nir.I(one))
    wrong = nir.NIRGraph(
        {"input": entry, "dense": weights, "lif": lif, "output": nir.Output(np.array([3]))},
        [("input", "dense"), ("dense", "lif"), ("lif", "output")],
        type_check=False,
    )
    for graph, message in ((integrator, "is a I, which"), (wrong, "node 'dense' takes 5 values, but 4 arrive")):
        nir.write(str(tmp_path / "net.nir"), graph)
        command = ["import", str(tmp_path / "net.nir"), "--timesteps", "3", "-o", str(tmp_path / "taken")]
        assert run_command(command) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert f"{tmp_path}/net.nir: " in line
        assert message in line
