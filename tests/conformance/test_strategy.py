"""Every registered strategy."""

from hasnas.conformance import CheckStrategy
from hasnas.nas.strategies import STRATEGIES


class TestStrategies(CheckStrategy):
    names = STRATEGIES.names()
