"""Every registered training-free score."""

from hasnas.conformance import CheckScore
from hasnas.nas.scoring import SCORES


class TestScores(CheckScore):
    names = SCORES.names()
