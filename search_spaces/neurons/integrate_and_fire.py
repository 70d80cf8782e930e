"""Integrate-and-fire neurons without leak."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from .base import Dynamics, Neuron

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class IF(Neuron):
    """Integrate-and-fire neurons without leak: v <- v + x;  spike where v >= threshold, then v <- reset.

    Source: SpikingJelly `IFNode` with a hard reset.
    """

    threshold: float = 1.0
    reset: float = 0.0
    membrane_bits: int = 0

    kind: ClassVar[str] = "if"
    described: ClassVar[str] = "IF neurons"
    leaks: ClassVar[bool] = False
    closed_form_rate: ClassVar[bool] = True

    @classmethod
    def of(cls, tau: float, threshold: float, membrane_bits: int) -> Self:
        """See `Neuron`."""
        return cls(threshold, membrane_bits=membrane_bits)

    @property
    def dynamics(self) -> Dynamics | None:
        """See `Neuron`."""
        return Dynamics(1.0, 1.0)

    def module(self) -> nn.Module:
        """See `Neuron`."""
        from .modules import SteppedNeurons, integrating_module

        return SteppedNeurons(self) if self.membrane_bits else integrating_module(self.threshold, self.reset)

    def to_nir(self, shape: tuple[int, ...], timestep_s: float) -> Any | None:
        """See `Neuron`: r = 1 / dt, so that v <- v + r x dt = v + x."""
        import nir

        return nir.IF(*(np.full(shape, value) for value in (1 / timestep_s, self.threshold, self.reset)))

    def charge(self, before: Tensor, current: Tensor, rest: float, learned: Tensor | None) -> Tensor:
        """See `Neuron`."""
        return before + current

    def charge_source(self) -> list[str]:
        """See `Neuron`."""
        return ["v = v + x"]
