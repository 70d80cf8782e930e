from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from nni.nas.strategy import RandomOneShot
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from hasnas.errors import BadInputError
from hasnas.nas.supernet.nni.supernet import Supernet, build_supernet
from hasnas.nas.supernet.sharing import inherit, supernet_report
from hasnas.search_spaces.network import build_network
from hasnas.search_spaces.snasnet import CellSpace
from hasnas.search_spaces.space import Codes

pytestmark = pytest.mark.slow

Connected = Callable[[CellSpace, int, int], Codes]


def as_one_shot(supernet: Supernet) -> Supernet:
    """The supernet with its choices replaced as NNI's one-shot strategies replace them."""
    return RandomOneShot().mutate_model(supernet)


def take(supernet: Supernet, codes: tuple[int, ...]) -> None:
    sample = supernet.sample_of(codes)
    for choice in supernet.decisions:
        choice.resample(memo=dict(sample))


def disturb(supernet: Supernet) -> None:
    """Weights and statistics that differ from a fresh network's."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, tensor in supernet.state_dict().items():
            if tensor.is_floating_point():
                noise = torch.rand(tensor.shape, generator=generator)
                tensor.copy_(noise + 0.5 if "norm" in name else tensor * (noise + 4.0))


def test_a_path_equals_the_network_that_inherits_it(space: CellSpace, connected: Connected):
    supernet = as_one_shot(build_supernet(space, seed=1))
    disturb(supernet)
    x = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    outputs = []
    for codes in connected(space, 12, 3):
        take(supernet, codes)
        network = inherit(supernet.state_dict(), space.decode(codes))
        assert network.state_dict().keys() <= supernet.state_dict().keys()
        for training in (False, True):  # in training the statistics of the batch must agree as well
            torch.manual_seed(0)
            expected = network.train(training)(x)
            torch.manual_seed(0)
            assert torch.equal(supernet.train(training)(x), expected)
            outputs.append(expected.detach())
            assert not training or expected.std(0).max() > 0, "every sample is answered alike"
        state = supernet.state_dict()
        assert all(torch.equal(tensor, state[name]) for name, tensor in network.state_dict().items())
    assert len({tuple(output.flatten().tolist()) for output in outputs}) > 6


def test_fresh_paths_start_as_fresh_networks(feedback_space: CellSpace):
    codes = (3, 6, 1, 4, 3, 2)
    supernet = build_supernet(feedback_space, seed=9)
    network = build_network(feedback_space.decode(codes).expand(), seed=9)
    state = supernet.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in network.state_dict().items())


class HandLif:
    """LIF by its equation: v <- v + (x - v) / tau, spike at threshold, reset to 0."""

    def __init__(self, tau: float) -> None:
        self.tau, self.v = tau, torch.zeros(())

    def __call__(self, x: Tensor) -> Tensor:
        self.v = self.v + (x - self.v) / self.tau
        spike = (self.v >= 1.0).to(x)
        self.v = self.v * (1 - spike)
        return spike


def test_feedback_keeps_membranes_from_step_to_step(feedback_space: CellSpace):
    supernet = as_one_shot(build_supernet(feedback_space, seed=2)).eval()
    disturb(supernet)
    codes = (3, 1, 0, 7, 2, 3)  # 0_1 conv3x3, 0_2 identity, 1_2 feedback conv3x3, 1_3 conv1x1, 2_3 conv3x3
    take(supernet.double(), codes)
    x = 4 * torch.rand(5, 1, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    state, macro = supernet.state_dict(), feedback_space.macro

    def conv(name: str, value: Tensor) -> Tensor:
        weight = state[f"{name}.conv.weight"]
        return norm(f"{name}.norm", functional.conv2d(value, weight, padding=weight.shape[-1] // 2))

    def norm(name: str, value: Tensor) -> Tensor:
        mean, variance = state[f"{name}.running_mean"], state[f"{name}.running_var"]
        return functional.batch_norm(value, mean, variance, state[f"{name}.weight"], state[f"{name}.bias"])

    lifs = {name: HandLif(macro.tau) for name in ("a0", "a1", "a2", "r", "b0", "b1", "b2", "head", "hidden")}
    delayed = {"a": torch.zeros(()), "b": torch.zeros(())}

    def cell(short: str, long: str, value: Tensor) -> Tensor:
        first = conv(f"{long}.0_1.conv3x3", lifs[short + "0"](value)) + delayed[short]
        second = value
        spikes = lifs[short + "2"](second)
        delayed[short] = conv(f"{long}.2_1.conv3x3", spikes)
        return conv(f"{long}.1_3.conv1x1", lifs[short + "1"](first)) + conv(f"{long}.2_3.conv3x3", spikes)

    steps = []
    stem = norm("stem.norm", functional.conv2d(x, state["stem.conv.weight"], padding=1))
    for _ in range(macro.timesteps):
        value = lifs["r"](norm("reduction1.norm_in", cell("a", "cell1", stem)))
        value = norm("reduction1.norm", functional.conv2d(value, state["reduction1.conv.weight"], padding=1))
        value = cell("b", "cell2", functional.avg_pool2d(value, 2))
        value = functional.avg_pool2d(lifs["head"](norm("head.norm", value)), macro.final_pool).flatten(1)
        value = lifs["hidden"](value @ state["head.hidden.weight"].T)
        value = value @ state["head.classifier.weight"].T + state["head.classifier.bias"]
        steps.append(value.unflatten(1, (-1, macro.votes)).mean(2))
    expected = torch.stack(steps).mean(0)
    assert expected.std(0).min() > 0
    torch.testing.assert_close(supernet(x), expected, rtol=0, atol=1e-9)


def test_only_the_chosen_layers_work_and_learn(feedback_space: CellSpace):
    supernet = as_one_shot(build_supernet(feedback_space))
    codes = (3, 0, 8, 7, 2, 0)
    take(supernet, codes)
    network = inherit(supernet.state_dict(), feedback_space.decode(codes))
    x = torch.rand(4, 1, 8, 8)
    with FlopCounterMode(display=False) as whole:
        supernet(x).sum().backward()
    with FlopCounterMode(display=False) as path:
        network(x).sum().backward()
    assert whole.get_total_flops() == path.get_total_flops() > 0
    learning = {name for name, parameter in supernet.named_parameters() if parameter.grad is not None}
    assert learning == {name for name, _ in network.named_parameters()}
    seen = {name for name, buffer in supernet.named_buffers() if name.endswith("tracked") and buffer > 0}
    assert seen == {name for name, _ in network.named_buffers() if name.endswith("tracked")}


def test_nothing_is_left_over_after_a_sample(feedback_space: CellSpace):
    supernet = as_one_shot(build_supernet(feedback_space))
    take(supernet, (3, 1, 0, 7, 2, 3))
    x = torch.rand(4, 1, 8, 8)
    first = supernet.eval()(x)
    first.sum().backward()
    second = supernet(x)
    second.sum().backward()  # membranes kept from the first pass would be in a graph that is gone
    assert torch.equal(first, second)
    copied = copy.deepcopy(supernet)
    assert torch.equal(copied(x), first)


def test_a_pair_is_one_decision_over_both_directions_and_both_cells(feedback_space: CellSpace):
    supernet = as_one_shot(build_supernet(feedback_space))
    variables = supernet.simplify()
    assert list(variables) == [gene.label for gene in feedback_space.genes]
    assert all(len(variable.values) == 9 for variable in variables.values())
    sample = {label: "none" for label in variables} | {"cell/0_3": "conv3x3", "cell/1_3": "feedback:conv1x1"}
    assert supernet.contains(sample)
    names = dict(supernet.freeze({**sample, "cell/0_1": "identity"}).named_modules())
    assert not {f"{cell}.1_3" for cell in ("cell1", "cell2")} & names.keys()
    frozen = dict(supernet.freeze({**sample, "cell/0_1": "identity", "cell/1_3": "conv1x1"}).named_modules())
    assert {"cell1.1_3.conv1x1.conv", "cell2.1_3.conv1x1.conv", "cell1.0_3.conv3x3.conv"} <= frozen.keys()


def test_options_that_are_left_out_have_no_weights(feedback_space: CellSpace):
    options = {"cell/0_1": ("none", "conv1x1"), "cell/1_2": ("identity",)}
    supernet = as_one_shot(build_supernet(feedback_space, options))
    names = list(supernet.state_dict())
    assert any(".0_1.conv1x1." in name for name in names)
    assert not [name for name in names if ".0_1.conv3x3." in name or ".1_0." in name or ".1_2." in name]
    count = sum(parameter.numel() for parameter in supernet.parameters())
    assert count == supernet_report(feedback_space, options).parameters_after
    with pytest.raises(BadInputError, match="option 'conv3x3' was left out of the supernet"):
        take(supernet, (3, 0, 0, 1, 0, 1))


def test_without_a_sample_the_first_choices_are_taken():
    from hasnas.search_spaces.macro import Macro

    macro = Macro((1, 8, 8), classes=3, timesteps=2, channels=2, hidden=0, votes=1)
    supernet = build_supernet(CellSpace(macro, nodes=2), {"cell/0_1": ("conv1x1", "conv3x3")})
    assert supernet.codes == (2,)
    assert isinstance(supernet.freeze({"cell/0_1": "conv3x3"}), nn.Module)
