"""What every kind of neurons does: a space whose networks have them is priced, scored and run like any other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from hasnas.nas.export.deploy import deploy
from hasnas.nas.export.nir_reader import read_nir
from hasnas.nas.export.nir_writer import write_nir
from hasnas.nas.export.target import NotExpressibleError
from hasnas.search_spaces.architecture import Architecture
from hasnas.search_spaces.cells import Edge, Genotype
from hasnas.search_spaces.macro import Macro
from hasnas.search_spaces.network import SpikingNetwork, build_network
from hasnas.search_spaces.neurons import NEURONS
from hasnas.search_spaces.snasnet import SNASNetSpace
from hasnas.search_spaces.space import SearchSpace

from .search_space import MACRO, CheckSearchSpace

FRAMES = 5 * torch.rand(8, *MACRO.input_shape, generator=torch.Generator().manual_seed(1))


class CheckNeuron(CheckSearchSpace):
    """For names in `NEURONS` (entry points `hasnas.neurons`): a space whose networks have such neurons."""

    def macro(self, name: str) -> Macro:
        """What surrounds cells of such neurons, with a threshold that small networks reach."""
        return replace(MACRO, neuron=name, threshold=0.5)

    def build(self, name: str) -> SearchSpace:
        """Cells of such neurons, with feedback."""
        return SNASNetSpace(self.macro(name), feedback=True)

    def network(self, name: str) -> SpikingNetwork:
        """A network of such neurons with random weights, in evaluation mode; it fires in every layer."""
        edges = (Edge(0, 1, "conv3x3"), Edge(0, 2, "identity"), Edge(1, 2, "conv1x1"))
        architecture = Architecture((Genotype(3, edges),), self.macro(name))
        return lively(architecture)

    @torch.no_grad()
    def test_neurons_emit_spikes_and_the_network_answers(self, name: str) -> None:
        network = self.network(name)
        values = network.run(FRAMES)
        spikes = values["cell1.0.lif"]
        assert set(spikes.unique().tolist()) == {0.0, 1.0}
        assert 0 < float(spikes.mean()) < 1
        answers = network(FRAMES)
        assert answers.std(0).max() > 0
        assert torch.equal(network(FRAMES), answers), "membranes start anew with each batch"

    @pytest.mark.parametrize("bits", [0, 4])
    @torch.no_grad()
    def test_lines_of_plain_torch_say_the_same(self, name: str, bits: int) -> None:
        neuron = NEURONS.get(name).of(tau=1.5, threshold=0.5, membrane_bits=bits)
        neuron = neuron.fixed(dict(neuron.module().named_parameters()).__getitem__)
        module, lines = neuron.module(), neuron.step_source()
        if not lines:
            return  # exports that need them refuse such neurons by name
        currents = 2 * torch.rand(6, 5, 7, generator=torch.Generator().manual_seed(2)) - 0.5
        expected, found = module.multi_step_forward(currents), []  # type: ignore[operator]
        states: dict[str, Any] = {state: torch.full((5, 7), value) for state, value in neuron.start.items()}
        for current in currents:
            scope = {**states, "x": current}
            exec("\n".join(lines), scope)
            states = {state: scope[state] for state in states}
            found.append(scope["spikes"])
        assert 0 < float(expected.mean()) < 1
        assert float((torch.stack(found) != expected).float().mean()) < 0.01

    def test_gradients_reach_the_input(self, name: str) -> None:
        frames = FRAMES.clone().requires_grad_()
        self.network(name)(frames).square().sum().backward()
        assert frames.grad is not None
        assert frames.grad.isfinite().all()
        assert frames.grad.any()

    @torch.no_grad()
    def test_nir_says_the_same_or_refuses_in_one_line(self, name: str, tmp_path: Path) -> None:
        network = self.network(name).double()
        told = refusal(network, tmp_path / "network.nir")
        if told is None:
            again = read_nir(tmp_path / "network.nir", torch.float64)
            torch.testing.assert_close(again(FRAMES.double()), network(FRAMES.double()))
        else:
            assert len(told.splitlines()) == 1


@torch.no_grad()
def lively(architecture: Architecture) -> SpikingNetwork:
    """A network with random weights and batch norms that make it fire, in evaluation mode."""
    network = build_network(architecture.expand(), seed=0)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
            module.weight.mul_(2)
            module.bias.add_(0.5)
    network.train()(FRAMES)  # the batch's own statistics become those of evaluation
    return network.eval()


def refusal(network: SpikingNetwork, path: Path) -> str | None:
    """Write a network as NIR; why NIR has no word for it, or None if it has."""
    try:
        write_nir(path, deploy(network.graph, network.state_dict()))
    except NotExpressibleError as error:
        return str(error)
    return None
