"""`hasnas schedule` on files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hasnas.nas.cli import run_command

PORT = """<port name="{0}" type="{0}" rate="1"/>"""
ACTOR = """<actor name="{0}" type="x">""" + PORT.format("in") + PORT.format("out") + "</actor>"
CHANNEL = """<channel name="{0}" srcActor="{1}" srcPort="out" dstActor="{2}" dstPort="in" initialTokens="{3}"/>"""
TIME = """<actorProperties actor="{0}"><processor type="x"><executionTime time="{1}"/></processor></actorProperties>"""


def ring(path: Path, tokens: int) -> Path:
    """Actors a and b, of 3 and 5 time units, in a ring."""
    actors = "".join(ACTOR.format(name) for name in "ab")
    channels = CHANNEL.format("ab", "a", "b", 0) + CHANNEL.format("ba", "b", "a", tokens)
    times = TIME.format("a", 3) + TIME.format("b", 5)
    path.write_text(
        f"<sdf3><applicationGraph><sdf name='ring'>{actors}{channels}</sdf>"
        f"<sdfProperties>{times}</sdfProperties></applicationGraph></sdf3>"
    )
    return path


def test_guarantee_tiles_and_buffers_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = str(ring(tmp_path / "g.xml", 2))
    assert run_command(["schedule", source, "--tiles", "a=0,b=0", "--one-at-a-time", "--buffers", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["repetition_vector"] == {"a": 1, "b": 1}
    assert (found["max_cycle_ratio"], found["throughput_per_time_unit"], found["deadlock"]) == (5, 0.2, False)
    assert found["on_tiles"]["max_cycle_ratio"] == 8
    assert found["on_tiles"]["orders"] == {"0": ["a", "b"]}
    assert found["buffers"][-1]["throughput_per_time_unit"] == 0.2


def test_text_names_what_bounds_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["schedule", str(ring(tmp_path / "g.xml", 1))]) == 0
    assert "an iteration every 8 time units (0.125 a time unit)" in capsys.readouterr().out


def test_a_deadlock_is_an_answer_but_cannot_be_scheduled(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = str(ring(tmp_path / "g.xml", 0))
    assert run_command(["schedule", source, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["deadlock"]
    assert found["max_cycle_ratio"] is None
    assert sorted(found["critical_actors"]) == ["a", "b"]
    assert run_command(["schedule", source, "--tiles", "a=0,b=1"]) == 2
    assert "deadlocked: a -> b -> a" in capsys.readouterr().err


OF_NETWORKS = [["--set", "adc.bits=4"], ["--room", "3"], ["--admit", "x"], ["--chip", "4x4"], ["--samples", "2"]]


@pytest.mark.parametrize("option", OF_NETWORKS)
def test_options_of_networks_are_not_for_dataflow_graphs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: list[str]
) -> None:
    assert run_command(["schedule", str(ring(tmp_path / "g.xml", 1)), *option]) == 2
    assert f"{option[0]} is for mapped networks; to schedule a network give --mapping" in capsys.readouterr().err


@pytest.mark.parametrize("tiles", ["a", "a=x", "a=0,a=1", "=0", "a=-1"])
def test_bad_tiles_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], tiles: str) -> None:
    assert run_command(["schedule", str(ring(tmp_path / "g.xml", 1)), "--tiles", tiles]) == 2
    error = capsys.readouterr().err
    assert error.startswith("hasnas: error: --tiles")
    assert error.count("\n") == 1
