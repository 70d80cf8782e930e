"""Every registered executor."""

import pytest

from hasnas.conformance import CheckExecutor
from hasnas.nas.executors import EXECUTORS

pytestmark = pytest.mark.slow


class TestExecutors(CheckExecutor):
    names = EXECUTORS.names()
