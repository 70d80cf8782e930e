"""Networks of random cells whose batch norm does something."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from hasnas.search_spaces.architecture import Architecture
from hasnas.search_spaces.cells import Edge, Genotype
from hasnas.search_spaces.macro import Macro
from hasnas.search_spaces.network import SpikingNetwork, build_network
from tests.lively import enliven

OPERATIONS = ("identity", "conv1x1", "conv3x3", "avgpool3x3", "none")


def draw_cell(rng: random.Random, feedback: bool) -> Genotype:
    edges = []
    for low in range(4):
        for high in range(low + 1, 4):
            ends = (high, low) if feedback and rng.random() < 0.4 else (low, high)
            edges.append(Edge(*ends, rng.choice(OPERATIONS)))
    return Genotype(4, tuple(edges))


def draw_architecture(seed: int, feedback: bool) -> Architecture:
    """A connected architecture; seeds also vary the classifier and whether the input is an image or a sequence."""
    rng = random.Random(f"{seed}/{feedback}")
    macro = Macro(
        (2, 8, 8),
        classes=3,
        timesteps=3,
        channels=4,
        hidden=6 * (seed % 3 > 0),
        votes=1 + seed % 3,
        dropout=0.1,
        static_input=seed % 4 > 0,
    )
    while True:
        architecture = Architecture((draw_cell(rng, feedback), draw_cell(rng, feedback)), macro)
        if architecture.is_connected:
            return architecture


def train_a_little(network: SpikingNetwork, seed: int) -> SpikingNetwork:
    """Give weights, batch norms and time constants values as a training might leave them."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in network.state_dict().items():
        if name.endswith("lif.w"):
            tensor.uniform_(-1.0, 2.0, generator=generator)
    return enliven(network, seed)


@pytest.fixture(scope="session")
def trained() -> Callable[..., tuple[Architecture, SpikingNetwork]]:
    """Makes the network of a seed, with or without feedback, of a type of neurons, perhaps of few bits."""

    def make(
        seed: int, feedback: bool, neuron: str = "lif", weight_bits: int = 0, membrane_bits: int = 0,
        readout: str = "membrane",
    ) -> tuple[Architecture, SpikingNetwork]:
        architecture = draw_architecture(seed, feedback)
        bits = {"weight_bits": weight_bits, "membrane_bits": membrane_bits}
        macro = replace(architecture.macro, neuron=neuron, readout=readout, **bits)
        architecture = replace(architecture, macro=macro)
        return architecture, train_a_little(build_network(architecture.expand(), seed), seed)

    return make
