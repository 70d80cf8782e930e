import torch
from torch import nn

from hasnas.nas.training.average import WeightAverage


def norm(value: float) -> nn.BatchNorm1d:
    module = nn.BatchNorm1d(2)
    nn.init.constant_(module.weight, value)
    return module


def test_the_average_follows_the_weights():
    network = norm(0.0)
    average = WeightAverage(network, decay=0.5)
    expected = 0.0
    for step, value in enumerate([1.0, 2.0, 3.0, 4.0]):
        nn.init.constant_(network.weight, value)
        network.num_batches_tracked.add_(1)
        average.update(network)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * value
    torch.testing.assert_close(average.state["weight"], torch.full((2,), expected))
    assert average.state["num_batches_tracked"] == 4


def test_it_is_applied_for_a_while():
    network = norm(1.0)
    average = WeightAverage(network, decay=0.9)
    nn.init.constant_(network.weight, 5.0)
    with average.applied(network):
        assert network.weight[0] == 1.0
    assert network.weight[0] == 5.0


def test_it_is_stored_and_restored():
    network = norm(1.0)
    first, second = WeightAverage(network, 0.9), WeightAverage(norm(7.0), 0.9)
    first.update(norm(3.0))
    second.restore({name: value.clone() for name, value in first.tensors().items()})
    for average in (first, second):
        average.update(norm(2.0))
    assert first.steps == second.steps == 2
    assert all(torch.equal(value, second.state[name]) for name, value in first.state.items())
