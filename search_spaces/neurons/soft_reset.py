"""Leaky neurons whose spike takes the threshold off the membrane."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from .base import Dynamics, Neuron

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class SoftResetLIF(Neuron):
    """Leaky integrate-and-fire neurons that keep what lies above the threshold.

    v <- v + (x - v) / tau;  spike where v >= threshold, then v <- v - threshold.

    NIR's neurons are reset to a fixed potential, so it has no word for them. (Training by soft-LIF is another thing: it
    smooths the rate of neurons with a hard reset.)

    Source: SpikingJelly `LIFNode` with `decay_input=True` and `v_reset=None`; Rueckauer et al., Frontiers in
    Neuroscience 2017 ("reset by subtraction").
    """

    tau: float = 4 / 3
    threshold: float = 1.0
    membrane_bits: int = 0

    kind: ClassVar[str] = "lif_soft_reset"
    described: ClassVar[str] = "neurons whose spike subtracts the threshold (SoftResetLIF)"
    resets_fully: ClassVar[bool] = False

    @property
    def reset(self) -> float:
        """Potential at rest, where every sample starts."""
        return 0.0

    @classmethod
    def of(cls, tau: float, threshold: float, membrane_bits: int) -> Self:
        """See `Neuron`."""
        return cls(tau, threshold, membrane_bits)

    @property
    def dynamics(self) -> Dynamics | None:
        """See `Neuron`."""
        return Dynamics(1 - 1 / self.tau, 1 / self.tau, soft=True)

    def module(self) -> nn.Module:
        """See `Neuron`."""
        from .modules import SteppedNeurons

        return SteppedNeurons(self)

    def settle(self, charged: Tensor, fired: Tensor, rest: float) -> Tensor:
        """See `Neuron`."""
        return charged - self.threshold * fired

    def charge_source(self) -> list[str]:
        """See `Neuron`."""
        return self.leak_source()

    def settle_source(self) -> list[str]:
        """See `Neuron`."""
        return [f"v = v - {self.threshold!r} * spikes"]
