"""Every registered executor."""

from importlib.util import find_spec
from ipaddress import IPv6Address, ip_address
from pathlib import Path

import psutil
import pytest

from hasnas.conformance import CheckExecutor
from hasnas.nas.executors import EXECUTORS, Executor, Outcome

pytestmark = pytest.mark.slow


class TestExecutors(CheckExecutor):
    names = tuple(name for name in EXECUTORS.names() if name != "ray")


@pytest.mark.skipif(find_spec("ray") is None, reason="Ray is absent: pip install 'hasnas[ray]'")
class TestRay(CheckExecutor):
    names = ("ray",)

    def test_a_worker_that_dies_once_costs_one_retry(self, executor: Executor, tmp_path: Path) -> None:
        marker = str(tmp_path / "died")
        dies_once = f"__import__('os').path.exists({marker!r}) or (open({marker!r}, 'w'), __import__('os')._exit(9))"
        assert list(executor.map(eval, ["1", dies_once])) == [Outcome(1), Outcome(True, attempts=2)]

    def test_a_task_that_takes_too_long_is_tried_once_more_and_is_the_machines_fault(self, executor: Executor) -> None:
        limited = type(executor)(2, 0.5)  # type: ignore[call-arg]
        limited.__dict__ |= {**executor.__dict__, "limit_s": 0.5}  # the Ray that runs
        late, other = limited.map(eval, ["__import__('time').sleep(60)", "2"])
        assert late.error.startswith("the worker or its node died, or worked for more than 0.5 s")
        assert (late.machine, late.attempts, other.value) == (True, 2, 2)

    def test_all_of_its_ports_are_on_loopback(self, executor: Executor) -> None:
        assert list(executor.map(eval, ["1"])) == [Outcome(1)]
        listening = [
            ip_address(connection.laddr.ip)
            for process in psutil.Process().children(recursive=True)
            for connection in process.net_connections("inet")
            if connection.status == psutil.CONN_LISTEN
        ]
        plain = [(one.ipv4_mapped or one) if isinstance(one, IPv6Address) else one for one in listening]
        assert len(plain) > 3
        assert all(one.is_loopback for one in plain), plain
