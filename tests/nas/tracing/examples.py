"""Modules that are traced, and how."""

from __future__ import annotations

from typing import Any

import torch
from spikingjelly.activation_based import functional, layer, neuron
from torch import nn

from hasnas.nas.tracing.trace import trace_module
from hasnas.search_spaces.graph import LayerGraph

T, B = 3, 2
IMAGE = (1, 8, 8)
Plain = nn.Sequential


class Residual(nn.Module):
    """Stem, a residual block, a classifier; in single-step mode unless switched."""

    def __init__(self, channels: int = 4) -> None:
        super().__init__()
        self.stem = Plain(layer.Conv2d(1, channels, 3, padding=1, bias=False), layer.BatchNorm2d(channels))
        self.lif = neuron.LIFNode(tau=2.0, v_threshold=0.3)
        self.block = Block(channels)
        self.pool = layer.AdaptiveAvgPool2d(2)
        self.flatten = layer.Flatten()
        self.drop = layer.Dropout(0.2)
        self.head = layer.Linear(4 * channels, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.drop(self.flatten(self.pool(self.block(self.lif(self.stem(x)))))))


class Block(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = layer.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = layer.BatchNorm2d(channels)
        self.lif = neuron.LIFNode(tau=2.0, decay_input=False, v_threshold=0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.norm(self.conv(x))
        return self.lif(x)


class Doing(nn.Module):
    """A convolution, and whatever a test does with it."""

    def __init__(self, does: Any) -> None:
        super().__init__()
        self.conv, self.does = nn.Conv2d(1, 2, 3, padding=1), does

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.does(self.conv, x)


def images(timesteps: int = 0) -> torch.Tensor:
    image = torch.rand(B, *IMAGE, generator=torch.Generator().manual_seed(1))
    return image.expand(timesteps, *image.shape) if timesteps else image


def multi_step(module: nn.Module) -> nn.Module:
    functional.set_step_mode(module, "m")
    return module


def traced(*layers: nn.Module) -> LayerGraph:
    return trace_module(Plain(*layers), images(), T)
