"""One search wherever it runs: is its ledger that of one process? JSON lines.

    python experiments/benchmarks/same_ledgers.py --evaluations 8

The search of the conformance suite (digits, brief trainings of networks with their chips, evolution), by one process,
two workers, a Ray of this machine, Ray on two nodes of this machine, the same with the second node and its workers
killed when half of the trials are on disk, and stopped after that half and gone on with by two workers. Ledgers are
equal where all trials are but for times and hosts.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from hasnas.conformance.strategy import CONFIG
from hasnas.nas.config.executor import RaySection
from hasnas.nas.config.loading import load_config
from hasnas.nas.executors import Executor, create_executor
from hasnas.nas.executors.ray_cluster import RayCluster, imported
from hasnas.nas.history.ledger import Ledger, equal_ledgers
from hasnas.nas.history.trial import Trial
from hasnas.nas.stages.context import RunContext
from hasnas.nas.stages.progress import Console
from hasnas.nas.stages.screen import run_screen
from hasnas.nas.stages.search import run_search

STRATEGIES = ("regularized_evolution", "nsga2")


class OnTrial:
    """A run's view that only counts trials."""

    def __init__(self, half: int, act: Callable[[], None] | None) -> None:
        self.half, self.act, self.seen = half, act, 0

    def on_trial(self, trial: Trial) -> None:
        """Act when half of them are there."""
        self.seen += 1
        if self.seen == self.half and self.act is not None:
            self.act()

    def on_epoch(self, stage: str, epoch: int, metrics: Mapping[str, float]) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


def search(
    folder: Path, strategy: str, evaluations: int, executor: Executor, at_half: Callable[[], None] | None = None
) -> Path:
    """The ledger of a search; one that is there is gone on with."""
    folder.mkdir(exist_ok=True)
    (folder / "config.yaml").write_text(CONFIG)
    changes = [f"search.strategy={strategy}", f"search.evaluations={evaluations}"]
    config = load_config(folder / "config.yaml", changes)
    with Ledger(folder / "ledger.jsonl") as ledger:
        trials = list(map(Trial.from_record, ledger.records.of_kind("trial")))
        watch = OnTrial(evaluations // 2, at_half)
        context = RunContext(config, Console(), folder, ledger, executor, watch, trials)
        run_screen(context)
        run_search(context)
    return folder / "ledger.jsonl"


def main() -> None:
    """Search everywhere and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--evaluations", type=int, default=8)
    evaluations = parser.parse_args().evaluations
    imported("127.0.0.1:0")
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    nodes = [cluster.add_node(num_cpus=1)]

    def kill() -> None:
        raylet = psutil.Process(nodes[-1].all_processes["raylet"][0].process.pid)
        for process in (raylet, *raylet.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                process.kill()

    with tempfile.TemporaryDirectory() as place:
        alone = {one: search(Path(place, one), one, evaluations, create_executor(1)) for one in STRATEGIES}

        def tell(where: str, strategy: str, executor: Executor, act: Any = None, begun: bool = False) -> None:
            folder = Path(place, f"{where}-{strategy}".replace(" ", "-"))
            if begun:
                lines = alone[strategy].read_text().splitlines(keepends=True)
                trials = [number for number, line in enumerate(lines) if '"kind":"trial"' in line]
                folder.mkdir()
                (folder / "ledger.jsonl").write_text("".join(lines[: trials[evaluations // 2]]))
            found = search(folder, strategy, evaluations, executor, act)
            executor.close()
            equal = equal_ledgers(alone[strategy], found)
            print(json.dumps({"where": where, "strategy": strategy, "trials": evaluations, "equal": equal}), flush=True)

        for strategy in STRATEGIES:
            tell("two workers", strategy, create_executor(2))
            tell("resumed by two workers", strategy, create_executor(2), begun=True)
            tell("Ray on two nodes", strategy, RayCluster(None, settings=RaySection(address=cluster.address)))
        for strategy in STRATEGIES:
            there = RayCluster(None, settings=RaySection(address=cluster.address))
            tell("Ray on two nodes, one killed", strategy, there, kill)
            nodes.append(cluster.add_node(num_cpus=1))
        cluster.shutdown()
        for strategy in STRATEGIES:  # in a process that has been on a cluster before
            tell("Ray on one node", strategy, RayCluster(2))


if __name__ == "__main__":
    main()
