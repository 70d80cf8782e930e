"""Every registered executor."""

from hasnas.conformance import CheckExecutor
from hasnas.nas.executors import EXECUTORS


class TestExecutors(CheckExecutor):
    names = EXECUTORS.names()
