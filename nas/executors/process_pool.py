"""An executor of several processes that outlives the death of any of them."""

from __future__ import annotations

import math
import os
import signal
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import count
from multiprocessing import connection, get_context, parent_process, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, ForkServerProcess, SpawnContext, SpawnProcess
from multiprocessing.reduction import ForkingPickler
from pickle import PicklingError
from threading import RLock, Thread
from typing import TYPE_CHECKING, Any

from .executor import Executor, Outcome, Result, Task, attempt, failure

if TYPE_CHECKING:
    from multiprocessing.sharedctypes import Synchronized

ATTEMPTS = 2
PRELOADED = ("hasnas.nas.stages.evaluation",)  # by name: where it cannot be imported, the task says so
STARTING_S = 60.0  # a process that starts has not said anything yet
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
_NUMBER_VARIABLE = "HASNAS_WORKER"  # as hasnas.nas.training.devices reads it
_start_lock = RLock()


@dataclass
class _Worker:
    process: SpawnProcess | ForkServerProcess
    pipe: Connection
    heard: Synchronized[float]  # when it last said that it lives, by the machine's monotonic clock
    number: int  # among the workers of the pool, by which it takes a GPU
    working_on: tuple[int, Any] = (-1, None)  # its task, with the number of that
    begun: float = 0.0  # when it began with that
    ended: str = ""  # why it was ended, if it was


class ProcessPool(Executor):
    """Runs tasks in processes of one thread each that share nothing with this one; they stay for the next `map`.

    A worker that dies, is silent for too long, or works on one task for too long costs its task one retry in a fresh
    worker; a task whose worker ends again is failed, by the machine's fault.

    Args:
        workers: processes at a time; they start when first needed.
        silence_s: a worker that has not said for so long that it lives is killed; however long a task takes, a thread
            beside it says so every second.
        limit_s: the longest that a task may take; None for any time.
    """

    def __init__(self, workers: int, silence_s: float = 300.0, limit_s: float | None = None) -> None:
        self.workers = workers
        self.silence_s = silence_s
        self.limit_s = limit_s
        self._idle: list[_Worker] = []
        self._numbers: set[int] = set()  # of the workers that live, those of a `map` within a `map` among them

    def as_completed(
        self, function: Callable[[Task], Result], tasks: Iterable[Task]
    ) -> Iterator[tuple[int, Outcome[Result]]]:
        """See `Executor.as_completed`. Stopping early ends the workers that are busy."""
        source, again = enumerate(tasks), deque[tuple[int, Task]]()
        attempts: Counter[int] = Counter()
        busy: list[_Worker] = []
        try:
            while True:
                while len(busy) < self.workers and (taken := again.popleft() if again else next(source, None)):
                    attempts[taken[0]] += 1
                    busy.append(self._give(taken, function))
                if not busy:
                    return
                worker = self._ready(busy)
                busy.remove(worker)
                number, task = worker.working_on
                outcome = self._collect(worker)
                if outcome is None and attempts[number] < ATTEMPTS:
                    again.append((number, task))
                    continue
                reason = f"the worker {worker.ended or 'died'} (exit code {worker.process.exitcode})"
                died = Outcome[Result](error=reason, machine=True)
                yield number, replace(outcome or died, attempts=attempts.pop(number))
        finally:
            for worker in busy:
                self._stop(worker)

    def close(self) -> None:
        """End the workers."""
        while self._idle:
            self._stop(self._idle.pop())

    def _stop(self, worker: _Worker) -> None:
        worker.pipe.close()
        worker.process.kill()
        worker.process.join()
        self._numbers.discard(worker.number)

    def _give(self, taken: tuple[int, Task], function: Callable[[Task], Result]) -> _Worker:
        worker = self._take()
        worker.working_on = taken
        worker.begun = time.monotonic()
        worker.ended = ""
        try:
            worker.pipe.send((function, taken[1]))
        except OSError:  # it died just now; its closed pipe says so when it is collected
            return worker
        except BaseException:
            self._stop(worker)
            raise
        return worker

    def _take(self) -> _Worker:
        """An idle worker, or a new one."""
        while self._idle:
            worker = self._idle.pop()
            if not worker.pipe.poll():  # who has nothing to do has nothing to say, except that it is gone
                return worker
            self._stop(worker)
        worker = _start(next(number for number in count() if number not in self._numbers))
        self._numbers.add(worker.number)
        return worker

    @property
    def _pause(self) -> float:
        return min(1.0, self.silence_s / 4, math.inf if self.limit_s is None else self.limit_s / 4)

    def _ready(self, busy: list[_Worker]) -> _Worker:
        """The first that has answered or died; waits for one, and ends those that hang."""
        while not (pipes := connection.wait([worker.pipe for worker in busy], timeout=self._pause)):
            now = time.monotonic()
            for worker in busy:
                if worker.heard.value > now:  # it starts, and has not said anything yet
                    worker.begun = now
                elif now - worker.heard.value > self.silence_s:
                    worker.ended = f"was silent for {self.silence_s:g} s"
                elif self.limit_s is not None and now - worker.begun > self.limit_s:
                    worker.ended = f"worked for more than {self.limit_s:g} s"
                if worker.ended:
                    worker.process.kill()
        return next(worker for worker in busy if worker.pipe in pipes)

    def _collect(self, worker: _Worker) -> Outcome[Any] | None:
        """The outcome of a worker that has answered; `None` if it has died."""
        try:
            outcome = worker.pipe.recv()
        except (EOFError, OSError):
            self._stop(worker)
            return None
        self._idle.append(worker)
        return outcome


def _context() -> SpawnContext | ForkServerContext:
    """How processes start: forked from a process that has imported what tasks need and has run nothing.

    That takes 0.1 s for each, where a new interpreter imports for seconds. A process that may use a GPU is not forked:
    CUDA does not outlive it.
    """
    torch = sys.modules.get("torch")
    if sys.platform == "win32" or (torch is not None and torch.cuda.is_available()):
        return get_context("spawn")
    context = get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))  # without effect once it runs
    return context


def _start(number: int) -> _Worker:
    context = _context()
    ours, theirs = context.Pipe()
    heard = context.Value("d", time.monotonic() + STARTING_S)
    resource_tracker.ensure_running()  # its own start would let interrupts through again
    with _start_lock, _variables(number), _interrupts_blocked():
        process = context.Process(target=_serve, args=(theirs, heard, dict(os.environ)), daemon=True)
        process.start()
    theirs.close()
    return _Worker(process, ours, heard, number)


@contextmanager
def _variables(number: int) -> Iterator[None]:
    """Children start with one thread for each numeric library, and know their number."""
    wanted = {**dict.fromkeys(_THREAD_VARIABLES, "1"), _NUMBER_VARIABLE: str(number)}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.__setitem__(name, value)


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Children inherit the mask: Ctrl-C reaches the parent alone, which then ends them."""
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(pipe: Connection, heard: Synchronized[float], variables: Mapping[str, str]) -> None:
    """The life of a worker: receive function and task, send the outcome, until the parent is gone."""
    os.environ.clear()  # those of when the process that it was forked from began may be others
    os.environ.update(variables)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_beat, args=(heard,), daemon=True).start()
    Thread(target=_end_with_parent, daemon=True).start()
    with suppress(EOFError, OSError):
        while True:
            outcome = _receive_and_run(pipe)
            try:
                pipe.send(outcome)
            except (TypeError, ValueError, AttributeError, PicklingError) as error:
                pipe.send(failure(error))


def _beat(heard: Synchronized[float]) -> None:
    while True:
        heard.value = time.monotonic()
        time.sleep(1.0)


def _end_with_parent() -> None:
    """A task may take minutes: do not go on with it for a run that was killed."""
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def _receive_and_run(pipe: Connection) -> Outcome[Any]:
    message = pipe.recv_bytes()
    try:
        function, task = ForkingPickler.loads(message)  # importing the function's module may fail in any way
    except Exception as error:
        return failure(error)
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(1)
    return attempt(function, task)
