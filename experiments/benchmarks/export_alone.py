"""The standalone package in an environment that has torch alone: two networks of every exportable space.

    python3 -m venv alone && alone/bin/pip install torch
    python experiments/benchmarks/export_alone.py alone/bin/python      # from the repository's root
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from experiments.benchmarks.export_spikes import SPACES, drawn
from hasnas.nas.data.samples import Normalisation
from hasnas.nas.export.standalone import FOLDER, standalone_files
from hasnas.nas.export.target import probe

THERE = """
import importlib.util, sys, torch
sys.path.insert(0, sys.argv[1])
from network import load
given = torch.load(sys.argv[1] + "/given.pt", weights_only=True)
with torch.no_grad():
    found = load()(given["samples"])
absent = [name for name in ("hasnas", "spikingjelly", "nir", "numpy") if importlib.util.find_spec(name) is None]
print((found - given["expected"]).abs().max().item(), torch.__version__, ",".join(absent))
"""


def main() -> None:
    """Print a row a network: largest difference to the network here, and what is not installed there."""
    python = Path(sys.argv[1]).absolute()
    print("| space | network | largest difference | torch there | not installed there |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        for space in SPACES:
            for seed, deployed in drawn(space, 2):
                place = Path(folder) / f"{list(SPACES).index(space)}-{seed}"
                (place / FOLDER).mkdir(parents=True)
                for name, content in standalone_files(deployed, Normalisation((0.5, -1.0), (2.0, 0.25))).items():
                    (place / name).write_bytes(content)
                network = deployed.network()
                samples = probe(network, 16)
                expected = network(Normalisation((0.5, -1.0), (2.0, 0.25)).apply(samples))
                torch.save({"samples": samples, "expected": expected}, place / FOLDER / "given.pt")
                done = subprocess.run(
                    [python, "-I", "-W", "ignore", "-c", THERE, str(place / FOLDER)],
                    capture_output=True, text=True, check=True,
                )  # fmt: skip
                difference, version, absent = done.stdout.split()
                print(f"| {space} | {seed} | {float(difference):.1e} | {version} | {absent} |", flush=True)


if __name__ == "__main__":
    main()
