"""Which chains the returned networks are compared with: the deepest and widest that fit, on what is searched."""

import pytest

from hasnas.nas.config.loading import config_from_tree
from hasnas.nas.stages.chosen import plain_chains
from hasnas.nas.stages.context import Setup
from hasnas.nas.stages.progress import Console
from hasnas.search_spaces.joint import JointSpace

MACRO = {"channels": 4, "timesteps": 2, "hidden": 0, "votes": 1, "final_pool": 4}
TREE = {"name": "small", "dataset": {"name": "digits"}, "hardware": "rram-32nm", "space": {"macro": MACRO},
        "supernet": {"enabled": False}}  # fmt: skip


def setup(**changes) -> Setup:
    return Setup(config_from_tree({**TREE, **changes}, "small.yaml"), Console())


def depths(chain) -> tuple[int, ...]:
    return tuple(sum(edge.operation == "conv3x3" for edge in cell.edges) for cell in chain.architecture.genotypes)


def test_two_for_each_cell_come_first_then_one_then_three():
    chains = plain_chains(setup(retrain={"top": 3}), (2, 0, 0, 1, 0, 0))
    assert [depths(chain) for chain in chains] == [(2, 2), (1, 1), (3, 3)]
    assert all(chain.codes for chain in chains)  # cells of four nodes hold three convolutions
    assert len(plain_chains(setup(retrain={"top": 1}), (2, 0, 0, 1, 0, 0))) == 1


def test_where_cells_share_a_resolution_they_share_its_convolutions():
    blocks = {"name": "autosnn", "cells": 3, "macro": {**MACRO, "final_pool": 2}}  # a max pool after the second
    chains = plain_chains(setup(space=blocks, retrain={"top": 2}), (0, 0, 0))
    assert [sum(depths(chain)) for chain in chains] == [4, 2]


def test_within_a_budget_chains_are_as_deep_as_fits(capfd: pytest.CaptureFixture[str]):
    (whole,) = plain_chains(setup(retrain={"top": 1}), (2, 0, 0, 1, 0, 0))
    limit = whole.architecture.expand().parameter_count - 1
    (shorter,) = plain_chains(setup(retrain={"top": 1}, budget={"parameters": limit}), (2, 0, 0, 1, 0, 0))
    assert depths(shorter) == (1, 2)  # as deep as (2, 1), and wider where maps are small
    assert "no plain chain" not in capfd.readouterr().err
    assert plain_chains(setup(budget={"parameters": 500}), (2, 0, 0, 1, 0, 0)) == []
    told = capfd.readouterr().err.splitlines()
    assert len(told) == 1
    assert "no plain chain of this macro fits the budget; parameters: least" in told[0]


def test_what_is_searched_of_the_macro_is_theirs_too():
    searched = {"macro": MACRO, "searched": {"channels": [4, 8], "threshold": [0.5, 1.0]}}
    (free,) = plain_chains(setup(space=searched, retrain={"top": 1}), (2, 0, 0, 1, 0, 0, 0, 1))
    assert (free.architecture.macro.channels, free.architecture.macro.threshold) == (8, 1.0)
    limited = setup(space=searched, retrain={"top": 1}, budget={"parameters": 5000})
    (narrow,) = plain_chains(limited, (2, 0, 0, 1, 0, 0, 1, 0))
    assert (narrow.architecture.macro.channels, narrow.architecture.macro.threshold) == (4, 0.5)
    assert depths(narrow) == (2, 2)  # deep rather than wide


def test_a_chain_has_chip_and_training_of_the_candidate_it_is_compared_with():
    joint = setup(
        hardware={"preset": "rram-32nm", "searched": {"adc.bits": [4, 5]}},
        retrain={"top": 1, "searched": {"learning_rate": [1e-3, 1e-2]}},
    )
    assert isinstance(joint.space, JointSpace)
    (chain,) = plain_chains(joint, (2, 0, 0, 1, 0, 0, 1, 1))
    assert joint.choices(chain.placed) == ({"adc.bits": 5}, {"learning_rate": 1e-2})
    assert chain.key(joint) != chain.architecture.key
