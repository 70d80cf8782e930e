"""HASNAS's budgets on the CIFAR macros: which cells fit, which limits the others break.

The budgets (4e6 parameters, 100 mm2, 400 ms, 120 uJ; arXiv 2407.00641) are meant for SNASNet's macros, whose first
fully connected layer alone has 8.4 to 33.6 million weights; each network is therefore priced whole and without its
classifier. Networks: the cells that SNASNet released, and cells of one to six 3x3 convolutions on the CIFAR-100 macro.

    python experiments/benchmarks/cim_hasnas.py                 # dense activity
    python experiments/benchmarks/cim_hasnas.py --rate 0.1      # one input in ten spikes
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np

from hasnas.cim_estimator import Activity, LayerKind, Workload, estimate, hardware_names, load_hardware
from hasnas.search_spaces import Architecture, Edge, Genotype, Macro
from hasnas.search_spaces.lowering import lower

LIMITS = {"parameters": 4e6, "area_m2": 100e-6, "latency_s": 400e-3, "energy_j": 120e-6}
SHORT = {"parameters": "parameters", "area_m2": "area", "latency_s": "latency", "energy_j": "energy"}
OPERATIONS = {1: "identity", 2: "conv1x1", 3: "conv3x3", 4: "avgpool3x3"}
FORWARD = ((0, 3), (0, 1), (1, 2), (2, 3), (0, 2), (1, 3))
CIFAR10 = Macro(channels=256, final_pool=4)
CIFAR100 = Macro(classes=100, votes=5, channels=128)


def networks() -> dict[str, Architecture]:
    """The architectures by name."""
    released = from_matrix("0303 0030 2002 0200")
    found = {
        "CIFAR-10 released, 256 channels, p=4": _with(released, CIFAR10),
        "CIFAR-10 released, 256 channels, p=2": _with(released, replace(CIFAR10, final_pool=2)),
        "CIFAR-100 released, 128 channels": _with(from_matrix("0302 0030 3003 0000"), CIFAR100),
    }
    for count in range(1, 7):
        edges = [Edge(source, target, "conv3x3") for source, target in FORWARD[:count]]
        # Nodes that these convolutions leave without a path are joined by identities, which cost nothing.
        edges += [Edge(1, 3, "identity")] if count == 2 else [Edge(2, 3, "identity")] if count == 3 else []
        found[f"{count} x conv3x3 a cell, 128 channels"] = _with(Genotype(4, tuple(sorted(edges))), CIFAR100)
    return found


def from_matrix(text: str) -> Genotype:
    """A cell in SNASNet's notation: row is source, column is destination."""
    rows = text.split()
    edges = [
        Edge(source, target, OPERATIONS[int(rows[source][target])])
        for source in range(4)
        for target in range(4)
        if rows[source][target] != "0"
    ]
    return Genotype(4, tuple(sorted(edges)))


def _with(cell: Genotype, macro: Macro) -> Architecture:
    return Architecture((cell, cell), macro)


def without_classifier(network: Workload) -> Workload:
    """The same network up to the last cell."""
    head = np.array([name.startswith("head.") for name in network.names])
    return replace(network, kind=np.where(head, LayerKind.NONE, network.kind))


def chips() -> dict[str, tuple[str, dict[str, str]]]:
    """Every preset with crossbars of 64 and of 128."""
    return {f"{name} {size}": (name, {"crossbar.size": size}) for name in hardware_names() for size in ("64", "128")}


def verdict(network: Workload, chip: tuple[str, dict[str, str]], activity: Activity) -> str:
    """`fits`, or the broken limits with how many times over they are."""
    costs = estimate(network, load_hardware(*chip), activity).costs()
    broken = [
        f"{SHORT[name]} {float(costs[name]) / limit:.2f}x" for name, limit in LIMITS.items() if costs[name] > limit
    ]
    return ", ".join(broken) or "fits"


def table(cut: bool, activity: Activity) -> list[str]:
    """Markdown: a row for each network, a column for each chip."""
    columns = chips()
    lines = [f"| network | parameters | {' | '.join(columns)} |", "|---" * (len(columns) + 2) + "|"]
    for name, architecture in networks().items():
        network = lower(architecture.expand())
        network = without_classifier(network) if cut else network
        parameters = int(estimate(network, load_hardware("rram-22nm")).parameters)
        cells = [verdict(network, chip, activity) for chip in columns.values()]
        lines.append(f"| {name} | {parameters / 1e6:.2f} M | {' | '.join(cells)} |")
    return lines


def main() -> None:
    """Print both tables, and the costs of the convolutions on the SpikeSim preset."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=1.0, help="share of inputs that spike")
    activity = Activity.assumed(parser.parse_args().rate)
    print("Whole networks\n\n" + "\n".join(table(cut=False, activity=activity)))
    print("\nWithout the classifier\n\n" + "\n".join(table(cut=True, activity=activity)))
    print(
        "\nCosts without the classifier\n\n"
        "| network | chip | area mm2 | latency ms | energy uJ |\n|---|---|---|---|---|"
    )
    for name, architecture in networks().items():
        network = without_classifier(lower(architecture.expand()))
        for chip in ("spikesim-65nm-rram 64", "spikesim-65nm-rram 128", "rram-22nm 128"):
            costs = estimate(network, load_hardware(*chips()[chip]), activity).costs()
            area, latency, energy = (float(costs[key]) for key in ("area_m2", "latency_s", "energy_j"))
            print(f"| {name} | {chip} | {area * 1e6:.1f} | {latency * 1e3:.4g} | {energy * 1e6:.1f} |")


if __name__ == "__main__":
    main()
