"""`hasnas simulate` and `hasnas schedule --mapping` on a spike graph: keys, a trace, and what does not fit."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from hasnas.nas.cli import run_command

SIZE = ["--set", "crossbar.size=9"]
ONE_CROSSBAR = ["--set", "chip.tiles=1", "--set", "tile.pes=1", "--set", "tile.arrays_per_pe=1"]


@pytest.fixture
def files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> tuple[list[str], Path]:
    """Three groups of neurons that talk within themselves, and to the next group; its mapping."""
    edges: dict[int, list[int]] = {}
    for one in range(18):
        edges[one] = [other for other in range(one % 3, 18, 3) if other != one] + [(one + 1) % 18]
    (tmp_path / "graph.txt").write_text("".join(f"{n} {' '.join(map(str, to))}\n" for n, to in edges.items()))
    trains = np.random.default_rng(0).random((18, 40)) < 0.3
    (tmp_path / "spikes.txt").write_text(
        "".join(f"{n} {' '.join(map(str, np.flatnonzero(train)))}\n" for n, train in enumerate(trains))
    )
    graph, saved = [str(tmp_path / "graph.txt"), "--spikes", str(tmp_path / "spikes.txt")], tmp_path / "m.npz"
    assert run_command(["map", *graph, *SIZE, "--recipe", "naive", "--save", str(saved)]) == 0
    capsys.readouterr()
    return graph, saved


def test_a_replay_and_its_trace(files: tuple[list[str], Path], capsys: pytest.CaptureFixture[str]) -> None:
    graph, saved = files
    trace = saved.parent / "t.json"
    assert run_command(["simulate", *graph, *SIZE, "--mapping", str(saved), "--trace", str(trace), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["mode"] == "barrier"
    assert found["samples"] == 1
    assert found["energy_j"] == pytest.approx(sum(found["energy_by_component_j"].values()))
    assert found["edp_js"] == pytest.approx(found["energy_j"] * found["latency_s"])
    assert found["packets"] > 50
    assert found["busiest_links"][0]["use"] >= found["busiest_links"][-1]["use"] > 0
    events = json.loads(trace.read_text())["traceEvents"]
    assert {event["ph"] for event in events} == {"M", "X", "i"}
    hops = [event for event in events if event["ph"] == "X" and event["pid"] == 2]
    assert sum(link["packets"] for link in found["busiest_links"]) <= len(hops)
    assert max(event["ts"] + event["dur"] for event in hops) * 1e-6 <= found["latency_s"]


def test_the_guarantee_holds(files: tuple[list[str], Path], capsys: pytest.CaptureFixture[str]) -> None:
    graph, saved = files
    assert run_command(["schedule", *graph, *SIZE, "--mapping", str(saved), "--json"]) == 0
    promised = json.loads(capsys.readouterr().out)
    assert not promised["deadlock"]
    room = str(promised["queue_room"])
    assert run_command(["simulate", *graph, *SIZE, "--mapping", str(saved), "--room", room, "--unicast", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert promised["throughput_per_s"] <= 1 / found["latency_s"] <= promised["throughput_at_best_per_s"]
    assert promised["throughput_per_s"] > 0.1 / found["latency_s"]


def test_people_are_told_the_same(files: tuple[list[str], Path], capsys: pytest.CaptureFixture[str]) -> None:
    graph, saved = files
    assert run_command(["simulate", *graph, *SIZE, "--mapping", str(saved), "--mode", "free", "--period", "2 us"]) == 0
    assert "1 samples, mode free" in capsys.readouterr().out
    assert run_command(["schedule", *graph, *SIZE, "--mapping", str(saved)]) == 0
    assert "bound by barrier" in capsys.readouterr().out


@pytest.mark.parametrize(
    "options, message",
    [
        (["simulate", "--mode", "fre"], "unknown mode 'fre'; did you mean 'free'?"),
        (["simulate", "--period", "1 us"], "--period is for --mode free"),
        (["simulate", "--mode", "free", "--period", "-1 us"], "give a time from 1 ps"),
        (["simulate", "--room", "0"], "give at least 1"),
        (["simulate", "--timesteps", "3"], "--timesteps is for runs and NIR files"),
        (["simulate", *ONE_CROSSBAR], "crossbars, the chip has 1 (chip.tiles is 1)"),
        (["schedule", *ONE_CROSSBAR], "crossbars, the chip has 1 (chip.tiles is 1)"),
        (["schedule", "--room", "1"], "packets may meet in one; give --room"),
        (["schedule", "--buffers"], "leave out --tiles"),
    ],
)
def test_bad_input_is_told_in_one_line(
    files: tuple[list[str], Path], capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    graph, saved = files
    command, *rest = options
    assert run_command([command, *graph, *SIZE, "--mapping", str(saved), *rest]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_mapping_of_another_network(files: tuple[list[str], Path], capsys: pytest.CaptureFixture[str]) -> None:
    graph, saved = files
    Path(graph[0]).write_text("0 1\n1 2\n2 0\n")
    Path(graph[2]).write_text("0 1\n1 2\n2 3\n")
    for command in ("simulate", "schedule"):
        assert run_command([command, *graph, *SIZE, "--mapping", str(saved)]) == 2
        error = capsys.readouterr().err
        assert "is a mapping of another network; map this one anew" in error
        assert error.count("\n") == 1


def test_a_second_network_joins_or_is_turned_away(
    files: tuple[list[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    (source, _, spikes), saved = files
    command = ["schedule", source, "--spikes", spikes, *SIZE, "--mapping", str(saved)]
    second = ["--admit", source, "--admit-spikes", spikes, "--admit-mapping", str(saved)]
    assert run_command([*command, *second, "--chip", "8x8", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found["tiles"]) == found["before"]["clusters"] == found["after"]["clusters"] - len(found["tiles"])
    assert found["after"]["throughput_per_s"] <= found["before"]["throughput_per_s"]
    assert run_command([*command, *second, "--chip", "8x8"]) == 0
    assert capsys.readouterr().out.startswith("admitted:")
    for options, code, message in (
        (["--chip", "8x8", "--at-least", "1e12"], 3, "are needed"),
        ([], 3, "tiles, "),
        (["--chip", "1x1"], 2, "enlarge it"),
        (["--chip", "many"], 2, "write WIDTHxHEIGHT"),
    ):
        assert run_command([*command, *second, *options]) == code
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
    assert run_command([*command, *second[:-2]]) == 2
    assert "give --admit-mapping" in capsys.readouterr().err
