"""Parameters of a network as drawn, its key and its file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hasnas.errors import BadInputError
from hasnas.search_spaces import Architecture, Edge, Genotype, Macro

MACRO = Macro((1, 8, 8), classes=3, timesteps=3, channels=4, hidden=8, votes=1)
# Two convolutions leave node 0 at one threshold, a third at another; 1 -> 2 leads nowhere.
LIVE = (Edge(0, 1, "conv3x3_t0.5"), Edge(0, 3, "conv3x3_t0.5"), Edge(1, 3, "conv1x1"))
DEAD = Edge(1, 2, "conv3x3_t1.5")


@pytest.mark.parametrize("neuron", ["lif", "plif"])
def test_without_dead_edges_as_many_parameters_are_drawn_as_deployed(neuron: str) -> None:
    whole = Architecture((Genotype(4, LIVE),) * 2, replace(MACRO, neuron=neuron))
    assert whole.drawn_parameter_count == whole.expand().parameter_count


def test_a_dead_edge_has_parameters_that_are_not_deployed() -> None:
    drawn = Architecture((Genotype(4, (*LIVE, DEAD)), Genotype(4, LIVE)), replace(MACRO, neuron="plif"))
    # A 3 x 3 convolution of 4 channels, its norm, and the time constant of neurons of its own.
    assert drawn.drawn_parameter_count - drawn.expand().parameter_count == 9 * 4 * 4 + 2 * 4 + 1
    assert drawn.canonical() == Architecture((Genotype(4, LIVE),) * 2, drawn.macro)
    assert drawn.canonical().drawn_parameter_count == drawn.expand().parameter_count


def test_the_key_is_of_what_is_deployed() -> None:
    whole = Architecture((Genotype(4, LIVE),) * 2, MACRO)
    beside = Architecture((Genotype(4, (*LIVE, DEAD)), Genotype(4, LIVE)), MACRO)
    assert beside != whole
    assert beside.key == whole.key
    assert len(whole.key) == 16
    others = [replace(whole, macro=replace(MACRO, tau=2.0)), Architecture((Genotype(4, LIVE[1:2]),) * 2, MACRO)]
    assert len({whole.key, *(other.key for other in others)}) == 3


def test_every_cell_needs_a_path() -> None:
    assert Architecture((Genotype(4, LIVE),) * 2, MACRO).is_connected
    assert not Architecture((Genotype(4, LIVE), Genotype(4, (DEAD,))), MACRO).is_connected
    with pytest.raises(BadInputError, match="cell2 has no path"):
        Architecture((Genotype(4, LIVE), Genotype(4, (DEAD,))), MACRO).expand()


@pytest.mark.parametrize(
    "text, message",
    [
        ('{"version": 2}', "not an architecture of version 1 .found 2"),
        ("[]", "found 'list'"),
        ('{"version": 1}', "needs 'cells' and 'macro'; problem at 'cells'"),
        ('{"version": 1, "cells": [], "macro": {"channel": 3}}', "unknown key 'macro.channel'"),
    ],
)
def test_other_files_are_refused_by_name(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(BadInputError, match=rf"a\.json: .*{message}"):
        Architecture.load(tmp_path / "a.json")
