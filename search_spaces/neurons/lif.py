"""Leaky integrate-and-fire neurons with a hard reset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from .base import Dynamics, Neuron

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class LIF(Neuron):
    """Leaky integrate-and-fire neurons, one per element.

    v <- v + (x - v) / tau;  spike where v >= threshold, then v <- reset.

    Source: SpikingJelly `LIFNode` with `decay_input=True` and a hard reset.
    """

    tau: float = 4 / 3
    threshold: float = 1.0
    reset: float = 0.0
    membrane_bits: int = 0

    kind: ClassVar[str] = "lif"
    described: ClassVar[str] = "LIF neurons"
    closed_form_rate: ClassVar[bool] = True

    @classmethod
    def of(cls, tau: float, threshold: float, membrane_bits: int) -> Self:
        """See `Neuron`."""
        return cls(tau, threshold, membrane_bits=membrane_bits)

    @property
    def dynamics(self) -> Dynamics | None:
        """See `Neuron`."""
        return Dynamics(1 - 1 / self.tau, 1 / self.tau)

    def module(self) -> nn.Module:
        """See `Neuron`."""
        from .modules import SteppedNeurons, leaky_module

        if self.membrane_bits or not self.tau > 1:  # SpikingJelly's know no membrane that forgets all
            return SteppedNeurons(self)
        return leaky_module(self.tau, self.threshold, self.reset)

    def to_nir(self, shape: tuple[int, ...], timestep_s: float) -> Any | None:
        """See `Neuron`: r = 1 and tau in seconds, whose discrete form is v <- v + (x - v) dt / tau."""
        import nir

        values = (self.tau * timestep_s, 1.0, self.reset, self.threshold, self.reset)
        return nir.LIF(*(np.full(shape, value) for value in values))

    def charge_source(self) -> list[str]:
        """See `Neuron`."""
        return self.leak_source()
