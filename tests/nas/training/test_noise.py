import numpy as np
import pytest
import torch
from torch import nn

from hasnas.cim_estimator.nonideal import load_nonideal, program, to_conductances, to_weights
from hasnas.errors import BadInputError
from hasnas.nas.training.noise import WeightNoise, effective_weight, weight_error
from hasnas.search_spaces.graph import Conv2d
from hasnas.search_spaces.quantization import QuantisedConv2d

DEVICE = load_nonideal("rram-typical", {"device_variation": 0.1})


@pytest.mark.parametrize("stuck", [0.0, 0.02])
def test_errors_have_the_moments_of_programmed_chips(stuck: float):
    device = DEVICE.with_changes({"stuck_on": stuck, "stuck_off": 0.0})
    weight = torch.linspace(-0.5, 0.5, 24).reshape(4, 6)
    drawn = np.stack([weight_error(weight, 1, device, (0, step, 7)).double().numpy() for step in range(600)])
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
    torch.testing.assert_close(shifted - levels, weight_error(levels, 1, DEVICE, _seed_of(noise)))
    shifted.sum().backward()
    torch.testing.assert_close(layer.weight.grad, torch.ones_like(clean))
    noise.restore()
    assert torch.equal(layer.quantised_weight(), levels)


def _seed_of(noise: WeightNoise) -> tuple[int, ...]:
    from hasnas.nas.training.noise import _digest
    from hasnas.nas.training.state import derived_seed

    return derived_seed(noise._seed, "noise", 0), 0, _digest("0")


def test_a_network_without_weights_is_refused():
    with pytest.raises(BadInputError, match="nothing to perturb"):
        WeightNoise(nn.Sequential(nn.Flatten()), DEVICE, seed=0)
