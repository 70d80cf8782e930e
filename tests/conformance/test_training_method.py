"""Every registered training method."""

import pytest

from hasnas.conformance import CheckTrainingMethod
from hasnas.nas.training.methods import TRAINING_METHODS

pytestmark = pytest.mark.slow


class TestTrainingMethods(CheckTrainingMethod):
    names = TRAINING_METHODS.names()
