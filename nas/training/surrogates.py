"""Surrogate derivatives of all neurons of a network: their family, their width, and widths tuned layer by layer.

Every family has height 1 and a width w, in units of the membrane potential x above threshold:

    arctan       g(x) = 1 / (1 + (pi x / 2 w)^2)                       usually w = 0.5
    sigmoid      g(x) = 4 s(x / w) (1 - s(x / w)), s logistic          usually w = 0.25
    triangle     g(x) = max(0, 1 - |x| / w)                            usually w = 1
    piecewise    g(x) = exp(-|x| / w), an exponential on either side   usually w = 0.5

At the usual width the area is 1, and these are SpikingJelly's ATan, Sigmoid, PiecewiseQuadratic and PiecewiseExp (the
first three at their defaults). Wider surrogates let more gradient through, up to all of it.

Source: Neftci, Mostafa & Zenke, IEEE Signal Processing Magazine 36(6), 2019; SpikingJelly's `surrogate` module.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from spikingjelly.activation_based import surrogate
from torch import Tensor, nn

from hasnas.errors import BadInputError, nearest
from hasnas.nas.config.training import SurrogateSection
from hasnas.search_spaces.layers import Neuron
from hasnas.search_spaces.network import SpikingNetwork

from .parts import Part, run_part, single_groups, statistics_frozen

FAMILIES: Mapping[str, tuple[type[surrogate.SurrogateFunctionBase], float]] = {
    "arctan": (surrogate.ATan, 0.5),
    "sigmoid": (surrogate.Sigmoid, 0.25),
    "triangle": (surrogate.PiecewiseQuadratic, 1.0),
    "piecewise": (surrogate.PiecewiseExp, 0.5),
}
WIDTHS = tuple(2.0 ** (step / 4) for step in range(-28, 25))  # 1/128 to 64 in steps of 19 %


@dataclass(frozen=True)
class TunedWidths:
    """What tuning found.

    Args:
        widths: width of each layer of neurons.
        gradient_norms: norm of the loss's gradient with respect to each layer's input currents, that of the last layer
            being 1.
    """

    widths: dict[str, float]
    gradient_norms: dict[str, float]


class _ScaledGradient(torch.autograd.Function):
    """The identity, whose gradient is scaled."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return ctx.factor * gradient, None


class UnitHeight(surrogate.SurrogateFunctionBase):
    """A surrogate of SpikingJelly, which has area 1, brought to height 1.

    Args:
        family: name of the family.
        width: in units of the membrane potential.
    """

    def __init__(self, family: str, width: float) -> None:
        super().__init__(spiking=True)
        kind, usual = FAMILIES[family]
        self.base, self.width, self.factor = kind(alpha=1 / width), width, width / usual

    def forward(self, x: Tensor) -> Tensor:
        """Spikes of `x`, the membrane potential above threshold."""
        return self.base(_ScaledGradient.apply(x, self.factor))


def surrogate_of(family: str, width: float | None = None) -> surrogate.SurrogateFunctionBase:
    """The surrogate of a family and width; the family's usual width if none is given.

    Raises:
        BadInputError: for an unknown family.

    >>> x = torch.tensor([0.0, 1.0]).requires_grad_()
    >>> surrogate_of("triangle", width=2.0)(x).sum().backward()
    >>> x.grad
    tensor([1.0000, 0.5000])
    """
    if family not in FAMILIES:
        raise BadInputError(f"unknown surrogate '{family}'{nearest(family, FAMILIES)}")
    kind, usual = FAMILIES[family]
    return kind(alpha=1 / usual) if width in (None, usual) else UnitHeight(family, float(width or usual))


def set_surrogates(network: nn.Module, family: str, width: float | None = None) -> None:
    """Give every neuron of a network the same surrogate; spikes stay as they are.

    Args:
        network: changed in place.
        family: `"arctan"`, `"sigmoid"`, `"triangle"` or `"piecewise"`.
        width: in units of the membrane potential; None is the family's usual one.
    """
    for module in network.modules():
        if isinstance(getattr(module, "surrogate_function", None), surrogate.SurrogateFunctionBase):
            module.surrogate_function = surrogate_of(family, width)


def apply_surrogates(
    network: SpikingNetwork, settings: SurrogateSection, inputs: Tensor, loss: Callable[[Tensor], Tensor]
) -> TunedWidths | None:
    """Set up a network's surrogates as its settings say.

    Args:
        network: with fresh weights; changed in place.
        settings: family and width.
        inputs: a batch, used where widths are to be tuned.
        loss: of the outputs `[B, classes]` of that batch.

    Returns:
        The widths that were tuned, or None.
    """
    if settings.width == "auto":
        return tune_widths(network, inputs, loss, settings.family)
    if settings != SurrogateSection():
        set_surrogates(network, settings.family, None if settings.width is None else float(settings.width))
    return None


def tune_widths(
    network: SpikingNetwork, inputs: Tensor, loss: Callable[[Tensor], Tensor], family: str = "arctan"
) -> TunedWidths:
    """Choose each layer's width so that gradients neither vanish nor explode on their way to the first layer.

    Spikes do not depend on widths, and a layer's gradient only on its own width and on those behind it. So one forward
    pass is enough, and the layers are tuned one after the other from the last to the first:

        w_l = argmin_w |ln(|dL/dI_l|_w / |dL/dI_last|)|

    with I_l the input currents of layer l at all timesteps and |.| the Euclidean norm over the batch. The last layer
    keeps the family's usual width. Layers that feed back into each other share a width; theirs is the gradient that
    leaves their group. Weights and batch norm's statistics stay as they are.

    Args:
        network: with the weights that training starts from; its surrogates are changed in place.
        inputs: `[B, C, H, W]` or `[T, B, C, H, W]`.
        loss: a scalar of the outputs `[B, classes]`.
        family: of the surrogate.

    Source: the remedy of Ledinauskas et al., "Training Deep Spiking Neural Networks", arXiv:2006.04436, 2020: too wide
    or too narrow surrogates make gradients of deep networks explode or vanish, and widths tuned for even gradients
    let 50 layers train. The layer-by-layer search is ours.
    """
    set_surrogates(network, family)
    found = _walk(network, inputs, loss, family)
    last = next((norm for norm in found.gradient_norms.values() if norm > 0), 1.0)
    return TunedWidths(found.widths, {name: norm / last for name, norm in found.gradient_norms.items()})


def _walk(
    network: SpikingNetwork, inputs: Tensor, loss: Callable[[Tensor], Tensor], family: str | None
) -> TunedWidths:
    training = network.training
    network.train()
    try:
        with torch.random.fork_rng(), statistics_frozen(network), torch.enable_grad():
            torch.manual_seed(0)
            return _Tuner(network, inputs, family).tune(loss)
    finally:
        network.train(training)


class _Tuner:
    """Walks back through a network's groups, carrying the gradients with respect to their results.

    Args:
        network: its surrogates are changed on the way.
        inputs: a batch.
        family: of the surrogates; None only measures.
    """

    def __init__(self, network: SpikingNetwork, inputs: Tensor, family: str | None) -> None:
        self.network, self.inputs, self.family = network, inputs, family
        self.arriving: dict[Part, dict[str, Tensor]] = {}
        self.results: dict[Part, dict[str, Tensor]] = {}
        self.gradients: dict[str, Tensor] = {}
        self.widths: dict[str, float] = {}
        self.norms: dict[str, float] = {}
        self.target: float | None = None

    def tune(self, loss: Callable[[Tensor], Tensor]) -> TunedWidths:
        parts = single_groups(self.network.graph)
        values: dict[str, Tensor] = {}
        for part in parts:
            self.arriving[part] = {name: values[name].detach().requires_grad_() for name in part.arriving}
            self.results[part] = run_part(self.network, part, self.arriving[part], self.inputs)
            values |= self.results[part]
        output = values["output"].detach().requires_grad_()
        self.gradients["output"] = torch.autograd.grad(loss(output.mean(0)), output)[0]
        for part in reversed(parts):
            if part.arriving:
                self._step_back(part)
        return TunedWidths(self.widths, self.norms)

    def _step_back(self, part: Part) -> None:
        neurons = [name for name in part.names if isinstance(self.network.graph.node(name).operation, Neuron)]
        if any(name in self.gradients for name in part.names):
            gradients = self._tuned(part, neurons) if neurons else self._backward(part)
            for name, gradient in gradients.items():
                known = self.gradients.get(name)
                self.gradients[name] = gradient if known is None else known + gradient

    def _tuned(self, part: Part, neurons: list[str]) -> dict[str, Tensor]:
        """Gradients that leave a part with neurons, whose widths are set on the way."""
        chosen = None if self.family is None else FAMILIES[self.family][1]
        if self.target is not None and self.family is not None:
            chosen = self._nearest_width(part, neurons, self.target)
        gradients = self._with_width(part, neurons, chosen)
        norm = _norm(gradients)
        if self.target is None and norm > 0:
            self.target = norm
        for name in neurons:
            self.widths[name] = chosen or 0.0
            self.norms[name] = norm
        static = self.network.graph.static_nodes if len(part.names) == 1 else ()
        return {name: value.sum(0) if name in static else value for name, value in gradients.items()}

    def _nearest_width(self, part: Part, neurons: list[str], target: float) -> float:
        """The width whose gradients come nearest to the target; they grow with the width, so bisection finds it."""
        norms: dict[int, float] = {}

        def norm(index: int) -> float:
            if index not in norms:
                norms[index] = max(_norm(self._with_width(part, neurons, WIDTHS[index])), 1e-300)
            return norms[index]

        low, high = 0, len(WIDTHS) - 1
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if norm(middle) >= target else (middle, high)
        return WIDTHS[min((low, high), key=lambda index: abs(math.log(norm(index) / target)))]

    def _with_width(self, part: Part, neurons: list[str], width: float | None) -> dict[str, Tensor]:
        """Gradients that leave the part at a width; of a lone layer for each timestep, of a group as it received."""
        for name in neurons if self.family is not None else ():
            self.network.get_submodule(name).surrogate_function = surrogate_of(str(self.family), width)
        if len(part.names) > 1:
            self.results[part] = run_part(self.network, part, self.arriving[part], self.inputs)
            return self._backward(part)
        (source,) = part.arriving
        currents = self.network.at_every_step(self.arriving[part], source).detach().clone().requires_grad_()
        self.network.reset()
        neuron: Any = self.network.get_submodule(neurons[0])
        spikes = neuron.multi_step_forward(currents)
        self.network.reset()
        return {source: torch.autograd.grad(spikes, currents, self.gradients[neurons[0]])[0]}

    def _backward(self, part: Part) -> dict[str, Tensor]:
        known = [name for name in part.names if name in self.gradients and self.results[part][name].requires_grad]
        if not known:
            return {}
        found = torch.autograd.grad(
            [self.results[part][name] for name in known],
            [self.arriving[part][name] for name in part.arriving],
            [self.gradients[name] for name in known],
            retain_graph=True,
            allow_unused=True,
        )
        return {name: value for name, value in zip(part.arriving, found, strict=True) if value is not None}


def _norm(gradients: Mapping[str, Tensor]) -> float:
    return math.sqrt(sum(float(value.double().square().sum()) for value in gradients.values()))


def gradient_norms(network: SpikingNetwork, inputs: Tensor, loss: Callable[[Tensor], Tensor]) -> dict[str, float]:
    """Norm of the loss's gradient with respect to each layer's input currents, as `tune_widths` measures it.

    Args:
        network: run in training mode; surrogates, weights and batch norm's statistics stay as they are.
        inputs: `[B, C, H, W]` or `[T, B, C, H, W]`.
        loss: a scalar of the outputs `[B, classes]`.

    Returns:
        By layer of neurons, the last one first.
    """
    return _walk(network, inputs, loss, None).gradient_norms
