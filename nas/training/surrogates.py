"""Surrogate derivatives of all neurons of a network: their family, their width, and widths tuned layer by layer.

Every family has area 1 and a width w = 1 / alpha in units of the membrane potential x above threshold:

    arctan       g(x) = alpha / 2 / (1 + (pi alpha x / 2)^2)
    sigmoid      g(x) = alpha s(alpha x) (1 - s(alpha x)),  s the logistic function
    triangle     g(x) = alpha max(0, 1 - alpha |x|)
    piecewise    g(x) = alpha / 2 exp(-alpha |x|), an exponential on either side

Source: Neftci, Mostafa & Zenke, IEEE Signal Processing Magazine 36(6), 2019; SpikingJelly's `surrogate` module, whose
ATan, Sigmoid, PiecewiseQuadratic and PiecewiseExp these are.
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
from hasnas.search_spaces.graph import Neuron
from hasnas.search_spaces.network import SpikingNetwork

from .parts import Part, run_part, single_groups, statistics_frozen
from .settings import SurrogateSettings

FAMILIES: Mapping[str, type[surrogate.SurrogateFunctionBase]] = {
    "arctan": surrogate.ATan,
    "sigmoid": surrogate.Sigmoid,
    "triangle": surrogate.PiecewiseQuadratic,
    "piecewise": surrogate.PiecewiseExp,
}
WIDTHS = tuple(2.0 ** (step / 4) for step in range(-24, 17))  # 1/64 to 16 in steps of 19 %


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


def surrogate_of(family: str, width: float | None = None) -> surrogate.SurrogateFunctionBase:
    """SpikingJelly's surrogate of a family and width; the family's usual width if none is given.

    Raises:
        BadInputError: for an unknown family.

    >>> surrogate_of("triangle", width=0.5).alpha
    2.0
    """
    if family not in FAMILIES:
        raise BadInputError(f"unknown surrogate '{family}'{nearest(family, FAMILIES)}")
    return FAMILIES[family]() if width is None else FAMILIES[family](alpha=1 / width)


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
    network: SpikingNetwork, settings: SurrogateSettings, inputs: Tensor, loss: Callable[[Tensor], Tensor]
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
    if settings != SurrogateSettings():
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
    let 50 layers train. The search layer by layer is ours; theirs scales the height, whereas here the area stays 1.
    """
    set_surrogates(network, family)
    training = network.training
    network.train()
    try:
        with torch.random.fork_rng(), statistics_frozen(network), torch.enable_grad():
            torch.manual_seed(0)
            return _Tuner(network, inputs, family).tune(loss)
    finally:
        network.train(training)


class _Tuner:
    """Walks back through a network's groups, carrying the gradients with respect to their results."""

    def __init__(self, network: SpikingNetwork, inputs: Tensor, family: str) -> None:
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
        scale = self.target or 1.0
        return TunedWidths(self.widths, {name: norm / scale for name, norm in self.norms.items()})

    def _step_back(self, part: Part) -> None:
        neurons = [name for name in part.names if isinstance(self.network.graph.node(name).operation, Neuron)]
        if any(name in self.gradients for name in part.names):
            gradients = self._tuned(part, neurons) if neurons else self._backward(part)
            for name, gradient in gradients.items():
                known = self.gradients.get(name)
                self.gradients[name] = gradient if known is None else known + gradient

    def _tuned(self, part: Part, neurons: list[str]) -> dict[str, Tensor]:
        """Gradients that leave a part with neurons, whose widths are set on the way."""
        chosen: float | None = None
        if self.target is not None:
            target = self.target
            norms = {width: _norm(self._with_width(part, neurons, width)) for width in WIDTHS}
            chosen = min(norms, key=lambda width: abs(math.log(max(norms[width], 1e-300) / target)))
        gradients = self._with_width(part, neurons, chosen)
        norm = _norm(gradients)
        if self.target is None and norm > 0:
            self.target = norm
        for name in neurons:
            self.widths[name] = _usual_width(self.family) if chosen is None else chosen
            self.norms[name] = norm
        static = self.network.graph.static_nodes if len(part.names) == 1 else ()
        return {name: value.sum(0) if name in static else value for name, value in gradients.items()}

    def _with_width(self, part: Part, neurons: list[str], width: float | None) -> dict[str, Tensor]:
        """Gradients that leave the part at a width; of a lone layer for each timestep, of a group as it received."""
        for name in neurons:
            self.network.get_submodule(name).surrogate_function = surrogate_of(self.family, width)
        if len(part.names) > 1:
            self.results[part] = run_part(self.network, part, self.arriving[part], self.inputs)
            return self._backward(part)
        (source,) = part.arriving
        currents = self.network._timed(self.arriving[part], source).detach().clone().requires_grad_()
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


def _usual_width(family: str) -> float:
    usual: Any = surrogate_of(family)
    return 1 / float(usual.alpha)


def _norm(gradients: Mapping[str, Tensor]) -> float:
    return math.sqrt(sum(float(value.double().square().sum()) for value in gradients.values()))


def gradient_norms(network: SpikingNetwork, inputs: Tensor, loss: Callable[[Tensor], Tensor]) -> dict[str, float]:
    """Norm of the loss's gradient with respect to the spikes of each layer of neurons, over a batch and all timesteps.

    Args:
        network: in training mode; weights and batch norm's statistics stay as they are.
        inputs: `[B, C, H, W]` or `[T, B, C, H, W]`.
        loss: a scalar of the outputs `[B, classes]`.
    """
    neurons = [node.name for node in network.graph.nodes if isinstance(node.operation, Neuron)]
    with statistics_frozen(network), torch.enable_grad():
        values = network.run(inputs)
        found = torch.autograd.grad(loss(values["output"].mean(0)), [values[name] for name in neurons])
    return {name: float(value.double().norm()) for name, value in zip(neurons, found, strict=True)}
