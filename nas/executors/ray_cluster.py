"""An executor of processes on any number of machines, by Ray: `pip install 'hasnas[ray]'`."""

from __future__ import annotations

import faulthandler
import math
import os
import secrets
import shutil
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from ipaddress import ip_address
from pathlib import Path
from threading import current_thread, main_thread
from typing import Any

from hasnas.errors import BadInputError, HasnasError
from hasnas.extras import missing_extra
from hasnas.nas.config.executor import RaySection
from hasnas.nas.training.devices import NAME as DEVICE

from .executor import Executor, Outcome, Result, Task, attempt, failure, in_order
from .parcels import Files, Packer, Parcel, needs_of, read_folder, unpack, write_folder

ATTEMPTS = 2
# Tasks of a list that wait at least in Ray's queue, so that nodes which come later have work, and none waits for us.
QUEUED = 256
COUNT_AGAIN_S = 1.0  # how long the number of processors of a cluster is believed
ANSWERS_WITHIN_S = 10.0
GIB = 1 << 30
# Read when Ray is first imported. The second makes Ray take 127.0.0.1 for this node's address, on which its servers
# then listen alone; otherwise they listen on all of the machine's.
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_enable_metrics_collection": "0"}
_LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
_TOKEN, _TOKEN_MODE = "RAY_AUTH_TOKEN", "RAY_AUTH_MODE"


@dataclass
class _Running:
    number: int
    task: Any
    parcel: Parcel
    attempts: int = 1


class RayCluster(Executor):
    """Runs tasks as Ray's, on this machine or on those of a cluster; nothing depends on how many there are.

    Without an address a Ray of this machine starts with the first task and ends with the executor; all its ports are
    on the loopback interface, and guarded by a token. A worker or node that dies costs each of its running tasks one
    retry; a task whose worker dies again is failed, by the machine's fault.

    Args:
        workers: tasks at a time; None for as many as the cluster has room for, or all processors of this machine.
        limit_s: the longest that a task may take; None for any time.
        settings: the address of the cluster, and what a task takes of it.
    """

    def __init__(self, workers: int | None, limit_s: float | None = None, settings: RaySection | None = None) -> None:
        self.settings = settings or RaySection()
        self.limit_s = limit_s
        local = self.settings.address is None
        self.workers = workers or (_processors() if local else None)
        self._ray: Any = None
        self._packer: Packer | None = None
        self._counted = (-math.inf, 0)

    def describe(self) -> str:
        """See `Executor.describe`."""
        if self.settings.address is None:
            return f"Ray on this machine, {self.workers} at a time, its ports on the loopback interface"
        most = "as many at a time as it has room for" if self.workers is None else f"at most {self.workers} at a time"
        return f"Ray cluster {self.settings.address}, {most}; whoever reaches its ports can run programs there"

    def as_completed(
        self, function: Callable[[Task], Result], tasks: Iterable[Task]
    ) -> Iterator[tuple[int, Outcome[Result]]]:
        """See `Executor.as_completed`. Stopping early ends the tasks that run."""
        return self._run(function, tasks, 0)

    def map(self, function: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[Outcome[Result]]:
        """See `Executor.map`. Tasks wait in Ray's queue, where a cluster sees how many nodes it could use."""
        return in_order(self._run(function, tasks, QUEUED))

    def close(self) -> None:
        """End the Ray of this machine, or leave the cluster."""
        if self._ray is not None:
            self._ray.shutdown()
            self._ray = None

    def _run(
        self, function: Callable[[Task], Result], tasks: Iterable[Task], queued: int
    ) -> Iterator[tuple[int, Outcome[Result]]]:
        ray, packer = self._connected()
        source, again = enumerate(tasks), deque[_Running]()
        running: dict[Any, _Running] = {}
        exhausted = False
        try:
            while True:
                while again or (not exhausted and len(running) < max(self._room(), queued)):
                    if again:
                        job = again.popleft()
                    elif (taken := next(source, None)) is None:
                        exhausted = True
                        break
                    else:
                        job = _Running(*taken, packer.parcel(taken[1]))
                    running[self._submit(function, job)] = job
                if not running:
                    return
                (done, *_), _ = ray.wait(list(running), num_returns=1)
                job = running.pop(done)
                outcome = self._collect(done, job)
                if outcome.machine and outcome.attempts == 0 and job.attempts < ATTEMPTS:
                    job.attempts += 1
                    again.append(job)
                    continue
                yield job.number, replace(outcome, attempts=job.attempts)
        finally:
            for reference in running:
                with suppress(Exception):
                    ray.cancel(reference, force=True)

    def _submit(self, function: Callable[[Task], Result], job: _Running) -> Any:
        processes, memory = needs_of(job.task).processes, self.settings.memory_gib
        if self.settings.address is None and self.workers is not None:
            cpus = min(processes, self.workers)
        else:
            cpus = processes
        gpus = self._gpus * processes
        device = os.environ.get(DEVICE, "cpu") if gpus else "cpu"
        options = {"num_cpus": cpus, "num_gpus": gpus, "memory": None if memory is None else int(memory * GIB)}
        return self._work.options(**options).remote(function, job.task, job.parcel, device, self.limit_s)

    def _collect(self, reference: Any, job: _Running) -> Outcome[Any]:
        """The outcome of a task that ended; where its worker or node died, the machine's fault in no attempt."""
        try:
            outcome, files = self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:  # what it gave cannot travel, or it cannot be found there
            return failure(error.cause or error)
        except self._ray.exceptions.RayError as error:
            told = (str(error).splitlines() or [""])[0].rstrip(".")
            late = "" if self.limit_s is None else f", or worked for more than {self.limit_s:g} s"
            return Outcome(error=f"the worker or its node died{late} ({type(error).__name__}: {told})",
                           machine=True, attempts=0)  # fmt: skip
        if files:
            write_folder(Path(job.parcel.folder), files)
        return outcome

    @property
    def _gpus(self) -> float:
        """GPUs, or the share of one, that each process of a task gets."""
        if self.settings.gpus is not None:
            return self.settings.gpus
        import torch

        name = os.environ.get(DEVICE, "cpu")
        return float(name != "cpu" and (name != "auto" or torch.cuda.is_available()))

    def _room(self) -> int:
        """Tasks that run at a time: as many as asked for, or as there is room for now, and one that waits for more."""
        if self.workers is not None:
            return self.workers
        now, (counted, room) = time.monotonic(), self._counted
        if now - counted > COUNT_AGAIN_S:
            there = self._ray.cluster_resources()
            room = int(there.get("CPU", 1))
            if self._gpus:
                room = min(room, int(there.get("GPU", 0) / self._gpus))
            self._counted = now, room
        return room + 1

    def _connected(self) -> tuple[Any, Packer]:
        """Ray, connected, and what makes parcels of its store.

        Raises:
            BadInputError: if Ray is not installed or the cluster does not answer.
        """
        if self._ray is None or self._packer is None:
            check_answers(self.settings.address)
            ray = imported(self.settings.address)
            options: dict[str, Any] = {"logging_level": "ERROR", "log_to_driver": False, "configure_logging": False}
            try:
                with _own_signals():
                    if self.settings.address is None:
                        gpus = {} if self._gpus else {"num_gpus": 0}
                        ray.init(num_cpus=self.workers, include_dashboard=False, **gpus, **options)
                    else:
                        ray.init(address=self.settings.address, **options)
            except (ConnectionError, RuntimeError, ValueError) as error:
                told = (str(error).splitlines() or [""])[0]
                where = self.settings.address or "this machine"
                raise BadInputError(
                    f"ray: no Ray at {where} ({told}); start hasnas on one of the cluster's nodes, see: ray status"
                ) from error
            if self.settings.address is None and not is_loopback(ray.util.get_node_ip_address()):
                ray.shutdown()
                raise HasnasError(
                    "Ray was imported before and would listen on all interfaces; set "
                    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER=0 in the environment first"
                )
            self._ray, self._packer = ray, Packer(ray.put)
            self._work = ray.remote(max_retries=0)(_work)
        return self._ray, self._packer


def _processors() -> int:
    """How many this process may use, where the system says so, or how many there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _own_signals() -> Iterator[None]:
    """Ray puts an end of its own to a process that is asked to end; ours stays."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if current_thread() is main_thread():
            signal.signal(signal.SIGTERM, before)


def imported(address: str | None) -> Any:
    """Ray, which says nothing of its use to anybody and, if the address does not ask for more, stays on loopback.

    Raises:
        BadInputError: if it is not installed.
    """
    wanted = dict(_QUIET)
    if address is None or is_loopback(address.rpartition(":")[0]):
        wanted |= _LOOPBACK
    # Without a token Ray makes one in a file of the home folder; where it runs already, it has decided about that.
    if address is None and _TOKEN not in os.environ and "ray" not in sys.modules:
        wanted |= {_TOKEN_MODE: "token", _TOKEN: secrets.token_hex(32)}
    for name, value in wanted.items():
        os.environ.setdefault(name, value)
    try:
        import ray
        import ray.exceptions
        import ray.util
    except ModuleNotFoundError as error:
        raise missing_extra(error, "executor: ray") or error from error
    return ray


def check_answers(address: str | None) -> None:
    """Try whether anything answers at the head's address, which Ray itself would ask for minutes.

    Raises:
        BadInputError: if nothing does.
    """
    if address in (None, "auto"):
        return
    host, _, port = str(address).rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), ANSWERS_WITHIN_S).close()
    except (OSError, OverflowError) as error:
        raise BadInputError(
            f"ray.address: nothing answers at {address} ({error}); give the head's HOST:PORT, which `ray start --head` "
            "prints, or auto on one of its nodes"
        ) from error


def is_loopback(host: str) -> bool:
    """Whether an address is this machine's own.

    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("10.0.0.7"), is_loopback("node-3")
    (True, True, False, False)
    """
    try:
        return host == "localhost" or ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _work(
    function: Callable[[Any], Any], task: Any, parcel: Parcel, device: str, limit_s: float | None
) -> tuple[Outcome[Any], Files]:
    """What a worker does: unpack, run, and give the outcome with the files that the sender does not see."""
    import ray
    import torch

    torch.set_num_threads(1)
    os.environ[DEVICE] = device
    apart = False
    with open(os.devnull, "w") as nowhere:
        if limit_s is not None:
            faulthandler.dump_traceback_later(limit_s, exit=True, file=nowhere)
        try:
            try:
                apart = unpack(parcel, ray.get)
            except OSError as error:
                return failure(error), {}
            outcome = attempt(function, task)
        finally:
            if limit_s is not None:
                faulthandler.cancel_dump_traceback_later()
    if not apart:
        return outcome, {}
    files = read_folder(Path(parcel.folder))
    shutil.rmtree(parcel.folder, ignore_errors=True)
    return outcome, files
