"""Every registered kind of neurons."""

from hasnas.conformance import CheckNeuron
from hasnas.search_spaces.neurons import NEURONS


class TestNeurons(CheckNeuron):
    names = NEURONS.names()
