"""Tables of trained cells of any space: what scores are judged on, and what of them is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from hasnas.errors import BadInputError
from hasnas.nas.bench.bench_proxies import NetworkSettings, bench_proxies
from hasnas.nas.bench.cells_table import header, read_cells
from hasnas.nas.scoring.counters import Counts
from hasnas.search_spaces.macro import Macro
from hasnas.search_spaces.snasnet import SNASNetSpace
from hasnas.search_spaces.space import sample

MACRO = Macro((1, 8, 8), timesteps=3, channels=4, hidden=0, votes=1, final_pool=4)
SPACE = SNASNetSpace(MACRO)
FIRST = header("snasnet", {"feedback": False}, MACRO, "digits")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty cells whose accuracy follows their depth; the first one trained twice."""
    codes, connected = SPACE.canonical(sample(SPACE, np.random.default_rng(0), 60))
    kept = np.unique(codes[connected], axis=0)[:30]
    accuracy = 0.5 + 0.1 * Counts(SPACE, kept).depth + np.linspace(0, 0.02, 30)
    lines = [{"codes": row, "accuracy": value} for row, value in zip(kept.tolist(), accuracy.tolist(), strict=True)]
    lines.append({"codes": kept[0].tolist(), "accuracy": float(accuracy[0]) + 0.04})
    file = tmp_path_factory.mktemp("cells") / "cells.jsonl"
    file.write_text("\n".join([FIRST, *map(json.dumps, lines)]) + "\n")
    return file


def test_trainings_of_a_cell_are_averaged(path: Path) -> None:
    table, first = read_cells(path), json.loads(path.read_text().splitlines()[1])
    assert (len(table), table.space, table.dataset) == (30, SPACE, "digits")
    assert table.codes[0].tolist() == first["codes"]
    assert table.test[0] == pytest.approx(100 * (first["accuracy"] + 0.02))


@pytest.mark.slow
def test_scores_are_judged_on_it_beside_depth(path: Path) -> None:
    """Mean fields measure the table's own images, networks run on them; a score differs by nothing from itself."""
    names, settings = ["depth", "live_convs", "rate_balance", "sahd"], NetworkSettings(networks=4)
    rows = {row["name"]: row for row in bench_proxies(path, names, images=path.parent, settings=settings)}
    assert [row["n"] for row in rows.values()] == [30, 30, 30, 4]
    assert rows["depth"]["spearman"] > 0.9 > rows["live_convs"]["spearman"]
    assert rows["depth"]["minus_depth"] == rows["depth"]["minus_depth_low"] == 0
    few = rows["live_convs"]
    assert few["minus_depth_low"] < few["minus_depth"] < 0
    assert few["minus_depth"] < few["minus_depth_high"]
    unseen = bench_proxies(path, ["rate_balance"])[0]
    assert unseen["spearman"] != rows["rate_balance"]["spearman"], "digits are no natural images"


@pytest.mark.parametrize(
    ("line", "text", "said"),
    [
        (0, "codes", "line 1 is no JSON"),
        (0, FIRST.replace("snasnet", "snasnett"), "line 1: .*did you mean 'snasnet'"),
        (0, '{"space": "snasnet", "options": {}, "dataset": "digits"}', "line 1: 'macro' is missing"),
        (0, FIRST.replace("feedback", "feedbacks"), "line 1: .*feedbacks"),
        (0, FIRST.replace('"feedback": false', '"nodes": 2.5'), "line 1: .*float"),
        (2, "[]", "line 3 is no object"),
        (2, "[" * 100_000, "line 3 is no JSON .*recursion"),
        (2, '{"accuracy": ' + "9" * 5000 + "}", "line 3 is no JSON .*5000 digits"),
        (2, '{"codes": [1, 2], "accuracy": 0.5}', "line 3: codes .* give a list of 6"),
        (2, '{"codes": [1, 2, 9, 0, 0, 0], "accuracy": 0.5}', "line 3: codes .* are not of the space"),
        (2, '{"codes": [1, 2, 0, 0, 0, 0], "accuracy": 50}', "line 3: accuracy is 50"),
        (2, '{"codes": [1, 2, 0, 0, 0, 0], "accuracy": NaN}', "line 3: accuracy is nan"),
    ],
)
def test_bad_tables_are_refused(path: Path, tmp_path: Path, line: int, text: str, said: str) -> None:
    lines = path.read_text().splitlines()
    lines[line] = text
    bad = tmp_path / "bad.jsonl"
    bad.write_text("\n".join(lines))
    with pytest.raises(BadInputError, match=said):
        read_cells(bad)


def test_tables_that_are_not_there_or_too_short(path: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="cannot read"):
        read_cells(tmp_path / "none.jsonl")
    short = tmp_path / "short.jsonl"
    short.write_text("\n".join(path.read_text().splitlines()[:3]))
    with pytest.raises(BadInputError, match="2 trained candidates; give at least 3"):
        read_cells(short)
