"""Bragg peaks: error against energy of searched networks, beside a least-squares fit and a centroid; JSON lines.

    python experiments/benchmarks/bragg_peaks.py --out DIR --seeds 3

Each seed is one run of `experiments/bragg_coopt.yaml`, which measures its returned networks on the test peaks once. The
fit has the true shape of the peaks (`expected_photons`) and eight parameters; it and the centroid see the same patches
of the test split. A killed run goes on.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from hasnas.datasets.catalog import open_dataset
from hasnas.datasets.generated_peaks import SIDE, WIDTHS, PeakShapes, expected_photons
from hasnas.nas.history.layout import LEDGER_FILE
from hasnas.nas.history.ledger import read_ledger
from hasnas.nas.history.trial import Trial
from hasnas.nas.run import resume_run, start_run
from hasnas.search_spaces import Architecture

FloatArray = NDArray[np.float64]
EXAMPLE = Path(__file__).parents[1] / "bragg_coopt.yaml"
TEST, VALIDATION, ENERGY = "test_mean_distance", "validation_mean_distance", "energy_j"
MIDDLES = np.arange(SIDE) + 0.5


def centroid(patch: FloatArray) -> FloatArray:
    """Centre of mass (column, row) of what lies above the patch's median.

    >>> centroid(np.eye(11)[5][None].T @ np.eye(11)[3][None]).tolist()
    [3.5, 5.5]
    """
    above = np.clip(patch - np.median(patch), 0, None)
    return np.array([(above.sum(0) * MIDDLES).sum(), (above.sum(1) * MIDDLES).sum()]) / above.sum()


def fit(patch: FloatArray) -> FloatArray:
    """Centre of the pseudo-Voigt spot with the least squared difference from a patch, from the centroid on."""

    def spot(values: FloatArray) -> PeakShapes:
        column, row, first, second, angle, mixing, height, background = values
        shape = (np.array([value]) for value in (angle, mixing, height, background))
        return PeakShapes(np.array([[column, row]]), np.array([[first, second]]), *shape)

    least = [0, 0, WIDTHS[0] / 3, WIDTHS[0] / 3, -np.pi, 0, 0, -1]
    most = [SIDE, SIDE, 3 * WIDTHS[1], 3 * WIDTHS[1], 2 * np.pi, 1, 5, 1]
    start = [*centroid(patch), 2.5, 2.4, 0.7, 0.5, 1.0, 0.02]
    found = least_squares(
        lambda values: (expected_photons(spot(values))[0] - patch).ravel(), start, bounds=(least, most), max_nfev=100
    )
    return np.asarray(found.x[:2])


def reference(name: str, locate: Callable[[FloatArray], FloatArray]) -> dict[str, Any]:
    """Mean distance of a method's answers from the true centres of the test peaks, and its time for one."""
    test = open_dataset("bragg-generated").load("test")
    start = time.process_time()
    answers = np.array([locate(patch) for patch in test.inputs[:, 0].astype(float)])
    seconds = (time.process_time() - start) / len(answers)
    distances = np.linalg.norm(answers - test.targets, axis=1)
    mean, median = float(distances.mean()), float(np.median(distances))
    return {"method": name, "mean_px": round(mean, 4), "median_px": round(median, 4), "cpu_ms": round(1e3 * seconds, 3)}


def searched(out: Path, seed: int) -> Iterator[dict[str, Any]]:
    """The networks that a run returned, those first that take the least energy."""
    directory = out / f"bragg-{seed}"
    if (directory / LEDGER_FILE).exists():
        resume_run(directory)
    else:
        start_run(EXAMPLE, [f"seed={seed}"], run_directory=directory)
    trials = read_ledger(directory / LEDGER_FILE).trials
    returned = [trial for trial in trials if trial.stage == "retrain" and trial.state == "done"]
    for trial in sorted(returned, key=lambda one: one.costs[ENERGY]):
        macro = Architecture.from_json(trial.architecture).macro
        yield {
            "method": "searched", "seed": seed, "mean_px": round(trial.metrics[TEST], 4),
            "validation_px": round(trial.metrics[VALIDATION], 4), "energy_nj": round(1e9 * trial.costs[ENERGY], 2),
            "latency_us": round(1e6 * trial.costs["latency_s"], 2), "parameters": int(trial.costs["parameters"]),
            "readout": macro.readout, "timesteps": macro.timesteps, "chip": dict(trial.hardware),
            "training": dict(trial.training), "on_front": not any(beats(other, trial) for other in returned),
        }  # fmt: skip


def beats(one: Trial, other: Trial) -> bool:
    """Whether one network is no worse on validation peaks and in energy, and better in one of them."""
    own, rival = ((trial.metrics[VALIDATION], trial.costs[ENERGY]) for trial in (one, other))
    return own != rival and own[0] <= rival[0] and own[1] <= rival[1]


def main() -> None:
    """Print one JSON object a line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    for name, locate in (("centroid", centroid), ("least squares", fit)):
        print(json.dumps(reference(name, locate)), flush=True)
    for seed in range(given.seeds):
        for line in searched(given.out, seed):
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
