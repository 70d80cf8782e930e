"""Torch layers on chips against the numpy crossbars, and the accuracy of networks over chips."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hasnas.cim_estimator.nonideal import (
    NonidealSpec,
    calibrate,
    full_range,
    load_nonideal,
    multiply,
    program,
    to_conductances,
    with_wire_resistance,
)
from hasnas.errors import BadInputError
from hasnas.nas.data.samples import Split
from hasnas.nas.imperfect_chips import ChipAccuracy, evaluate_on_chips, robustness_curve
from hasnas.nas.imperfect_chips.layer import ChipLayer, Reading
from hasnas.nas.imperfect_chips.probe import Probe
from hasnas.nas.training.crossbar_forms import form_of
from hasnas.nas.training.evaluation import evaluate
from hasnas.search_spaces import Architecture, Edge, Genotype, Macro, layers
from hasnas.search_spaces.network import build_network
from hasnas.search_spaces.quantization import QuantisedConv2d, QuantisedLinear
from tests.lively import assert_lively

CHIPS = 3
DEVICES = {
    "linear": NonidealSpec(cell_bits=2, weight_bits=6, device_variation=0.1, rows=16),
    "wires": NonidealSpec(
        device_variation=0.1, off_resistance_ohm=1e5, row_wire_ohm=8, column_wire_ohm=4, rows=16, columns=4
    ),
    "adc": NonidealSpec(cell_bits=2, weight_bits=6, device_variation=0.1, adc_bits=5, rows=16),
    "offset": NonidealSpec(
        cell_bits=2, weight_bits=6, signed="offset", device_variation=0.1, adc_bits=6, rows=16, columns=3,
        off_resistance_ohm=1e5, adc_range="full",
    ),
    "percentile": NonidealSpec(
        cell_bits=3, weight_bits=6, device_variation=0.1, adc_bits=4, adc_percentile=95.0, rows=20
    ),
}  # fmt: skip
MODULES: dict[str, nn.Module] = {
    "conv": nn.Conv2d(4, 6, 3, padding=1),
    "strided": nn.Conv2d(5, 4, (2, 3), stride=2, padding=1, dilation=(1, 2), bias=False),
    "grouped": nn.Conv2d(6, 4, 3, padding=1, groups=2, padding_mode="circular"),
    "linear": nn.Linear(30, 7),
}
for _module in MODULES.values():
    _generator = torch.Generator().manual_seed(0)
    for _parameter in _module.parameters():
        nn.init.normal_(_parameter, std=0.3, generator=_generator)


def inputs_for(module: nn.Module, items: int = 6, binary: bool = True) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    shape = (items, 30) if isinstance(module, nn.Linear) else (items, module.in_channels, 6, 5)  # type: ignore[arg-type]
    values = torch.rand(shape, generator=generator)
    return (values < 0.3).float() if binary else values - 0.4


def as_products(module: nn.Module, x: Tensor) -> tuple[np.ndarray, np.ndarray, Tensor]:
    """Weights `[outputs, inputs]`, inputs `[batch, inputs]` of a layer without groups, and the shape of its output."""
    if isinstance(module, nn.Linear):
        return module.weight.detach().numpy(), x.numpy(), x.new_zeros(len(x), module.out_features)
    assert isinstance(module, nn.Conv2d)
    patches = nn.functional.unfold(x, module.kernel_size, module.dilation, module.padding, module.stride)  # type: ignore[arg-type]
    weights = module.weight.detach().flatten(1).numpy()
    return weights, patches.transpose(1, 2).flatten(0, 1).numpy(), module(x)


def to_map(products: np.ndarray, like: Tensor) -> Tensor:
    """Outputs `[batch, outputs]` of patches as maps."""
    values = torch.from_numpy(products)
    return values if like.dim() == 2 else values.unflatten(0, (len(like), -1)).transpose(1, 2).reshape(like.shape)


@pytest.mark.slow
@pytest.mark.parametrize("binary", [True, False], ids=["spikes", "real"])
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kind", ["conv", "strided", "linear"])
def test_torch_layers_equal_the_numpy_crossbars(kind: str, device: str, binary: bool) -> None:
    module, spec = MODULES[kind], replace(DEVICES[device], input_bits=0 if binary else 4)
    x = inputs_for(module, binary=binary)
    form = form_of("layer", module)
    torch_probe = Probe(form, to_conductances(form.matrix(), spec), None)
    torch_probe(x)
    scale = torch_probe.input_scale()
    assert scale == (None if binary else pytest.approx(float(x.abs().max())))
    torch_probe.start_ranging()
    torch_probe(x)
    weights, patches, like = as_products(module, x)
    design = to_conductances(weights, spec)
    limits = full_range(design, signed_inputs=not binary)
    if spec.adc_range == "calibrated":
        limits = calibrate(with_wire_resistance(design), patches, scale)
        np.testing.assert_allclose(torch_probe.limits().high, limits.high, rtol=1e-4)
    cells = with_wire_resistance(program(to_conductances(form.matrix(), spec), CHIPS, 0))
    layer = ChipLayer(form, cells, None, Reading(scale, limits), torch.Generator())
    y = layer(x.repeat_interleave(CHIPS, 0)).unflatten(0, (len(x), CHIPS))
    for chip in range(CHIPS):
        one = replace(cells, positive=cells.positive[chip, 0], negative=cells.negative[chip, 0])
        expected = to_map(multiply(one, patches, limits, scale), like)
        difference = (y[:, chip] - expected).abs()
        # Where a current lies on the edge between two codes, rounding may decide either way.
        assert (difference > 1e-4).float().mean() < 0.01, f"{(difference > 1e-4).sum()} of {difference.numel()}"


@pytest.mark.parametrize("kind", MODULES)
def test_ideal_chips_are_the_module(kind: str) -> None:
    module = MODULES[kind]
    x = inputs_for(module, binary=False)
    form = form_of("layer", module)
    cells = program(to_conductances(form.matrix(), NonidealSpec(off_resistance_ohm=1e5)), CHIPS, 0)
    layer = ChipLayer(form, cells, module.bias, Reading(), torch.Generator())  # type: ignore[arg-type]
    with torch.no_grad():
        expected = module(x)
        y = layer(x.repeat_interleave(CHIPS, 0)).unflatten(0, (len(x), CHIPS))
        stacked = layer(torch.stack([x, x]).repeat_interleave(CHIPS, 1))
    for chip in range(CHIPS):
        torch.testing.assert_close(y[:, chip], expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(stacked[1], y.flatten(0, 1))


FEW_BITS: dict[str, nn.Module] = {
    "conv": QuantisedConv2d(layers.Conv2d(4, 6, 3, padding=1, bias=True, weight_bits=3)),
    "grouped": QuantisedConv2d(layers.Conv2d(6, 4, 3, padding=1, groups=2, weight_bits=1)),
    "linear": QuantisedLinear(layers.Linear(30, 7, bias=True, weight_bits=4)),
}
for _module in FEW_BITS.values():
    # Columns of very different size: one scale for a whole layer would lose the small ones.
    _sizes = torch.logspace(-2, 0, len(_module.weight)).reshape(-1, *[1] * (_module.weight.dim() - 1))
    nn.init.normal_(_module.weight, std=0.3, generator=torch.Generator().manual_seed(0))
    _module.weight.data.mul_(_sizes)


@pytest.mark.parametrize("signed", ["differential", "offset"])
@pytest.mark.parametrize("kind", FEW_BITS)
def test_cells_hold_the_codes_of_weights_of_few_bits(kind: str, signed: str) -> None:
    module = FEW_BITS[kind]
    bits = max(module.weight_bits, 2)  # type: ignore[call-overload]  # an array stores at least -1, 0 and 1
    x, form = inputs_for(module), form_of("layer", module)
    assert len(np.unique(form.matrix())) <= 2**bits
    device = NonidealSpec(cell_bits=1, weight_bits=bits, signed=signed, off_resistance_ohm=1e5)
    design = to_conductances(form.matrix(), device)
    if signed == "differential":
        stored = np.concatenate([design.positive, design.negative])
        assert np.unique(np.round(stored * 1e8)).size == 2, "no cell lies between off and on"
    layer = ChipLayer(form, program(design, CHIPS, 0), module.bias, Reading(), torch.Generator())  # type: ignore[arg-type]
    with torch.no_grad():
        y = layer(x.repeat_interleave(CHIPS, 0)).unflatten(0, (len(x), CHIPS))
        torch.testing.assert_close(y[:, 1], module(x), atol=1e-5, rtol=1e-4)


def test_a_network_of_few_bits_loses_nothing_on_perfect_cells_of_these_bits() -> None:
    macro = Macro((1, 8, 8), classes=4, timesteps=3, channels=8, hidden=0, votes=1, threshold=0.2, weight_bits=3)
    cell = Genotype(2, (Edge(0, 1, "conv3x3"),))
    network = build_network(Architecture((cell,), macro).expand(), seed=0).eval()
    x = torch.rand(24, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        split = Split(x, network(x).argmax(1))
    assert split.targets.unique().numel() > 1
    assert evaluate_on_chips(network, split, NonidealSpec(cell_bits=2, weight_bits=3), chips=1, seed=0).mean == 1.0
    noisy = NonidealSpec(cell_bits=2, weight_bits=3, device_variation=0.5)
    assert evaluate_on_chips(network, split, noisy, chips=3, seed=0).mean < 1.0


def test_errors_of_values_on_chips() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 2)).eval()
    x = torch.rand(30, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        split = Split(x, network(x) + torch.tensor([0.5, -0.25]), torch.tensor([10.0, 2.0]))
    exact = evaluate_on_chips(network, split, NonidealSpec(), chips=2, seed=0)
    assert exact.mean == pytest.approx(evaluate(network, split), rel=1e-4) == pytest.approx(-(5 + 0.5) / 2, rel=1e-4)
    place = replace(split, place=True)
    assert evaluate_on_chips(network, place, NonidealSpec(), chips=2, seed=0).mean == pytest.approx(
        -((5**2 + 0.5**2) ** 0.5), rel=1e-4
    )
    right = Split(x, split.targets - torch.tensor([0.5, -0.25]), split.unit)
    noisy = evaluate_on_chips(network, right, NonidealSpec(device_variation=0.5), chips=5, seed=0)
    assert noisy.worst < noisy.mean < -0.1


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["grouped", "linear"])
@pytest.mark.parametrize("signed", ["differential", "offset"])
def test_read_noise_is_fresh_and_as_strong_as_in_numpy(kind: str, signed: str) -> None:
    module = MODULES[kind]
    x = inputs_for(module, items=1)
    form = form_of("layer", module)
    spec = NonidealSpec(read_noise=0.05, off_resistance_ohm=1e5, rows=16, columns=3).with_changes({"signed": signed})
    design = to_conductances(form.matrix(), spec)
    cells = replace(design, positive=design.positive[None], negative=design.negative[None])
    layer = ChipLayer(form, cells, None, Reading(), torch.Generator().manual_seed(0))
    y = layer(x.repeat(3000, *[1] * (x.dim() - 1)))
    with torch.no_grad():
        expected = module(x)
        if module.bias is not None:
            expected = expected - module.bias.reshape(-1, *[1] * (x.dim() - 2))  # type: ignore[operator]
    torch.testing.assert_close(y.mean(0, keepdim=True), expected, atol=0.02, rtol=0.02)
    if kind == "linear":
        one = replace(design, positive=design.positive[0], negative=design.negative[0])
        rng = np.random.default_rng(1)
        noisy = np.concatenate([multiply(one, x.numpy(), rng=rng) for _ in range(3000)])
        np.testing.assert_allclose(y.std(0).numpy(), noisy.std(0), rtol=0.1)
    else:
        assert (y.std(0) > 0).any()


def small_network(feedback: bool = False) -> nn.Module:
    edges = [Edge(0, 1, "conv3x3"), Edge(1, 2, "conv1x1"), Edge(0, 2, "identity")]
    cell = Genotype(3, tuple(edges + [Edge(2, 0, "conv1x1")] * feedback))
    macro = Macro((1, 8, 8), classes=3, timesteps=2, channels=4, hidden=8, votes=2)
    network = build_network(Architecture((cell, cell), macro).expand(), seed=0)
    with torch.no_grad():  # statistics and weights that make an untrained network fire
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = None
                module.weight.fill_(3.0)
            if isinstance(module, nn.Linear):
                module.weight.mul_(6.0)
        x = torch.rand(64, 1, 8, 8, generator=torch.Generator().manual_seed(2))
        network(x)
        network.get_submodule("head.classifier").bias -= network.eval()(x).mean(0).repeat_interleave(2)
    assert_lively(network, x)
    return network


def agreement_split(network: nn.Module, samples: int = 24) -> Split:
    """Samples whose targets are what the network clearly says, so that its own accuracy is 1 whatever is rounded."""
    x = torch.rand(2 * samples, 1, 8, 8, generator=torch.Generator().manual_seed(3))
    network.eval()
    with torch.no_grad():
        first, second = network(x).topk(2).values.unbind(1)
        x = x[(first - second).argsort(descending=True)[:samples]]
        split = Split(x, network(x).argmax(1))
    assert len(set(split.targets.tolist())) > 1, "the network must tell samples apart"
    return split


@pytest.mark.slow
@pytest.mark.parametrize("feedback", [False, True])
def test_an_ideal_device_changes_no_prediction(feedback: bool) -> None:
    network = small_network(feedback)
    result = evaluate_on_chips(network, agreement_split(network), NonidealSpec(), chips=3, seed=0)
    assert result == ChipAccuracy(1.0, 0.0, 1.0, (1.0, 1.0, 1.0))


def test_chips_are_reproducible_and_independent_of_their_number() -> None:
    network = small_network()
    split = agreement_split(network)
    device = NonidealSpec(device_variation=0.5, stuck_on=0.05)
    many = evaluate_on_chips(network, split, device, chips=6, seed=1)
    assert many == evaluate_on_chips(network, split, device, chips=6, seed=1)
    assert evaluate_on_chips(network, split, device, chips=2, seed=1).per_chip == many.per_chip[:2]
    assert many.per_chip != evaluate_on_chips(network, split, device, chips=6, seed=2).per_chip
    assert many.worst == min(many.per_chip)
    assert many.mean == pytest.approx(np.mean(many.per_chip))
    assert many.worst < 1.0


@pytest.mark.slow
def test_one_chip_at_a_time_gives_the_same_accuracies(monkeypatch: pytest.MonkeyPatch) -> None:
    network = small_network()
    split, device = agreement_split(network), NonidealSpec(device_variation=0.4, adc_bits=6)
    together = evaluate_on_chips(network, split, device, chips=3, seed=0)
    monkeypatch.setattr("hasnas.nas.imperfect_chips.evaluate._VALUES_PER_PASS", 1)
    assert evaluate_on_chips(network, split, device, chips=3, seed=0) == together
    monkeypatch.undo()
    monkeypatch.setattr("hasnas.nas.imperfect_chips.evaluate._CELLS_PER_PASS", 1)
    assert evaluate_on_chips(network, split, device, chips=3, seed=0) == together


@pytest.mark.slow
def test_worse_devices_are_not_better() -> None:
    network = small_network()
    split = agreement_split(network, samples=60)
    devices = [NonidealSpec(device_variation=variation) for variation in (0.0, 0.1, 0.4, 1.5)]
    means = [result.mean for result in robustness_curve(network, split, devices, chips=4, seed=0)]
    assert means[0] == 1.0
    assert means == sorted(means, reverse=True)
    assert means[-1] < 0.95


@pytest.mark.slow
@pytest.mark.parametrize("name", ["rram-typical", "rram-wan-2022", "rram-cmo-hfox-day"])
def test_whole_presets_run_and_leave_the_network_as_it_was(name: str) -> None:
    network = small_network(feedback=True)
    split = agreement_split(network)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    network.train()
    result = evaluate_on_chips(network, split, load_nonideal(name), chips=2, seed=0)
    assert 0 <= result.worst <= result.mean <= 1
    assert network.training
    assert not any("forward" in vars(module) for module in network.modules())
    for key, value in network.state_dict().items():
        assert torch.equal(value, before[key])


def test_sequences_of_frames_and_plain_modules() -> None:
    class Mean(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(27, 4))

        def forward(self, x: Tensor) -> Tensor:
            return self.layers(x.flatten(0, 1)).unflatten(0, x.shape[:2]).mean(0)

    network = Mean()
    frames = torch.rand(10, 3, 2, 5, 5)
    with torch.no_grad():
        targets = network(frames.transpose(0, 1)).argmax(1)
    assert evaluate_on_chips(network, Split(frames, targets), NonidealSpec(), chips=2, seed=0).mean == 1.0


def test_what_cannot_be_evaluated_is_refused() -> None:
    network = small_network()
    split = agreement_split(network)
    with pytest.raises(BadInputError, match="0 chips"):
        evaluate_on_chips(network, split, NonidealSpec(), chips=0, seed=0)
    with pytest.raises(BadInputError, match="no Conv2d or Linear"):
        evaluate_on_chips(nn.Flatten(), split, NonidealSpec(), chips=1, seed=0)
    with torch.no_grad():
        network.get_submodule("stem.conv").weight[0, 0, 0, 0] = math.nan  # type: ignore[union-attr,index]
    with pytest.raises(BadInputError, match=r"layer stem.conv: weights hold nan"):
        evaluate_on_chips(network, split, NonidealSpec(), chips=1, seed=0)
