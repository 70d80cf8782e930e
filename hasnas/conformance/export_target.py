"""What every export format keeps to: the same bytes again, nothing written on refusal, the same answers elsewhere."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from hasnas.cim_estimator.nonideal import NonidealSpec
from hasnas.files import sha256_of
from hasnas.nas.config.plugins import EXPORT_TARGETS
from hasnas.nas.export.run_export import export_network
from hasnas.nas.export.target import NotExpressibleError, Target, TrainedNetwork
from hasnas.search_spaces.architecture import Architecture
from hasnas.search_spaces.cells import Edge, Genotype
from hasnas.search_spaces.macro import Macro

from .neuron import lively
from .search_space import MACRO
from .suite import Suite

DEVICE = NonidealSpec(on_resistance_ohm=1e4, off_resistance_ohm=1e6, cell_bits=2, weight_bits=4, rows=16, columns=16)
NORMALISATION = {"mean": [0.25], "deviation": [2.0], "targets": None}


class CheckExportTarget(Suite):
    """For names in `EXPORT_TARGETS` (entry points `hasnas.export_targets`)."""

    def build(self, name: str) -> Target:
        """The format that is tested."""
        target: Target = EXPORT_TARGETS.get(name)
        return target

    def network(self, macro: Macro = MACRO, operation: str = "conv3x3") -> TrainedNetwork:
        """A chain of convolutions with random weights that fires in every layer."""
        cell = Genotype(2, (Edge(0, 1, operation),))
        architecture = Architecture((cell,), replace(macro, threshold=0.5, hidden=0, votes=1))
        return TrainedNetwork(architecture, lively(architecture), {"normalisation": NORMALISATION}, DEVICE)

    def test_equal_networks_give_equal_bytes(self, name: str) -> None:
        target = self.build(name)
        first, second = (target.render(self.network()) for _ in range(2))
        assert first
        assert all(content for content in first.values())
        assert first == second

    def test_other_networks_give_other_bytes(self, name: str) -> None:
        target = self.build(name)
        assert target.render(self.network()) != target.render(self.network(replace(MACRO, channels=5)))

    def test_what_is_written_answers_as_the_network_does(self, name: str, tmp_path: Path) -> None:
        files = export_network(self.network(), tmp_path / "export", [name])
        card = json.loads((tmp_path / "export" / "card.json").read_text())
        assert card["formats"][name]["opens_in"] == self.build(name).opens_in != ""
        assert {tmp_path / "export" / file for file in card["files"]} == set(files[:-1])
        assert all(sha256_of(tmp_path / "export" / file) == sha for file, sha in card["files"].items())
        assert all(value < 1e-5 for key, value in card["check"].items() if key != "samples")

    def test_a_refusal_is_one_line_that_names_a_layer_and_writes_nothing(self, name: str, tmp_path: Path) -> None:
        for macro in (MACRO, replace(MACRO, neuron="alif")):
            for operation in ("dwsep3x3", "avgpool3x3"):
                trained = self.network(macro, operation)
                told = refusal(self.build(name), trained)
                if told:
                    assert len(told.splitlines()) == 1
                    assert any(f"'{node.name}'" in told for node in trained.network.graph.nodes)
                    with pytest.raises(NotExpressibleError):
                        export_network(trained, tmp_path / "refused", [name])
                    assert not (tmp_path / "refused").exists()


def refusal(target: Target, trained: TrainedNetwork) -> str:
    """Why a format cannot hold a network; empty if it can."""
    try:
        target.render(trained)
    except NotExpressibleError as error:
        return str(error)
    return ""
