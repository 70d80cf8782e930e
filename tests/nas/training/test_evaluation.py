import pytest
import torch
from torch import nn

from hasnas.errors import BadInputError
from hasnas.nas.data.samples import Split, Splits, batches
from hasnas.nas.training.evaluation import evaluate, firing_rates, measure_activity, recalibrate_batch_norm
from hasnas.nas.training.memory import in_batches
from hasnas.search_spaces.architecture import Architecture
from hasnas.search_spaces.lowering import lower
from hasnas.search_spaces.network import build_network
from tests.lively import enliven


@pytest.fixture
def network(architecture):
    return enliven(build_network(Architecture.from_json(architecture).expand(), seed=0)).train()


class FirstPixels(nn.Module):
    """Takes the first pixels for the classes' scores."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        assert not self.training
        return x.flatten(1)


def test_accuracy_by_hand():
    inputs = torch.eye(4).reshape(4, 1, 2, 2)
    split = Split(inputs, torch.tensor([0, 1, 2, 0]))
    model = FirstPixels().train()
    assert evaluate(model, split, batch_size=3) == 0.75
    assert model.training


def test_errors_are_in_the_units_of_the_data():
    inputs = torch.tensor([[0.0, 2.0], [1.0, -1.0]]).reshape(2, 1, 1, 2)
    targets = torch.tensor([[1.0, 2.0], [1.0, 1.0]])
    assert evaluate(FirstPixels(), Split(inputs, targets)) == -(1 + 0 + 0 + 2) / 4
    assert evaluate(FirstPixels(), Split(inputs, targets, torch.tensor([10.0, 0.5])), batch_size=1) == -(10 + 1) / 4


def test_errors_of_a_place_are_distances_in_the_units_of_the_data():
    inputs = torch.tensor([[0.0, 2.0], [1.0, -1.0]]).reshape(2, 1, 1, 2)
    split = Split(inputs, torch.tensor([[3.0, 6.0], [1.0, 1.0]]), place=True)
    assert evaluate(FirstPixels(), split) == -(5 + 2) / 2
    scaled = Split(inputs, split.targets, torch.tensor([4.0, 2.25]), place=True)
    assert evaluate(FirstPixels(), scaled, batch_size=1) == -(15 + 4.5) / 2
    assert evaluate(FirstPixels(), scaled.take(torch.tensor([1]))) == -4.5


def test_nothing_to_evaluate_is_an_error(network):
    empty = Split(torch.zeros(0, 1, 8, 8), torch.zeros(0, dtype=torch.int64))
    with pytest.raises(BadInputError, match="no sample"):
        evaluate(network, empty)
    with pytest.raises(BadInputError, match="no sample"):
        measure_activity(network, empty)


def test_activity_is_the_mean_over_samples(network, few: Splits):
    network.eval()
    together = network.activity(few.validation.inputs)
    assert measure_activity(network, few.validation, batch_size=7) == pytest.approx(together)


def test_activity_fits_the_workload(network, few: Splits):
    activity = measure_activity(network, few.validation)
    workload = lower(network.graph, activity)
    rates = dict(zip(workload.names, workload.input_rate.tolist(), strict=True))
    assert rates["stem.conv"] == activity["stem.conv"] == 1.0
    assert rates["cell1.0_1.conv3x3.conv"] == activity["cell1.0.lif"]
    assert list(firing_rates(network.graph, activity)) == [name for name in activity if name.endswith("lif")]
    assert all(0 < activity[name] < 1 for name in activity if name.endswith("lif"))


def test_recalibration_gives_the_statistics_of_the_batches(network, few: Splits):
    network.eval()
    fixed = [inputs for inputs, _ in batches(few.train, 48)][:2]
    calibrated = recalibrate_batch_norm(network, fixed).state_dict()
    stem = [network.run(inputs)["stem.conv"] for inputs in fixed]
    mean = torch.stack([value.mean((0, 2, 3)) for value in stem]).mean(0)
    variance = torch.stack([value.var((0, 2, 3)) for value in stem]).mean(0)
    torch.testing.assert_close(calibrated["stem.norm.running_mean"], mean)
    torch.testing.assert_close(calibrated["stem.norm.running_var"], variance)
    assert all(torch.equal(value, calibrated[name]) for name, value in network.named_parameters())


def test_recalibration_repeats_and_leaves_the_original_alone(network, few: Splits):
    before = {name: value.clone() for name, value in network.state_dict().items()}
    first = recalibrate_batch_norm(network, [few.train.inputs])
    second = recalibrate_batch_norm(network, [few.train.inputs])
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(torch.equal(value, second.state_dict()[name]) for name, value in first.state_dict().items())
    assert not first.training
    assert network.training
    with pytest.raises(BadInputError, match="no batch"):
        recalibrate_batch_norm(network, [])


def test_batches_are_halved_where_memory_ends():
    split, sizes = Split(torch.arange(11.0).reshape(11, 1, 1, 1), torch.arange(11)), list[int]()

    def greedy(inputs: torch.Tensor, targets: torch.Tensor) -> list[float]:
        sizes.append(len(inputs))
        if len(inputs) > 3:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
        return inputs.flatten().tolist()

    found = in_batches(split, 16, greedy)
    assert [value for batch in found for value in batch] == list(range(11))
    assert sizes == [11, 5, 2, 2, 2, 2, 2, 1]
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        in_batches(split, 4, lambda inputs, targets: torch.zeros(2, 3) @ torch.zeros(2, 3))
