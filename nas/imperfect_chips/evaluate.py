"""Accuracy of a trained network on many imperfect chips."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from hasnas.cim_estimator.nonideal import (
    Conductances,
    NonidealSpec,
    full_range,
    program,
    to_conductances,
    with_wire_resistance,
)
from hasnas.errors import BadInputError
from hasnas.nas.data.samples import Split, batches
from hasnas.nas.training.crossbar_forms import Form, form_of
from hasnas.nas.training.devices import device_of
from hasnas.nas.training.evaluation import sample_errors

from .layer import ChipLayer, Reading
from .probe import Probe

# What may be in memory at a time: outputs of all layers, and cells. Then the samples that set the ranges.
_VALUES_PER_PASS = 2**25
_CELLS_PER_PASS = 2**27
_CALIBRATION_SAMPLES = 128
_CALIBRATION_BATCH = 32


@dataclass(frozen=True)
class ChipAccuracy:
    """Accuracy over chips; for regression minus the mean error, so that more is better.

    Args:
        mean: mean over chips.
        std: standard deviation over chips (population; 0 for one chip).
        worst: the worst chip's.
        per_chip: every chip's, by chip number.
    """

    mean: float
    std: float
    worst: float
    per_chip: tuple[float, ...]

    @classmethod
    def of(cls, per_chip: Sequence[float]) -> ChipAccuracy:
        """Statistics of the given accuracies.

        >>> ChipAccuracy.of([0.5, 1.0])
        ChipAccuracy(mean=0.75, std=0.25, worst=0.5, per_chip=(0.5, 1.0))
        """
        values = np.asarray(per_chip, np.float64)
        return cls(float(values.mean()), float(values.std()), float(values.min()), tuple(values.tolist()))


def evaluate_on_chips(
    network: nn.Module,
    split: Split,
    device: NonidealSpec,
    chips: int,
    seed: int,
    calibration: Tensor | None = None,
    progress: Callable[[int], object] | None = None,
) -> ChipAccuracy:
    """Accuracy of a trained network whose Conv2d and Linear weights sit on imperfect crossbars.

    For regression it is minus the mean error, as in `ChipAccuracy`. Biases, batch norm, pooling and neurons
    are digital and exact. The network is used in evaluation mode and comes back as it was. Chip k has the same cells at
    any number of chips, and the same unlucky cells at any strength of an effect; read noise is drawn per pass.

    Args:
        network: as trained (deployed graphs hold digital layers as Conv2d), on any device; takes `[B, C, H, W]`, or
            `[T, B, C, H, W]` for sequences, treats items of a batch independently and returns `[B, classes]` or
            `[B, outputs]`.
        split: samples and their classes or values.
        device: the cells, arrays and converters.
        chips: number of chips.
        seed: decides every chip.
        calibration: inputs that set the ranges of converters and bit-serial inputs, laid out as `split.inputs`; by
            default some inputs of the split (never its targets).
        progress: told how many more passes of one sample through one chip were done, of `chips * len(split)`.

    Raises:
        BadInputError: if the network has no layer for a crossbar, the split is empty or a weight is not finite.

    >>> network = nn.Sequential(nn.Flatten(), nn.Linear(4, 2)).eval()
    >>> split = Split(torch.rand(6, 1, 2, 2), torch.zeros(6, dtype=torch.int64))
    >>> len(evaluate_on_chips(network, split, NonidealSpec(device_variation=0.1), chips=3, seed=0).per_chip)
    3
    """
    if chips < 1 or not len(split):
        raise BadInputError(f"{chips} chips and {len(split)} samples; give at least one of each")
    modes = {module: module.training for module in network.modules()}
    network.eval()
    try:
        with torch.no_grad():
            different = chips if device.is_random else 1
            told = None if progress is None else lambda passes: progress(passes * (chips // different))
            accuracies = _accuracies(network, split, device, different, seed, calibration, told)
            return ChipAccuracy.of(accuracies * (chips // different))
    finally:
        for module, mode in modes.items():
            module.training = mode


def robustness_curve(
    network: nn.Module, split: Split, devices: Sequence[NonidealSpec], chips: int, seed: int
) -> list[ChipAccuracy]:
    """`evaluate_on_chips` for a series of devices, each on the same chips."""
    return [evaluate_on_chips(network, split, device, chips, seed) for device in devices]


@dataclass(frozen=True)
class _Layer:
    name: str
    module: nn.Module
    form: Form
    design: Conductances


def _accuracies(
    network: nn.Module,
    split: Split,
    device: NonidealSpec,
    chips: int,
    seed: int,
    calibration: Tensor | None,
    progress: Callable[[int], object] | None,
) -> list[float]:
    layers = [
        _layer(name, module, device)
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear)
    ]
    if not layers:
        raise BadInputError("the network has no Conv2d or Linear layer; there is nothing to put on a crossbar")
    examples = split.inputs if calibration is None else calibration
    chosen = torch.linspace(0, len(examples) - 1, min(len(examples), _CALIBRATION_SAMPLES)).long()
    probes = _calibrate(network, layers, examples[chosen])
    readings = {layer.name: _reading(layer, probes[layer.name]) for layer in layers}
    per_item = sum(probe.values for probe in probes.values()) / len(chosen)
    items = max(1, int(_VALUES_PER_PASS / max(per_item, 1)))
    cells = sum(layer.design.positive.size + layer.design.negative.size for layer in layers)
    together = max(1, min(items, _CELLS_PER_PASS // cells))
    accuracies: list[float] = []
    for first in range(0, chips, together):
        numbers = range(first, min(first + together, chips))
        forwards = {layer.module: _on_chips(layer, numbers, seed, readings[layer.name]) for layer in layers}
        with _replaced(forwards):
            accuracies += _count(network, split, len(numbers), max(1, items // len(numbers)), progress)
    return accuracies


def _layer(name: str, module: nn.Module, device: NonidealSpec) -> _Layer:
    form = form_of(name, module)
    try:
        return _Layer(name, module, form, to_conductances(form.matrix(), device))
    except BadInputError as error:
        raise BadInputError(f"layer {name}: {error}") from error


def _on_chips(layer: _Layer, chips: range, seed: int, reading: Reading) -> ChipLayer:
    """The layer on some chips; its draws depend on its name, so that equal layers of two networks fare alike."""
    cells = with_wire_resistance(program(layer.design, chips, (seed, _digest(layer.name))))
    generator = torch.Generator().manual_seed(_digest(f"{seed}/{layer.name}/{chips.start}"))
    return ChipLayer(layer.form, cells, _bias(layer), reading, generator)


def _digest(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "big")


def _bias(layer: _Layer) -> Tensor | None:
    return layer.module.bias if isinstance(layer.module.bias, Tensor) else None


def _calibrate(network: nn.Module, layers: Sequence[_Layer], examples: Tensor) -> dict[str, Probe]:
    """What each layer sees when error-free chips run the examples."""
    probes = {layer.name: Probe(layer.form, layer.design, _bias(layer)) for layer in layers}
    device = device_of(network)
    unlabelled = Split(examples, torch.zeros(len(examples), dtype=torch.int64))
    with _replaced({layer.module: probes[layer.name] for layer in layers}):
        for x, _ in batches(unlabelled, _CALIBRATION_BATCH):
            network(x.to(device))
        if layers[0].design.spec.adc_bits and layers[0].design.spec.adc_range == "calibrated":
            for probe in probes.values():
                probe.start_ranging()
            for x, _ in batches(unlabelled, _CALIBRATION_BATCH):
                network(x.to(device))
    return probes


def _reading(layer: _Layer, probe: Probe) -> Reading:
    device = layer.design.spec
    limits = None
    if device.adc_bits:
        limits = full_range(layer.design, probe.signed) if device.adc_range == "full" else probe.limits()
    return Reading(probe.input_scale(), limits)


def _count(
    network: nn.Module, split: Split, chips: int, batch_size: int, progress: Callable[[int], object] | None
) -> list[float]:
    """Accuracy of each of the chips that are in place; for regression minus the mean error."""
    device = device_of(network)
    sums = torch.zeros(chips, dtype=torch.float64)
    for samples, targets in batches(split, batch_size):
        x = samples.to(device)
        repeated = x.repeat_interleave(chips, 0 if split.is_static else 1)
        outputs = network(repeated).reshape(len(targets), chips, -1).cpu()
        if split.is_regression:
            sums -= sample_errors(outputs, targets[:, None], split).sum(0)
        else:
            sums += (outputs.argmax(2) == targets[:, None]).sum(0)
        if progress is not None:
            progress(len(targets) * chips)
    return (sums / len(split)).tolist()


@contextmanager
def _replaced(forwards: Mapping[nn.Module, Callable[[Tensor], Tensor]]) -> Iterator[None]:
    """Modules compute with other functions while the context lasts."""
    try:
        for module, forward in forwards.items():
            module.__dict__["forward"] = forward
        yield
    finally:
        for module in forwards:
            module.__dict__.pop("forward", None)
