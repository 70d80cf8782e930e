from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from hasnas.errors import BadInputError
from hasnas.nas.supernet.sharing import (
    allowed_codes,
    canonical_codes,
    inherit,
    live_options,
    shared_layers,
    supernet_report,
)
from hasnas.search_spaces.graph import Node
from hasnas.search_spaces.macro import Macro
from hasnas.search_spaces.network import build_network
from hasnas.search_spaces.snasnet import CellSpace, SNASNetSpace
from hasnas.search_spaces.space import all_codes

TINY = Macro((1, 4, 4), classes=2, timesteps=2, channels=2, hidden=0, votes=1, final_pool=1)


def deployed_layers(space: CellSpace, allowed: tuple[tuple[int, ...], ...]) -> dict[str, Node]:
    """Layers with parameters of every architecture of a small space, the long way."""
    codes = next(all_codes(space))
    canonical, connected = space.canonical(codes)
    inside = np.all([np.isin(codes[:, gene], keep) for gene, keep in enumerate(allowed)], axis=0)
    graphs = [space.decode(row).expand() for row in np.unique(canonical[connected & inside], axis=0)]
    return {node.name: node for graph in graphs for node in graph.nodes if node.parameter_count}


@pytest.mark.parametrize("feedback", [False, True])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"cell/0_1": ("none", "conv3x3"), "cell/1_2": ("identity", "conv1x1")},
        {"cell/0_2": ("none",), "cell/1_2": ("avgpool3x3",)},
    ],
)
def test_the_supernet_holds_exactly_the_layers_that_some_architecture_deploys(feedback: bool, options: dict):
    space = CellSpace(TINY, feedback=feedback, nodes=3)
    assert shared_layers(space, options) == deployed_layers(space, allowed_codes(space, options))


def test_feedback_has_no_layers_where_samples_are_too_short_for_it():
    backward = [f".{source}_{target}." for source in range(3) for target in range(source)]
    # Convolution and batch norm of 1x1 and 3x3 in both cells: 8 for each pair. With T = 2 only 2 -> 0 gets through;
    # 2 -> 1 and 1 -> 0 lie on paths with two delays.
    for timesteps, kept in ((1, 0), (2, 8), (3, 24)):
        space = CellSpace(replace(TINY, timesteps=timesteps), feedback=True, nodes=3)
        assert sum(part in name for name in shared_layers(space) for part in backward) == kept


def test_options_that_no_feasible_architecture_uses_are_left_out_and_counted():
    space = CellSpace(TINY, nodes=3)
    feasible = np.array([[0, 1, 3], [2, 1, 3], [3, 2, 0]])  # the first's 1->2 and the last's 0->1 are dead
    options = live_options(space, feasible)
    assert options == {
        "cell/0_1": ("none", "conv1x1"),
        "cell/0_2": ("identity", "conv1x1"),
        "cell/1_2": ("none", "conv3x3"),
    }
    report = supernet_report(space, options)
    # Channels 2 and 4: a 1x1 has c^2 + 2c parameters, a 3x3 9c^2 + 2c; three genes carry both in the full supernet.
    one, three = (4 + 4) + (16 + 8), (36 + 4) + (144 + 8)
    assert (report.options_before, report.options_after) == (15, 6)
    assert report.parameters_before - report.parameters_after == 3 * (one + three) - (2 * one + three)
    assert str(report).startswith("6 of 15 options, ")


def test_nothing_feasible_is_said():
    with pytest.raises(BadInputError, match="no connected architecture is among the feasible ones"):
        live_options(CellSpace(TINY, nodes=3), np.zeros((4, 3), int))


@pytest.mark.parametrize(
    "options, message",
    [
        ({"cell/0_9": ("none",)}, "unknown gene 'cell/0_9'; did you mean"),
        ({"cell/0_1": ("conv9x9",)}, "has no choice 'conv9x9'; did you mean"),
        ({"cell/0_1": ()}, "without a choice"),
        ({"cell/0_2": ("none",), "cell/0_1": ("none",)}, "allow no connected architecture"),
    ],
)
def test_bad_options_are_refused(options: dict, message: str):
    with pytest.raises(BadInputError, match=message):
        shared_layers(CellSpace(TINY, nodes=3), options)


def test_inherited_weights_are_copies_and_cost_no_random_number():
    space = SNASNetSpace(TINY)
    architecture = space.decode((3, 2, 1, 0, 4, 3))
    trained = build_network(architecture.expand(), seed=7).state_dict()
    spare = {**trained, "cell1.0_3.conv3x3.conv.weight": torch.zeros(2, 2, 3, 3)}
    torch.manual_seed(0)
    before = torch.get_rng_state()
    network = inherit(spare, architecture)
    assert torch.equal(torch.get_rng_state(), before)
    assert network.state_dict().keys() == trained.keys()
    with torch.no_grad():
        network.get_submodule("stem.conv").weight.zero_()
    assert trained["stem.conv.weight"].abs().sum() > 0
    assert not any(tensor.is_meta for tensor in network.state_dict().values())


def test_a_path_that_the_supernet_lacks_is_named():
    space = SNASNetSpace(TINY)
    state = build_network(space.decode((1, 1, 1, 1, 1, 1)).expand(), seed=0).state_dict()
    with pytest.raises(BadInputError, match=r"no 'cell1\.0_3\.conv3x3\.conv\.weight'"):
        inherit(state, space.decode((1, 1, 3, 1, 1, 1)))


def test_canonical_codes_clear_dead_choices():
    assert canonical_codes(SNASNetSpace(TINY), (3, 0, 1, 0, 0, 0)) == (0, 0, 1, 0, 0, 0)
