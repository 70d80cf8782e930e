"""A whole run over a depthwise-separable operation and neurons that reset by subtraction, from YAML to files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from hasnas.nas.commands.estimate import Question, answer
from hasnas.nas.export.saved_network import load_bare_network, load_network
from hasnas.nas.history.ledger import read_ledger
from hasnas.nas.run import start_run
from hasnas.nas.tracing.trace import trace_module
from hasnas.search_spaces.architecture import Architecture
from hasnas.search_spaces.layers import Neuron
from hasnas.search_spaces.lowering import lower
from hasnas.search_spaces.neurons.soft_reset import SoftResetLIF

pytestmark = pytest.mark.slow

NEW = [
    "space.operations=[none, dwsep3x3]",
    "space.nodes=3",
    "space.macro.neuron=lif_soft_reset",
    "space.macro.threshold=0.5",
    "budget.parameters=100000",
    "supernet.epochs=1",
    "search.strategy=random",
    "search.evaluations=3",
    "retrain.top=1",
    "retrain.epochs=6",
    "retrain.batch_size=64",
    "export.formats=[json, safetensors]",
]


def test_new_kinds_are_searched_trained_priced_and_exported(tiny_config: Path, tmp_path: Path) -> None:
    run = start_run(tiny_config, NEW, run_directory=tmp_path / "run")
    trials = read_ledger(run / "ledger.jsonl").trials
    assert [trial.stage for trial in trials].count("search") == 3
    (returned,) = [trial for trial in trials if trial.stage == "retrain"]
    assert returned.state == "done"
    assert returned.metrics["test_accuracy"] > 0.2, "twice as good as guessing"
    folder = run / "export" / returned.key
    assert sorted(path.name for path in folder.iterdir() if path.suffix in (".nir", ".safetensors")) == [
        "weights.safetensors"
    ]
    text = json.dumps(json.loads((folder / "architecture.json").read_text()))
    assert "dwsep3x3" in text
    assert "lif_soft_reset" in text
    graph = Architecture.load(folder / "architecture.json").expand()
    neurons = [node.operation for node in graph.nodes if isinstance(node.operation, Neuron)]
    assert {type(operation) for operation in neurons} == {SoftResetLIF}
    samples = torch.rand(8, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 16
    output = load_network(folder)(samples)
    assert (output.std(0) > 0).any()
    rates = load_bare_network(folder).activity(samples)
    assert any(0 < rates[node.name] < 1 for node in graph.nodes if isinstance(node.operation, Neuron))
    traced = trace_module(load_bare_network(folder), samples, graph.timesteps)
    assert lower(traced).names == lower(graph).names
    (told,) = answer(Question(run))
    assert float(told.report.energy_j) == pytest.approx(returned.costs["energy_j"], rel=1e-12)
