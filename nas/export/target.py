"""The seam of export: a form in which a network is handed over; the table is `config.plugins.EXPORT_TARGETS`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hasnas.cim_estimator.hardware.spec import HardwareSpec
from hasnas.cim_estimator.nonideal import NonidealSpec
from hasnas.errors import BadInputError
from hasnas.nas.data.samples import Normalisation
from hasnas.search_spaces.architecture import Architecture
from hasnas.search_spaces.network import SpikingNetwork

from .deploy import Deployed, deploy


class NotExpressibleError(BadInputError):
    """The network holds a layer that a form has no word for; the message names it."""


@dataclass(frozen=True)
class TrainedNetwork:
    """A network with what is known of it.

    Args:
        architecture: what it is.
        network: with its weights, in evaluation mode.
        facts: plain data for the card: metrics, costs, normalisation of the inputs, ...
        device: the memory cells that it is meant for, or the chip that has them, where they are known.
    """

    architecture: Architecture
    network: SpikingNetwork
    facts: dict[str, Any]
    device: NonidealSpec | HardwareSpec | None = field(default=None, compare=False)

    @cached_property
    def deployed(self) -> Deployed:
        """The network without training-time layers."""
        return deploy(self.network.graph, self.network.state_dict())

    @property
    def normalisation(self) -> Normalisation:
        """Of the training; the identity where it is not known."""
        told = self.facts.get("normalisation")
        if told is not None:
            return Normalisation.from_json(told)
        channels = self.architecture.macro.input_shape[0]
        return Normalisation((0.0,) * channels, (1.0,) * channels)


@dataclass(frozen=True)
class Check:
    """What a written network is compared by.

    Args:
        inputs: normalised samples, as the network takes them.
        expected: its outputs.
        samples: the same before normalisation, as the dataset gives them.
        answers: the outputs in the targets' units.
    """

    inputs: Tensor
    expected: Tensor
    samples: Tensor
    answers: Tensor

    @staticmethod
    def of(trained: TrainedNetwork, samples: int) -> Check:
        """Seeded random samples."""
        inputs = probe(trained.network, samples)
        normalisation = trained.normalisation
        shape = (len(normalisation.mean), 1, 1)
        mean, deviation = (torch.tensor(each).reshape(shape) for each in (normalisation.mean, normalisation.deviation))
        raw = inputs * deviation + mean
        with torch.no_grad():
            answers = normalisation.in_units(trained.network(normalisation.apply(raw)))
            return Check(inputs, trained.network(inputs), raw, answers)


class Target(ABC):
    """A form in which a network is handed over; one instance a name, in `EXPORT_TARGETS`.

    Attributes:
        opens_in: what reads the files, for people.
        needs_device: whether it says something of memory cells, so that the network must come with its device.
    """

    opens_in: str = ""
    needs_device: bool = False

    @abstractmethod
    def render(self, trained: TrainedNetwork) -> Mapping[str, bytes]:
        """The files: path within the network's folder -> content. Equal networks give equal bytes.

        Raises:
            NotExpressibleError: naming the layer that the form has no word for.
        """

    def refusal(self, trained: TrainedNetwork) -> str:
        """Why the form cannot hold a network, naming layer and operation; empty if it can."""
        try:
            self.render(trained)
        except NotExpressibleError as error:
            return str(error)
        return ""

    def check(self, trained: TrainedNetwork, folder: Path, check: Check) -> dict[str, float]:
        """Largest differences between outputs of the network and of what was written."""
        return {}

    def tools(self, trained: TrainedNetwork) -> dict[str, str]:
        """By tool, whether it computes the same from the files of this network, and how it opens them, or why not."""
        return {}

    def note(self, trained: TrainedNetwork) -> str:
        """What a reader has to know of this network in this form; empty if nothing."""
        return ""


def probe(network: SpikingNetwork, samples: int, seed: int = 0) -> Tensor:
    """Normal random inputs in the shape a network takes."""
    entry, static = network.graph.entry, network.graph.takes_static
    shape = (samples, *entry.shape) if static else (network.graph.timesteps, samples, *entry.shape)
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def load_double(network: SpikingNetwork) -> SpikingNetwork:
    """A copy that computes in double precision, in evaluation mode."""
    with torch.random.fork_rng():
        copy = SpikingNetwork(network.graph).double()
    copy.load_state_dict(network.state_dict())
    return copy.eval()
