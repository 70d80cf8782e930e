"""What a trained network does: its accuracy, how busy its layers are, and its batch norm on given data."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from hasnas.errors import BadInputError
from hasnas.nas.data.samples import Split
from hasnas.search_spaces.graph import LayerGraph
from hasnas.search_spaces.layers import Neuron
from hasnas.search_spaces.network import SpikingNetwork

from .devices import device_of, precision_on, samples_at_a_time
from .memory import in_batches
from .parts import autocast


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """The network in evaluation mode without gradients, put back into its own mode afterwards."""
    training = network.training
    network.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        network.train(training)


def evaluate(network: nn.Module, split: Split, batch_size: int | None = None) -> float:
    """Share of samples whose class has the largest output; for regression minus the mean error, see `sample_errors`.

    The error is in the data's units. Either way, larger is better.

    Args:
        network: gives `[B, classes]`, or `[B, outputs]` for regression; left in the mode it was in.
        split: the samples.
        batch_size: samples at a time, by default what suits the network's device, halved where memory ends; the
            result does not depend on it beyond rounding.

    Raises:
        BadInputError: if there is no sample.
    """
    if not len(split):
        raise BadInputError("there is no sample to evaluate on; choose a larger share of the data")
    device, size = device_of(network), batch_size or _fitting(network, split)

    def errors(inputs: Tensor, targets: Tensor) -> float:
        return float(sample_errors(_outputs(network, inputs.to(device)), targets.to(device), split).sum())

    def right(inputs: Tensor, targets: Tensor) -> int:
        return int((_outputs(network, inputs.to(device)).argmax(1) == targets.to(device)).sum())

    with evaluating(network):
        if split.is_regression:
            return -sum(in_batches(split, size, errors)) / len(split)
        return sum(in_batches(split, size, right)) / len(split)


def sample_errors(outputs: Tensor, targets: Tensor, split: Split) -> Tensor:
    """How far outputs `[..., outputs]` are from a regression's targets, `[...]` in the data's units, float64.

    That is the distance where the targets are a place, otherwise the mean over the absolute errors of its values.

    >>> outputs, targets = torch.tensor([[3.0, 4.0]]), torch.zeros(1, 2)
    >>> splits = (Split(torch.zeros(1, 1, 1, 1), targets, place=place) for place in (False, True))
    >>> [sample_errors(outputs, targets, split).item() for split in splits]
    [3.5, 5.0]
    """
    errors = (outputs - targets).double()
    if split.unit is not None:
        errors = errors * split.unit.to(errors)
    return errors.norm(dim=-1) if split.place else errors.abs().mean(-1)


def measure_activity(network: SpikingNetwork, split: Split, batch_size: int | None = None) -> dict[str, float]:
    """How busy each layer is, averaged over samples and timesteps.

    Args:
        network: left in the mode it was in.
        split: the samples.
        batch_size: samples at a time, by default what suits the network's device, halved where memory ends.

    Returns:
        For every layer that has a price the share of its input values that are not zero per evaluation, by the names
        under which `hasnas.search_spaces.lowering.lower` takes it; by the names of layers of neurons their spikes per
        neuron and step.

    Raises:
        BadInputError: if there is no sample.
    """
    if not len(split):
        raise BadInputError("there is no sample to measure activity on; choose a larger share of the data")
    device, totals = device_of(network), dict[str, float]()

    def busy(inputs: Tensor, targets: Tensor) -> tuple[dict[str, float], int]:
        with autocast(device, precision_on(device, "auto")):
            return network.activity(inputs.to(device)), len(targets)

    with evaluating(network):
        for activity, count in in_batches(split, batch_size or _fitting(network, split), busy):
            for name, rate in activity.items():
                totals[name] = totals.get(name, 0.0) + rate * count
    return {name: total / len(split) for name, total in totals.items()}


def firing_rates(graph: LayerGraph, activity: Mapping[str, float]) -> dict[str, float]:
    """The part of `measure_activity`'s result that belongs to neurons, in the order of the layers."""
    neurons = [node.name for node in graph.nodes if isinstance(node.operation, Neuron)]
    return {name: activity[name] for name in neurons if name in activity}


def recalibrate_batch_norm(network: SpikingNetwork, fixed_batches: Iterable[Tensor]) -> SpikingNetwork:
    """A copy whose batch norm has the mean and variance of given batches, each batch with equal weight.

    Weights that were trained in other company (a supernet's) need the statistics of the path they are used on. Only
    the statistics change; dropout stays off.

    Args:
        network: left as it is.
        fixed_batches: inputs `[B, C, H, W]` or `[T, B, C, H, W]`.

    Raises:
        BadInputError: if there is no batch.
    """
    calibrated = copy.deepcopy(network).eval()
    norms = [module for module in calibrated.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    count, device = 0, device_of(network)
    with torch.no_grad():
        for inputs in fixed_batches:
            _outputs(calibrated, inputs.to(device))
            count += 1
    if not count:
        raise BadInputError("there is no batch to calibrate batch norm on; give at least one")
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    return calibrated.eval()


def _outputs(network: nn.Module, inputs: Tensor) -> Tensor:
    """What a network answers, computed in the precision that suits its device; float32."""
    with autocast(inputs.device, precision_on(inputs.device, "auto")):
        return network(inputs).float()


def _fitting(network: nn.Module, split: Split) -> int:
    graph = network.graph if isinstance(network, SpikingNetwork) else None
    values = split.inputs[0].numel() if graph is None else graph.timesteps * sum(node.size for node in graph.nodes)
    return samples_at_a_time(values, device_of(network), len(split))
