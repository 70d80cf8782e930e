"""E6: losses, scores and kernels that are no numbers: such a candidate is never ranked best, and the search goes on.

    python experiments/faults/not_numbers.py

Real searches in which trainings diverge (a learning rate of 10 and a weight decay of 1), a score is NaN or infinite for
most candidates (a plug-in), and images are the same three again and again (the kernel of the forward score is
singular); then every strategy, told patterns of what is no number.
"""

from __future__ import annotations

import math
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from common import arguments, command, forked, told

RUN = """
name: tiny
dataset: {name: arrays, root: DATA.npz, validation_share: 0.3}
space: {name: snasnet, macro: {channels: 4, timesteps: 2, hidden: 0, votes: 1, final_pool: 4, dropout: 0.0}}
hardware: rram-32nm
tracking: []
screen: {sample: 64}
supernet: {enabled: false}
search: {strategy: regularized_evolution, evaluations: 10, batch: 5, population: 4, sample: 2, OF}
retrain: {enabled: false, TRAINED}
export: {enabled: false}
"""
GROWING = "learning_rate: 10, weight_decay: 1, batch_size: 8, warmup_epochs: 0"
# What is no number -> the data, what the candidates are ranked by, and how they are trained.
CASES = {
    "loss": ("random", "brief_epochs: 12", GROWING),
    "score": ("random", "score: partly_nan", "epochs: 1"),
    "kernel": ("repeated", "score: sahd", "epochs: 1"),
}
PATTERNS: dict[str, Sequence[float | None]] = {
    "nan, number": (math.nan, 0.5),
    "number, inf": (0.4, math.inf),
    "-inf, none, number": (-math.inf, None, 0.3),
    "all the same": (0.5,),
    "nothing but nan": (math.nan,),
}


class PartlyNan:
    """A score that is no finite number for most candidates."""

    def __call__(self, task: Any, codes: Any) -> Any:
        from hasnas.nas.scoring.score import ScoreResult

        values = (math.nan, math.inf, -math.inf, 1.0, 2.0)
        return ScoreResult(np.array([values[sum(row) % 5] for row in codes.tolist()]))


def searched(base: Path, case: str) -> dict[str, Any]:
    """A search, what it says of candidates without a number, and whether one of them stands first."""
    from hasnas.nas.config.plugins import SCORES
    from hasnas.nas.history.goal import front, merit
    from hasnas.nas.history.ledger import read_ledger

    SCORES.register("partly_nan")(PartlyNan)
    data, ranked, trained = CASES[case]
    directory = base / case / "run"
    directory.parent.mkdir()
    rng = np.random.default_rng(0)
    inputs = rng.random((60, 1, 8, 8), np.float32)
    inputs = inputs if data == "random" else inputs[np.arange(60) % 3]
    np.savez(directory.parent / "DATA.npz", inputs=inputs, targets=np.arange(60) % 3)
    text = RUN.replace("OF", ranked).replace("TRAINED", trained)
    (directory.parent / "tiny.yaml").write_text(text)
    code, line = command(directory)
    trials = read_ledger(directory / "ledger.jsonl").trials
    bad = [one for one in trials if not math.isfinite(merit(one.metrics))]
    return {
        "case": case,
        "code": code,
        "line": line,
        "evaluated": len(trials),
        "no number": len(bad),
        "of them not failed": sum(one.state != "failed" for one in bad),
        "ranked best": sum(not math.isfinite(merit(one.metrics)) for one in front(trials)),
    }


def played(name: str, pattern: Sequence[float | None]) -> int:
    """How many new candidates a strategy proposes of 24, whatever it is told."""
    from hasnas.conformance.strategy import play, problem
    from hasnas.nas.strategies import STRATEGIES

    values = iter(list(pattern) * 40)
    return len(set(play(STRATEGIES.get(name)(problem()), 6, lambda codes: next(values))))


def main() -> int:
    """Search and play; the exit code says whether the bar is met."""
    options = arguments(__doc__).parse_args()
    from hasnas.nas.strategies import STRATEGIES

    with tempfile.TemporaryDirectory() as place:
        base = Path(place).resolve()
        found = [forked(searched, base, case) for case in CASES]
    for one in found:
        print(one, flush=True)
    names = ("random", "nsga2") if options.quick else STRATEGIES.names()
    plays = {(name, pattern): played(name, PATTERNS[pattern]) for name in names for pattern in PATTERNS}
    stuck = {pair: count for pair, count in plays.items() if count < 24}
    print(stuck or f"{len(plays)} plays proposed 24 new candidates each", flush=True)
    # A search all of whose candidates failed ends, after all of them, with the reason.
    whole = [one for one in found if one["evaluated"] == 10 and one["code"] in ("0", "2") and one["no number"] > 0]
    best = sum(one["ranked best"] + one["of them not failed"] for one in found)
    share = (len(whole) + len(plays) - len(stuck)) / (len(found) + len(plays))
    figure = {"no numbers ranked best": best, "searches that went on": share, "searches": len(found) + len(plays)}
    return told("E6", figure, "0 ranked best; 100 % go on", best == 0 and share == 1)


if __name__ == "__main__":
    sys.exit(main())
