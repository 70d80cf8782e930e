"""The network against a time loop written by hand, and the rules of its state."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from hasnas.errors import BadInputError
from hasnas.search_spaces import Architecture, Edge, Genotype, Macro
from hasnas.search_spaces.network import SpikingNetwork, build_network
from hasnas.search_spaces.neurons.modules import neuron_module
from tests.lively import enliven

MACRO = Macro((1, 8, 8), classes=3, timesteps=5, channels=4, hidden=8, votes=2, dropout=0.0)
FEEDBACK = Genotype(
    4,
    (
        Edge(0, 1, "conv3x3"),
        Edge(0, 3, "conv1x1"),
        Edge(1, 3, "identity"),
        Edge(2, 0, "conv3x3"),
        Edge(3, 1, "avgpool3x3"),
        Edge(3, 2, "conv1x1"),
    ),
)
FORWARD = Genotype(4, (Edge(0, 1, "identity"), Edge(0, 3, "conv3x3"), Edge(1, 3, "identity"), Edge(1, 2, "conv1x1")))


class Neuron:
    """v <- v + (x - v) / tau; spike and reset to 0 at the threshold."""

    def __init__(self) -> None:
        self.v: Tensor | float = 0.0

    def __call__(self, x: Tensor) -> Tensor:
        self.v = self.v + (x - self.v) / MACRO.tau
        spike = (self.v >= MACRO.threshold).to(x)
        self.v = self.v * (1 - spike)
        return spike


def trained(genotype: Genotype, seed: int = 0) -> SpikingNetwork:
    """A lively network in double precision, where no spike hangs on rounding, in evaluation mode."""
    return enliven(build_network(Architecture((genotype, genotype), MACRO).expand(), seed), seed, images(32)).double()


def images(count: int, seed: int = 1) -> Tensor:
    """Random images in single precision."""
    return torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(seed))


def by_hand(network: SpikingNetwork, x: Tensor) -> Tensor:
    """The forward pass of FEEDBACK in plain torch, one timestep after the other, as the equations say."""
    p = dict(network.named_parameters()) | dict(network.named_buffers())

    def norm(name: str, value: Tensor) -> Tensor:
        arguments = [p[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
        return functional.batch_norm(value, *arguments)

    def conv(name: str, value: Tensor) -> Tensor:
        kernel = p[f"{name}.conv.weight"]
        return norm(f"{name}.norm", functional.conv2d(value, kernel, padding=kernel.shape[-1] // 2))

    neurons: dict[str, Neuron] = {}

    def fire(name: str, value: Tensor) -> Tensor:
        return neurons.setdefault(name, Neuron())(value)

    back: dict[str, dict[int, Tensor | float]] = {"cell1": {0: 0.0, 1: 0.0, 2: 0.0}, "cell2": {0: 0.0, 1: 0.0, 2: 0.0}}

    def cell(name: str, value: Tensor) -> Tensor:
        b = back[name]
        v0 = value + b[0]
        s0 = fire(f"{name}.0", v0)
        v1 = conv(f"{name}.0_1.conv3x3", s0) + b[1]
        v2 = b[2]
        v3 = conv(f"{name}.0_3.conv1x1", s0) + v1
        s3 = fire(f"{name}.3", v3)
        fed = torch.zeros_like(v3) + v2
        back[name] = {
            0: conv(f"{name}.2_0.conv3x3", fire(f"{name}.2", fed)),
            1: functional.avg_pool2d(v3, 3, 1, 1),
            2: conv(f"{name}.3_2.conv1x1", s3),
        }
        return v3

    outputs = []
    stem = norm("stem.norm", functional.conv2d(x, p["stem.conv.weight"], padding=1))
    for _ in range(MACRO.timesteps):
        value = cell("cell1", stem)
        value = fire("reduction", norm("reduction1.norm_in", value))
        value = functional.avg_pool2d(conv("reduction1", value), 2)
        value = cell("cell2", value)
        value = functional.avg_pool2d(fire("head", norm("head.norm", value)), 2).flatten(1)
        value = fire("hidden", functional.linear(value, p["head.hidden.weight"]))
        value = functional.linear(value, p["head.classifier.weight"], p["head.classifier.bias"])
        outputs.append(value.unflatten(1, (3, 2)).mean(2))
    return torch.stack(outputs)


def test_feedback_network_equals_a_hand_written_time_loop() -> None:
    network = trained(FEEDBACK)
    x = images(6).double()
    with torch.no_grad():
        values = network.run(x)
        torch.testing.assert_close(network.steps(x), by_hand(network, x), rtol=0, atol=1e-9)
    rates = [float(values[f"cell1.{node}.lif"].mean()) for node in (0, 2, 3)]
    assert all(0 < rate < 1 for rate in rates), f"the comparison needs neurons that fire now and then: {rates}"
    assert not torch.equal(values["cell1.3.sum"][0], values["cell1.3.sum"][2]), "feedback must change later timesteps"


@pytest.mark.slow
def test_membranes_do_not_leak_from_sample_to_sample() -> None:
    network = trained(FEEDBACK)
    x, y = images(4, 2).double(), images(4, 3).double()
    with torch.no_grad():
        first = network(x)
        network(y)
        assert not torch.equal(network(y), first)
        assert torch.equal(network(x), first)


def test_stepping_through_time_equals_folding_time_into_the_batch() -> None:
    network = trained(FORWARD)
    x = images(4, 3).double()
    names = tuple(node.name for node in network.graph.nodes[1:])
    with torch.no_grad():
        folded = network.run(x)
        stepped = {"input": x}
        network._run_stepped(names, stepped)
        network.reset()
    torch.testing.assert_close(stepped["output"], folded["output"], rtol=0, atol=1e-9)


def test_an_edge_drawn_twice_through_identity_counts_twice() -> None:
    twice = Genotype(3, (Edge(0, 1, "identity"), Edge(0, 2, "identity"), Edge(1, 2, "identity")))
    values = trained(twice).run(images(2).double())
    torch.testing.assert_close(values["cell1.2.sum"], 2 * values["stem.norm"])


@pytest.mark.slow
def test_same_seed_same_weights_and_shared_layers_start_equal() -> None:
    one, two, other = trained(FEEDBACK), trained(FEEDBACK), trained(FEEDBACK, seed=1)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    assert not torch.equal(one.stem.conv.weight, other.stem.conv.weight)
    fresh = [build_network(Architecture((cell, cell), MACRO).expand(), seed=0) for cell in (FEEDBACK, FORWARD)]
    assert torch.equal(fresh[0].head.hidden.weight, fresh[1].head.hidden.weight)


def test_activity_counts_non_zero_inputs() -> None:
    network = trained(FORWARD)
    x = torch.zeros(2, 1, 8, 8, dtype=torch.float64)
    x[0] = 1
    rates = network.activity(x)
    assert rates["stem.conv"] == 0.5
    assert rates["cell1.0_3.conv3x3.conv"] == rates["cell1.0.lif"]
    assert rates["head.hidden"] >= rates["head.lif"], "a mean over four spikes is non-zero at least as often"


def test_frames_enter_one_for_each_timestep() -> None:
    macro = Macro((2, 8, 8), classes=3, timesteps=5, channels=4, hidden=0, votes=1, static_input=False)
    network = build_network(Architecture((FEEDBACK, FEEDBACK), macro).expand(), seed=0)
    assert network(torch.rand(5, 3, 2, 8, 8)).shape == (3, 3)
    with pytest.raises(BadInputError, match="the network takes"):
        network(torch.rand(4, 3, 2, 8, 8))


def test_dropout_drops_the_same_values_at_every_timestep() -> None:
    macro = Macro((1, 8, 8), classes=3, timesteps=5, channels=4, hidden=0, votes=1, dropout=0.5)
    network = build_network(Architecture((FORWARD, FORWARD), macro).expand(), seed=0).train()
    torch.manual_seed(0)
    values = network.run(torch.rand(8, 1, 8, 8))
    kept = values["head.dropout"] != 0
    fired = values["head.flatten"] != 0
    always = fired.all(0)
    assert always.any()
    assert (kept.any(0)[always] == kept.all(0)[always]).all()


def test_gradients_reach_every_weight_that_fires() -> None:
    network = trained(FEEDBACK).train()
    network(images(8).double()).square().sum().backward()
    assert all(parameter.grad.abs().max() > 0 for parameter in network.parameters())


@pytest.mark.parametrize("shape", [(1, 8, 8), (5, 2, 1, 8, 8), (2, 3, 8, 8)])
def test_samples_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(BadInputError, match="the network takes"):
        trained(FORWARD)(torch.rand(shape))


def test_negative_inputs_are_active_and_zeros_are_not() -> None:
    network = trained(FORWARD)
    x = torch.zeros(1, 1, 8, 8, dtype=next(network.parameters()).dtype)
    x[0, 0, :2], x[0, 0, 2:3] = 1.0, -2.0
    activity = network.activity(x)
    assert activity["stem.conv"] == pytest.approx(24 / 64)
    assert 0 < activity["cell1.0.lif"] < 1
    assert activity["cell1.0_3.conv3x3.conv"] == pytest.approx(activity["cell1.0.lif"])


def test_dropout_drops_a_value_of_a_sample_at_all_timesteps_or_at_none() -> None:
    macro = replace(MACRO, dropout=0.5)
    network = build_network(Architecture((FORWARD, FORWARD), macro).expand(), seed=0)
    x = torch.rand(64, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 4
    torch.manual_seed(0)
    values = network.train().run(x)
    before, after = values["head.flatten"], values["head.dropout"]
    fired = before > 0
    kept = after != 0
    assert torch.equal(after[kept], 2 * before[kept]), "the mean stays"
    assert float(kept[fired].double().mean()) == pytest.approx(0.5, abs=0.1)
    several = fired.sum(0) > 1
    assert int(several.sum()) > 20
    share = (kept & fired).sum(0)[several] / fired.sum(0)[several]
    assert set(share.tolist()) == {0.0, 1.0}
    assert torch.equal(network.eval().run(x)["head.dropout"], network.run(x)["head.flatten"])


@torch.no_grad()
def test_an_answer_by_rate_counts_spikes_of_the_output_neurons() -> None:
    macro = replace(MACRO, readout="rate", votes=3)
    network = build_network(Architecture((FORWARD, FORWARD), macro).expand(), 0)
    network = enliven(network, 0, images(32)).double()
    values, answer = network.run(images(16).double()), network(images(16).double())
    neuron, charge = Neuron(), values["head.classifier"]
    spikes = torch.stack([neuron(current) for current in charge])
    assert torch.equal(spikes, values["head.readout_lif"])
    rate = spikes.mean(0).reshape(16, 3, 3).mean(2)
    assert 0 < rate.mean() < 1
    torch.testing.assert_close(answer, 4 * (rate - 0.5))


@torch.no_grad()
@pytest.mark.parametrize("neuron", ["lif", "if", "plif", "alif", "lif_soft_reset"])
def test_outputs_that_are_read_by_rate_begin_at_a_half(neuron: str) -> None:
    macro = replace(MACRO, readout="rate", votes=3, neuron=neuron, threshold=0.7, tau=2.0, timesteps=8)
    network = build_network(Architecture((FORWARD, FORWARD), macro).expand(), 0)
    bias = network.get_parameter("head.classifier.bias")
    node = network.graph.node("head.readout_lif").operation
    spikes = neuron_module(node).multi_step_forward(bias.expand(8, -1))
    assert spikes.mean() == pytest.approx(0.5, abs=0.26)
    plain = build_network(Architecture((FORWARD, FORWARD), replace(macro, readout="membrane")).expand(), 0)
    assert not plain.get_parameter("head.classifier.bias").any()
