"""Scores judged on a table of the benchmark's size with made-up accuracies."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hasnas.datasets import cifar_jpeg
from hasnas.datasets.cifar_jpeg import CIFAR10_JPEG, FILE
from hasnas.errors import BadInputError
from hasnas.nas.bench.bench_proxies import (
    NetworkSettings,
    bench_proxies,
    bootstrap,
    interval,
    systematic_rows,
    top_share,
)
from hasnas.nas.bench.table import read_table
from hasnas.nas.cli import run_command
from hasnas.nas.scoring.arithmetic import detected
from hasnas.search_spaces.spikenas_bench import codes_of_id

COLUMNS = {"name", "spearman", "kendall", "cpu_s", "n", "low", "high", "baseline_depth", "with_live_convs"}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every architecture; accuracy grows with the number of convolutions as drawn."""
    rng = np.random.default_rng(0)
    codes = np.array([codes_of_id(number) for number in range(15_625)])
    accuracy = 50 + 5 * (codes > 1).sum(axis=1) + rng.normal(size=len(codes))
    file = tmp_path_factory.mktemp("table") / "table.npz"
    np.savez(
        file, arch_id=np.arange(15_625), edge_ops=codes, epochs=np.full(15_625, 1), val_acc=accuracy[:, None],
        test_acc=accuracy, firing_rate=np.full((15_625, 16), 0.1),
    )  # fmt: skip
    return file


@pytest.fixture(scope="module")
def part(path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An eighth of them."""
    file = tmp_path_factory.mktemp("part") / "part.npz"
    with np.load(path) as whole:
        np.savez(file, **{name: column[::8] for name, column in whole.items()})
    return file


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file like that of the JPEG copies, of eighty images."""
    monkeypatch.setattr(cifar_jpeg, "CIFAR10_JPEG", replace(CIFAR10_JPEG, card=replace(CIFAR10_JPEG.card, splits={})))
    rng = np.random.default_rng(0)
    stream = []
    for _ in range(80):
        buffer = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)).save(buffer, "JPEG")
        stream.append(np.frombuffer(buffer.getvalue(), np.uint8))
    file = tmp_path / FILE
    offset = np.concatenate([[0], np.cumsum([len(one) for one in stream])])
    np.savez(file, jpeg=np.concatenate(stream), offset=offset, label=np.arange(80) % 10, is_test=np.arange(80) >= 70)
    return file


@pytest.mark.slow
def test_counters_are_ranked_on_all(part: Path) -> None:
    rows = {row["name"]: row for row in bench_proxies(part, ["depth", "live_convs"])}
    for row in rows.values():
        assert set(row) >= COLUMNS
        assert row["n"] == 1_954
        assert row["low"] <= row["spearman"] <= row["high"]
        assert row["baseline_depth"] == rows["depth"]["spearman"]
    assert rows["depth"]["spearman"] > 0.5
    assert rows["live_convs"]["with_live_convs"] > 0.99
    assert rows["depth"]["spearman_at_depth_2"] == 0.0, "a counter cannot tell its own classes apart"


@pytest.mark.slow
def test_scores_of_networks_are_ranked_on_a_part(part: Path, images: Path, tmp_path: Path) -> None:
    small = NetworkSettings(networks=6, channels=4, timesteps=2, batch=8, gradient_batch=4)
    sahd, snip = bench_proxies(part, ["sahd_sum", "snip"], images=images, settings=small)
    assert (sahd["n"], sahd["batch"], snip["n"], snip["batch"]) == (6, 8, 6, 4)
    assert sahd["with_live_convs"] > 0.5
    assert (sahd["arithmetic"], snip["arithmetic"]) == (detected(), "float32")
    assert set(sahd) >= COLUMNS
    with np.load(part) as whole:
        np.savez(tmp_path / "four.npz", **{name: column[[3, 100, 1_125, 1_875]] for name, column in whole.items()})
    (few,) = bench_proxies(tmp_path / "four.npz", ["sahd_sum"], images=images, settings=small)
    assert few["n"] == 4, "all of a table that has no more"


def test_a_systematic_part_holds_every_depth(path: Path) -> None:
    table = read_table(path)
    rows = systematic_rows(table, 360)
    assert len(set(rows.tolist())) == 360
    connected = table.space.canonical(table.codes[rows])[1]
    assert connected.mean() == pytest.approx(table.space.canonical(table.codes)[1].mean(), abs=0.01)
    with pytest.raises(BadInputError, match="give 3 to 15625"):
        systematic_rows(table, 2)


def test_interval_of_a_correlation() -> None:
    truth, luck = np.arange(200.0), np.random.default_rng(0).normal(size=200)
    certain, chance = bootstrap(truth, truth, luck).T
    assert interval(certain) == pytest.approx((1.0, 1.0))
    low, high = interval(chance)
    assert low < 0 < high


def test_share_of_the_best() -> None:
    truth = np.arange(1000.0)
    assert top_share(-truth, truth) == 0.0
    assert top_share(np.zeros(1000), truth) == pytest.approx(0.1)


def test_networks_need_images(path: Path) -> None:
    with pytest.raises(BadInputError, match="runs networks; give --images"):
        bench_proxies(path, ["sahd"])
    with pytest.raises(BadInputError, match="did you mean 'depth'"):
        bench_proxies(path, ["dept"])


def test_command_line(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    part = tmp_path / "part.npz"
    with np.load(path) as whole:
        np.savez(part, **{name: column[9_000:9_200] for name, column in whole.items()})
    assert run_command(["bench", "proxies", "--data", str(part), "--score", "depth", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["name"], row["n"]) == ("depth", 200)
    assert run_command(["bench", "proxies", "--data", str(part), "--score", "depth"]) == 0
    assert f"{row['spearman']:.3f}" in capsys.readouterr().out
