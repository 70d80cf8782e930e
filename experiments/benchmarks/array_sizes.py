"""VGG8 and a spiking ResNet-18 by array size: latency, energy and area, before and after lines have to settle.

VGG8 is NeuroSim's (CIFAR-10, 8-bit inputs, half of their bits set); ResNet-18 is the usual one for 224 x 224, with
LIF neurons, T = 4, one input in ten a spike. All else is `rram-22nm`: 8 columns for a converter, 5-bit flash, 6 kohm.
The second table tells what a SAR converter costs with and without sample-and-hold.

    python experiments/benchmarks/array_sizes.py
"""

from __future__ import annotations

from collections.abc import Iterable

from hasnas.cim_estimator import Activity, LayerSpec, Workload, estimate, load_hardware
from hasnas.cim_estimator.hardware.lines import chip_clock_hz, settling_s
from hasnas.experiments.benchmarks.cim_neurosim import vgg8

SIZES = (16, 32, 64, 128, 256, 512, 1024)
SETTLED = {
    "ignored": {}, "wait": {"crossbar.settling": "wait"}, "slow": {"crossbar.settling": "slow-clock"},
    "charged": {"crossbar.settling": "wait", "crossbar.sensing": "charged"},
}  # fmt: skip
STAGES = ((64, 1), (128, 2), (256, 2), (512, 2))
TIMESTEPS = 4


def resnet18() -> Workload:
    """ResNet-18 with a LIF behind every convolution and sum; the stem sees the image once."""
    layers = [
        LayerSpec("conv", 3, 64, 7, 2, in_size=224, input_bits=8, evaluations=1, level=0, name="stem"),
        LayerSpec("lif", 64, 64, in_size=112, level=1, name="stem.lif"),
        LayerSpec("pool", 64, 64, 2, 2, in_size=112, level=2, name="pool"),
    ]
    width, side, level = 64, 56, 3
    for channels, first_stride in STAGES:
        for block, stride in enumerate((first_stride, 1)):
            name, entering = f"{channels}.{block}", side
            side //= stride
            layers += [
                LayerSpec("conv", width, channels, 3, stride, in_size=entering, level=level, name=f"{name}.a"),
                LayerSpec("lif", channels, channels, in_size=side, level=level + 1, name=f"{name}.a.lif"),
                LayerSpec("conv", channels, channels, 3, in_size=side, level=level + 2, name=f"{name}.b"),
            ]
            if stride > 1:
                layers.append(
                    LayerSpec("conv", width, channels, 1, stride, in_size=entering, level=level, name=f"{name}.c")
                )
            layers += [
                LayerSpec("add", 2 * channels, channels, in_size=side, input_bits=8, level=level + 3, name=f"{name}.s"),
                LayerSpec("lif", channels, channels, in_size=side, level=level + 4, name=f"{name}.lif"),
            ]
            width, level = channels, level + 5
    layers += [
        LayerSpec("pool", 512, 512, 7, 7, in_size=7, level=level, name="mean"),
        LayerSpec("linear", 512, 1000, input_bits=8, level=level + 1, name="head"),
    ]
    return Workload.from_layers(layers, TIMESTEPS)


def by_size(network: Workload, activity: Activity) -> Iterable[str]:
    """Markdown rows: an array size each."""
    for size in SIZES:
        chips = {
            name: load_hardware("rram-22nm", {"crossbar.size": str(size), **each}) for name, each in SETTLED.items()
        }
        found = {name: estimate(network, chip, activity) for name, chip in chips.items()}
        times = " | ".join(f"{float(report.latency_s) * 1e3:.4g}" for report in found.values())
        energies = " | ".join(f"{float(found[name].energy_j) * 1e6:.4g}" for name in ("ignored", "wait", "charged"))
        settling = " / ".join(f"{settling_s(chips[name]) * 1e9:.3g}" for name in ("wait", "charged"))
        clock = f"{float(chip_clock_hz(chips['slow'])) / 1e6:.3g}"
        area = float(found["wait"].area_m2) * 1e6
        used = float(found["wait"].utilisation)
        yield f"| {size} | {settling} | {clock} | {times} | {energies} | {area:.4g} | {used:.3f} |"


def sampling(network: Workload, activity: Activity) -> Iterable[str]:
    """Markdown rows: a converter each."""
    choices = {
        "flash": {}, "SAR": {"adc.kind": "sar"}, "SAR that holds": {"adc.kind": "sar", "adc.sampling": "hold"},
    }  # fmt: skip
    for device in ("neurosim-rram", "vgg8-rram"):
        for name, settings in choices.items():
            report = estimate(network, load_hardware("rram-22nm", {"device": device, **settings}), activity)
            parts = report.to_dict()["components"]["energy_j"]
            shown = " | ".join(f"{value * 1e6:.4g}" for value in (parts["crossbar"], parts["adc"], report.energy_j))
            yield f"| {device}, {name} | {shown} | {float(report.latency_s) * 1e3:.4g} |"


def main() -> None:
    """Print the tables."""
    networks = {"VGG8": (vgg8(), Activity.assumed(0.5)), "ResNet-18": (resnet18(), Activity.assumed(0.1))}
    columns = (
        "array", "settling ns: clamped / charged", "slow clock MHz", "latency ms: ignored", "wait", "slow-clock",
        "charged", "energy uJ: ignored", "wait", "charged", "area mm2", "cells used",
    )  # fmt: skip
    for name, (network, activity) in networks.items():
        print(f"\n{name}\n\n| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
        print("\n".join(by_size(network, activity)))
    columns = ("VGG8", "cells and lines, uJ", "converters, uJ", "all, uJ", "latency, ms")
    print(f"\n| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
    print("\n".join(sampling(*networks["VGG8"])))


if __name__ == "__main__":
    main()
