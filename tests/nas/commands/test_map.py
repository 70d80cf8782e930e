"""`hasnas map` on graphs as text and as .npz."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from hasnas.cim_estimator.mapping import open_mapping, read_graph_text, save_graph
from hasnas.nas.cli import run_command

KEYS = [
    "recipe", "clusters", "global_spikes", "communication_energy_j", "latency_s", "isi_distortion_s", "lifetime_s",
    "temperature_k", "leakage_w", "seconds",
]  # fmt: skip


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Two groups of neurons that talk within themselves, numbered by turns, with one synapse between them."""
    edges: dict[int, list[int]] = {neuron: [] for neuron in range(16)}
    for one in range(16):
        edges[one] = [other for other in range(one % 2, 16, 2) if other != one]
    edges[0].append(1)
    (tmp_path / "graph.txt").write_text("".join(f"{n} {' '.join(map(str, to))}\n" for n, to in edges.items()))
    trains = np.random.default_rng(0).random((16, 40)) < 0.3
    (tmp_path / "spikes.txt").write_text(
        "".join(f"{n} {' '.join(map(str, np.flatnonzero(train)))}\n" for n, train in enumerate(trains))
    )
    return [str(tmp_path / "graph.txt"), "--spikes", str(tmp_path / "spikes.txt"), "--set", "crossbar.size=9"]


def test_records_have_the_promised_keys_and_find_the_groups(
    files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["map", *files, "--recipes", "spinemap,espine,thermal,naive,random", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [list(record) for record in found] == [KEYS] * 5
    by_name = {record["recipe"]: record for record in found}
    graph = read_graph_text(files[0], files[2])
    assert by_name["spinemap"]["clusters"] == 2
    assert by_name["spinemap"]["global_spikes"] == graph.spikes[0]
    hop_j = 2.427e-12
    assert by_name["spinemap"]["communication_energy_j"] == pytest.approx(graph.spikes[0] * hop_j)
    assert by_name["spinemap"]["latency_s"] == pytest.approx(2 / 500e6)
    assert by_name["naive"]["global_spikes"] > 5 * graph.spikes[0]
    assert by_name["espine"]["lifetime_s"] >= by_name["spinemap"]["lifetime_s"]


def test_the_table_has_a_column_a_recipe(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["map", *files, "--recipes", "naive,thermal"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["recipe", "naive", "thermal"]
    assert len(lines) == len(KEYS)
    assert lines[3].startswith("communication energy")
    assert "J" in lines[3]


def test_npz_gives_the_same_and_the_mapping_is_saved(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    graph = read_graph_text(files[0], files[2])
    save_graph(graph, tmp_path / "graph.npz")
    assert run_command(["map", *files, "--json"]) == 0
    text = json.loads(capsys.readouterr().out)[0]
    saved = tmp_path / "mapping.npz"
    assert run_command(["map", str(tmp_path / "graph.npz"), *files[3:], "--save", str(saved), "--json"]) == 0
    npz = json.loads(capsys.readouterr().out)[0]
    assert {**npz, "seconds": 0} == {**text, "seconds": 0}
    assert len(set(open_mapping(saved, graph).clusters[::2].tolist())) == 1


def test_saved_mappings_are_judged_again_but_not_for_another_network(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = str(tmp_path / "mapping.npz")
    assert run_command(["map", *files, "--recipe", "espine", "--save", saved, "--json"]) == 0
    made = json.loads(capsys.readouterr().out)[0]
    assert run_command(["map", *files, "--mapping", saved, "--json"]) == 0
    judged = json.loads(capsys.readouterr().out)[0]
    assert {**judged, "seconds": 0, "recipe": ""} == {**made, "seconds": 0, "recipe": ""}
    (tmp_path / "graph.txt").write_text("0 1 2\n" + "\n".join(f"{n} 15" for n in range(1, 15)))
    assert run_command(["map", *files, "--mapping", saved]) == 2
    error = capsys.readouterr().err
    assert "is a mapping of another network; map this one anew" in error
    assert error.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize("topology", ["mesh", "tree"])
def test_maps_of_heat_lifetime_and_traffic_are_drawn(files: list[str], tmp_path: Path, topology: str) -> None:
    (tmp_path / "mine.yaml").write_text(f"partitioner: greedy\norder: heat\ntopology: {topology}\n")
    assert run_command(["map", *files, "--recipe", str(tmp_path / "mine.yaml"), "--plot", str(tmp_path / "maps")]) == 0
    found = sorted((tmp_path / "maps").iterdir())
    assert [path.name for path in found] == ["mine-heat.png", "mine-lifetime.png", "mine-traffic.png"]
    assert all(path.read_bytes()[:4] == b"\x89PNG" for path in found)


@pytest.mark.parametrize(
    "change, message",
    [
        (["--recipe", "spinmap"], "unknown recipe 'spinmap'; did you mean 'spinemap'"),
        (["--recipe", "espine", "--recipes", "naive"], "not both"),
        (["--recipes", "espine,naive", "--save", "m.npz"], "--save holds one mapping that is new"),
        (["--hardware", "spikesim-65nm-rram"], "does not say what its cells carry"),
        (["--set", "crossbar.size"], "write FIELD=VALUE"),
        (
            ["--set", "chip.tiles=1", "--set", "tile.pes=1", "--set", "tile.arrays_per_pe=1"],
            "crossbars, the chip has 1 (chip.tiles is 1)",
        ),
        (["--by-layer"], "knows no layers; for --by-layer give a run"),
        (["--step", "0 ms"], "--step is 0 ms; give a time above 0"),
        (["--cells", "verified"], "unknown cells constants 'verified'; did you mean 'unverified'"),
    ],
)
def test_bad_questions_are_one_line(
    files: list[str], capsys: pytest.CaptureFixture[str], change: list[str], message: str
) -> None:
    assert run_command(["map", *files, *change]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_bad_sources_are_one_line(files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_graph(read_graph_text(files[0], files[2]), tmp_path / "graph.npz")
    for arguments, message in (
        ([files[0]], "needs --spikes FILE"),
        ([str(tmp_path / "graph.npz"), *files[1:3]], "leave out --spikes"),
        ([str(tmp_path)], "holds no network"),
        ([str(tmp_path / "absent.npz")], "cannot read"),
        ([str(tmp_path / "absent.nir")], "there is no"),
        ([str(tmp_path), *files[1:3]], "is traced on samples"),
        ([*files, "--timesteps", "3"], "--timesteps is for runs and NIR files"),
        ([*files, *files[3:]], "crossbar.size is given twice"),
        ([str(tmp_path / "graph.npz"), "--samples", "3"], "holds its spikes"),
    ):
        assert run_command(["map", *arguments]) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
