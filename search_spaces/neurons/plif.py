"""Leaky neurons whose time constant is learned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from .base import Dynamics, Neuron
from .lif import LIF

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class PLIF(Neuron):
    """LIF neurons whose time constant is learned, one for the whole layer; `tau`, above 1, is its initial value.

    v <- v + (x - v) sigmoid(w);  spike where v >= threshold, then v <- reset;  w starts at -ln(tau - 1).

    Source: Fang et al., "Incorporating Learnable Membrane Time Constant", ICCV 2021; SpikingJelly `ParametricLIFNode`.
    """

    tau: float = 4 / 3
    threshold: float = 1.0
    reset: float = 0.0
    membrane_bits: int = 0

    kind: ClassVar[str] = "plif"
    described: ClassVar[str] = "neurons whose time constant is learned (PLIF)"
    closed_form_rate: ClassVar[bool] = True
    trained_parameters: ClassVar[int] = 1

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
        from .modules import LearnedTauLIF, SteppedNeurons

        if self.membrane_bits:
            return SteppedNeurons(self)
        return LearnedTauLIF(self.tau, self.threshold, self.reset)

    def charge(self, before: Tensor, current: Tensor, rest: float, learned: Tensor | None) -> Tensor:
        """See `Neuron`."""
        if learned is None:
            raise ValueError("a learned time constant is missing")
        return before + (current - (before - rest)) * learned.sigmoid()

    def fixed(self, learned: Callable[[str], Tensor]) -> Neuron:
        """See `Neuron`: LIF neurons with the time constant that was learned."""
        from .modules import learned_tau

        return LIF(learned_tau(learned("w")), self.threshold, self.reset, self.membrane_bits)
