"""Compiled neurons: only where they pay, and never another bit."""

import logging
from dataclasses import replace

import pytest
import torch

from hasnas.nas.config.training import RetrainSection
from hasnas.nas.training import compilation
from hasnas.nas.training.compilation import compile_if_worthwhile
from hasnas.nas.training.retrain import retrain
from hasnas.search_spaces.architecture import Architecture
from hasnas.search_spaces.cells import Edge, Genotype
from hasnas.search_spaces.lif_scan import SWITCH, ScannedLIF, compiler_works
from hasnas.search_spaces.macro import Macro
from hasnas.search_spaces.network import SpikingNetwork, build_network
from hasnas.search_spaces.neurons.modules import neuron_module

pytestmark = pytest.mark.slow

CELL = Genotype(3, (Edge(0, 1, "conv3x3"), Edge(1, 2, "conv3x3"), Edge(0, 2, "identity")))
MACRO = Macro((1, 8, 8), 10, timesteps=3, channels=4, hidden=0, votes=1, dropout=0.1)


@pytest.fixture
def compiler() -> None:
    """Asked for when a test needs it: to ask compiles a loop."""
    if not compiler_works("cpu"):
        pytest.skip("this machine has no compiler")


def network() -> SpikingNetwork:
    return build_network(Architecture((CELL, CELL), MACRO).expand(), seed=0)


def scans(trained: SpikingNetwork) -> int:
    return sum(isinstance(module, ScannedLIF) for module in trained.modules())


def test_short_trainings_are_left_alone():
    trained = network()
    assert compile_if_worthwhile(trained, samples=25 * 1150) == 0
    assert scans(trained) == 0


def test_without_a_compiler_the_loop_stays(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(SWITCH, "plain")
    compiler_works.cache_clear()
    trained = network()
    assert compile_if_worthwhile(trained, samples=10**9) == scans(trained) == 0
    compiler_works.cache_clear()


@pytest.mark.usefixtures("compiler")
def test_long_trainings_are_compiled():
    trained = network()
    layers = compile_if_worthwhile(trained, samples=10**9)
    assert layers == scans(trained) > 0


@pytest.mark.usefixtures("compiler")
def test_membranes_of_few_bits_are_not_compiled():
    trained = build_network(Architecture((CELL, CELL), replace(MACRO, membrane_bits=4)).expand(), seed=0)
    assert compile_if_worthwhile(trained, samples=10**9) == 0
    assert scans(trained) == 0


@pytest.mark.usefixtures("compiler")
def test_a_machine_where_bits_differ_keeps_the_loop(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture):
    def others(node: torch.nn.Module) -> torch.nn.Module:
        return neuron_module(MACRO.neurons(threshold=0.9))

    monkeypatch.setattr(compilation, "scanned", others)
    trained = network()
    with caplog.at_level(logging.WARNING, compilation.__name__):
        assert compile_if_worthwhile(trained, samples=10**9) == 0
    assert scans(trained) == 0
    assert "other bits" in caplog.text


@pytest.mark.usefixtures("compiler")
def test_a_training_gives_the_same_bits(digits, tmp_path, monkeypatch: pytest.MonkeyPatch):
    architecture = Architecture((CELL, CELL), MACRO).to_json()
    settings = RetrainSection(epochs=2, batch_size=64)
    plain = retrain(architecture, digits, settings, 0, tmp_path / "plain")
    monkeypatch.setattr(compilation, "WORTHWHILE_UPDATES", 0)
    compiled = retrain(architecture, digits, settings, 0, tmp_path / "compiled")
    assert plain.history == compiled.history
    assert all(torch.equal(plain.state_dict[name], compiled.state_dict[name]) for name in plain.state_dict)
