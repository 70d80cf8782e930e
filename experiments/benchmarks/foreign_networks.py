"""Networks of snnTorch, Norse, sinabs and SpikingJelly as their tutorials and model zoos write them, priced.

Parameters are compared with those of `torch.nn.Module.parameters()` that are trained (sinabs keeps thresholds among
the others), multiply-accumulates of one timestep with those that
torch's own counter sees in the library's forward pass (`torch.utils.flop_counter`, two operations each).

python experiments/benchmarks/foreign_networks.py    # sinabs besides: pip install sinabs
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from hasnas.cim_estimator import estimate, load_hardware
from hasnas.errors import BadInputError
from hasnas.nas.commands.python_source import read_graph
from hasnas.nas.environment.torchvision_repair import repair_imports
from hasnas.search_spaces.lowering import lower

repair_imports()
TIMESTEPS = 4
Shape = tuple[int, ...]


def snntorch_tutorial_5() -> nn.Module:
    """784-1000-10, leaky neurons, the module steps through time (tutorial 5)."""
    import snntorch

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc1, self.lif1 = nn.Linear(784, 1000), snntorch.Leaky(beta=0.95)
            self.fc2, self.lif2 = nn.Linear(1000, 10), snntorch.Leaky(beta=0.95)

        def forward(self, x: torch.Tensor) -> Any:
            mem1, mem2 = self.lif1.init_leaky(), self.lif2.init_leaky()
            spikes, membranes = [], []
            for _ in range(TIMESTEPS):
                spk1, mem1 = self.lif1(self.fc1(x), mem1)
                spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
                spikes.append(spk2)
                membranes.append(mem2)
            return torch.stack(spikes, dim=0), torch.stack(membranes, dim=0)

    return Net()


def snntorch_tutorial_6() -> nn.Module:
    """12C5-MP2-64C5-MP2-10 with hidden states inside (tutorial 6)."""
    import snntorch

    leaky = {"beta": 0.5, "init_hidden": True}
    return nn.Sequential(
        nn.Conv2d(1, 12, 5), nn.MaxPool2d(2), snntorch.Leaky(**leaky),
        nn.Conv2d(12, 64, 5), nn.MaxPool2d(2), snntorch.Leaky(**leaky),
        nn.Flatten(), nn.Linear(64 * 4 * 4, 10), snntorch.Leaky(**leaky, output=True),
    )  # fmt: skip


def snntorch_braille() -> nn.Module:
    """12-38-7 of current-based neurons, the hidden ones recurrent (the NIR paper's Braille reader)."""
    import snntorch

    hidden = snntorch.RSynaptic(alpha=0.5, beta=0.8, linear_features=38, init_hidden=True)
    out = snntorch.Synaptic(alpha=0.5, beta=0.8, init_hidden=True)
    return nn.Sequential(nn.Linear(12, 38), hidden, nn.Linear(38, 7), out)


def snntorch_line() -> nn.Module:
    """A 1-D convolutional classifier of signals of two channels."""
    import snntorch

    leaky = {"beta": 0.9, "init_hidden": True}
    return nn.Sequential(
        nn.Conv1d(2, 16, 7, stride=2, padding=3), nn.BatchNorm1d(16), snntorch.Leaky(**leaky), nn.MaxPool1d(2),
        nn.Conv1d(16, 32, 5, padding=2), nn.BatchNorm1d(32), snntorch.Leaky(**leaky), nn.AvgPool1d(4),
        nn.Flatten(), nn.Linear(32 * 8, 5), snntorch.Leaky(**leaky),
    )  # fmt: skip


def norse_lenet() -> nn.Module:
    """The convolutional network of Norse's MNIST notebook."""
    import norse.torch as norse

    return norse.SequentialState(
        nn.Conv2d(1, 20, 5, 1), norse.LIFCell(), nn.MaxPool2d(2, 2),
        nn.Conv2d(20, 50, 5, 1), norse.LIFCell(), nn.MaxPool2d(2, 2),
        nn.Flatten(), nn.Linear(800, 500), norse.LIFCell(), nn.Linear(500, 10), norse.LICell(),
    )  # fmt: skip


def norse_recurrent() -> nn.Module:
    """A recurrent hidden layer of 100 neurons and a leaky readout."""
    import norse.torch as norse

    return norse.SequentialState(norse.LIFRecurrentCell(2 * 34, 100), nn.Linear(100, 10), norse.LICell())


def norse_adaptive() -> nn.Module:
    """Adaptive neurons (LSNN), recurrent."""
    import norse.torch as norse

    return norse.SequentialState(norse.LSNNRecurrentCell(40, 64), nn.Linear(64, 12), norse.LICell())


def sinabs_quickstart() -> nn.Module:
    """The LeNet of sinabs' MNIST tutorial, integrate-and-fire neurons."""
    import sinabs.layers as sl

    def neurons() -> nn.Module:
        return sl.IAFSqueeze(batch_size=1)

    return nn.Sequential(
        nn.Conv2d(1, 20, 5, 1, bias=False), neurons(), nn.AvgPool2d(2, 2),
        nn.Conv2d(20, 32, 5, 1, bias=False), neurons(), nn.AvgPool2d(2, 2),
        nn.Conv2d(32, 128, 3, 1, bias=False), neurons(), nn.AvgPool2d(2, 2),
        nn.Flatten(), nn.Linear(128, 500, bias=False), neurons(), nn.Linear(500, 10, bias=False),
    )  # fmt: skip


def sinabs_converted() -> nn.Module:
    """A network of numbers that `from_model` converts."""
    from sinabs.from_torch import from_model

    model = nn.Sequential(
        nn.Conv2d(2, 16, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(),
        nn.AvgPool2d(2), nn.Conv2d(16, 8, 3, padding=1), nn.ReLU(), nn.AvgPool2d(4),
        nn.Flatten(), nn.Linear(8 * 4 * 4, 256), nn.ReLU(), nn.Linear(256, 10), nn.ReLU(),
    )  # fmt: skip
    return from_model(model, input_shape=(2, 64, 64), batch_size=1).spiking_model


def sinabs_leaky() -> nn.Module:
    """Leaky neurons between dense layers."""
    import sinabs.layers as sl

    return nn.Sequential(
        nn.Linear(64, 128), sl.LIFSqueeze(tau_mem=20.0, batch_size=1),
        nn.Linear(128, 64), sl.LIFSqueeze(tau_mem=20.0, batch_size=1), nn.Linear(64, 4),
    )  # fmt: skip


def jelly_plif() -> nn.Module:
    """The CIFAR-10 network with learned time constants, of SpikingJelly's zoo, of 64 channels."""
    from spikingjelly.activation_based import neuron
    from spikingjelly.activation_based.model import parametric_lif_net

    return parametric_lif_net.CIFAR10Net(channels=64, spiking_neuron=neuron.ParametricLIFNode)


def jelly_sew() -> nn.Module:
    """SEW-ResNet-18, of SpikingJelly's zoo."""
    from spikingjelly.activation_based import neuron
    from spikingjelly.activation_based.model import sew_resnet

    return sew_resnet.sew_resnet18(spiking_neuron=neuron.LIFNode, cnf="ADD", num_classes=10)


def jelly_csnn() -> nn.Module:
    """The convolutional network of SpikingJelly's Fashion-MNIST tutorial, of 32 channels."""
    from spikingjelly.activation_based import layer, neuron

    return nn.Sequential(
        layer.Conv2d(1, 32, 3, padding=1, bias=False), layer.BatchNorm2d(32), neuron.IFNode(), layer.MaxPool2d(2, 2),
        layer.Conv2d(32, 32, 3, padding=1, bias=False), layer.BatchNorm2d(32), neuron.IFNode(), layer.MaxPool2d(2, 2),
        layer.Flatten(), layer.Linear(32 * 7 * 7, 32 * 4 * 4, bias=False), neuron.IFNode(),
        layer.Linear(32 * 4 * 4, 10, bias=False), neuron.IFNode(),
    )  # fmt: skip


class Case(NamedTuple):
    """A network, the library it comes from, what it takes, and whether it runs all timesteps by itself."""

    library: str
    make: Callable[[], nn.Module]
    shape: Shape
    loops: bool = False


CASES = (
    Case("snnTorch", snntorch_tutorial_5, (784,), loops=True),
    Case("snnTorch", snntorch_tutorial_6, (1, 28, 28)),
    Case("snnTorch", snntorch_braille, (12,)),
    Case("snnTorch", snntorch_line, (2, 128)),
    Case("Norse", norse_lenet, (1, 28, 28)),
    Case("Norse", norse_recurrent, (68,)),
    Case("Norse", norse_adaptive, (40,)),
    Case("sinabs", sinabs_quickstart, (1, 28, 28)),
    Case("sinabs", sinabs_converted, (2, 64, 64)),
    Case("sinabs", sinabs_leaky, (64,)),
    Case("SpikingJelly", jelly_csnn, (1, 28, 28)),
    Case("SpikingJelly", jelly_plif, (3, 32, 32)),
    Case("SpikingJelly", jelly_sew, (3, 64, 64)),
)


def counted(case: Case) -> tuple[int, int]:
    """Parameters and multiply-accumulates of a timestep, as torch counts them."""
    module = case.make().eval()
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        module(torch.rand(1, *case.shape))
    steps = TIMESTEPS if case.loops else 1
    trained = sum(values.numel() for values in module.parameters() if values.requires_grad)
    return trained, counter.get_total_flops() // 2 // steps


def main() -> None:
    """Print the table; exit status 1 where a count differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hardware", default="rram-32nm")
    hardware = load_hardware(parser.parse_args().hardware)
    print("| library | network | parameters, ours | torch's | products a timestep, ours | torch's | energy |")
    print("|---|---|---|---|---|---|---|")
    differ = 0
    for case in CASES:
        name = case.make.__name__
        try:
            graph = read_graph(Path(f"{__file__}:{name}"), case.shape, TIMESTEPS)
            expected = counted(case)
        except (BadInputError, ModuleNotFoundError) as error:
            print(f"| {case.library} | {name} | {error} | | | | |")
            differ += 1
            continue
        layers = lower(graph)
        report = estimate(layers, hardware)
        products = int((layers.weights * layers.positions).sum())
        found = int(report.parameters), products
        differ += found != expected
        figures = " | ".join(f"{own:,} | {theirs:,}" for own, theirs in zip(found, expected, strict=True))
        print(f"| {case.library} | {name} | {figures} | {float(report.energy_j) * 1e6:.3g} uJ |", flush=True)
    sys.exit(differ > 0)


if __name__ == "__main__":
    main()
