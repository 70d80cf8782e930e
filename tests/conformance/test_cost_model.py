"""Every hardware preset."""

from hasnas.cim_estimator import hardware_names
from hasnas.conformance import CheckCostModel


class TestCostModel(CheckCostModel):
    names = hardware_names()
