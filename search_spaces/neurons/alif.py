"""Leaky neurons with an adaptive threshold."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from .base import Dynamics, Neuron

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class ALIF(Neuron):
    """LIF neurons whose threshold rises with each spike and falls back over `tau_adaptation` timesteps.

        v <- v + (x - v) / tau
        z = 1 where v >= threshold + beta a, else 0;  then v <- reset where z = 1
        a <- exp(-1 / tau_adaptation) a + z

    A spike thus counts from the next timestep on. The published model writes the last line with (1 - rho) z, rho =
    exp(-1 / tau_adaptation), which is the same neuron at beta (1 - rho) for beta. Its values (beta 1.8, tau_adaptation
    700 steps, threshold 0.01) raise the threshold by 0.26 of itself at each spike; the default does nearly so. Its time
    constant outlasts the samples of image classification, where a few timesteps are as slow in proportion.
    `membrane_bits` holds for v; the adaptation a is a second state, which stays float.

    Source: Bellec et al., "Long short-term memory and learning-to-learn in networks of spiking neurons", NeurIPS 2018;
    there reset subtracts the threshold, here it is hard as for the other neurons.
    """

    tau: float = 4 / 3
    threshold: float = 1.0
    reset: float = 0.0
    beta: float = 0.25
    tau_adaptation: float = 4.0
    membrane_bits: int = 0

    kind: ClassVar[str] = "alif"
    described: ClassVar[str] = "neurons with an adaptive threshold (ALIF)"
    further_states: ClassVar[tuple[str, ...]] = ("adaptation",)

    @classmethod
    def of(cls, tau: float, threshold: float, membrane_bits: int) -> Self:
        """See `Neuron`."""
        return cls(tau, threshold, membrane_bits=membrane_bits)

    @property
    def dynamics(self) -> Dynamics | None:
        """See `Neuron`."""
        fade = float(np.exp(-1 / self.tau_adaptation))
        return Dynamics(1 - 1 / self.tau, 1 / self.tau, rise=self.beta / self.threshold, fade=fade)

    def module(self) -> nn.Module:
        """See `Neuron`."""
        from .modules import AdaptiveLIF

        return AdaptiveLIF(self)

    def step_source(self) -> list[str]:
        """See `Neuron`."""
        fires = f"spikes = (v - {self.threshold!r} - {self.beta!r} * adaptation >= 0).to(x.dtype)"
        fades = f"adaptation = {math.exp(-1 / self.tau_adaptation)!r} * adaptation + spikes"
        return [*self.leak_source(), *self.register_source(), fires, *self.settle_source(), fades]
