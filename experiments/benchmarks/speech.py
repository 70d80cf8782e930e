"""Speech end to end, beside a linear classifier on the same standardised values with the same validation samples.

Each seed searches, retrains and tests one network; the linear classifier's regularisation is chosen on the validation
samples. Both see the test split once. A line of JSON a seed, so that a stopped run goes on.

python experiments/benchmarks/speech.py --out /tmp/speech --seeds 0 1 2
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path

import numpy as np

import hasnas
from hasnas.nas.data.samples import load_splits

CONFIG = Path(__file__).parent.parent / "speech.yaml"
STRENGTHS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)


def searched(seed: int, directory: Path) -> dict[str, float]:
    """A run with one returned network; its figures."""
    run = hasnas.start_run(CONFIG, [f"seed={seed}", "retrain.top=1"], directory)
    (network,) = hasnas.run_status(run)["returned"]
    keys = ("validation_accuracy", "test_accuracy", "parameters", "energy_j", "latency_s", "area_m2")
    return {key: network[key] for key in keys}


def linear(seed: int) -> dict[str, float]:
    """Logistic regression on all values of a signal."""
    from sklearn.linear_model import LogisticRegression

    splits = load_splits("japanese-vowels", None, validation_share=0.2, seed=seed)
    (x, y), (x_choose, y_choose), (x_test, y_test) = (
        (np.asarray(part.inputs).reshape(len(part), -1), np.asarray(part.targets))
        for part in (splits.train, splits.validation, splits.test)
    )
    fitted = [LogisticRegression(C=strength, max_iter=2000).fit(x, y) for strength in STRENGTHS]
    best = max(fitted, key=lambda model: model.score(x_choose, y_choose))
    values = best.coef_.size + best.intercept_.size
    return {
        "validation_accuracy": best.score(x_choose, y_choose),
        "test_accuracy": best.score(x_test, y_test),
        "parameters": values,
        "chance": 1 / len(best.classes_),
        "majority": float(np.mean(y_test == np.bincount(y_test).argmax())),
    }


def main() -> None:
    """Run the seeds that have no line yet, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    record = options.out / "speech.jsonl"
    rows = [json.loads(line) for line in record.read_text().splitlines()] if record.exists() else []
    for seed in options.seeds:
        if seed not in [row["seed"] for row in rows]:
            row = {"seed": seed, "network": searched(seed, options.out / str(seed)), "linear": linear(seed)}
            rows.append(row)
            with record.open("a") as file:
                file.write(json.dumps(row) + "\n")
    print("| | seed | validation | test | parameters |\n|---|---|---|---|---|")
    for kind in ("network", "linear"):
        for row in rows:
            found = row[kind]
            accuracies = f"{found['validation_accuracy']:.1%} | {found['test_accuracy']:.1%}"
            print(f"| {kind} | {row['seed']} | {accuracies} | {found['parameters']:,.0f} |")
        tests = [row[kind]["test_accuracy"] for row in rows]
        spread = statistics.stdev(tests) if len(tests) > 1 else 0.0
        print(f"| {kind} | mean ± sd | | {statistics.mean(tests):.1%} ± {spread:.1%} | |")
    print(f"chance {rows[0]['linear']['chance']:.1%}, most frequent class {rows[0]['linear']['majority']:.1%}")


if __name__ == "__main__":
    main()
