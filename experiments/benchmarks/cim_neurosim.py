"""The general cost model beside DNN+NeuroSim V1.3: area and energy by component, ours, theirs, and the ratio.

Their figures come from running the public release (commit 388f421) on random 8-bit weights and inputs of the stated
density, cells of 100 kohm to 10 Mohm unless noted. NeuroSim chooses the size of tiles and PEs for every network; that
floor plan is taken over as given, everything else is computed here. Factors were fitted on one case, by component: VGG8
at 22 nm with 5-bit flash converters. They are marked as fitted in `cim_estimator/presets`.

    python experiments/benchmarks/cim_neurosim.py            # the tables
    python experiments/benchmarks/cim_neurosim.py --fit      # what the fitted factors should be
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field

from hasnas.cim_estimator import Activity, CostReport, LayerSpec, Workload, estimate, load_hardware

AREA_COLUMNS = ("array", "interconnect", "adc", "accumulate", "other")
ENERGY_COLUMNS = ("adc", "accumulate", "other")
GROUPS = {
    "area": {
        "array": ("crossbar",), "interconnect": ("interconnect",), "adc": ("adc",), "accumulate": ("accumulate",),
        "other": ("mux", "wordline", "buffer"),
    },
    # NeuroSim counts the cells' current and the wordlines to the converters, and the wires to the other periphery.
    "energy": {
        "adc": ("adc", "crossbar"), "accumulate": ("accumulate",),
        "other": ("mux", "wordline", "buffer", "interconnect"),
    },
}  # fmt: skip
FLOOR_PLAN = {
    "device": "vgg8-rram", "crossbar.signed": "unsigned", "crossbar.unrolling": "kernel",
    "tile.arrays_per_pe": "16", "tile.pes": "4", "tile.copies": "fill",
}  # fmt: skip
VGG8 = ((3, 128, 32), (128, 128, 32), (128, 256, 16), (256, 256, 16), (256, 512, 8), (512, 512, 8))


@dataclass(frozen=True)
class Case:
    """One run of NeuroSim: what was set, and what came out (mm2 or pJ; None where no figure is known)."""

    name: str
    node: int
    theirs: tuple[float | None, ...]
    total: float
    overrides: dict[str, str] = field(default_factory=dict)
    rate: float = 0.5


AREA_CASES = (
    Case("22 nm, flash 5 bit (fitted)", 22, (1.541, 7.082, 24.532, 5.306, 20.273), 58.733),
    Case("22 nm, flash 4 bit", 22, (1.541, 6.096, 11.871, 4.868, 20.078), 44.453, {"adc.bits": "4"}),
    Case("22 nm, SAR 5 bit", 22, (1.541, 5.836, 8.045, 5.306, 20.323), 41.050, {"adc.kind": "sar"}),
    Case("22 nm, flash, 64 x 64", 22, (1.264, 8.430, 40.241, 8.563, 33.540), 92.038, {"crossbar.size": "64"}),
    Case("32 nm, flash 5 bit", 32, (3.260, 15.71, 51.90, 11.23, 44.44), 126.54),
    Case("32 nm, SAR 5 bit", 32, (3.260, 12.99, 17.02, 11.23, 44.55), 89.05, {"adc.kind": "sar"}),
    Case("45 nm, flash 5 bit", 45, (6.447, 34.32, 102.64, 22.20, 98.27), 263.88),
    Case("65 nm, flash 5 bit", 65, (13.450, 74.26, 214.15, 46.31, 205.03), 553.21),
)
ENERGY_FIT = Case("VGG8, 22 nm (fitted)", 22, (11.3399e6, 4.86179e6, 16.299e6), 32.5007e6)
VGG8_ENERGY_CASES = (
    ENERGY_FIT,
    Case("VGG8, 22 nm, flash 4 bit", 22, (8.10347e6, 4.3403e6, 14.8608e6), 27.3046e6, {"adc.bits": "4"}),
    Case("VGG8, 22 nm, SAR 5 bit", 22, (21.066e6, 4.86179e6, 14.6068e6), 40.5346e6, {"adc.kind": "sar"}),
    Case("VGG8, 22 nm, flash, 64 x 64", 22, (17.4432e6, 9.53186e6, 26.2649e6), 53.2399e6, {"crossbar.size": "64"}),
)
FIT_WIRES_PJ = 10.2233e6  # of the 16.299e6
FIT_LEAKAGE_PJ, FIT_LATENCY_S = 1.54001e6, 1.41007e-3
SPIKE = {"tile.pes": "1"}
LOW_OHMIC = SPIKE | {"device": "neurosim-rram"}
ENERGY_CASES = (
    Case("22 nm, density 0.5", 22, (13023, 5794, 27241), 46057, SPIKE, 0.5),
    Case("22 nm, density 0.1", 22, (10029, 5794, 26680), 42502, SPIKE, 0.1),
    Case("22 nm, 0.1, 6 k / 900 kohm", 22, (16493, 5794, 26683), 48970, LOW_OHMIC, 0.1),
    Case("32 nm, density 0.1", 32, (19530, 10891, 46276), 76697, SPIKE, 0.1),
    Case("45 nm, density 0.1", 45, (39296, 21475, 86186), 146958, SPIKE, 0.1),
    Case("65 nm, density 0.1", 65, (63729, 44950, 162883), 271562, SPIKE, 0.1),
)


def vgg8() -> Workload:
    """NeuroSim's VGG8 on CIFAR-10, 8-bit inputs; it counts the positions of an unpadded convolution."""
    convolutions = [
        LayerSpec("conv", cin, cout, kernel_size=3, in_size=side, out_size=side - 2, input_bits=8)
        for cin, cout, side in VGG8
    ]
    dense = [LayerSpec("linear", 8192, 1024, input_bits=8), LayerSpec("linear", 1024, 10, input_bits=8)]
    return Workload.from_layers(convolutions + dense, timesteps=1)


def spike_network() -> Workload:
    """A spiking layer pair, one timestep: convolution 8x8x64 -> 128 and a classifier of 1024 -> 10."""
    layers = [LayerSpec("conv", 64, 128, kernel_size=3, in_size=8, out_size=6), LayerSpec("linear", 1024, 10)]
    return Workload.from_layers(layers, timesteps=1)


def price(case: Case, workload: Workload) -> CostReport:
    """Our report on a case."""
    return estimate(
        workload, load_hardware(f"rram-{case.node}nm", FLOOR_PLAN | case.overrides), Activity.assumed(case.rate)
    )


def grouped(report: CostReport, quantity: str) -> dict[str, float]:
    """Our components summed as NeuroSim groups them: mm2 for areas, pJ for energies."""
    tree, scale = ("area_m2", 1e6) if quantity == "area" else ("energy_j", 1e12)
    parts = report.to_dict()["components"][tree]
    return {name: scale * sum(parts[part] for part in members) for name, members in GROUPS[quantity].items()}


def table(cases: tuple[Case, ...], workload: Workload, quantity: str) -> list[str]:
    """Markdown rows: ours / theirs = ratio for each component and the total."""
    columns = AREA_COLUMNS if quantity == "area" else ENERGY_COLUMNS
    lines = [f"| case | {' | '.join((*columns, 'total'))} |", "|---" * (len(columns) + 2) + "|"]
    for case in cases:
        ours = grouped(price(case, workload), quantity)
        cells = [_cell(ours[name], theirs) for name, theirs in zip(columns, case.theirs, strict=True)]
        lines.append(f"| {case.name} | {' | '.join((*cells, _cell(sum(ours.values()), case.total)))} |")
    return lines


def _cell(ours: float, theirs: float | None) -> str:
    return f"{ours:.4g}" if theirs is None else f"{ours:.4g} / {theirs:.4g} = {ours / theirs:.2f}"


def fits() -> list[str]:
    """Factors that would make the fitted case agree, relative to those in the presets."""
    area, energy = grouped(price(AREA_CASES[0], vgg8()), "area"), price(ENERGY_FIT, vgg8())
    parts = {name: value * 1e12 for name, value in energy.to_dict()["components"]["energy_j"].items()}
    theirs = dict(zip(AREA_COLUMNS, AREA_CASES[0].theirs, strict=True))
    energy_other = parts["mux"] + parts["wordline"] + parts["buffer"]
    leakage = FIT_LEAKAGE_PJ * float(energy.latency_s) / FIT_LATENCY_S
    ratios = {
        "interconnect.area_factor": (theirs["interconnect"] or 0.0) / area["interconnect"],
        "periphery.accumulate_area_factor": (theirs["accumulate"] or 0.0) / area["accumulate"],
        "periphery.other_area_factor": (theirs["other"] or 0.0) / area["other"],
        "interconnect.energy_factor": FIT_WIRES_PJ / parts["interconnect"],
        "periphery.accumulate_energy_factor": (ENERGY_FIT.theirs[1] or 0.0) / parts["accumulate"],
        "periphery.other_energy_factor": ((ENERGY_FIT.theirs[2] or 0.0) - FIT_WIRES_PJ) / energy_other,
        "periphery.leakage_factor": leakage / parts["leakage"],
    }
    hardware = load_hardware("rram-22nm", FLOOR_PLAN)
    return [f"{path}: {hardware.constant(path).value * ratio:.4g}" for path, ratio in ratios.items()]


def main() -> None:
    """Print the tables, or the factors."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fit", action="store_true", help="print the fitted factors instead of the tables")
    if parser.parse_args().fit:
        print("\n".join(fits()))
        return
    print("VGG8 area, mm2: ours / theirs = ratio\n")
    print("\n".join(table(AREA_CASES, vgg8(), "area")))
    print("\nEnergy of VGG8 (8-bit inputs), pJ: ours / theirs = ratio\n")
    print("\n".join(table(VGG8_ENERGY_CASES, vgg8(), "energy")))
    print("\nEnergy of a spiking layer pair, pJ: ours / theirs = ratio\n")
    print("\n".join(table(ENERGY_CASES, spike_network(), "energy")))


if __name__ == "__main__":
    main()
