"""Every registered kind of operation."""

import pytest

from hasnas.conformance import CheckOperation
from hasnas.search_spaces.operations import OPERATIONS

pytestmark = pytest.mark.slow


class TestOperations(CheckOperation):
    names = OPERATIONS.names()
