"""What a spiking network costs on compute-in-memory crossbars."""

from .activity import Activity as Activity
from .constants import Constant as Constant
from .estimator import estimate as estimate
from .estimator import estimate_costs as estimate_costs
from .estimator import synaptic_operations as synaptic_operations
from .hardware import hardware_names as hardware_names
from .hardware import load_hardware as load_hardware
from .layer_list import read_layers as read_layers
from .nir_reader import read_nir as read_nir
from .report import CostReport as CostReport
from .spec import HardwareSpec as HardwareSpec
from .sweep import SweepPoint as SweepPoint
from .sweep import sweep as sweep
from .units import format_quantity as format_quantity
from .units import parse_quantity as parse_quantity
from .workload import LayerKind as LayerKind
from .workload import LayerSpec as LayerSpec
from .workload import Workload as Workload
