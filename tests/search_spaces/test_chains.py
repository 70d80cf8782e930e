"""Plain chains: every convolution reads the one before, whatever the number of nodes."""

import pytest

from hasnas.errors import BadInputError
from hasnas.search_spaces.chains import chain, chain_cell, chain_depths
from hasnas.search_spaces.functions import function_key
from hasnas.search_spaces.macro import Macro
from hasnas.search_spaces.snasnet import CellSpace

MACRO = Macro((1, 8, 8), channels=4, timesteps=2, hidden=0, votes=1)


@pytest.mark.parametrize("depth", [0, 1, 2, 3, 4])
def test_a_chain_has_as_many_convolutions_as_asked_for_however_many_nodes(depth: int):
    few, many = chain((depth, 1), MACRO), chain((depth, 1), MACRO, nodes=6)
    layers = [node for node in many.expand().nodes if node.name.startswith("cell1.") and node.name.endswith("conv")]
    assert len(layers) == depth
    assert function_key(few) == function_key(many)


def test_a_chain_is_of_the_space_where_it_has_nodes_enough():
    space = CellSpace(MACRO, shared=False)
    assert space.decode(space.encode(chain((1, 3), MACRO, nodes=4))).genotypes[1] == chain_cell(3, nodes=4)
    with pytest.raises(BadInputError):
        space.encode(chain((1, 4), MACRO, nodes=4))


def test_depths_are_distinct_and_differ_by_one_at_most():
    found = list(chain_depths(3))
    assert len(found) == len(set(found)) == 4 + 4 * 2 * 2
    assert all(max(depths) - min(depths) <= 1 and 0 < max(depths) <= 4 for depths in found)
    assert list(chain_depths(1)) == [(1,), (2,), (3,), (4,)]
