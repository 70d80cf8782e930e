"""What a spiking network costs on compute-in-memory crossbars."""

from .hardware.constants import Constant as Constant
from .hardware.presets_reader import hardware_names as hardware_names
from .hardware.presets_reader import load_hardware as load_hardware
from .hardware.spec import HardwareSpec as HardwareSpec
from .hardware.units import format_quantity as format_quantity
from .hardware.units import parse_quantity as parse_quantity
from .model.estimator import estimate as estimate
from .model.estimator import estimate_costs as estimate_costs
from .model.estimator import synaptic_operations as synaptic_operations
from .model.totals import Totals as Totals
from .report.report import CostReport as CostReport
from .report.sweep import SweepPoint as SweepPoint
from .report.sweep import sweep as sweep
from .workload.activity import Activity as Activity
from .workload.layer_list import read_layers as read_layers
from .workload.workload import LayerKind as LayerKind
from .workload.workload import LayerSpec as LayerSpec
from .workload.workload import Workload as Workload
