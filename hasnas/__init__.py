"""hasnas: hardware-aware search for spiking neural networks on ReRAM compute-in-memory crossbars."""

__version__ = "0.1.0"
