"""Worker processes die, hang on to nothing, and leave the run alone."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import torch

from hasnas.errors import BadInputError, MachineFaultError
from hasnas.nas.executors import Outcome, StopAtMachineFaults, create_executor
from hasnas.nas.executors.in_process import InProcess
from hasnas.nas.executors.process_pool import ProcessPool
from hasnas.nas.executors.ray_cluster import check_answers

pytestmark = pytest.mark.slow


@pytest.fixture
def pool() -> Iterator[ProcessPool]:
    pool = ProcessPool(2)
    yield pool
    pool.close()


def test_a_worker_that_dies_once_costs_one_retry(pool: ProcessPool, tmp_path: Path):
    marker = str(tmp_path / "died")
    dies_once = f"__import__('os').path.exists({marker!r}) or (open({marker!r}, 'w'), __import__('os')._exit(9))"
    first, second, third = pool.map(eval, ["1", dies_once, "3"])
    assert (first, third) == (Outcome(1), Outcome(3))
    assert second == Outcome(True, attempts=2)


def test_a_task_whose_worker_always_dies_is_failed_and_the_others_are_not(pool: ProcessPool):
    outcomes = list(pool.map(eval, ["1", "__import__('os')._exit(9)", "3", "4"]))
    assert [outcome.value for outcome in outcomes] == [1, None, 3, 4]
    assert outcomes[1] == Outcome(error="the worker died (exit code 9)", attempts=2, machine=True)


def test_a_worker_that_hangs_is_ended():
    pool = ProcessPool(2, silence_s=3.0)
    list(pool.map(eval, ["__import__('torch').get_num_threads()"] * 2))  # both have started
    stopped = "__import__('os').kill(__import__('os').getpid(), __import__('signal').SIGSTOP)"
    slow = "__import__('time').sleep(5) or 2"
    outcomes = list(pool.map(eval, [stopped, slow]))
    pool.close()
    assert outcomes[0] == Outcome(error="the worker was silent for 3 s (exit code -9)", attempts=2, machine=True)
    assert outcomes[1] == Outcome(2), "a task that only takes long is left alone"


def test_a_task_that_takes_too_long_is_tried_once_more():
    pool = create_executor(1, limit_s=2.0)
    endless = "next(iter(lambda: None, 0)) or [None for _ in iter(int, 1)]"
    outcomes = list(pool.map(eval, ["1", endless, "__import__('time').sleep(0.1) or 3"]))
    pool.close()
    assert outcomes[1] == Outcome(error="the worker worked for more than 2 s (exit code -9)", attempts=2, machine=True)
    assert [outcomes[0], outcomes[2]] == [Outcome(1), Outcome(3)]
    with pytest.raises(BadInputError, match="--time-limit is -1"):
        create_executor(2, limit_s=-1)


def test_a_run_stops_at_the_first_fault_of_the_machine():
    executor = StopAtMachineFaults(InProcess())
    outcomes = executor.map(eval, ["1 / 0", "open('/nowhere/at/all')", "2"])
    assert next(outcomes).error.startswith("ZeroDivisionError")
    with pytest.raises(MachineFaultError, match="the machine failed, not a network: FileNotFoundError"):
        next(outcomes)


@pytest.mark.parametrize(
    "failing",
    [
        "__import__('scipy.no_such_part')",
        "(_ for _ in ()).throw(MemoryError())",
        "(_ for _ in ()).throw(RuntimeError('DefaultCPUAllocator: can\\'t allocate memory'))",
        "(_ for _ in ()).throw(RuntimeError('std::bad_alloc'))",
    ],
)
def test_memory_and_what_is_installed_are_the_machines(failing: str):
    assert next(InProcess().map(eval, [failing])).machine


def no_room(task: int) -> int:
    try:
        raise OSError(28, "No space left on device")
    except OSError as error:
        raise BadInputError("cannot write the checkpoint") from error


def test_what_is_told_in_our_words_is_still_the_machine_s_fault():
    (outcome,) = InProcess().map(no_room, [1])
    assert outcome.machine
    assert outcome.error == "BadInputError: cannot write the checkpoint"


def test_a_worker_that_is_killed_while_idle_costs_nothing(pool: ProcessPool):
    (first,) = pool.map(eval, ["__import__('os').getpid()"])
    os.kill(first.value, signal.SIGKILL)
    while psutil.pid_exists(first.value):  # until all of its threads are gone
        time.sleep(0.01)
    (second,) = pool.map(eval, ["__import__('os').getpid()"])
    assert second.attempts == 1
    assert second.value != first.value


def test_workers_stay_for_the_next_tasks(pool: ProcessPool):
    pids = {outcome.value for _ in range(3) for outcome in pool.map(eval, ["__import__('os').getpid()"] * 3)}
    assert len(pids) <= 2
    assert os.getpid() not in pids


def test_workers_start_with_one_thread_for_each_library(pool: ProcessPool):
    before = dict(os.environ)
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
    outcomes = pool.map(eval, [f"__import__('os').environ[{name!r}]" for name in names])
    assert [outcome.value for outcome in outcomes] == ["1"] * len(names)
    assert dict(os.environ) == before


def test_a_function_or_value_that_cannot_travel_fails_its_task_only(pool: ProcessPool):
    outcome, other = pool.map(eval, ["(n for n in [1])", "2"])
    assert "cannot pickle" in outcome.error
    assert other.value == 2
    with pytest.raises(Exception, match=r"(?i)pickle|local object"):
        list(pool.map(lambda task: task, [1]))
    assert [outcome.value for outcome in pool.map(eval, ["1"])] == [1]


def test_stopping_early_ends_the_busy_workers(pool: ProcessPool):
    outcomes = pool.map(eval, ["__import__('os').getpid()", "__import__('time').sleep(600)"])
    next(outcomes)
    workers = [pid for child in psutil.Process().children() for pid in map(_pid, child.children())]
    assert len(workers) == 2
    outcomes.close()
    pool.close()
    assert not any(map(psutil.pid_exists, workers))


def _pid(process: psutil.Process) -> int:
    return process.pid


def test_the_next_workers_begin_at_once_with_the_variables_of_now(pool: ProcessPool, monkeypatch: pytest.MonkeyPatch):
    list(pool.map(eval, ["1", "2"]))
    pool.close()
    monkeypatch.setenv("HASNAS_TEST", "now")
    told = "(__import__('os').environ['HASNAS_TEST'], 'hasnas.nas.stages.evaluation' in __import__('sys').modules)"
    assert [outcome.value for outcome in pool.map(eval, [told, told])] == [("now", True)] * 2


def test_in_process_gives_the_threads_back():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert [outcome.value for outcome in InProcess().map(eval, ["__import__('torch').get_num_threads()"])] == [1]
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_one_worker_is_this_process_and_more_are_a_pool():
    assert isinstance(create_executor(1), InProcess)
    assert isinstance(create_executor(2), ProcessPool)
    for workers in (0, -1, 5000):
        with pytest.raises(BadInputError, match=f"--workers is {workers}"):
            create_executor(workers)
    with pytest.raises(BadInputError, match="in_process runs one at a time, but --workers is 4; choose process_pool"):
        create_executor(4, name="in_process")


# A shell starts its background jobs with interrupts ignored, and with them these tests and their children.
SCRIPT = """
import signal
from hasnas.nas.executors import create_executor

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    executor = create_executor(2)
    try:
        for outcome in executor.map(eval, ["1", "__import__('time').sleep(600)", "__import__('time').sleep(600)"]):
            print(outcome.value, flush=True)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
    finally:
        executor.close()
"""


def start(tmp_path: Path) -> subprocess.Popen[str]:
    """A run with two workers that are busy for ten minutes, in a process group of its own."""
    script = tmp_path / "run.py"
    script.write_text(SCRIPT)
    run = subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert run.stdout is not None
    assert run.stdout.readline() == "1\n"
    return run


def test_an_interrupt_of_the_whole_group_ends_everything_without_a_traceback(tmp_path: Path):
    run = start(tmp_path)
    children = psutil.Process(run.pid).children(recursive=True)
    os.killpg(run.pid, signal.SIGINT)
    output, errors = run.communicate(timeout=300)
    assert (output, errors, run.returncode) == ("interrupted\n", "", 0)
    assert psutil.wait_procs(children, timeout=120)[1] == []


def test_busy_workers_of_a_killed_run_end_with_it(tmp_path: Path):
    run = start(tmp_path)
    children = psutil.Process(run.pid).children(recursive=True)
    assert len(children) >= 2
    run.kill()
    run.communicate(timeout=300)
    assert psutil.wait_procs(children, timeout=120)[1] == []


@pytest.mark.parametrize("port", [None, 99999])
def test_a_ray_cluster_that_is_not_there_is_told_at_once(port: int | None):
    with socket.create_server(("127.0.0.1", 0)) as server:
        free = server.getsockname()[1]
        check_answers(f"127.0.0.1:{free}")
    with pytest.raises(BadInputError, match=r"nothing answers at 127\.0\.0\.1:"):
        check_answers(f"127.0.0.1:{port or free}")
