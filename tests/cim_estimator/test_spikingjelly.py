"""Agreement with SpikingJelly's own counters: the SpikeSim energy, and synaptic operations."""

import numpy as np
import pytest
import torch
from spikingjelly.activation_based.op_counter import DispatchCounterMode, SynOpCounter
from spikingjelly.activation_based.op_counter.spikesim import SpikeSimEnergyConfig, estimate_spikesim_energy
from torch import nn

from hasnas.cim_estimator import Activity, LayerSpec, Workload, estimate, load_hardware, synaptic_operations

STACKS = {
    "plain": [(3, 64, 3, 1), (64, 64, 3, 1)],
    "unsorted, mixed kernels": [(3, 130, 5, 1), (130, 20, 1, 1), (20, 70, 3, 2)],
    "narrow": [(2, 5, 3, 1), (5, 3, 3, 2)],
}
TIMESTEPS, SIZE = 4, 8


def network(stack: list[tuple[int, int, int, int]]) -> nn.Sequential:
    generator = torch.Generator().manual_seed(0)
    layers = [nn.Conv2d(cin, cout, k, stride, k // 2, bias=False) for cin, cout, k, stride in stack]
    for layer in layers:
        layer.weight.data = torch.randn(layer.weight.shape, generator=generator)
    return nn.Sequential(*layers).eval()


def workload(stack: list[tuple[int, int, int, int]], rate: float | None = None) -> Workload:
    layers, size = [], SIZE
    for cin, cout, kernel, stride in stack:
        layers.append(LayerSpec("conv", cin, cout, kernel_size=kernel, stride=stride, in_size=size, input_rate=rate))
        size = layers[-1].output_shape[0]
    return Workload.from_layers(layers, TIMESTEPS)


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("size", [32, 64, 128])
@pytest.mark.parametrize("device", ["rram", "sram"])
def test_dense_spikesim_energy(stack: str, size: int, device: str):
    inputs = torch.zeros(TIMESTEPS, STACKS[stack][0][0], SIZE, SIZE)
    config = SpikeSimEnergyConfig(xbar_size=size, device=device)
    theirs = estimate_spikesim_energy(network(STACKS[stack]), (inputs,), config=config)
    chip = load_hardware("spikesim-65nm-rram", {"crossbar.size": size, "crossbar.device": device})
    ours = estimate(workload(STACKS[stack]), chip)
    np.testing.assert_allclose(float(ours.energy_j) * 1e12, theirs.energy_total_pj, rtol=1e-12)
    np.testing.assert_allclose(
        ours.energy_by_layer_j.sum(axis=-1) * 1e12, list(theirs.energy_by_stage.values()), rtol=1e-12
    )


def test_synaptic_operations_of_spikes_without_padding():
    spikes = (torch.rand(TIMESTEPS, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1)) < 0.3).float()
    conv = nn.Conv2d(3, 16, 1, bias=False)
    spec = LayerSpec("conv", 3, 16, in_size=SIZE, input_rate=float(spikes.double().mean()))
    assert _counted(conv, spikes) == pytest.approx(_ours(spec), rel=1e-12)


def test_synaptic_operations_of_a_fully_connected_layer():
    spikes = (torch.rand(TIMESTEPS, 100, generator=torch.Generator().manual_seed(2)) < 0.2).float()
    spec = LayerSpec("linear", 100, 10, input_rate=float(spikes.double().mean()))
    assert _counted(nn.Linear(100, 10, bias=False), spikes) == pytest.approx(_ours(spec), rel=1e-12)


def test_synaptic_operations_with_padding_differ_by_the_border_only():
    spikes = torch.ones(TIMESTEPS, 3, SIZE, SIZE)
    counted = _counted(nn.Conv2d(3, 16, 3, padding=1, bias=False), spikes)
    # Every input reaches 9 outputs, but those at the border 6 or 4: (3 * 8 - 2)^2 of (3 * 8)^2.
    ours = _ours(LayerSpec("conv", 3, 16, kernel_size=3, in_size=SIZE, input_rate=1.0))
    assert counted / ours == pytest.approx((22 / 24) ** 2, rel=1e-12)


def _counted(layer: nn.Module, spikes: torch.Tensor) -> int:
    counter = SynOpCounter()
    with torch.no_grad(), DispatchCounterMode([counter]):
        layer(spikes)
    return counter.get_total()


def _ours(spec: LayerSpec) -> float:
    return float(synaptic_operations(Workload.from_layers([spec], TIMESTEPS), Activity.measured()).sum())
