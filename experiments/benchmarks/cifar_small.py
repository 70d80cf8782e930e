"""CIFAR-10 (JPEG copy) on a CPU: searched cells trained on a tenth of the images.

    hasnas search experiments/cifar10_jpeg.yaml dataset.root=DATA retrain.enabled=false --run-dir RUN
    python experiments/benchmarks/cifar_small.py --run RUN --data-root DATA --out DIR --seeds 0

The run's best network is trained on 5,000 images with the run's recipe; 1,000 others choose the epoch. The 10,000 test
images are read once for each seed. Beside it: images per second of the training, and the process's peak memory.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from hasnas.files import write_atomic
from hasnas.nas.data.samples import load_splits
from hasnas.nas.history.goal import front
from hasnas.nas.history.layout import LEDGER_FILE
from hasnas.nas.history.ledger import read_ledger
from hasnas.nas.history.run_config import load_run_config
from hasnas.nas.training.evaluation import evaluate
from hasnas.nas.training.retrain import retrain
from hasnas.search_spaces import Architecture

TRAINING, CHOOSING = 5000, 1000


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    config = load_run_config(options.run)
    settings = config.retrain
    best = front(read_ledger(options.run / LEDGER_FILE).trials)[0]
    architecture = Architecture.from_json(best.architecture)
    splits = load_splits(config.dataset.name, options.data_root, config.dataset.validation_share, 0)
    order = torch.randperm(len(splits.train), generator=torch.Generator().manual_seed(0))
    splits = replace(
        splits,
        train=splits.train.take(order[:TRAINING]),
        validation=splits.validation.take(torch.arange(CHOOSING)),
    )
    costs = ", ".join(f"{name} {value:.4g}" for name, value in best.costs.items())
    print(f"{architecture.key}, {architecture.expand().parameter_count:,} parameters, {costs}")
    tests = []
    for seed in options.seeds:
        start, path = time.process_time(), options.out / f"seed_{seed}.json"
        result = retrain(best.architecture, splits, settings, seed, options.out / f"seed_{seed}")
        seconds = time.process_time() - start
        test = evaluate(result.network(best.architecture), splits.test)
        speed, memory = settings.epochs * TRAINING / seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        found = {"test": test, "validation": result.merit, "images_per_s": speed, "cpu_s": seconds}
        write_atomic(path, json.dumps(found) + "\n")
        print(f"seed {seed}: {found}, peak memory {memory:.2f} GiB", flush=True)
        tests.append(100 * test)
    spread = np.std(tests, ddof=1) if len(tests) > 1 else 0.0
    print(f"test accuracy {np.mean(tests):.2f} % (standard deviation over {len(tests)} seeds {spread:.2f})")


if __name__ == "__main__":
    main()
