"""NIR files of other tools: which are priced, which are run, and why not.

Files are fetched beforehand, for example all versions in the history of github.com/neuromorphs/NIR:

git -C NIR rev-list --all --objects | grep '[.]nir$' | while read id path; do
    git -C NIR cat-file blob $id > files/${id::7}_$(basename $path); done
python experiments/benchmarks/nir_files.py files
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import nir
import torch

from hasnas.cim_estimator import estimate, load_hardware
from hasnas.errors import BadInputError
from hasnas.nas.export.nir_reader import read_nir as runnable
from hasnas.search_spaces.layers import Input
from hasnas.search_spaces.lowering import lower
from hasnas.search_spaces.nir import read_nir

TIMESTEPS = 8


def by_nir_itself(path: Path) -> str:
    """Why the package nir cannot read a file; empty if it can."""
    try:
        nir.read(str(path))
    except Exception as error:  # whatever nir and h5py raise
        return f"{type(error).__name__}: {error}".splitlines()[0]
    return ""


def run(path: Path) -> str:
    """Whether a file runs, with the timestep that most tools mean or with that of sinabs, or why it cannot."""
    try:
        network, timestep = runnable(path, timesteps=TIMESTEPS), "0.1 ms"
    except BadInputError as error:
        try:
            network, timestep = runnable(path, timesteps=TIMESTEPS, timestep_s=1.0), "1 s"
        except BadInputError:
            return "no: " + str(error).removeprefix(f"{path}: ")
    (entry,) = (node for node in network.graph.nodes if isinstance(node.operation, Input))
    samples = 5 * torch.rand(TIMESTEPS, 4, *entry.shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        output = network(samples)
    assert torch.isfinite(output).all()
    return f"yes, timestep {timestep}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--hardware", default="rram-32nm")
    options = parser.parse_args()
    hardware = load_hardware(options.hardware)
    warnings.simplefilter("ignore")
    print("| file | nir itself | priced | run |\n|---|---|---|---|")
    counts = {"files": 0, "read by nir": 0, "priced": 0, "run": 0}
    for path in sorted(options.folder.glob("*.nir")):
        refused = by_nir_itself(path)
        counts["files"] += 1
        counts["read by nir"] += not refused
        try:
            report = estimate(lower(read_nir(path, TIMESTEPS).graph), hardware)
        except BadInputError as error:
            told = str(error).removeprefix(f"{path}: ").removeprefix(f"{path} ")
            print(f"| {path.name} | {refused or 'yes'} | no: {told} | |")
            continue
        ran = run(path)
        counts["priced"] += 1
        counts["run"] += ran.startswith("yes")
        price = f"{int(report.parameters):,} parameters, {float(report.energy_j) * 1e9:.3g} nJ"
        print(f"| {path.name} | {refused or 'yes'} | {price} | {ran} |")
    print(", ".join(f"{name} {count}" for name, count in counts.items()))


if __name__ == "__main__":
    main()
