"""What every kind of operation does: all that a space does with it as a choice, under names that say everything."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from hasnas.nas.export.nir_reader import read_nir
from hasnas.search_spaces.architecture import Architecture
from hasnas.search_spaces.cells import Edge, Genotype
from hasnas.search_spaces.operations import OPERATIONS, operation_named
from hasnas.search_spaces.snasnet import CellSpace
from hasnas.search_spaces.space import SearchSpace

from .neuron import FRAMES, lively, refusal
from .search_space import MACRO, CheckSearchSpace


class CheckOperation(CheckSearchSpace):
    """For kinds in `OPERATIONS` (entry points `hasnas.operations`): a space that chooses among what the kind lists."""

    def build(self, name: str) -> SearchSpace:
        """Cells that choose among nothing, a 3 x 3 convolution and the operations that the kind lists."""
        listed = OPERATIONS.get(name).listed
        return CellSpace(MACRO, operations=tuple(dict.fromkeys(("none", "conv3x3", *listed))), feedback=True)

    def test_names_read_back(self, name: str) -> None:
        kind = OPERATIONS.get(name)
        assert kind.kind == name
        assert kind.listed
        for listed in kind.listed:
            operation = operation_named(listed)
            assert (operation.name, operation.kind, type(operation)) == (listed, name, kind)

    def test_kinds_have_numbers_of_their_own(self) -> None:
        codes = [OPERATIONS.get(kind).code for kind in OPERATIONS.names()]
        assert len(set(codes)) == len(codes)

    def test_parameters_are_those_of_the_layers_in_a_network(self, name: str) -> None:
        without = self.architecture("none").expand().parameter_count
        for listed in OPERATIONS.get(name).listed:
            added = self.architecture(listed).expand().parameter_count - without
            assert added == operation_named(listed).parameters(MACRO.channels)

    @torch.no_grad()
    def test_nir_says_the_same_or_refuses_in_one_line(self, name: str, tmp_path: Path) -> None:
        for listed in OPERATIONS.get(name).listed:
            network = lively(self.architecture(listed)).double()
            answers = network(FRAMES.double())
            assert answers.std(0).max() > 0
            told = refusal(network, tmp_path / "network.nir")
            if told is None:
                torch.testing.assert_close(read_nir(tmp_path / "network.nir", torch.float64)(FRAMES.double()), answers)
            else:
                assert len(told.splitlines()) == 1

    def architecture(self, operation: str) -> Architecture:
        """A cell with the operation and, so that a path is left without it, an identity."""
        edges = (Edge(0, 1, operation), Edge(0, 2, "identity"), Edge(1, 2, "identity"))
        return Architecture((Genotype(3, edges),), replace(MACRO, threshold=0.5))
