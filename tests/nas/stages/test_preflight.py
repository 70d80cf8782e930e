"""What would fail later fails at once: one check before a run, whatever starts it."""

import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest

from hasnas.cim_estimator.hardware import presets
from hasnas.errors import BadInputError
from hasnas.nas.cli import run_command
from hasnas.nas.config.loading import load_config
from hasnas.nas.history.worth import DataFacts
from hasnas.nas.run import start_run
from hasnas.nas.stages import preflight as module
from hasnas.nas.stages.context import Setup
from hasnas.nas.stages.forecast import dry_run
from hasnas.nas.stages.preflight import Preflight, preflight
from hasnas.nas.stages.progress import Console

RRAM = Path(presets.__file__).parent / "rram-32nm.yaml"
RNG = np.random.default_rng(0)
IMAGES = RNG.uniform(0, 1, (60, 1, 8, 8)).astype(np.float32)
CLASSES = np.arange(60) % 3

YAML = """
name: b
seed: 0
dataset: {name: arrays, root: mine.npz}
space: {name: snasnet, macro: {channels: 4, timesteps: 2, hidden: 0, votes: 1, dropout: 0.0}}
hardware: rram-32nm
screen: {sample: 64}
supernet: {enabled: false}
search: {enabled: false}
retrain: {enabled: false}
export: {enabled: false}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "sub").mkdir()
    np.savez(tmp_path / "sub" / "mine.npz", inputs=IMAGES, targets=CLASSES)
    (tmp_path / "sub" / "b.yaml").write_text(YAML)
    return tmp_path / "sub" / "b.yaml"


def check(config: Path, *overrides: str) -> Preflight:
    return preflight(Setup(load_config(config, overrides), Console(quiet=True)))


def test_what_is_found_is_told(config: Path):
    found = check(config)
    facts = found.facts
    assert (facts.task, facts.outputs, facts.train, facts.validation, facts.test) == ("classification", 3, 38, 10, 12)
    assert facts.chance == pytest.approx(1 / 3)
    assert found.notes == ("the test split has 12 samples: its figure says little",)
    assert DataFacts.from_json(facts.to_json()) == facts


def test_a_blind_answer_is_that_of_the_training_samples(config: Path):
    labels = np.array([0] * 45 + [1] * 15)
    np.savez(config.parent / "mine.npz", inputs=IMAGES, targets=labels)
    assert check(config).facts.blind == (pytest.approx(0.75, abs=0.06), 0.75)
    np.savez(config.parent / "mine.npz", inputs=IMAGES, targets=np.linspace(0, 10, 60))
    facts = check(config, "retrain.loss=mse").facts
    assert (facts.task, facts.chance) == ("regression", None)
    assert facts.blind[1] == pytest.approx(2.5, rel=0.3)  # of values spread evenly from 0 to 10
    assert "regression of 1 value;" in facts.describe()


@pytest.mark.parametrize(
    "arrays, overrides, message",
    [
        ({"inputs": IMAGES * 255}, ["dataset.encoding={name: poisson, timesteps: 2}"], "poisson: values outside"),
        ({"targets": CLASSES * 0}, [], "every sample has the label 0"),
        ({}, ["dataset.root=other.npz"], "dataset.root: .*other.npz is missing"),
        ({}, ["dataset.validation_share=0.001"], "leaves one side empty"),
        ({"inputs": IMAGES[:4], "targets": np.arange(4) % 2}, ["dataset.validation_share=0.7"], "1 samples are left"),
        ({}, ["nonideal.device=rram-typcal"], "did you mean 'rram-typical'"),
        ({}, ["nonideal.device=none.yaml"], "nonideal.device: .*none.yaml is missing"),
        ({}, ["search.enabled=true", "search.score=depth", "space.file=own.py", "space.name=own"],
         "has no cell_groups"),
        ({}, ["search.enabled=true", "search.strategy=predictor", "search.objectives=[accuracy, energy, area]"],
         "predictor minimizes one cost"),
    ],
)  # fmt: skip
def test_what_would_fail_later_is_refused(arrays: dict, overrides: list[str], message: str, config: Path):
    np.savez(config.parent / "mine.npz", **{"inputs": IMAGES, "targets": CLASSES, **arrays})
    if "space.name=own" in overrides:
        (config.parent / "own.py").write_text(OWN_SPACE)
    begins = (check, lambda path, *changes: dry_run(path, changes), lambda path, *changes: start_run(path, changes))
    for begin in begins:
        with pytest.raises(BadInputError, match=message):
            begin(config, *overrides)


OWN_SPACE = '''
from dataclasses import dataclass
from hasnas.search_spaces.macro import Macro
from hasnas.search_spaces.snasnet import CellSpace

@dataclass(frozen=True)
class Own:
    macro: Macro
    def __post_init__(self): object.__setattr__(self, "inner", CellSpace(self.macro))
    cells = property(lambda self: self.inner.cells)
    genes = property(lambda self: self.inner.genes)
    def decode(self, codes): return self.inner.decode(codes)
    def encode(self, architecture): return self.inner.encode(architecture)
    def canonical(self, codes): return self.inner.canonical(codes)
'''


@pytest.mark.parametrize("free, outcome", [(1e6, "only 1 MB of disk are free"), (1e9, None), (1e11, None)])
def test_a_full_disk_is_told_before_anything_is_written(
    free: float, outcome: str | None, config: Path, monkeypatch: pytest.MonkeyPatch
):
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: usage(free))
    setup, target = Setup(load_config(config), Console(quiet=True)), config.parent / "runs" / "b"
    if outcome is not None:
        with pytest.raises(BadInputError, match=outcome):
            preflight(setup, target)
    else:
        told = [note for note in preflight(setup, target).notes if "disk" in note]
        assert len(told) == (2 if free < 2e9 else 0)
    assert not target.parent.exists()


def test_a_missing_package_is_named(config: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None if name == "nni" else object())
    with pytest.raises(BadInputError, match=r"hasnas search needs NNI: pip install 'hasnas\[search\]'"):
        check(config, "supernet.enabled=true")


def test_paths_of_a_yaml_start_at_its_folder(config: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    run = start_run("sub/b.yaml", run_directory="r")
    monkeypatch.chdir("/")
    assert run_command(["search", "--resume", str(tmp_path / "r")]) == 0
    assert load_config(run.absolute() / "config.yaml" if run.is_absolute() else tmp_path / "r" / "config.yaml")
    monkeypatch.setenv("HOME", str(config.parent))
    home = load_config(config, ["dataset.root=~/mine.npz", "retrain.noise.device=~/d.yaml", "nonideal.device=~/d.yaml"])
    assert home.dataset.root == str(config.parent / "mine.npz")
    assert home.nonideal.device == home.retrain.noise.device == str(config.parent / "d.yaml")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    assert load_config(config, ["dataset.root=here"]).dataset.root == str(tmp_path / "here")


def test_a_run_goes_on_with_its_data_only(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    run = start_run(config, run_directory=tmp_path / "r")
    moved = tmp_path / "elsewhere.npz"
    (config.parent / "mine.npz").rename(moved)
    start_run(config, [f"dataset.root={moved}"], tmp_path / "r")
    changed = IMAGES.copy()
    changed[5] += 0.01
    for file in (moved, config.parent / "mine.npz"):
        np.savez(file, inputs=changed, targets=CLASSES)
    for begin in (["search", str(config), "--run-dir", str(run)], ["search", "--resume", str(run)]):
        capsys.readouterr()
        assert run_command(begin) == 2
        assert "belongs to a run with another dataset" in capsys.readouterr().err


@pytest.mark.parametrize("key", ["nonideal.device", "retrain.noise.device", "hardware"])
def test_a_run_goes_on_with_its_files_only(key: str, config: Path, tmp_path: Path):
    own = config.parent / "own.yaml"
    text = RRAM.read_text() if key == "hardware" else "device_variation: 0.1\n"
    own.write_text(text)
    run = start_run(config, [f"{key}={own}"], tmp_path / "r")
    own.rename(config.parent / "moved.yaml")
    start_run(config, [f"{key}={config.parent / 'moved.yaml'}"], run)
    assert "moved.yaml" in (run / "config.yaml").read_text()
    own.write_text(text + "\n# changed\n")
    with pytest.raises(BadInputError, match=f"belongs to a run with another content of {key}"):
        start_run(config, [f"{key}={own}"], run)


def test_validate_prints_the_task_and_its_samples(config: Path, capsys: pytest.CaptureFixture[str]):
    np.savez(config.parent / "mine.npz", inputs=IMAGES, targets=CLASSES.astype(np.float32))
    assert run_command(["validate", str(config)]) == 0
    told = capsys.readouterr().out
    assert "data: regression of 1 value; samples: 38 to train" in told
    assert "write .astype(int) for classes" in told


def test_square_windows_on_lines_are_told(config: Path):
    np.savez(config.parent / "mine.npz", inputs=RNG.uniform(0, 1, (60, 1, 16)), targets=CLASSES)
    told = "other rows of avgpool3x3, conv3x3 meet zeros only; give space.operations avgpool1x3, conv1x3 instead"
    assert any(told in note for note in check(config, "dataset.name=signal").notes)
    fitting = "space.operations=[none, identity, conv1x3, conv1x1, avgpool1x5]"
    assert len(check(config, "dataset.name=signal", fitting).notes) == 1


@pytest.mark.slow
def test_a_dry_run_imports_nothing_that_trains():
    names = "{'torch', 'pytorch_lightning', 'torchvision', 'torchmetrics', 'nni', 'sklearn', 'matplotlib'}"
    code = f"import hasnas.nas.commands.check, hasnas.nas.stages.forecast, sys; print({names} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "set()\n"
