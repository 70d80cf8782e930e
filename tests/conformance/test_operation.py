"""Every registered kind of operation."""

from hasnas.conformance import CheckOperation
from hasnas.search_spaces.operations import OPERATIONS


class TestOperations(CheckOperation):
    names = OPERATIONS.names()
