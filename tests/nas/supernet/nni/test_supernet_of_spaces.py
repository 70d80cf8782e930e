"""Supernets of chains, operations of one's own and searched macro values: a path is the network that inherits it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hasnas.nas.supernet.nni.supernet import build_supernet
from hasnas.nas.supernet.sharing import inherit
from hasnas.search_spaces import Macro
from hasnas.search_spaces.autosnn import AutoSNNSpace
from hasnas.search_spaces.searched_macro import with_searched_macro
from hasnas.search_spaces.snasnet import CellSpace
from hasnas.search_spaces.space import SearchSpace, sample

pytestmark = pytest.mark.slow

MACRO = Macro((1, 8, 8), classes=3, timesteps=2, channels=3, hidden=0, votes=1)
OWN = CellSpace(MACRO, nodes=3, operations=("none", "conv7x7_t0.8", "maxpool5x5"))
SEARCHED = {
    "timesteps": [2, 3],
    "threshold": [0.5, 1.0],
    "neuron": ["lif", "plif"],
    "weight_bits": [0, 4],
    "membrane_bits": [0, 3],
}
SPACES: dict[str, SearchSpace] = {
    "blocks": AutoSNNSpace(MACRO, cells=3),
    "own operations": OWN,
    "searched": with_searched_macro(CellSpace(MACRO, nodes=3, feedback=True), SEARCHED),
}


@pytest.mark.parametrize("name", SPACES)
def test_a_path_equals_the_network_that_inherits_it(name: str) -> None:
    space = SPACES[name]
    supernet = build_supernet(space, seed=1).eval()
    inputs = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    canonical, alive = space.canonical(sample(space, np.random.default_rng(3), 12))
    for codes in canonical[alive][:4]:
        chosen = supernet.sample_of(codes)
        network = supernet.freeze(chosen).eval()
        again = inherit(supernet.state_dict(), space.decode(codes)).eval()
        assert torch.equal(network(inputs), again(inputs))
        assert network.graph.timesteps == space.decode(codes).macro.timesteps
