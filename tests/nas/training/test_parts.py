import pytest
import torch
from torch import Tensor
from torch.nn import functional

from hasnas.nas.training.parts import forward_pass, run_part, single_groups, split_graph, statistics_frozen
from hasnas.search_spaces.architecture import Architecture
from hasnas.search_spaces.cells import Edge, Genotype
from hasnas.search_spaces.macro import Macro
from hasnas.search_spaces.network import SpikingNetwork, build_network
from tests.lively import enliven

FEEDBACK = Genotype(3, (Edge(0, 1, "conv3x3"), Edge(1, 2, "conv3x3"), Edge(0, 2, "identity"), Edge(2, 1, "conv1x1")))


def network_of(neuron: str = "lif", dropout: float = 0.3) -> SpikingNetwork:
    macro = Macro(
        (1, 8, 8), classes=3, timesteps=3, channels=4, hidden=6, votes=2, dropout=dropout, neuron=neuron
    )
    return enliven(build_network(Architecture((FEEDBACK, FEEDBACK), macro).expand(), seed=1), seed=1).train()


def step(network: SpikingNetwork, x: Tensor, parts: int) -> tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]:
    torch.manual_seed(5)
    passed = forward_pass(network, x, parts, rates=True)
    loss = functional.cross_entropy(passed.outputs, torch.arange(len(x)) % 3) + sum(passed.rates.values())
    network.zero_grad()
    loss.backward()
    gradients = {name: parameter.grad.clone() for name, parameter in network.named_parameters()}
    return passed.outputs.detach(), gradients, {name: value.clone() for name, value in network.state_dict().items()}


@pytest.mark.slow
@pytest.mark.parametrize("neuron", ["lif", "plif", "alif"])
@pytest.mark.parametrize("parts", [1, 2, 5, 100])
def test_recomputed_parts_give_the_same_bits(parts: int, neuron: str):
    x = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    kept, recomputed = step(network_of(neuron), x, 0), step(network_of(neuron), x, parts)
    assert torch.equal(kept[0], recomputed[0])
    for first, second in zip(kept[1:], recomputed[1:], strict=True):
        assert first.keys() == second.keys()
        for name, value in first.items():
            assert torch.equal(value, second[name]), name


def test_recomputing_keeps_less_for_the_backward_pass():
    x, kept = torch.rand(4, 1, 8, 8), []
    for parts in (0, 4):
        sizes: dict[int, int] = {}

        def note(value: Tensor, sizes: dict[int, int] = sizes) -> Tensor:
            sizes[value.untyped_storage().data_ptr()] = value.numel()
            return value

        with torch.autograd.graph.saved_tensors_hooks(note, lambda value: value):
            forward_pass(network_of(), x, parts)
        kept.append(sum(sizes.values()))
    assert kept[1] < 0.6 * kept[0]


def test_parts_hand_on_what_others_need():
    network = network_of(dropout=0.0)
    x = torch.rand(2, 1, 8, 8)
    whole = network.run(x)
    for parts in (split_graph(network.graph, 3), single_groups(network.graph)):
        assert [name for part in parts for name in part.names] == [
            name for group in network.graph.recurrent_groups for name in group
        ]
        values: dict[str, Tensor] = {}
        with statistics_frozen(network):
            for part in parts:
                results = run_part(network, part, {name: values[name] for name in part.arriving}, x)
                values |= {name: results[name] for name in part.leaving}
        assert torch.equal(values["output"], whole["output"])


def test_plain_passes_are_the_networks_own():
    network = network_of(dropout=0.0).eval()
    x = torch.rand(2, 1, 8, 8)
    passed = forward_pass(network, x, rates=True)
    assert torch.equal(passed.outputs, network(x))
    activity = network.activity(x)
    assert all(abs(rate.item() - activity[name]) < 1e-6 for name, rate in passed.rates.items())
    assert forward_pass(network, x).rates == {}


def test_frozen_statistics_are_used_but_not_remembered():
    network = network_of()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    torch.manual_seed(0)
    with statistics_frozen(network):
        frozen = network(torch.ones(3, 1, 8, 8))
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    torch.manual_seed(0)
    assert torch.equal(network(torch.ones(3, 1, 8, 8)), frozen)
    assert not all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
