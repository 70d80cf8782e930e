"""Every registered training method."""

from hasnas.conformance import CheckTrainingMethod
from hasnas.nas.training.methods import TRAINING_METHODS


class TestTrainingMethods(CheckTrainingMethod):
    names = TRAINING_METHODS.names()
