import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from hasnas.cim_estimator import load_hardware
from hasnas.errors import BadInputError
from hasnas.files import sha256_of
from hasnas.nas.config.loading import config_from_tree, dump_config
from hasnas.nas.config.training import RetrainSection
from hasnas.nas.data.samples import Split, Splits, training_normalisation
from hasnas.nas.export.run_export import (
    PLAIN,
    export_network,
    export_run,
    returned_trials,
    sound_export,
)
from hasnas.nas.export.saved_network import load_bare_network
from hasnas.nas.export.target import TrainedNetwork, probe
from hasnas.nas.history.ledger import Ledger
from hasnas.nas.history.trial import Trial
from hasnas.nas.training.retrain import retrain, retrain_directory
from hasnas.search_spaces.architecture import Architecture
from hasnas.search_spaces.cells import Edge, Genotype
from hasnas.search_spaces.macro import Macro
from hasnas.search_spaces.network import build_network


def make_trial(number: int, architecture: Architecture, seed: int, accuracy: float, stage: str = "retrain") -> Trial:
    metrics, costs = {"validation_accuracy": accuracy, "test_accuracy": 0.5}, {"energy_j": 1e-6}
    key, data = architecture.key, architecture.to_json()
    return Trial(number, stage, key, (), data, seed, "done", metrics=metrics, costs=costs)


def write_ledger(run: Path, trials: list[Trial]) -> None:
    run.mkdir(exist_ok=True)
    with Ledger(run / "ledger.jsonl") as ledger:
        for trial in trials:
            ledger.append(trial.to_record())


@pytest.fixture(scope="module")
def architectures() -> list[Architecture]:
    macro = Macro((1, 4, 4), classes=2, timesteps=2, channels=2, hidden=0, votes=1)
    return [
        Architecture((cell, cell), macro)
        for cell in (Genotype(2, (Edge(0, 1, "conv1x1"),)), Genotype(2, (Edge(0, 1, "identity"),)))
    ]


@pytest.fixture(scope="module")
def run(architectures: list[Architecture], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with two networks, the first retrained from two seeds."""
    directory = tmp_path_factory.mktemp("runs") / "small"
    generator = torch.Generator().manual_seed(0)
    split = Split(torch.randn(12, 1, 4, 4, generator=generator), torch.arange(12) % 2)
    splits = Splits(split, split, split, training_normalisation(split), classes=2)
    trials = []
    for number, (index, seed, accuracy) in enumerate([(0, 5, 0.6), (0, 6, 0.8), (1, 5, 0.7)]):
        trial = make_trial(number, architectures[index], seed, accuracy)
        settings = RetrainSection(epochs=1, batch_size=4)
        retrain(trial.architecture, splits, settings, seed, retrain_directory(directory, trial.key, seed))
        trials.append(trial)
    write_ledger(directory, [make_trial(0, architectures[0], 0, 0.9, stage="search"), *trials])
    return directory


@pytest.mark.slow
def test_each_network_is_exported_with_its_best_seed(run: Path, architectures: list[Architecture]):
    files = export_run(run, PLAIN)
    directories = [run / "export" / architecture.key for architecture in architectures]
    names = ("architecture.json", "weights.safetensors", "network.nir", "card.json")
    assert files == [directory / name for directory in directories for name in names]
    card = json.loads((directories[0] / "card.json").read_text())
    assert card["seed"] == 6
    assert card["metrics"] == {"validation_accuracy": 0.8, "test_accuracy": 0.5}
    assert card["costs"] == {"energy_j": 1e-6}
    trainings = card["trainings"]
    assert (trainings["chosen_seed"], trainings["validation_accuracy"]["mean"]) == (6, pytest.approx(0.7))
    assert [(one["seed"], one["validation_accuracy"]) for one in trainings["each"]] == [(5, 0.6), (6, 0.8)]
    assert "trainings" not in json.loads((directories[1] / "card.json").read_text())
    assert len(card["normalisation"]["mean"]) == 1
    assert card["formats"]["nir"]["tools"]["Norse 1.1"].startswith("yes: norse.torch.from_nir")
    assert card["formats"]["nir"]["tools"]["sinabs 3.1"].startswith("no: ")
    assert card["check"]["safetensors_max_difference"] == 0
    assert card["check"]["nir_max_difference_float64"] < 1e-9
    assert card["files"] == {
        name: sha256_of(directories[0] / name) for name in ("architecture.json", "weights.safetensors", "network.nir")
    }
    network = load_bare_network(directories[0])
    assert network(probe(network, 2)).shape == (2, 2)


def test_what_nir_has_no_word_for_is_left_out_and_said(tmp_path: Path):
    macro = Macro((1, 4, 4), classes=2, timesteps=2, channels=2, hidden=0, votes=1, neuron="alif", weight_bits=2)
    architecture = Architecture((Genotype(2, (Edge(0, 1, "conv1x1"),)),), macro)
    trained = TrainedNetwork(architecture, build_network(architecture.expand(), seed=0).eval(), {})
    files = export_network(trained, tmp_path)
    assert [path.name for path in files] == ["architecture.json", "weights.safetensors", "card.json"]
    card = json.loads((tmp_path / "card.json").read_text())
    assert "adaptive threshold" in card["left_out"]["nir"]
    assert card["check"]["safetensors_max_difference"] == 0
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    for formats in (["nir"], ["json", "nir"]):
        with pytest.raises(BadInputError, match="adaptive threshold"):
            export_network(trained, tmp_path, formats, needed=["nir"])
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.slow
def test_the_card_says_what_other_tools_make_of_short_membranes(trained, tmp_path: Path):
    architecture, network = trained(2, False, "lif", 0, 3)
    export_network(TrainedNetwork(architecture, network, {}), tmp_path)
    card = json.loads((tmp_path / "card.json").read_text())
    assert card["notes"]["nir"].startswith("NIR has no word for membranes of few bits")
    assert card["check"]["nir_max_difference_float64"] < 1e-9
    assert card["check"]["nir_max_difference_float_membranes"] > 1e-3
    architecture, network = trained(2, False)
    export_network(TrainedNetwork(architecture, network, {}), tmp_path)
    card = json.loads((tmp_path / "card.json").read_text())
    assert "notes" not in card
    assert "nir_max_difference_float_membranes" not in card["check"]


@pytest.mark.slow
def test_exporting_again_writes_the_same(run: Path):
    first = {path: path.read_bytes() for path in export_run(run, PLAIN)}
    assert {path: path.read_bytes() for path in export_run(run, PLAIN)} == first


@pytest.mark.slow
def test_formats_can_be_chosen(run: Path):
    shutil.rmtree(run / "export", ignore_errors=True)
    assert [path.name for path in export_run(run, ["json"])] == ["architecture.json", "card.json"] * 2
    config = {"name": "small", "dataset": {"name": "digits"}, "hardware": "rram-32nm"}
    (run / "config.yaml").write_text(yaml.safe_dump({**config, "export": {"formats": ["safetensors"]}}))
    both = ["architecture.json", "weights.safetensors", "card.json"]
    assert [path.name for path in export_run(run)] == both * 2, "written beside what was exported before"
    chip = [path for path in export_run(run, ["conductances", "neurosim"]) if path.name == "conductances.npz"]
    with np.load(chip[0]) as cells:
        on_s = 1 / load_hardware("rram-32nm").device.on_resistance_ohm  # type: ignore[attr-defined]
        assert cells["stem.conv/g0/s0/r0c0/positive"].max() <= on_s * 1.001
    with pytest.raises(BadInputError, match="unknown export format 'nri'; did you mean 'nir'"):
        export_run(run, ["nri"])


@pytest.mark.slow
def test_conductances_of_a_chip_without_cells_are_left_out_and_said(run: Path, tmp_path: Path):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    shutil.rmtree(copy / "export", ignore_errors=True)
    config = {"name": "small", "dataset": {"name": "digits"}, "hardware": "spikesim-65nm-rram"}
    (copy / "config.yaml").write_text(yaml.safe_dump({**config, "export": {"formats": ["json", "conductances"]}}))
    files = export_run(copy)
    assert [path.name for path in files] == ["architecture.json", "card.json"] * 2
    assert "does not describe its memory cells" in json.loads(files[1].read_text())["left_out"]["conductances"]
    with pytest.raises(BadInputError, match="does not describe its memory cells"):
        export_run(copy, ["conductances"])


def test_a_run_without_networks_says_so(architectures: list[Architecture], tmp_path: Path):
    with pytest.raises(BadInputError, match=r"holds no run \(no config.yaml\)"):
        export_run(tmp_path / "absent")
    write_ledger(tmp_path / "searched", [make_trial(0, architectures[0], 0, 0.9, stage="search")])
    tree = {"name": "searched", "dataset": {"name": "digits"}, "hardware": "rram-32nm"}
    (tmp_path / "searched" / "config.yaml").write_text(dump_config(config_from_tree(tree, "searched.yaml")))
    with pytest.raises(BadInputError, match=r"searched has returned no network yet; go on: hasnas search --resume"):
        returned_trials(tmp_path / "searched")
    write_ledger(tmp_path / "lost", [make_trial(0, architectures[0], 0, 0.9)])
    with pytest.raises(BadInputError, match=r"best.safetensors is missing"):
        export_run(tmp_path / "lost", PLAIN)


@pytest.mark.slow
def test_a_sound_export_is_recognised_and_any_other_is_not(
    run: Path, architectures: list[Architecture], tmp_path: Path
):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    shutil.rmtree(copy / "export", ignore_errors=True)
    assert sound_export(copy, PLAIN) == []
    files = export_run(copy, PLAIN)
    assert sorted(sound_export(copy, PLAIN)) == sorted(files)
    assert sorted(sound_export(copy, ("json",))) == sorted(files), "more than was asked for does no harm"
    assert sound_export(copy, ("json", "onnx")) == []
    ledger = (copy / "ledger.jsonl").read_bytes()
    write_ledger(copy, [make_trial(3, architectures[1], 6, 0.1)])  # a further seed of a network, no better one
    assert sound_export(copy, PLAIN) == []
    (copy / "ledger.jsonl").write_bytes(ledger)
    weights = next(path for path in files if path.suffix == ".safetensors")
    for path in (weights, weights.parent / "card.json"):
        whole = path.read_bytes()
        for damaged in (whole[:-9], whole.replace(b'"seed"', b'"sead"') if path.suffix == ".json" else b"x" + whole):
            path.write_bytes(damaged)
            assert sound_export(copy, PLAIN) == []
        path.write_bytes(whole)
    weights.unlink()
    assert sound_export(copy, PLAIN) == []
