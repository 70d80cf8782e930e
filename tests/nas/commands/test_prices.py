"""`hasnas estimate` on layers and architectures: the same numbers in tables, JSON, CSV and drawings, sweeps, chips."""

import csv
import json
from importlib.resources import files
from pathlib import Path

import pytest

from hasnas.nas.cli import run_command
from hasnas.search_spaces.architecture import Architecture

HARDWARE = ("--hardware", "spikesim-65nm-rram")
TOTALS = ("parameters", "memory_bits", "area_m2", "latency_s", "energy_j")


@pytest.mark.parametrize("source", ["layers.yaml", "cell.json"])
def test_an_estimate_is_json_table_and_csv_of_the_same_numbers(
    here: Path, capsys: pytest.CaptureFixture[str], source: str
):
    assert run_command(["estimate", source, *HARDWARE, "--json", "--csv", "layers.csv"]) == 0
    tree = json.loads(capsys.readouterr().out)
    assert all(tree[name] > 0 for name in TOTALS)
    with open("layers.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["layer"] for row in rows] == [layer["name"] for layer in tree["layers"]]
    assert sum(float(row["energy_j"]) for row in rows) == pytest.approx(tree["energy_j"])
    assert sum(int(row["parameters"]) for row in rows) == tree["parameters"]
    assert run_command(["estimate", source, *HARDWARE]) == 0
    table = capsys.readouterr().out.splitlines()
    assert table[0].split() == ["LAYER", "KIND", "PARAMETERS", "MEMORY", "AREA", "LATENCY", "ENERGY"]
    assert table[len(rows) + 1].startswith("total")


def test_an_architecture_costs_what_its_network_has(here: Path, capsys: pytest.CaptureFixture[str]):
    assert run_command(["estimate", "cell.json", *HARDWARE, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["parameters"] == Architecture.load("cell.json").expand().parameter_count


def test_settings_change_the_hardware_and_sweeps_are_combined(here: Path, capsys: pytest.CaptureFixture[str]):
    assert run_command(["estimate", "layers.yaml", *HARDWARE, "--set", "crossbar.size=128", "--json"]) == 0
    large = json.loads(capsys.readouterr().out)
    sweep = ["--sweep", "crossbar.size=64,128", "--sweep", "tile.pes=4,8"]
    assert run_command(["estimate", "layers.yaml", *HARDWARE, *sweep, "--json", "--csv", "sweep.csv"]) == 0
    swept = json.loads(capsys.readouterr().out)
    assert [tuple(one["set"].values()) for one in swept] == [("64", "4"), ("64", "8"), ("128", "4"), ("128", "8")]
    assert {one["energy_j"] for one in swept} >= {large["energy_j"]}
    assert Path("sweep.csv").read_text().splitlines()[0].startswith("crossbar.size,tile.pes,layer,kind")
    assert run_command(["estimate", "layers.yaml", *HARDWARE, *sweep]) == 0
    assert capsys.readouterr().out.splitlines()[0].startswith("CROSSBAR.SIZE  TILE.PES  PARAMETERS")


def test_chips_are_compared(here: Path, capsys: pytest.CaptureFixture[str]):
    both = ["--hardware", "rram-32nm", "--hardware", "rram-22nm"]
    assert run_command(["estimate", "layers.yaml", *both, "--sweep", "adc.bits=4,5", "--json"]) == 0
    compared = json.loads(capsys.readouterr().out)
    assert [tuple(one["set"].values()) for one in compared] == [
        ("rram-32nm", "4"), ("rram-32nm", "5"), ("rram-22nm", "4"), ("rram-22nm", "5"),
    ]  # fmt: skip
    assert run_command(["estimate", "layers.yaml", *both[2:], "--set", "adc.bits=5", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["energy_j"] == compared[3]["energy_j"] != compared[1]["energy_j"]
    assert run_command(["estimate", "layers.yaml", *both]) == 0
    assert capsys.readouterr().out.splitlines()[0].startswith("HARDWARE   PARAMETERS")


def test_nothing_is_written_before_all_is_checked(here: Path, capsys: pytest.CaptureFixture[str]):
    for several in (["--sweep", "adc.bits=4,5"], ["--hardware", "rram-22nm"]):
        arguments = ["--hardware", "rram-32nm", *several, "--csv", "s.csv", "--plot", "p"]
        assert run_command(["estimate", "layers.yaml", *arguments]) == 2
        assert "draws one report" in capsys.readouterr().err
        assert not Path("s.csv").exists()


def test_a_file_that_is_swept_lies_beside_the_user(here: Path, capsys: pytest.CaptureFixture[str]):
    preset = files("hasnas.cim_estimator.hardware.presets") / "device-neurosim-rram.yaml"
    Path("hw").mkdir()
    Path("hw/mine.yaml").write_text(preset.read_text())
    command = ["estimate", "layers.yaml", "--hardware", "rram-32nm", "--json"]
    assert run_command([*command, "--sweep", "device=hw/mine.yaml,neurosim-rram"]) == 0
    mine, theirs = json.loads(capsys.readouterr().out)
    assert mine["energy_j"] == theirs["energy_j"]
    assert run_command([*command, "--set", "device=hw/mine.yaml"]) == 0


def test_less_activity_costs_no_more_energy(here: Path, capsys: pytest.CaptureFixture[str]):
    energies = []
    for activity in ("0", "0.2", "dense"):
        command = ["estimate", "layers.yaml", "--hardware", "rram-32nm", "--activity", activity, "--json"]
        assert run_command(command) == 0
        energies.append(json.loads(capsys.readouterr().out)["energy_j"])
    assert energies[0] < energies[1] < energies[2]


@pytest.mark.slow
def test_an_estimate_is_drawn(here: Path):
    assert run_command(["estimate", "cell.json", "--hardware", "rram-32nm", "--plot", "plots"]) == 0
    for name in ("energy", "area", "roofline"):
        assert Path("plots", f"{name}.png").read_bytes().startswith(b"\x89PNG")
    Path("odd.yaml").write_text(
        Path("layers.yaml").read_text().replace("{kind: conv", "{name: 'a$\\foo$b', kind: conv")
    )
    assert run_command(["estimate", "odd.yaml", "--hardware", "rram-32nm", "--plot", "odd"]) == 0
    assert run_command(["estimate", "cell.json", *HARDWARE, "--plot", "plain"]) == 0
    assert not Path("plain", "roofline.png").exists(), "the SpikeSim formulas know no bus"


def test_chips_need_a_trained_network(here: Path, capsys: pytest.CaptureFixture[str]):
    assert run_command(["estimate", "cell.json", "--nonideal", "rram-typical"]) == 2
    assert "needs a run or a folder with a trained network" in capsys.readouterr().err
