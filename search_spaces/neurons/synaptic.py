"""Leaky neurons behind leaky synapses: the input feeds a current, the current feeds the membrane."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from .base import Dynamics, Neuron

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class SynapticLIF(Neuron):
    """Current-based leaky integrate-and-fire neurons with a hard reset.

        i <- i + (x - i) / tau_synapse
        v <- v + (i - v) / tau;  spike where v >= threshold, then v <- reset

    The current is a second state; `membrane_bits` holds for v, the current stays float. With `tau_synapse` 1 they are
    LIF neurons.

    Source: NIR's `CubaLIF` with r = w_in = 1 by the forward Euler rule (Pedersen et al., Nature Communications 2024);
    snnTorch's `Synaptic` and Norse's `LIFCell` are the same up to the scale and to the order of the two lines.
    """

    tau: float = 4 / 3
    threshold: float = 1.0
    reset: float = 0.0
    tau_synapse: float = 4 / 3
    membrane_bits: int = 0

    kind: ClassVar[str] = "synaptic_lif"
    described: ClassVar[str] = "LIF neurons behind leaky synapses (SynapticLIF)"
    further_states: ClassVar[tuple[str, ...]] = ("current",)

    @classmethod
    def of(cls, tau: float, threshold: float, membrane_bits: int) -> Self:
        """See `Neuron`."""
        return cls(tau, threshold, membrane_bits=membrane_bits)

    @property
    def dynamics(self) -> Dynamics | None:
        """See `Neuron`."""
        return Dynamics(1 - 1 / self.tau, 1 / self.tau, synapse_keep=1 - 1 / self.tau_synapse)

    def module(self) -> nn.Module:
        """See `Neuron`."""
        from .modules import SynapticNeurons

        return SynapticNeurons(self)

    def to_nir(self, shape: tuple[int, ...], timestep_s: float) -> Any | None:
        """See `Neuron`: r = w_in = 1 and time constants in seconds."""
        import nir

        values = (self.tau_synapse * timestep_s, self.tau * timestep_s, 1.0, self.reset, self.threshold, self.reset)
        return nir.CubaLIF(*(np.full(shape, value) for value in values), w_in=np.ones(shape))

    def charge_source(self) -> list[str]:
        """See `Neuron`."""
        return [f"current = current + (x - current) / {self.tau_synapse!r}", *self.leak_source("current")]
