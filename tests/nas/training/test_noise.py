import numpy as np
import pytest
import torch
from torch import nn

from hasnas.cim_estimator.nonideal import NonidealSpec, load_nonideal, program, to_conductances, to_weights
from hasnas.errors import BadInputError
from hasnas.nas.data.samples import Split
from hasnas.nas.imperfect_chips import evaluate_on_chips
from hasnas.nas.imperfect_chips.layer import ChipLayer, Reading
from hasnas.nas.training.crossbar_forms import form_of
from hasnas.nas.training.noise import WeightNoise, effective_weight, weight_error
from hasnas.search_spaces.layers import Conv2d
from hasnas.search_spaces.quantization import QuantisedConv2d

DEVICE = load_nonideal("rram-typical", {"device_variation": 0.1})
PLAIN = DEVICE.with_changes({"adc_bits": 0, "read_noise": 0, "row_wire_ohm": 0, "column_wire_ohm": 0, "input_bits": 0})
OFFSET = PLAIN.with_changes({"signed": "offset", "columns": 16})


@pytest.mark.parametrize("stuck", [0.0, 0.02])
def test_errors_have_the_moments_of_programmed_chips(stuck: float):
    device = DEVICE.with_changes({"stuck_on": stuck, "stuck_off": 0.0})
    layer = nn.Linear(6, 4)
    layer.weight.data.copy_(torch.linspace(-0.5, 0.5, 24).reshape(4, 6))
    weight = layer.weight.detach()
    drawn = np.stack([weight_error("0", layer, device, (0, step, 7)).double().numpy() for step in range(600)])
    chips = to_weights(program(to_conductances(weight.numpy(), device), 600, seed=11)) - weight.numpy()
    tolerance = 4 * chips.std(0) / np.sqrt(600) * np.sqrt(2)
    assert (np.abs(drawn.mean(0) - chips.mean(0)) < tolerance + 1e-6).all()
    assert np.abs(drawn.std() / chips.std() - 1) < 0.1
    np.testing.assert_allclose(np.quantile(drawn, [0.1, 0.5, 0.9]), np.quantile(chips, [0.1, 0.5, 0.9]), atol=4e-3)
    if not stuck:
        np.testing.assert_allclose(drawn.std(0), chips.std(0), rtol=0.15, atol=1e-6)


def test_steps_differ_and_repeat():
    network = nn.Sequential(nn.Conv2d(4, 4, 3, groups=2), nn.Flatten(), nn.Linear(4, 3))
    clean = {name: value.clone() for name, value in network.state_dict().items()}
    noise, seen = WeightNoise(network, DEVICE, seed=1), []
    for epoch, step in [(0, 0), (0, 1), (1, 0), (0, 0)]:
        noise.perturb(epoch, step)
        seen.append(network[0].weight.detach().clone())
    assert torch.equal(seen[0], seen[3])
    assert len({value.sum().item() for value in seen}) == 3
    assert torch.equal(network[2].bias, clean["2.bias"])
    noise.restore()
    assert all(torch.equal(value, clean[name]) for name, value in network.state_dict().items())


def test_gradients_are_those_at_the_perturbed_weights():
    network = nn.Sequential(nn.Linear(3, 1, bias=False))
    noise, x = WeightNoise(network, DEVICE, seed=1), torch.rand(5, 3)
    noise.perturb(0, 0)
    perturbed = network[0].weight.detach().clone()
    loss = network(x).square().mean()
    loss.backward()
    noise.restore()
    expected = 2 * (x @ perturbed.T * x).mean(0, keepdim=True)
    torch.testing.assert_close(network[0].weight.grad, expected)
    assert not torch.equal(network[0].weight, perturbed)


def test_quantised_layers_are_perturbed_after_rounding():
    layer = QuantisedConv2d(Conv2d(2, 3, 3, weight_bits=3))
    network = nn.Sequential(layer)
    levels, clean = layer.quantised_weight().detach().clone(), layer.weight.detach().clone()
    noise = WeightNoise(network, DEVICE, seed=1)
    noise.perturb(0, 0)
    shifted = effective_weight(layer)
    assert torch.equal(layer.weight, clean)
    torch.testing.assert_close(shifted - levels, weight_error("0", layer, DEVICE, _seed_of(noise)))
    shifted.sum().backward()
    torch.testing.assert_close(layer.weight.grad, torch.ones_like(clean))
    noise.restore()
    assert torch.equal(layer.quantised_weight(), levels)


@pytest.mark.parametrize("bits", [1, 2, 4])
@pytest.mark.parametrize("device", [PLAIN, PLAIN.with_changes({"cell_bits": 1, "weight_bits": 2}), OFFSET])
def test_errors_of_quantised_layers_are_those_of_the_evaluated_chips(bits: int, device: NonidealSpec):
    layer = _with_uneven_columns(bits)
    for seed in range(3):
        chip = _evaluated_weights(layer, device, 1, seed)[0]
        shifted = layer.quantised_weight() + weight_error("0", layer, device, (seed, 5, 9))
        torch.testing.assert_close(shifted.flatten(1), chip, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("bits", [1, 3])
def test_errors_of_quantised_layers_are_distributed_as_on_evaluated_chips(bits: int):
    layer, count, device = _with_uneven_columns(bits), 400, PLAIN.with_changes({"stuck_on": 0, "stuck_off": 0})
    levels = layer.quantised_weight().detach().flatten(1)
    drawn = torch.stack([weight_error("0", layer, device, (1, step, 7)).flatten(1) for step in range(count)])
    chips = _evaluated_weights(layer, device, count, seed=4) - levels
    tolerance = 4 * chips.std(0) / count**0.5 * 2**0.5
    assert ((drawn.mean(0) - chips.mean(0)).abs() < tolerance + 1e-6).all()
    torch.testing.assert_close(drawn.std(0), chips.std(0), rtol=0.2, atol=1e-7)
    by_column = drawn.std(dim=(0, 2))
    assert by_column[2] / by_column[0] > 500, "columns of small weights have small errors"


@pytest.mark.parametrize("bits", [1, 2])
def test_networks_of_few_bits_train_with_noise_and_are_evaluated(bits: int):
    torch.manual_seed(0)
    network = nn.Sequential(QuantisedConv2d(Conv2d(1, 3, 3, weight_bits=bits)), nn.Flatten(), nn.Linear(12, 2))
    x, targets = torch.rand(8, 1, 4, 4), torch.arange(8) % 2
    noise = WeightNoise(network, DEVICE, seed=2)
    noise.perturb(0, 0)
    nn.functional.cross_entropy(network(x), targets).backward()
    noise.restore()
    assert network[0].weight.grad.isfinite().all()
    assert network[0].weight.grad.any()
    accuracy = evaluate_on_chips(network, Split(x, targets), DEVICE, chips=2, seed=0)
    assert 0 <= accuracy.worst <= accuracy.mean <= 1


def _with_uneven_columns(bits: int) -> QuantisedConv2d:
    layer = QuantisedConv2d(Conv2d(2, 3, 2, weight_bits=bits))
    values = torch.randn(3, 2, 2, 2, generator=torch.Generator().manual_seed(3))
    layer.weight.data.copy_(values * torch.tensor([0.001, 0.1, 1.0]).reshape(3, 1, 1, 1))
    return layer


def _evaluated_weights(layer: nn.Conv2d, device: NonidealSpec, chips: int, seed: int) -> torch.Tensor:
    """The weights that the layer computes with on chips of the robustness evaluation, `[chips, outputs, inputs]`."""
    form = form_of("0", layer)
    cells = program(to_conductances(form.matrix(), device), chips, (seed, 5, 9))
    on_chips = ChipLayer(form, cells, None, Reading(), torch.Generator())
    inputs = torch.eye(layer.weight[0].numel()).reshape(-1, *layer.weight.shape[1:])
    return on_chips(inputs.repeat_interleave(chips, 0)).detach().reshape(len(inputs), chips, -1).permute(1, 2, 0)


def test_weights_that_are_not_finite_name_their_layer():
    network = nn.Sequential(nn.Linear(3, 2))
    network[0].weight.data[0, 1] = float("nan")
    with pytest.raises(BadInputError, match="layer 0: weights hold nan"):
        WeightNoise(network, DEVICE, seed=0).perturb(0, 0)


def _seed_of(noise: WeightNoise) -> tuple[int, ...]:
    from hasnas.nas.training.noise import _digest
    from hasnas.nas.training.state import derived_seed

    return derived_seed(noise._seed, "noise", 0), 0, _digest("0")


def test_a_network_without_weights_is_refused():
    with pytest.raises(BadInputError, match="nothing to perturb"):
        WeightNoise(nn.Sequential(nn.Flatten()), DEVICE, seed=0)
