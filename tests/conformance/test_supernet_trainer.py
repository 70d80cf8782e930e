"""Every registered supernet trainer."""

import pytest

from hasnas.conformance import CheckSupernetTrainer
from hasnas.nas.config.plugins import SUPERNET_TRAINERS

pytestmark = pytest.mark.slow


class TestSupernetTrainers(CheckSupernetTrainer):
    names = SUPERNET_TRAINERS.names()
