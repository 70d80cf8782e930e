"""A history of a run, as a ledger would hold it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from hasnas.nas.config.loading import config_from_tree, dump_config
from hasnas.nas.config.run import RunConfig
from hasnas.nas.history.ledger import Ledger
from hasnas.nas.history.quality import REGRESSION
from hasnas.nas.history.trial import Trial
from hasnas.search_spaces.architecture import Architecture
from hasnas.search_spaces.cells import Edge, Genotype
from hasnas.search_spaces.macro import Macro

TREE = {
    "name": "small",
    "seed": 3,
    "dataset": {"name": "digits"},
    "hardware": "rram-32nm",
    "space": {"macro": {"channels": 2, "timesteps": 2, "hidden": 0, "votes": 1, "final_pool": 4}},
    "budget": {"energy": "1 uJ", "parameters": 5000},
}
START = 1_700_000_000.0


def make_trial(number: int, stage: str, accuracy: float, energy_j: float) -> Trial:
    """A trial of a chain of cells whose operation depends on the number."""
    edge = Edge(0, 3, ("conv3x3", "conv1x1", "identity", "avgpool3x3")[number % 4])
    cell = Genotype(4, (edge, Edge(3, 1, "identity"), Edge(1, 3, "identity")))
    macro = Macro((1, 8, 8), channels=2, timesteps=2, hidden=0, votes=1, final_pool=4)
    architecture = Architecture((cell, cell), macro)
    costs = {"parameters": 100.0 + number, "memory_bits": 1e4, "area_m2": 1e-6, "latency_s": 1e-5, "energy_j": energy_j}
    metrics = {"validation_accuracy": accuracy, "firing_rate": 0.2, "firing_rate/head.lif": 0.3}
    if stage == "retrain":
        metrics["test_accuracy"] = accuracy - 0.01
    broken = {"energy": energy_j / 1e-6} if energy_j > 1e-6 else {}
    return Trial(
        id=number,
        stage=stage,
        key=architecture.key,
        codes=(number % 4,),
        architecture=architecture.to_json(),
        seed=3,
        state="infeasible" if broken else "done",
        metrics=metrics,
        costs=costs,
        verdict=broken,
        time=START + number,
    )


@pytest.fixture(scope="module")
def history() -> list[Trial]:
    """Four candidates, of which the third breaks the budget, and one retrained network."""
    searched = [(0.5, 4e-7), (0.7, 6e-7), (0.9, 2e-6), (0.8, 9e-7)]
    return [
        *(make_trial(number, "search", *values) for number, values in enumerate(searched)),
        make_trial(4, "retrain", 0.95, 5e-7),
    ]


@pytest.fixture
def seeds(history: list[Trial]) -> list[Trial]:
    """The same history with three trainings of the network, the last of which failed."""
    (first,) = (trial for trial in history if trial.stage == "retrain")
    metrics = {**first.metrics, "validation_accuracy": 0.93, "test_accuracy": 0.9}
    second = replace(first, id=5, seed=4, metrics=metrics, time=START + 5)
    third = replace(first, id=6, seed=5, state="failed", metrics={}, costs={}, message="MemoryError", time=START + 6)
    return [*history, second, third]


@pytest.fixture
def errors(history: list[Trial]) -> list[Trial]:
    """The same history as a regression's: what was right is wrong."""
    names = {"validation_accuracy": REGRESSION.validation, "test_accuracy": REGRESSION.test}
    return [
        replace(trial, metrics={names.get(name, name): value for name, value in trial.metrics.items()})
        for trial in history
    ]


@pytest.fixture(scope="module")
def config() -> RunConfig:
    """The config of the run."""
    return config_from_tree(TREE, "small.yaml")


@pytest.fixture
def run(tmp_path: Path, config: RunConfig, history: list[Trial]) -> Path:
    """The run's directory with config and ledger."""
    directory = tmp_path / "small"
    directory.mkdir()
    text = dump_config(config)
    assert yaml.safe_load(text)["name"] == "small"
    (directory / "config.yaml").write_text(text)
    with Ledger(directory / "ledger.jsonl") as ledger:
        ledger.append({"kind": "event", "event": "start", "stage": "run", "details": {}, "time": START})
        for trial in history:
            ledger.append(trial.to_record())
    return directory
