"""Neuron operations as torch modules: single_step_forward on [B, ...], multi_step_forward on [T, B, ...], reset."""

from __future__ import annotations

import logging
import math
from abc import ABC, abstractmethod
from dataclasses import replace

import torch
from torch import Tensor, nn

from hasnas.errors import BadInputError
from hasnas.search_spaces.membranes import held, hold

from .alif import ALIF
from .base import Neuron, check_membrane_bits
from .plif import PLIF
from .synaptic import SynapticLIF

# SpikingJelly registers its GPU kernels on import, and torch warns on every machine that has no Triton to run them.
logging.getLogger("torch._library.triton").setLevel(logging.ERROR)

from spikingjelly.activation_based import base, neuron, surrogate  # noqa: E402


class OwnNeurons(nn.Module, base.StepModule, ABC):
    """What neurons computed here have in common with SpikingJelly's: a call runs the step mode that is set, "s" or "m".

    Args:
        operation: the neurons.
    """

    def __init__(self, operation: Neuron) -> None:
        super().__init__()
        self.operation = operation
        self.step_mode = "m"

    @property
    def settled(self) -> Neuron:
        """The operation as the module is now."""
        return self.operation

    def forward(self, x: Tensor) -> Tensor:
        """Spikes of `[T, B, ...]` in step mode "m", of one timestep `[B, ...]` in "s"."""
        return self.multi_step_forward(x) if self.step_mode == "m" else self.single_step_forward(x)

    @abstractmethod
    def reset(self) -> None:
        """Put the neurons at rest."""

    @abstractmethod
    def single_step_forward(self, x: Tensor) -> Tensor:
        """Spikes of one timestep."""

    def multi_step_forward(self, x: Tensor) -> Tensor:
        """Spikes of all timesteps."""
        return torch.stack([self.single_step_forward(step) for step in x])


class LearnedTauLIF(neuron.ParametricLIFNode):
    """SpikingJelly's parametric LIF that remembers the time constant it starts from."""

    def __init__(self, tau: float, threshold: float, reset: float) -> None:
        _check_start(tau)
        super().__init__(
            init_tau=float(tau),
            v_threshold=threshold,
            v_reset=reset,
            surrogate_function=surrogate.ATan(),
            detach_reset=True,
            step_mode="m",
        )
        self.initial_tau = float(tau)

    @torch.no_grad()
    def initialise(self) -> None:
        """Put the time constant back to its initial value."""
        self.w.fill_(-math.log(self.initial_tau - 1))


def learned_tau(weight: Tensor) -> float:
    """Time constant that the parameter w of parametric LIF neurons stands for: 1 / sigmoid(w), in double precision.

    >>> learned_tau(torch.tensor(0.0))
    2.0
    """
    return 1 + math.exp(-float(weight.detach()))


class SteppedNeurons(OwnNeurons):
    """Neurons computed step by step as their class says, with float membranes or registers of few bits.

        v <- hold(charge(v, x));    spike where v >= threshold, then v <- settle(v)

    `hold` is `hasnas.search_spaces.membranes.hold`. Where layers compute in bfloat16, membranes
    are still summed in float32, so that every step of a register exists. The surrogate is the arctangent and the reset
    is detached, as for float membranes.

    Args:
        operation: the neurons, one state and perhaps a learned time constant.

    Raises:
        BadInputError: if a number is out of range.
    """

    def __init__(self, operation: Neuron) -> None:
        super().__init__(operation)
        if isinstance(operation, PLIF):
            _check_start(operation.tau)
            self.w = nn.Parameter(torch.zeros(()))
        elif operation.leaks and not operation.tau >= 1:
            raise BadInputError(f"neurons with tau = {operation.tau:g} timesteps cannot run; give at least 1")
        self.rest = _rest(operation)
        self.surrogate_function = surrogate.ATan()
        self.membrane: Tensor | None = None
        self.initialise()

    @torch.no_grad()
    def initialise(self) -> None:
        """Put a learned time constant back to its initial value."""
        if isinstance(self.operation, PLIF):
            self.w.fill_(-math.log(self.operation.tau - 1))

    @property
    def settled(self) -> Neuron:
        """See `OwnNeurons`: a learned time constant is what it is now."""
        return replace(self.operation, tau=learned_tau(self.w)) if isinstance(self.operation, PLIF) else self.operation

    def reset(self) -> None:
        """Put the neurons at rest."""
        self.membrane = None

    def single_step_forward(self, x: Tensor) -> Tensor:
        """Spikes of one timestep."""
        current = _precise(x)
        before = torch.full_like(current, self.rest) if self.membrane is None else self.membrane
        charged = self.operation.charge(before, current, self.rest, self._parameters.get("w"))
        charged = hold(charged, self.operation.threshold, self.operation.membrane_bits)
        spikes = self.surrogate_function(charged - self.operation.threshold)
        fired = spikes.detach()
        self.membrane = self.operation.settle(charged, fired, self.rest)
        return spikes.to(x.dtype)


class AdaptiveLIF(OwnNeurons):
    """LIF neurons with an adaptive threshold; equations and source at `hasnas.search_spaces.neurons.ALIF`.

    The surrogate is the arctangent, the reset is detached, and gradients pass through the adaptation as published.
    """

    operation: ALIF

    def __init__(self, operation: ALIF) -> None:
        super().__init__(operation)
        if not (operation.tau >= 1 and operation.beta >= 0 and operation.tau_adaptation > 0):
            raise BadInputError(f"{operation}: give tau of at least 1, beta of at least 0, tau_adaptation above 0")
        self.rest = _rest(operation)
        self.decay = math.exp(-1 / operation.tau_adaptation)
        self.surrogate_function = surrogate.ATan()
        self.membrane: Tensor | None = None
        self.adaptation: Tensor | None = None

    def reset(self) -> None:
        """Put the neurons at rest."""
        self.membrane = self.adaptation = None

    def single_step_forward(self, x: Tensor) -> Tensor:
        """Spikes of one timestep."""
        tau, threshold, reset = self.operation.tau, self.operation.threshold, self.rest
        current = _precise(x) if self.operation.membrane_bits else x
        membrane = torch.full_like(current, reset) if self.membrane is None else self.membrane
        adaptation = torch.zeros_like(current) if self.adaptation is None else self.adaptation
        membrane = membrane + (current - (membrane - reset)) / tau
        membrane = hold(membrane, threshold, self.operation.membrane_bits)
        spikes = self.surrogate_function(membrane - threshold - self.operation.beta * adaptation)
        fired = spikes.detach()
        self.membrane = membrane * (1 - fired) + reset * fired
        self.adaptation = self.decay * adaptation + spikes
        return spikes.to(x.dtype)


class SynapticNeurons(OwnNeurons):
    """LIF neurons behind leaky synapses; equations and source at `hasnas.search_spaces.neurons.synaptic.SynapticLIF`.

    The surrogate is the arctangent, the reset is detached.

    Args:
        operation: the neurons.

    Raises:
        BadInputError: if a time constant is below one timestep.
    """

    operation: SynapticLIF

    def __init__(self, operation: SynapticLIF) -> None:
        super().__init__(operation)
        if not (operation.tau >= 1 and operation.tau_synapse >= 1):
            raise BadInputError(f"{operation}: give tau and tau_synapse of at least 1 timestep")
        self.rest = _rest(operation)
        self.surrogate_function = surrogate.ATan()
        self.membrane: Tensor | None = None
        self.current: Tensor | None = None

    def reset(self) -> None:
        """Put the neurons at rest."""
        self.membrane = self.current = None

    def single_step_forward(self, x: Tensor) -> Tensor:
        """Spikes of one timestep."""
        arriving = _precise(x)
        current = torch.zeros_like(arriving) if self.current is None else self.current
        before = torch.full_like(arriving, self.rest) if self.membrane is None else self.membrane
        self.current = current + (arriving - current) / self.operation.tau_synapse
        charged = self.operation.charge(before, self.current, self.rest, None)
        charged = hold(charged, self.operation.threshold, self.operation.membrane_bits)
        spikes = self.surrogate_function(charged - self.operation.threshold)
        self.membrane = self.operation.settle(charged, spikes.detach(), self.rest)
        return spikes.to(x.dtype)


def _check_start(tau: float) -> None:
    if not tau > 1:
        raise BadInputError(f"a PLIF neuron starts at tau {tau}; give more than 1 timestep, or use LIF neurons")


def _rest(operation: Neuron) -> float:
    """The reset potential as the neurons' registers hold it."""
    check_membrane_bits(operation.membrane_bits)
    if operation.membrane_bits and not operation.threshold > 0:
        raise BadInputError(f"{operation}: registers reach from -2 to 2 thresholds; give a positive threshold")
    return held(operation.reset, operation.threshold, operation.membrane_bits)


def _precise(x: Tensor) -> Tensor:
    return x if x.dtype in (torch.float32, torch.float64) else x.float()


def leaky_module(tau: float, threshold: float, reset: float) -> nn.Module:
    """SpikingJelly's LIF neurons with the arctangent surrogate and a detached reset, as SNASNet trains them."""
    return neuron.LIFNode(
        tau=tau,
        v_threshold=threshold,
        v_reset=reset,
        surrogate_function=surrogate.ATan(),
        detach_reset=True,
        step_mode="m",
    )


def integrating_module(threshold: float, reset: float) -> nn.Module:
    """SpikingJelly's neurons without leak, otherwise as `leaky_module`."""
    return neuron.IFNode(
        v_threshold=threshold,
        v_reset=reset,
        surrogate_function=surrogate.ATan(),
        detach_reset=True,
        step_mode="m",
    )


def neuron_module(operation: Neuron) -> nn.Module:
    """The module of a layer of neurons.

    Raises:
        BadInputError: if its numbers are out of range.
    """
    return operation.module()
