"""Exported networks, read back: how many samples of the dataset give another output than the checkpoint's network.

python experiments/benchmarks/export_reload.py RUN [RUN ...]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from hasnas.nas.data.samples import load_splits
from hasnas.nas.export.nir_reader import read_nir
from hasnas.nas.export.run_export import load_trained, returned_trials
from hasnas.nas.export.saved_network import load_bare_network
from hasnas.nas.history.run_config import load_run_config

TOLERANCE = 1e-5


def main() -> None:
    """Print a row for each returned network."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path)
    print(
        "| network | samples | JSON + safetensors: largest difference "
        "| NIR, float32: samples off by more than 1e-5 | NIR, float64: likewise |"
    )
    print("|---|---|---|---|---|")
    for run in parser.parse_args().runs:
        config = load_run_config(run)
        splits = load_splits(config.dataset.name, None, config.dataset.validation_share, config.seed)
        inputs = torch.cat([splits.train.inputs, splits.validation.inputs, splits.test.inputs])
        for trial in returned_trials(run):
            folder = run / "export" / trial.key
            network = load_trained(run, trial).network
            with torch.no_grad():
                wanted = network(inputs)
                saved = (load_bare_network(folder)(inputs) - wanted).abs().max()
                single = ((read_nir(folder / "network.nir")(inputs) - wanted).abs().amax(1) > TOLERANCE).sum()
                exact = network.double()(inputs.double())
                double = read_nir(folder / "network.nir", dtype=torch.float64)(inputs.double())
                off = ((double - exact).abs().amax(1) > TOLERANCE).sum()
            print(
                f"| {run.name}/{trial.key} | {len(inputs)} | {float(saved)} | {int(single)} | {int(off)} |", flush=True
            )


if __name__ == "__main__":
    main()
