"""Mapped networks on chips without a global clock, event by event: barrier-synchronous, or every core on its own."""

from .kernel import Entry as Entry
from .machine import Machine as Machine
from .machine import machine_of as machine_of
from .prepare import Placement as Placement
from .prepare import Settings as Settings
from .program import Emissions as Emissions
from .program import Kind as Kind
from .program import NeuronArrays as NeuronArrays
from .program import Program as Program
from .program import Synapses as Synapses
from .program import replayed as replayed
from .results import SampleRun as SampleRun
from .results import Simulated as Simulated
from .simulation import simulate as simulate
