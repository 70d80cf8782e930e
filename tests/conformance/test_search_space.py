"""Every registered space, and spaces that are made from a file or searched with their macro."""

from __future__ import annotations

import numpy as np
import pytest

from hasnas.conformance import CheckSearchSpace
from hasnas.conformance.search_space import MACRO
from hasnas.search_spaces.autosnn import AutoSNNSpace
from hasnas.search_spaces.searched_macro import with_searched_macro
from hasnas.search_spaces.snasnet import CellSpace, SNASNetSpace
from hasnas.search_spaces.space import SPACES, SearchSpace, all_codes, space_size
from hasnas.search_spaces.yaml_space import space_from_tree

OWN_CELL = {
    "version": 1,
    "name": "own_cell",
    "kind": "cell",
    "nodes": 3,
    "shared": False,
    "feedback": True,
    "operations": [
        "none",
        "conv1x1",
        {"name": "large", "kind": "conv", "kernel_size": 7, "threshold": 0.8},
        {"name": "wide_average", "kind": "avg_pool", "kernel_size": 5},
    ],
}
OWN_BLOCKS = {
    "version": 1,
    "name": "own_blocks",
    "kind": "blocks",
    "cells": 4,
    "operations": ["conv3x3", {"name": "eager", "kind": "conv", "kernel_size": 1, "threshold": 0.5}],
    "searched": {"threshold": [0.7, 1.0]},
}
SEARCHED = {
    "timesteps": [1, 3],
    "channels": [4, 6],
    "threshold": [0.5, 1.0],
    "neuron": ["lif", "if"],
    "weight_bits": [0, 4],
}
VARIANTS: dict[str, SearchSpace] = {
    "snasnet feedback": SNASNetSpace(MACRO, feedback=True),
    "own cells": CellSpace(MACRO, shared=False, cells=3, operations=("none", "identity", "conv5x5")),
    "yaml cell": space_from_tree(OWN_CELL, "own_cell.yaml").build(MACRO),
    "yaml blocks": space_from_tree(OWN_BLOCKS, "own_blocks.yaml").build(MACRO),
    "searched cell": with_searched_macro(SNASNetSpace(MACRO, feedback=True), SEARCHED),
    "searched blocks": with_searched_macro(AutoSNNSpace(MACRO), {"timesteps": [2, 3], "weight_bits": [0, 2]}),
}
SIZES = {
    "snasnet": 5**6,
    "snasnet feedback": 9**6,
    "spikenas_bench": 5**6,
    "autosnn": 5**5,
    "hasnas": 7**12,
    "own cells": 3**18,
    "yaml cell": 7**6,
    "yaml blocks": 5**4 * 2,
    "searched cell": 9**6 * 2**5,
    "searched blocks": 5**5 * 2**2,
}


class TestRegistered(CheckSearchSpace):
    names = SPACES.names()


class TestVariants(CheckSearchSpace):
    names = tuple(VARIANTS)

    def build(self, name: str) -> SearchSpace:
        return VARIANTS[name]


@pytest.mark.parametrize("name", SIZES)
def test_size_is_exact(name: str) -> None:
    space = VARIANTS[name] if name in VARIANTS else SPACES.get(name)(MACRO)
    assert space_size(space) == SIZES[name]


def test_whole_forward_space_has_no_repeated_codes() -> None:
    codes = np.concatenate(list(all_codes(SNASNetSpace(MACRO), chunk=4096)))
    assert len(np.unique(codes, axis=0)) == len(codes) == 15_625
