"""A running average of a network's weights over the steps of a training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from .state import with_prefix, without_prefix

AVERAGE = "average."
_STEPS = "average_steps"


class WeightAverage:
    """Exponential moving average of parameters and of batch norm's statistics.

        a <- d a + (1 - d) w,        d = min(decay, (1 + s) / (10 + s)) at step s, so that early weights are forgotten

    Counters are taken over as they are.

    Args:
        network: the average starts at its weights.
        decay: share of the average that a step keeps.

    Source: Polyak & Juditsky, SIAM J. Control Optim. 30(4), 1992; the rise of d as in TensorFlow's
    ExponentialMovingAverage.

    >>> network = nn.Linear(1, 1, bias=False)
    >>> average = WeightAverage(network, decay=0.0)
    >>> _ = network.weight.data.fill_(3.0)
    >>> average.update(network)
    >>> average.state["weight"].item()
    3.0
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay, self.steps = decay, 0
        self.state = {name: value.detach().clone() for name, value in network.state_dict().items()}

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Take in the weights after a step."""
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        self.steps += 1
        for name, value in network.state_dict().items():
            held = self.state[name].to(value.device)
            self.state[name] = held.lerp(value, 1 - decay) if value.is_floating_point() else value.detach().clone()

    @contextmanager
    def applied(self, network: nn.Module) -> Iterator[None]:
        """The network with averaged weights, put back afterwards."""
        own = {name: value.detach().clone() for name, value in network.state_dict().items()}
        network.load_state_dict(self.state)
        try:
            yield
        finally:
            network.load_state_dict(own)

    def tensors(self) -> dict[str, Tensor]:
        """The average as named tensors, to store."""
        return {**with_prefix(AVERAGE, self.state), _STEPS: torch.tensor(self.steps)}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Put back what `tensors` gave."""
        self.state = {name: value.clone() for name, value in without_prefix(AVERAGE, tensors).items()}
        self.steps = int(tensors[_STEPS])
