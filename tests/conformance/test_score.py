"""Every registered training-free score."""

import pytest

from hasnas.conformance import CheckScore
from hasnas.nas.scoring import SCORES

pytestmark = pytest.mark.slow


class TestScores(CheckScore):
    names = SCORES.names()
