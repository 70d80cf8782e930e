"""Files that nobody wrote in good faith: one line of a readable length, exit code 2, at once."""

from __future__ import annotations

import copy
import importlib
import json
import signal
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np
import pytest

from hasnas.nas.cli import run_command
from hasnas.search_spaces.architecture import Architecture
from hasnas.search_spaces.cells import Edge, Genotype
from hasnas.search_spaces.macro import Macro

SOUND = Architecture((Genotype(4, (Edge(0, 3, "conv3x3"),)),) * 2, Macro(channels=4, timesteps=2, hidden=0)).to_json()
LAYER = "{kind: linear, in_channels: 64, out_channels: 10}"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("sound.yaml").write_text(f"timesteps: 5\nlayers:\n  - {LAYER}\n")


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    chip = [] if "--hardware" in arguments else ["--hardware", "rram-32nm"]
    assert run_command(["estimate", *arguments, *chip]) == 2
    told = capsys.readouterr().err
    assert told.startswith("hasnas: error: ")
    assert told.endswith("\n")
    assert told[:-1].isprintable()
    assert len(told) < 2100
    return told


def cells(*given: Any) -> Any:
    return {**SOUND, "cells": list(given)}


def macro(**given: Any) -> Any:
    found = copy.deepcopy(SOUND)
    found["macro"].update(given)
    return found


ARCHITECTURES = {
    "deep": "[" * 200_000,
    "many digits": '{"version": ' + "9" * 5000 + "}",
    "no cells": {**SOUND, "cells": {}},
    "empty cells": cells(),
    "nodes": cells({"nodes": 10**9, "edges": []}),
    "many nodes": cells({"nodes": 4000, "edges": [[0, 3999, "conv3x3"]]}),
    "an edge again and again": cells({"nodes": 4, "edges": [[0, 3, "conv3x3"]] * 1000}),
    "a part of a node": cells({"nodes": 4, "edges": [[0, 3.7, "conv3x3"]]}),
    "an operation that is no text": cells({"nodes": 4, "edges": [[0, 3, {"a": 1}]]}),
    "nodes that are true": cells({"nodes": True, "edges": []}),
    "edges that are no list": cells({"nodes": 4, "edges": {"a": 1}}),
    "a part of a timestep": macro(timesteps=2.5),
    "true channels": macro(channels=True),
    "channels": macro(channels=10**9),
    "an input too large to count": macro(input_shape=[10**18, 32, 32]),
    "sides that are no numbers": macro(input_shape=[3, float("nan"), 32]),
}


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_architectures(kind: str, capsys: pytest.CaptureFixture[str]):
    given = ARCHITECTURES[kind]
    Path("a.json").write_text(given if isinstance(given, str) else json.dumps(given))
    assert "a.json" in refusal(capsys, "a.json")


LAYERS = [
    "timesteps: 5\nlayers:\n  - {kind: {a: 1}, in_channels: 64}\n",
    "timesteps: 5\nlayers:\n  - {name: {a: 1}, kind: linear, in_channels: 64, out_channels: 10}\n",
    "timesteps: 5\nlayers:\n  - {kind: linear, in_channels: 1e30, out_channels: 10}\n",
    "timesteps: 5\nlayers:\n  - {kind: linear, in_channels: 1" + 30 * "0" + ", out_channels: 10}\n",
    "timesteps: 5\nlayers:\n  - {kind: linear, in_channels: .nan, out_channels: 10}\n",
    "timesteps: 5\nlayers:\n  - {kind: linear, in_channels: true, out_channels: 10}\n",
    "timesteps: 5\nlayers: {a: 1}\n",
    "timesteps: 2001-01-01\nlayers: []\n",
    "a: &a [1]\nb: *a\n",
    "[" * 100_000,
    "\x00\x01",
]


@pytest.mark.parametrize("text", LAYERS, ids=range(len(LAYERS)))
def test_layer_lists(text: str, capsys: pytest.CaptureFixture[str]):
    Path("l.yaml").write_text(text)
    assert "l.yaml" in refusal(capsys, "l.yaml")


SETTINGS = [
    "tile.pes=1" + 30 * "0", "crossbar.rows=1" + 18 * "0", "adc.bits=99", "device=" + 300 * "a", "clock_hz=nan",
    "device=~nosuchuser/x.yaml", "node=\x1b[31mred", "adc=\x07bell",
]  # fmt: skip


@pytest.mark.parametrize("setting", SETTINGS, ids=range(len(SETTINGS)))
def test_settings_of_a_chip(setting: str, capsys: pytest.CaptureFixture[str]):
    assert setting.partition(".")[0].partition("=")[0] in refusal(capsys, "sound.yaml", "--set", setting)


@pytest.mark.parametrize("path", ["~nosuchuser/x.yaml", 5000 * "a" + ".yaml", "a\0.yaml"], ids=["~", "long", "nul"])
def test_names_of_files(path: str, capsys: pytest.CaptureFixture[str]):
    refusal(capsys, "sound.yaml", "--hardware", path)


def _write_nir(metadata: dict[str, Any]) -> None:
    one = np.ones(12)
    neurons = nir.LIF(tau=1e-3 * one, r=one, v_leak=0 * one, v_threshold=one, v_reset=0 * one)
    graph = nir.NIRGraph.from_list(nir.Input(np.array([20])), nir.Affine(np.ones((12, 20)), 0 * one), neurons)
    graph.metadata = metadata
    nir.write("m.nir", graph)


METADATA = [
    {"timesteps": "x"}, {"timesteps": np.array([1, 2])}, {"timesteps": np.nan}, {"recurrent_edges": "[1]"},
    {"recurrent_edges": "[[1, 2, 3]]"}, {"recurrent_edges": "{"}, {"weight_bits": "x"}, {"membrane_bits": "[]"},
    {"layers": "[1]"}, {"layers": "{"},
]  # fmt: skip


@pytest.mark.parametrize("metadata", METADATA, ids=str)
def test_metadata_of_nir_files(metadata: dict[str, Any], capsys: pytest.CaptureFixture[str]):
    _write_nir({"timesteps": 4, **metadata})
    assert "m.nir" in refusal(capsys, "m.nir")


def _sound_nir() -> None:
    _write_nir({"timesteps": 4})
    assert run_command(["estimate", "m.nir", "--hardware", "rram-32nm"]) == 0


def _elsewhere(node: h5py.Group) -> None:
    Path("secret").write_bytes(np.ones((12, 20)).tobytes())
    del node["weight"]
    node.create_dataset("weight", (12, 20), "f8", external=[("secret", 0, 12 * 20 * 8)])


def _linked(node: h5py.Group) -> None:
    del node["weight"]
    node["weight"] = h5py.ExternalLink("other.nir", "/node/weight")


def _unpacked(node: h5py.Group) -> None:
    del node["weight"]
    node.create_dataset("weight", (12, 40_000_000), "f8", compression="gzip", fillvalue=0.0)


def _circle(node: h5py.Group) -> None:
    node["again"] = node
    node["and_again"] = node


def _texts(node: h5py.Group) -> None:
    del node["weight"]
    node["weight"] = np.full((12, 20), "x", "S1")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_elsewhere, "lie in other files"),
        (_linked, "is a link to another place"),
        (_unpacked, "unpack to 3.8 GB"),
        (_circle, "groups within groups"),
        (_texts, "weight is of the type |S1; write real numbers"),
    ],
)
def test_nir_files_that_lead_elsewhere(change: Any, told: str, capsys: pytest.CaptureFixture[str]):
    _sound_nir()
    with h5py.File("m.nir", "r+") as file:
        change(next(node for node in file["node/nodes"].values() if "weight" in node))
    assert told in refusal(capsys, "m.nir")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["space", "layer list", "hardware", "architecture", "nir"])
def test_some_of_the_fuzzed_files(kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """A short version of `experiments/faults/fuzz.py`."""
    monkeypatch.syspath_prepend(Path(__file__).parents[3] / "experiments" / "faults")
    fuzz = importlib.import_module("fuzz")
    for number in (signal.SIGPROF, signal.SIGALRM):
        signal.signal(number, fuzz.ring)
    found = fuzz.fuzz(kind, 30, 1, tmp_path, None)
    assert sum(found.values()) == 30
    assert found.keys() <= {"0", "2", "3"}


def test_what_a_terminal_would_obey_is_written_out(capsys: pytest.CaptureFixture[str]):
    named = LAYER.replace("{", '{name: "\\e[31mred", ')
    Path("l.yaml").write_text(f"timesteps: 5\nlayers:\n  - {named}\n")
    assert run_command(["estimate", "l.yaml", "--hardware", "rram-32nm"]) == 0
    assert "\\x1b[31mred" in capsys.readouterr().out


def test_nor_does_a_terminal_obey_paths(capsys: pytest.CaptureFixture[str]):
    assert run_command(["configs", "cp", "digits", "\x1b[31m\x07.yaml"]) == 0
    assert run_command(["validate", "\x1b[31m\x07.yaml"]) == 0
    assert capsys.readouterr().out.count("\\x1b[31m\\x07.yaml") == 2
