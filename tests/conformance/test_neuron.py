"""Every registered kind of neurons."""

import pytest

from hasnas.conformance import CheckNeuron
from hasnas.search_spaces.neurons import NEURONS

pytestmark = pytest.mark.slow


class TestNeurons(CheckNeuron):
    names = NEURONS.names()
