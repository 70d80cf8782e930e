"""Modules that have no price, and examples that do not fit: what is wrong is said in one line."""

from typing import Any

import pytest
import torch
from spikingjelly.activation_based import layer, neuron
from torch import nn

from hasnas.errors import BadInputError
from hasnas.nas.tracing.trace import trace_module
from tests.nas.tracing.examples import B, Doing, Plain, Residual, T, images, multi_step, traced


class LateTime(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lif = neuron.LIFNode()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.lif(x).unsqueeze(0).repeat(T, 1, 1, 1, 1)


class Weighted(nn.Conv2d):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * super().forward(x)


@pytest.mark.parametrize(
    "module, message",
    [
        (nn.Conv2d(1, 2, 3, dilation=2), "dilation .* has no price"),
        (nn.Conv2d(1, 2, 3, padding=1, padding_mode="reflect"), "padding_mode 'reflect'"),
        (nn.Conv2d(1, 2, 4, padding="same"), "use an odd kernel_size"),
        (Weighted(1, 2, 3), "computes something of its own"),
        (layer.WSConv2d(1, 2, 3), "computes something of its own"),
        (nn.ConvTranspose2d(1, 2, 3), "layer '0' is a ConvTranspose2d, which has no price"),
        (nn.ReLU(), "layer '0' is a ReLU, which has no price; use spiking neurons"),
        (nn.Linear(8, 2), "flatten them first"),
        (nn.BatchNorm2d(1, affine=False), "use affine=True"),
        (nn.AvgPool2d(3, ceil_mode=True), "ceil_mode"),
        (nn.AvgPool2d(3, padding=1, count_include_pad=False), "count_include_pad=True"),
        (nn.AdaptiveAvgPool2d(3), "choose an output_size that divides"),
        (neuron.QIFNode(), "QIFNode, which has no price"),
        (layer.ElementWiseRecurrentContainer(nn.Identity(), torch.add), "ElementWiseRecurrentContainer: feedback"),
        (neuron.LIFNode(step_mode="m"), "layer '0' is in step mode 'm', but its input is"),
        (nn.Conv2d(3, 2, 3), r"layer '0' cannot run on \[\[2, 1, 8, 8\]\]"),
        (nn.Identity(), "has no layers"),
        (Doing(lambda conv, x: conv(x) * 2), "function 'mul' in '0' has no price"),
        (Doing(lambda conv, x: conv(x) + 1), "does not add results of one shape"),
        (Doing(lambda conv, x: conv(x).mean([2, 3])), "AdaptiveAvgPool2d"),
        (Doing(lambda conv, x: conv(x) if x.sum() > 0 else x), r"test_refused.py:\d+: the forward of .* be traced"),
        (Doing(lambda conv, x: sum(conv(x) for _ in range(T + 1))), "layer '0.conv' is used twice"),
        (Doing(lambda conv, x: (conv(x), x)), "does not return one tensor"),
        (Doing(lambda conv, x: conv(x).transpose(2, 3)), "function 'transpose'"),
        (Doing(lambda conv, x: conv(x).view(-1, 8)), "neither flattens maps nor arranges timesteps"),
        (LateTime(), "function 'unsqueeze' in '0' adds the axis of time behind neurons"),
        (Doing(lambda conv, x: conv(x.unsqueeze(0).repeat(T, 1, 1, 1, 1).mean(0))), "do so only at the end"),
        (Doing(lambda conv, x: x + x), "parameter '0.conv.weight' belongs to no layer"),
        (Doing(lambda conv, x: conv(x) + conv.bias.view(1, 2, 1, 1)), "tensor '0.conv.bias' is used outside"),
    ],
)
def test_what_cannot_be_expressed_is_refused_in_one_line(module: nn.Module, message: str):
    with pytest.raises(BadInputError, match=message) as caught:
        traced(module)
    assert "\n" not in str(caught.value)


def test_layers_that_share_weights_are_refused():
    first, second = nn.Conv2d(1, 1, 3), nn.Conv2d(1, 1, 3)
    second.weight = first.weight
    with pytest.raises(BadInputError, match="layers '0' and '1' share weights"):
        traced(first, second)


@pytest.mark.parametrize(
    "module, example, message",
    [
        (Residual(), images(T), "step mode 's'|cannot run on"),
        (multi_step(Residual()), images(), r"layer 'stem.0' cannot run .*expected x with shape \[T, N, C, H, W\]"),
        (multi_step(Residual()), images(T + 1), "4 timesteps, not 3"),
        (Residual(), torch.rand(8), "the example has shape"),
        (Plain(neuron.LIFNode()), torch.rand(T, B, 4), "step mode 's'"),
        (Plain(nn.Flatten()), torch.rand(T, B, 4), "neither flattens maps"),
        ("text", images(), "str is no torch module"),
    ],
)
def test_examples_that_do_not_fit_are_refused(module: Any, example: torch.Tensor, message: str):
    with pytest.raises(BadInputError, match=message):
        trace_module(module, example, T)
