"""Pairs of a network and a chip priced in one call, from 1e3 to 1e6 of them; beside it the plain pricer, chip by chip.

    python -m hasnas.experiments.benchmarks.joint_pricing [--rounds 5]

Networks are of the SpikeNAS-Bench space, chips of a space of 129,600 around `rram-32nm`. Figures are processor time.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np

from hasnas.cim_estimator import Activity, load_hardware
from hasnas.nas.budget.pricer import Pricer
from hasnas.search_spaces.joint import JointSpace, SearchedField, with_searched_chip
from hasnas.search_spaces.macro import Macro
from hasnas.search_spaces.space import Codes, sample
from hasnas.search_spaces.spikenas_bench import SpikeNASBenchSpace

SIZES = (1_000, 10_000, 100_000, 1_000_000)
CLOCKS = tuple(float(f"{clock:.6g}") for clock in np.geomspace(2e8, 1e9, 9))
FIELDS = (
    SearchedField("crossbar.size", (32, 64, 128, 256, 512)),
    SearchedField("crossbar.columns_per_adc", (1, 2, 4, 8, 16)),
    SearchedField("adc.bits", (3, 4, 5, 6, 7, 8)),
    SearchedField("device", ("neurosim-rram", "intel-22nm")),
    SearchedField("device.cell_bits", (1, 2, 4)),
    SearchedField("tile.pes", (4, 8, 16, 32)),
    SearchedField("chip.tiles", (0, 32, 64, 128)),
    SearchedField("clock_hz", CLOCKS, "log"),
)


def joint_space() -> JointSpace:
    """SpikeNAS-Bench's networks on CIFAR-10 and the chips."""
    networks = SpikeNASBenchSpace(Macro((3, 32, 32), timesteps=5, channels=16))
    space = with_searched_chip(networks, "rram-32nm", hardware=FIELDS)
    assert isinstance(space, JointSpace)
    return space


def pairs(space: JointSpace, count: int, chips: int, seed: int) -> Codes:
    """Random networks, each on one of a number of random chips; those that are no networks or no chips left out."""
    rng = np.random.default_rng(seed)
    codes = sample(space, rng, count)
    codes[:, space.hardware_genes] = sample(space, rng, chips)[rng.integers(0, chips, count), space.hardware_genes]
    canonical, alive = space.canonical(codes)
    return canonical[alive]


def seconds(pricer: Pricer, codes: Codes) -> tuple[float, np.ndarray]:
    """Processor time of one call, and the energies."""
    start = time.process_time()
    found = pricer.costs(codes)["energy"]
    return time.process_time() - start, found


def chip_by_chip(space: JointSpace, codes: Codes) -> tuple[float, np.ndarray]:
    """The same by a call of the plain pricer for each chip."""
    found = np.empty(len(codes))
    start = time.process_time()
    for own, rows in space.chips(codes):
        pricer = Pricer(space.inner, space.chip.variant(own), Activity.dense())
        found[rows] = pricer.costs(space.network(codes[rows]))["energy"]
    return time.process_time() - start, found


def main() -> None:
    """Print a line for each number of pairs and chips: medians and quartiles over rounds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds, space = parser.parse_args().rounds, joint_space()
    pricer = Pricer(space, load_hardware("rram-32nm"), Activity.dense())
    pricer.costs(pairs(space, 40_000, 40, 99))  # compiles
    print("| pairs | chips | chips made (s) | one call (s, quartiles) | pairs a second | chip by chip (s) |")
    print("|---|---|---|---|---|---|")
    for count in SIZES:
        for share in (1000, 10):
            chips = max(10, count // share)
            start = time.process_time()
            codes = pairs(space, count, chips, count + chips)
            made = time.process_time() - start
            known, plain = len(space.chips(codes)), []
            times = []
            for _ in range(rounds if count < SIZES[-1] else 3):
                taken, energies = seconds(pricer, codes)
                times.append(taken)
                if known <= 1_100 and count <= 100_000 and len(plain) < 3:
                    alone, same = chip_by_chip(space, codes)
                    plain.append(alone)
                    np.testing.assert_allclose(energies, same, rtol=1e-9)
            low, middle, high = statistics.quantiles(times, n=4)
            beside = f"{statistics.median(plain):.2f}" if plain else ""
            rate = f"{len(codes) / middle:,.0f}"
            spread = f"{middle:.3f} ({low:.3f} to {high:.3f})"
            print(f"| {len(codes):,} | {known:,} | {made:.2f} | {spread} | {rate} | {beside} |", flush=True)


if __name__ == "__main__":
    main()
