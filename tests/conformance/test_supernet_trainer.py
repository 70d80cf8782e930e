"""Every registered supernet trainer."""

from hasnas.conformance import CheckSupernetTrainer
from hasnas.nas.supernet.settings import SUPERNET_TRAINERS


class TestSupernetTrainers(CheckSupernetTrainer):
    names = SUPERNET_TRAINERS.names()
