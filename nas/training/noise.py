"""Training on weights as a device would hold them: each step sees the chip of its own draw."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from hasnas.cim_estimator.nonideal import NonidealSpec, program, to_conductances, to_weights
from hasnas.errors import BadInputError
from hasnas.nas.training.crossbar_forms import column_units, form_of
from hasnas.search_spaces.quantization import QuantisedConv2d, QuantisedLinear

from .state import derived_seed


class WeightNoise:
    """Perturbs the weights of convolutions and fully connected layers for one step, as programming a chip would.

        w' = w + d,    d = chip(w) - w,    dw'/dw = 1

    where chip(w) are the weights that the conductances of a freshly programmed chip stand for: rounding to the cells'
    levels, variation between devices and between programmings, programming error, retention and stuck cells. Inputs,
    read noise, converters and wires stay perfect. Cells of layers with weights of few bits hold the integer codes, as
    in `hasnas.nas.imperfect_chips`: d is the error of the code times what a code of that output is worth. The gradient
    at the perturbed weights updates the unperturbed ones.

    Args:
        network: its layers are perturbed in place.
        device: the cells.
        seed: with epoch, step and the layer's name it decides every draw.

    Raises:
        BadInputError: if the network has no layer that a crossbar could hold.

    Source: Joshi et al., "Accurate deep neural network inference using computational phase-change memory", Nature
    Communications 11, 2473, 2020 (weight noise in the forward and backward pass of training).
    """

    def __init__(self, network: nn.Module, device: NonidealSpec, seed: int) -> None:
        self._layers = {
            name: module for name, module in network.named_modules() if isinstance(module, nn.Conv2d | nn.Linear)
        }
        if not self._layers:
            raise BadInputError("the network has no convolution or fully connected layer; there is nothing to perturb")
        self._device, self._seed = device, seed
        self._undo: list[Callable[[], object]] = []

    @torch.no_grad()
    def perturb(self, epoch: int, step: int) -> None:
        """Put the weights of a step's chip in place."""
        self.restore()
        key = derived_seed(self._seed, "noise", epoch)
        for name, module in self._layers.items():
            error = weight_error(name, module, self._device, (key, step, _digest(name)))
            if isinstance(module, QuantisedConv2d | QuantisedLinear):
                self._shift_quantised(module, error)
            else:
                self._shift(module.weight, error)

    def restore(self) -> None:
        """Put the unperturbed weights back; nothing happens where they are in place."""
        while self._undo:
            self._undo.pop()()

    def _shift(self, weight: Tensor, error: Tensor) -> None:
        clean = weight.detach().clone()
        weight.add_(error)
        self._undo.append(lambda: weight.data.copy_(clean))

    def _shift_quantised(self, module: QuantisedConv2d | QuantisedLinear, error: Tensor) -> None:
        quantised = module.quantised_weight
        object.__setattr__(module, "quantised_weight", lambda: quantised() + error)
        self._undo.append(lambda: object.__delattr__(module, "quantised_weight"))


def weight_error(name: str, module: nn.Conv2d | nn.Linear, device: NonidealSpec, seed: tuple[int, ...]) -> Tensor:
    """What programming one chip adds to a layer's weights.

        d = chip(w) - w,    for weights of few bits  d = s (chip(k) - k)

    with the integer codes k, all at one scale of conductance, and the weight s of one code of each output.

    Args:
        name: of the layer, for messages.
        module: the layer; its perturbed weights, if any, have been restored.
        device: the cells.
        seed: decides the chip.

    Returns:
        Of the shape, type and device of the layer's weight.

    Raises:
        BadInputError: if a weight is not finite.
    """
    matrix, units = form_of(name, module).matrix(), column_units(module)
    try:
        chip = program(to_conductances(matrix, device), chips=1, seed=seed)
    except BadInputError as error:
        raise BadInputError(f"layer {name}: {error}") from error
    error_of_cells = torch.from_numpy(np.ascontiguousarray(to_weights(chip)[0] - matrix, np.float32))
    shift = error_of_cells.reshape(module.weight.shape)
    if units is not None:
        shift = shift * units.reshape(-1, *[1] * (shift.dim() - 1))
    return shift.to(module.weight)


def effective_weight(module: nn.Conv2d | nn.Linear) -> Tensor:
    """The weights that a layer computes with."""
    return module.quantised_weight() if isinstance(module, QuantisedConv2d | QuantisedLinear) else module.weight


def _digest(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "big")
