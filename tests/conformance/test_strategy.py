"""Every registered strategy."""

import pytest

from hasnas.conformance import CheckStrategy
from hasnas.nas.strategies import STRATEGIES

pytestmark = pytest.mark.slow


class TestStrategies(CheckStrategy):
    names = STRATEGIES.names()
