"""Ray on one and on two nodes of this machine: the same ledger, whatever dies; ports on loopback alone."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from typing import Any

import psutil
import pytest

from hasnas.conformance.strategy import search
from hasnas.nas.config.executor import RaySection
from hasnas.nas.executors import Outcome, create_executor
from hasnas.nas.executors.ray_cluster import RayCluster, imported
from hasnas.nas.history.ledger import equal_ledgers

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("ray") is None, reason="Ray is absent: pip install 'hasnas[ray]'"),
]


class Nodes:
    """A head and a second node on loopback, with one processor each."""

    def __init__(self) -> None:
        imported("127.0.0.1:0")
        from ray.cluster_utils import Cluster

        self.cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        self.second = self.cluster.add_node(num_cpus=1)
        self.address = self.cluster.address

    def kill_the_second(self) -> None:
        """All of it at once, as where a machine loses its power."""
        raylet = psutil.Process(self.second.all_processes["raylet"][0].process.pid)
        for process in (raylet, *raylet.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                process.kill()


class Watched(RayCluster):
    """Its tasks note that they run, and wait for a word; it remembers how often each was started."""

    def __init__(self, address: str, folder: Path) -> None:
        super().__init__(None, settings=RaySection(address=address))
        self.folder = folder
        self.attempts: list[int] = []

    def _run(self, function: Any, tasks: Any, queued: int) -> Iterator[tuple[int, Outcome[Any]]]:
        folder = self.folder

        def when_told(task: Any) -> Any:
            (folder / f"pid-{os.getpid()}").touch()
            while not (folder / "go").exists():
                time.sleep(0.02)
            return function(task)

        for number, outcome in super()._run(when_told, tasks, queued):
            self.attempts.append(outcome.attempts)
            yield number, outcome


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    nodes = Nodes()
    yield nodes
    nodes.cluster.shutdown()


def test_two_nodes_one_of_which_is_killed_give_the_ledger_of_one_process(nodes: Nodes, tmp_path: Path):
    alone = search(tmp_path / "alone", "random", create_executor(1))
    executor = Watched(nodes.address, tmp_path)

    def kill_when_both_work() -> None:
        while len(list(tmp_path.glob("pid-*"))) < 2:
            time.sleep(0.02)
        nodes.kill_the_second()
        (tmp_path / "go").touch()

    killer = Thread(target=kill_when_both_work)
    killer.start()
    together = search(tmp_path / "together", "random", executor)
    killer.join()
    executor.close()
    assert equal_ledgers(alone, together)
    assert sorted(executor.attempts) == [1, 1, 1, 2], "what ran on the node ran again"
