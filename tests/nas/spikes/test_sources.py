"""`hasnas map` on exported networks: samples of a dataset or of a file, and what does not belong together."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hasnas.cim_estimator.mapping import open_graph
from hasnas.nas.cli import run_command
from hasnas.nas.export.run_export import export_network
from hasnas.nas.export.target import TrainedNetwork
from hasnas.search_spaces.architecture import Architecture
from hasnas.search_spaces.network import SpikingNetwork
from tests.nas.export.conftest import trained as trained

pytestmark = pytest.mark.slow


@pytest.fixture
def exported(trained: Callable[..., tuple[Architecture, SpikingNetwork]], tmp_path: Path) -> Path:
    architecture, network = trained(1, False)
    facts = {"normalisation": {"mean": [0.0, 0.0], "deviation": [1.0, 1.0]}}
    export_network(TrainedNetwork(architecture, network, facts), tmp_path / "net")
    np.save(tmp_path / "samples.npy", np.random.default_rng(0).random((4, 2, 8, 8)).round(1))
    return tmp_path / "net"


def test_nir_and_exported_networks_are_one_graph(exported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    samples, found = str(exported.parent / "samples.npy"), []
    for source in (exported, exported / "network.nir"):
        kept = exported.parent / f"{source.name}.npz"
        arguments = ["map", str(source), "--samples", samples, "--save-graph", str(kept), "--json"]
        assert run_command(arguments) == 0
        found.append(json.loads(capsys.readouterr().out)[0] | {"seconds": 0})
        assert open_graph(kept).samples == 4
    assert found[0] == found[1]
    assert found[0]["global_spikes"] > 0
    assert run_command(["map", str(exported.parent / "net.npz"), "--by-layer", "--json"]) == 0
    again = json.loads(capsys.readouterr().out)[0]
    layers = again.pop("layers")
    assert again | {"seconds": 0} == found[0]
    assert sum(layer["energy_j"] for layer in layers) == pytest.approx(again["communication_energy_j"])
    assert sum(layer["packets"] for layer in layers) == pytest.approx(again["global_spikes"])
    heard = {layer["layer"] for layer in layers if layer["packets"]}
    assert "head.lif" in heard
    assert "input" not in heard


@pytest.mark.parametrize(
    "options, message",
    [
        ([], "give --dataset NAME, or --samples FILE.npy"),
        (["--dataset", "digits"], "made for samples of 2 channels, normalised for classes; these have 1"),
        (["--samples", "absent.npy"], "cannot read absent.npy"),
        (["--samples", "0"], "give at least 1, or an .npy file"),
    ],
)
def test_samples_must_fit(exported: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str) -> None:
    assert run_command(["map", str(exported), *options]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
