"""What all suites share: the names that are put to the test."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import pytest


class Suite:
    """Runs each of its tests that asks for `name` once for each of `names`."""

    names: ClassVar[Sequence[str]]

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """pytest calls this for each test of the class."""
        if "name" in metafunc.fixturenames:
            metafunc.parametrize("name", list(self.names), scope="class")
