"""`space.exportable`: what a form of export has no word for leaves the space before anything is priced."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hasnas.errors import BadInputError
from hasnas.nas.cli import run_command
from hasnas.nas.export.deploy import deploy
from hasnas.nas.export.expressible import kept_to_targets
from hasnas.nas.export.nir_writer import nir_bytes
from hasnas.nas.export.target import NotExpressibleError
from hasnas.search_spaces.autosnn import AutoSNNSpace
from hasnas.search_spaces.macro import Macro
from hasnas.search_spaces.network import build_network
from hasnas.search_spaces.searched_macro import with_searched_macro
from hasnas.search_spaces.snasnet import CellSpace
from hasnas.search_spaces.space import Gene, SearchSpace, sample

MACRO = Macro((1, 8, 8), channels=2, timesteps=2, hidden=0, votes=1)
OPERATIONS = ("none", "identity", "conv3x3", "conv1x1", "maxpool3x3")
CONFIG = """
name: small
dataset: {name: digits}
space: {exportable: nir, operations: [none, conv3x3, maxpool3x3], macro: {channels: 2, timesteps: 2, hidden: 0}}
hardware: rram-32nm
screen: {sample: 200}
"""


def refused_by_nir(space: SearchSpace, count: int) -> int:
    """How many of some random architectures NIR has no words for."""
    codes, connected = space.canonical(sample(space, np.random.default_rng(0), count))
    refused = 0
    for row in codes[connected]:
        network = build_network(space.decode(row.tolist()).expand(), seed=0)
        try:
            nir_bytes(deploy(network.graph, network.state_dict()))
        except NotExpressibleError:
            refused += 1
    return refused


def test_what_is_left_can_be_exported() -> None:
    space = with_searched_macro(CellSpace(MACRO, operations=OPERATIONS), {"neuron": ("alif", "lif", "if")})
    kept = kept_to_targets(space, ["nir"])
    assert list(kept.left_out) == ["neuron=alif", "maxpool3x3"]
    assert "NIR has no word for MaxPool2d" in kept.left_out["maxpool3x3"]
    assert {choice for gene in kept.space.genes for choice in gene.choices} == {*OPERATIONS[:-1], "lif", "if"}
    assert refused_by_nir(space, 8) > 0
    assert refused_by_nir(kept.space, 8) == 0


@pytest.mark.slow
def test_values_that_come_late_among_many_are_found() -> None:
    many = tuple(1 + number / 16 for number in range(17))
    searched = {"neuron": ("alif", "lif"), "threshold": many, "tau": many[1:]}
    kept = kept_to_targets(with_searched_macro(CellSpace(MACRO, operations=OPERATIONS[:3]), searched), ["nir"])
    assert list(kept.left_out) == ["neuron=alif"]


def test_every_one_of_several_forms_must_hold_the_networks() -> None:
    space = CellSpace(MACRO, operations=OPERATIONS)
    assert kept_to_targets(space, ["standalone", "onnx", "neurosim"]).space is space
    assert kept_to_targets(space, []).space is space
    kept = kept_to_targets(space, ["spikesim", "nir"]).space
    assert kept.operations == ("none", "identity", "conv3x3"), "its script knows one kernel size for all, the stem's"


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (AutoSNNSpace(MACRO), "layer 'reduction2.pool': NIR has no word for MaxPool2d, and every network"),
        (CellSpace(MACRO, operations=("none", "maxpool3x3")), "leaves no operation: maxpool3x3 .nir: .*MaxPool2d"),
        (
            with_searched_macro(CellSpace(MACRO), {"neuron": ("alif", "lif_soft_reset")}),
            "NIR has no word for neurons with an adaptive threshold",
        ),
    ],
)
def test_nothing_left_is_an_error_that_names_the_operation(space: SearchSpace, message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        kept_to_targets(space, ["nir"])


@dataclass(frozen=True)
class Pools:
    """A space of one's own, one choice of two operations."""

    macro: Macro
    name: str = "pools"

    @property
    def inner(self) -> CellSpace:
        """Where its cells are drawn in."""
        return CellSpace(self.macro, cells=1, nodes=2, operations=OPERATIONS)

    cells = 1
    genes = (Gene("pool", ("conv", "pool")),)

    def decode(self, codes: Any) -> Any:
        """See `SearchSpace`."""
        return self.inner.decode([(2, 4)[int(codes[0])]])

    def canonical(self, codes: Any) -> Any:
        """See `SearchSpace`."""
        return np.asarray(codes), np.ones(len(codes), bool)


def test_a_space_without_names_of_operations_is_told_to_leave_it_out_itself() -> None:
    with pytest.raises(BadInputError, match="no field 'operations' to leave it out of"):
        kept_to_targets(Pools(MACRO), ["nir"])
    assert kept_to_targets(Pools(MACRO), ["standalone"]).left_out == {}


def test_the_command_line_says_what_was_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "small.yaml"
    path.write_text(CONFIG)
    assert run_command(["validate", str(path)]) == 0
    told = capsys.readouterr().out
    assert "64 architectures" in told
    assert "note: space.exportable leaves out maxpool3x3 (nir: layer" in told
    for change, message in (
        ("space.exportable=nri", "did you mean 'nir'?"),
        ("space.operations=[none,maxpool3x3]", "leaves no operation: maxpool3x3"),
    ):
        assert run_command(["validate", str(path), change]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert message in line
