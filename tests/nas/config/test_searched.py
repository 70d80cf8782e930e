"""Searched fields of chip and training as a YAML has them."""

from __future__ import annotations

from pathlib import Path

import pytest

from hasnas.errors import BadInputError
from hasnas.nas.config.loading import config_identity, dump_config, load_config
from hasnas.nas.config.searched import read_searched
from hasnas.nas.config.training import RetrainSection
from hasnas.nas.stages.context import Setup
from hasnas.nas.stages.progress import Console
from hasnas.search_spaces.joint import JointSpace

CONFIG = """
name: joint
dataset: {name: digits}
hardware:
  preset: rram-32nm
  searched:
    crossbar.size: [64, 128]
    adc: {bits: [4, 5]}
    clock_hz: {from: 200 MHz, to: 1 GHz, steps: 3, scale: log}
supernet: {enabled: false}
retrain:
  searched:
    learning_rate: {from: 1e-4, to: 1e-2, steps: 3, scale: log}
    surrogate.width: [0.5, 1]
    method: [surrogate, soft_lif]
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "joint.yaml"
    file.write_text(CONFIG)
    return file


def test_lists_and_ranges_are_read_saved_and_read_again(path: Path) -> None:
    config = load_config(path)
    assert config.hardware.searched.values == {
        "crossbar.size": (64, 128), "adc.bits": (4, 5), "clock_hz": (200_000_000, 447_214_000, 1_000_000_000),
    }  # fmt: skip
    assert config.retrain.searched.values["learning_rate"] == (1e-4, 1e-3, 1e-2)
    path.write_text(dump_config(config))
    again = load_config(path)
    assert again.hardware == config.hardware
    assert again.retrain == config.retrain
    assert config_identity(again) == config_identity(config)
    assert config_identity(load_config(path, ["hardware.searched.adc.bits=[4, 6]"])) != config_identity(config)


def test_the_space_of_a_run_has_these_genes(path: Path) -> None:
    setup = Setup(load_config(path), Console(quiet=True))
    assert isinstance(setup.space, JointSpace)
    genes = setup.space.genes[setup.space.hardware_genes.start :]
    assert [(gene.label, gene.kind, gene.scale) for gene in genes] == [
        ("hardware/crossbar.size", "ordered", "linear"),
        ("hardware/adc.bits", "ordered", "linear"),
        ("hardware/clock_hz", "numeric", "log"),
        ("training/learning_rate", "numeric", "log"),
        ("training/surrogate.width", "ordered", "linear"),
        ("training/method", "categorical", "linear"),
    ]
    codes = setup.space.encode(setup.space.decode([0] * 2 + [3] + [0] * (len(setup.space.genes) - 3)))
    codes = (*codes[:-6], 1, 1, 2, 1, 1, 1)
    chip, training = setup.hardware_of(codes), setup.training_of(codes)
    assert (chip.crossbar.rows, chip.clock_hz) == (128, 1e9)
    assert (training.learning_rate, training.surrogate.width, training.method) == (1e-3, 1, "soft_lif")
    assert not training.searched
    assert setup.space.canonical([codes])[0][0, -2] == 0  # soft_lif knows no surrogate


def test_what_is_not_searched_stays_what_it_is(path: Path) -> None:
    section = RetrainSection(searched={"batch_size": [16, 64]}, epochs=7)  # type: ignore[arg-type]
    assert section.chosen({"batch_size": 64}) == RetrainSection(batch_size=64, epochs=7)
    assert "searched" not in section.to_json()
    assert not read_searched(None)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("hardware.searched.adc.bitz=[4]", "unknown key 'adc.bitz'; did you mean 'adc.bits'"),
        ("hardware.searched.adc.bits=[4, 99]", "adc.bits is 99; give at most 64"),
        ("hardware.searched.adc.bits=[]", "'adc.bits' needs a list of values, or {from"),
        ("hardware.searched.adc.bits=[4, 4]", r"'adc.bits' is \[4, 4\]; give each value once"),
        ("hardware.searched.adc.bits=[.nan]", "'adc.bits' holds nan; give plain values"),
        ("hardware.searched=3", "a section with a list of values for each field"),
        ("hardware.overrides.adc.bits=4", "hardware.searched.adc.bits is fixed by hardware.overrides as well"),
        ("hardware.searched.crossbar.columns_per_adc=[512]", "combinations contradicts itself"),
        ("hardware.searched.clock_hz={from: 2 GHz, to: 1 GHz, steps: 3}", "give finite ends, the lower one first"),
        ("hardware.searched.clock_hz={from: 1 J, to: 2 J, steps: 3}", "expected a quantity in Hz"),
        ("hardware.searched.clock_hz={from: 1 GHz, to: 2 GHz}", "'clock_hz' lacks 'steps'"),
        ("hardware.searched.clock_hz={from: 1 GHz, to: 2 GHz, steps: 1}", "give a whole number from 2"),
        ("hardware.searched.clock_hz={from: 1 GHz, to: 2 GHz, step: 3}", "unknown key 'step'; did you mean 'steps'"),
        ("hardware.searched.clock_hz={from: 1 GHz, to: 2 GHz, steps: 3, scale: lg}", "scale 'lg'; did you mean 'log'"),
        ("hardware.searched.clock_hz={from: 0, to: 2 GHz, steps: 3, scale: log}", "a log scale needs positive ends"),
        ("retrain.searched.learning_rat=[0.1]", "unknown key 'retrain.searched.learning_rat'; did you mean 'learning_"),
        ("retrain.searched.top=[1, 2]", "searched.top cannot be searched"),
        ("retrain.searched.epochs=[5, 10]", "searched.epochs cannot be searched"),
        ("retrain.searched.learning_rate=[0.1, 20.0]", "searched.learning_rate is 20.0; it must be less than"),
        ("retrain.searched.method=[surogate]", "searched.method is 'surogate'; no such training method; did you"),
        ("retrain.learning_rate=0.1", r"searched.learning_rate is fixed by learning_rate \(0.1\) as well"),
        ("retrain.searched.augmentation.magnitude=[0.1, 0.5]", "changes nothing while augmentation.operations is 0"),
        ("supernet.enabled=true", "retrain.searched with a supernet"),
        ("search.score=depth", "a score trains nothing"),
        ("retrain.searched.loss=[mse, smooth_l1]", "retrain.searched.loss: classes are trained with cross entropy"),
    ],
)
def test_bad_input_is_one_line(path: Path, override: str, message: str) -> None:
    with pytest.raises(BadInputError, match=message) as caught:
        _ = Setup(load_config(path, [override]), Console(quiet=True)).space
    assert "\n" not in str(caught.value)
