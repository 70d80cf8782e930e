"""A trained network as files that other tools open."""

from .nir_reader import read_nir as read_nir
from .run_export import export_run as export_run
from .saved_network import load_bare_network as load_bare_network
from .saved_network import load_network as load_network
