"""Every registered cost."""

from hasnas.conformance import CheckCost
from hasnas.nas.budget.costs import COSTS


class TestCosts(CheckCost):
    names = COSTS.names()
