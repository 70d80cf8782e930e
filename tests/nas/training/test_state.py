import pytest
import torch
from torch import nn

from hasnas.errors import BadInputError
from hasnas.nas.config.training import RetrainSection
from hasnas.nas.training.state import (
    build_optimizer,
    derived_seed,
    first_non_finite,
    load_tensors,
    optimizer_tensors,
    restore_optimizer,
    with_prefix,
    without_prefix,
)


def small_network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))


def step(network: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    network(torch.ones(2, 3)).square().sum().backward()
    optimizer.step()


@pytest.mark.parametrize("kind", ["adamw", "adam", "sgd"])
def test_a_restored_optimizer_takes_the_same_steps(kind: str):
    settings = RetrainSection(optimizer=kind, learning_rate=0.1)
    network = small_network()
    optimizer = build_optimizer(network, settings)
    step(network, optimizer)
    tensors = {name: value.clone() for name, value in optimizer_tensors(optimizer, network).items()}

    other = small_network()
    other.load_state_dict(network.state_dict())
    restored = build_optimizer(other, settings)
    restore_optimizer(restored, other, tensors)
    step(network, optimizer)
    step(other, restored)
    for name, value in network.state_dict().items():
        assert torch.equal(value, other.state_dict()[name])


def test_weight_decay_leaves_biases_alone():
    optimizer = build_optimizer(small_network(), RetrainSection(weight_decay=0.5))
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.5, 0.0]
    assert all(parameter.ndim == 1 for parameter in optimizer.param_groups[1]["params"])


def test_prefixes_come_off_again():
    tensors = {"a": torch.ones(1), "b.c": torch.zeros(1)}
    assert without_prefix("x.", {**with_prefix("x.", tensors), "y.a": torch.ones(1)}) == tensors


@pytest.mark.parametrize(
    "change, message",
    [
        ({"0.weight": None}, "lacks tensor '0.weight'"),
        ({"2.weight": torch.ones(1)}, "surplus tensor '2.weight'"),
        ({"0.bias": torch.ones(5)}, r"'0.bias' has shape \[5\]"),
    ],
)
def test_a_state_of_another_network_is_refused(change: dict[str, torch.Tensor | None], message: str):
    tensors = {name: value for name, value in {**small_network().state_dict(), **change}.items() if value is not None}
    with pytest.raises(BadInputError, match=message):
        load_tensors(small_network(), tensors, "file")


def test_the_first_bad_tensor_is_named():
    good, bad = torch.ones(2), torch.tensor([1.0, float("inf")])
    assert first_non_finite([("a", good), ("b", bad), ("c", bad)]) == "b"
    assert first_non_finite([("a", good)]) is None


def test_seeds_differ_by_purpose_and_epoch():
    seeds = {derived_seed(seed, purpose, epoch) for seed in range(5) for purpose in "ab" for epoch in range(20)}
    assert len(seeds) == 200
