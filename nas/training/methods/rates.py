"""How often a leaky integrate-and-fire neuron fires under a constant input: closed forms and their smooth version.

Time is counted in timesteps, so that rates are spikes per timestep.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from hasnas.errors import BadInputError
from hasnas.search_spaces.graph import LayerGraph

# Largest argument of softplus: keeps quotients of float32 finite, far beyond any current.
FARTHEST = 1e30
DEEPEST = -15.0


def require_float_membranes(graph: LayerGraph) -> None:
    """Refuse networks whose membranes lie in registers of few bits: no rate or linear response describes those.

    Raises:
        BadInputError: naming the first such layer.
    """
    for node in graph.nodes:
        bits = getattr(node.operation, "membrane_bits", 0)
        if bits:
            raise BadInputError(
                f"layer '{node.name}' has membranes of {bits} bits, whose rates have no closed form; set membrane_bits "
                "to 0, or train by surrogate gradients"
            )


def membrane_time_constant(tau: float) -> float:
    """Time constant of the continuous neuron that the discrete one samples.

    v <- v + (x - v) / tau decays by 1 - 1 / tau in each timestep, so tau_rc = -1 / ln(1 - 1 / tau).

    Args:
        tau: of the discrete neuron, above 1; infinite for one without leak.

    >>> round(membrane_time_constant(4 / 3), 4), membrane_time_constant(math.inf)
    (0.7213, inf)
    """
    if not tau > 1:
        raise BadInputError(f"tau is {tau}; give more than 1 timestep")
    return math.inf if math.isinf(tau) else -1 / math.log1p(-1 / tau)


def firing_interval(x: Tensor, tau: float, threshold: float) -> Tensor:
    """Timesteps from rest to threshold if time were continuous; infinite where the input never gets there.

        n = tau_rc ln(1 + threshold / (x - threshold)),     without leak: n = threshold / x

    Args:
        x: constant input currents.
        tau: of the discrete neuron, infinite for one without leak, whose update is v <- v + x.
        threshold: above the resting potential 0.

    >>> firing_interval(torch.tensor([0.5, 2.0, 4.0]), tau=2.0, threshold=1.0)
    tensor([   inf, 1.0000, 0.4150])
    """
    if math.isinf(tau):
        return torch.where(x > 0, threshold / x.clamp_min(torch.finfo(x.dtype).tiny), math.inf)
    above = (x - threshold).clamp_min(torch.finfo(x.dtype).tiny)
    interval = membrane_time_constant(tau) * torch.log1p(threshold / above)
    return torch.where(x > threshold, interval, math.inf)


def spike_count(x: Tensor, timesteps: int, tau: float, threshold: float) -> Tensor:
    """Spikes of the discrete neuron with hard reset within T timesteps of constant input, from rest.

        count = floor(T / ceil(n)),     n the firing interval

    Args:
        x: constant input currents.
        timesteps: T.
        tau: of the neuron, infinite for one without leak.
        threshold: above the resting potential 0.

    Returns:
        Whole numbers, of the type of `x`.

    >>> spike_count(torch.tensor([0.9, 1.1, 2.0, 9.0]), timesteps=10, tau=2.0, threshold=1.0).tolist()
    [0.0, 2.0, 10.0, 10.0]
    """
    return torch.floor(timesteps / torch.ceil(firing_interval(x, tau, threshold)).clamp_min(1))


def firing_rate(x: Tensor, tau: float, threshold: float, refractory: float = 0.0) -> Tensor:
    """Spikes per timestep, at most one: r = 1 / max(1, t_ref + n), n the firing interval.

    With `refractory` 0 this is the rate of the neuron whose spike times are corrected below the step. The discrete
    neuron waits until the end of the step; over all inputs that is half a step on average, so 0.5 describes it best.

    >>> firing_rate(torch.tensor([0.5, 1.2, 9.0]), tau=2.0, threshold=1.0, refractory=0.5)
    tensor([0.0000, 0.3242, 1.0000])
    """
    return 1 / (refractory + firing_interval(x, tau, threshold)).clamp_min(1)


def corrected_spikes(x: Tensor, tau: float, threshold: float) -> Tensor:
    """Spikes of LIF neurons that are reset at the moment of crossing, not at the end of the timestep.

    Where v >= threshold at the end of a step, the membrane goes on from where a reset at the crossing would have
    brought it:

        v <- v + (x - v) / tau;     v <- x (v - threshold) / (x - threshold) where it fired

    as x - v falls exponentially from both. Under constant input the spikes of T timesteps differ from T times the
    firing rate by less than one.

    Args:
        x: input currents `[T, ...]`.
        tau: of the discrete neuron, above 1.
        threshold: above the resting potential 0.

    Returns:
        Spikes `[T, ...]`, at most one for each timestep.

    Source: the correction of spike times in Nengo's LIF neurons, Bekolay et al., Frontiers in Neuroinformatics 2014,
    here without refractory time, and written without logarithms.
    """
    membrane_time_constant(tau)
    membrane, spikes = torch.zeros_like(x[0]), []
    for current in x:
        membrane = membrane + (current - membrane) / tau
        fired = membrane >= threshold
        # Where an earlier, larger current left more than the threshold behind, the present one may be below it.
        crossed = fired & (current > threshold)
        left = current * (membrane - threshold) / torch.where(crossed, current - threshold, 1.0)
        membrane = torch.where(crossed, left, torch.where(fired, 0.0, membrane))
        spikes.append(fired.to(x.dtype))
    return torch.stack(spikes)


def soft_rate(x: Tensor, time_constant: float | Tensor, threshold: float, gamma: float, refractory: float) -> Tensor:
    """The firing rate with a softened threshold, so that its slope is bounded: what rate networks are trained with.

        rho(j) = gamma ln(1 + e^(j / gamma))
        r(x) = 1 / max(1, t_ref + tau_rc ln(1 + threshold / rho(x - threshold)))

    It tends to `firing_rate` for gamma to 0. Computed by logarithms of rho, so that values and slopes are finite
    however far the input is from the threshold. Without leak, r(x) = 1 / max(1, t_ref + threshold / rho(x)).

    Args:
        x: input currents.
        time_constant: tau_rc, see `membrane_time_constant`; infinite for neurons without leak.
        threshold: above the resting potential 0.
        gamma: width of the softening, in units of the input; positive.
        refractory: t_ref in timesteps.

    Source: Hunsberger and Eliasmith, "Spiking Deep Networks with LIF Neurons", arXiv:1510.08829, 2015. The limit of
    one spike per timestep is ours.

    >>> soft_rate(torch.tensor([0.5, 2.0]), membrane_time_constant(2.0), 1.0, gamma=0.01, refractory=0.0)
    tensor([0.0127, 1.0000])
    """
    if not gamma > 0:
        raise BadInputError(f"gamma is {gamma}; give a positive width, or use firing_rate")
    integrating = not isinstance(time_constant, Tensor) and math.isinf(time_constant)
    z = ((x if integrating else x - threshold) / gamma).clamp(-FARTHEST, FARTHEST)
    # ln softplus(z) is z itself to single precision below -15, where softplus(z) would soon be zero.
    near = torch.log(functional.softplus(z.clamp_min(DEEPEST)))
    log_ratio = math.log(threshold / gamma) - torch.where(z > DEEPEST, near, z)
    interval = torch.exp(log_ratio.clamp_max(60.0)) if integrating else time_constant * functional.softplus(log_ratio)
    return 1 / (refractory + interval).clamp_min(1)
