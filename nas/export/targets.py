"""The forms in which networks are handed over."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from hasnas.cim_estimator.nonideal import NonidealSpec
from hasnas.errors import BadInputError
from hasnas.search_spaces.architecture import ARCHITECTURE_FILE
from hasnas.search_spaces.lowering import lower

from .conductances import conductance_files, device_of
from .elsewhere import tools_that_open
from .layer_tables import neurosim_table, spikesim_lists
from .nir_reader import read_deployed, read_nir
from .nir_writer import FLOAT_MEMBRANES, nir_bytes, to_nir
from .saved_network import NIR_FILE, WEIGHTS_FILE, load_bare_network, weights_bytes
from .standalone import plain_torch, standalone_files
from .target import Check, Target, TrainedNetwork, load_double


class JsonTarget(Target):
    """The architecture."""

    opens_in = "hasnas"

    def render(self, trained: TrainedNetwork) -> Mapping[str, bytes]:
        """See `Target`."""
        return {ARCHITECTURE_FILE: trained.architecture.to_text().encode()}


class SafetensorsTarget(Target):
    """The weights, exactly as trained."""

    opens_in = "hasnas (with architecture.json), anything that reads safetensors"

    def render(self, trained: TrainedNetwork) -> Mapping[str, bytes]:
        """See `Target`."""
        return {WEIGHTS_FILE: weights_bytes(trained.network.state_dict(), trained.architecture)}

    def check(self, trained: TrainedNetwork, folder: Path, check: Check) -> dict[str, float]:
        """See `Target`."""
        if not (folder / ARCHITECTURE_FILE).exists():
            return {}
        with torch.no_grad():
            difference = (load_bare_network(folder)(check.inputs) - check.expected).abs().max()
        return {"safetensors_max_difference": float(difference)}


class NirTarget(Target):
    """The Neuromorphic Intermediate Representation; what it says of hasnas's networks stands in `nir_writer`."""

    opens_in = "hasnas, and of other tools those that `tools` says"

    def render(self, trained: TrainedNetwork) -> Mapping[str, bytes]:
        """See `Target`."""
        return {NIR_FILE: nir_bytes(trained.deployed)}

    def check(self, trained: TrainedNetwork, folder: Path, check: Check) -> dict[str, float]:
        """See `Target`."""
        path, differences = folder / NIR_FILE, {}
        with torch.no_grad():
            single = read_nir(path)(check.inputs)
            differences["nir_max_difference_float32"] = float((single - check.expected).abs().max())
            double = read_nir(path, torch.float64)(check.inputs.double())
            exact = load_double(trained.network)(check.inputs.double())
            differences["nir_max_difference_float64"] = float((double - exact).abs().max())
            deployed = read_deployed(path)
            if deployed.has_short_membranes:
                elsewhere = deployed.with_float_membranes().network()(check.inputs)
                differences["nir_max_difference_float_membranes"] = float((elsewhere - check.expected).abs().max())
        return differences

    def tools(self, trained: TrainedNetwork) -> dict[str, str]:
        """See `Target`."""
        return tools_that_open(to_nir(trained.deployed))

    def note(self, trained: TrainedNetwork) -> str:
        """See `Target`."""
        return FLOAT_MEMBRANES if trained.deployed.has_short_membranes else ""


class OnnxTarget(Target):
    """ONNX: unrolled over the timesteps, and a single one with its states outside; see `onnx_writer`."""

    opens_in = "ONNX Runtime and other readers of ONNX"

    def render(self, trained: TrainedNetwork) -> Mapping[str, bytes]:
        """See `Target`."""
        from .onnx_writer import onnx_files

        return onnx_files(trained.deployed, trained.normalisation)

    def refusal(self, trained: TrainedNetwork) -> str:
        """See `Target`: the files are exported from the plain torch form, which takes no time to write."""
        return STANDALONE.refusal(trained)

    def check(self, trained: TrainedNetwork, folder: Path, check: Check) -> dict[str, float]:
        """See `Target`."""
        from .onnx_writer import UNROLLED_FILE, run_onnx

        answers = run_onnx(folder / UNROLLED_FILE, check.samples)
        return {"onnx_max_difference": float((answers - check.answers).abs().max())}


class StandaloneTarget(Target):
    """A Python file that needs PyTorch alone, with its weights; see `standalone`."""

    opens_in = "Python with PyTorch, without hasnas"

    def render(self, trained: TrainedNetwork) -> Mapping[str, bytes]:
        """See `Target`."""
        return standalone_files(trained.deployed, trained.normalisation)

    def check(self, trained: TrainedNetwork, folder: Path, check: Check) -> dict[str, float]:
        """See `Target`."""
        with torch.no_grad():
            answers = plain_torch(trained.deployed, trained.normalisation)(check.samples)
        return {"standalone_max_difference": float((answers - check.answers).abs().max())}


class ConductancesTarget(Target):
    """The conductance of every memory cell, crossbar by crossbar; see `conductances`."""

    opens_in = "NumPy (npz), spreadsheets and circuit simulators (csv)"
    needs_device = True

    def render(self, trained: TrainedNetwork) -> Mapping[str, bytes]:
        """See `Target`."""
        if trained.device is None:
            raise BadInputError("conductances need a device; export a run, whose config.yaml names its chip")
        cells = trained.device if isinstance(trained.device, NonidealSpec) else device_of(trained.device)
        return conductance_files(trained.deployed, cells)


class SpikeSimTarget(Target):
    """The lists of layers at the end of SpikeSim's script; see `layer_tables`."""

    opens_in = "SpikeSim (ela_spikesim.py)"

    def render(self, trained: TrainedNetwork) -> Mapping[str, bytes]:
        """See `Target`."""
        return {"spikesim_layers.py": spikesim_lists(lower(trained.network.graph)).encode()}


class NeuroSimTarget(Target):
    """NeuroSim's table of layers; see `layer_tables`."""

    opens_in = "DNN+NeuroSim (NetWork_*.csv)"

    def render(self, trained: TrainedNetwork) -> Mapping[str, bytes]:
        """See `Target`."""
        return {"NetWork.csv": neurosim_table(lower(trained.network.graph)).encode()}


JSON, SAFETENSORS, NIR, ONNX = JsonTarget(), SafetensorsTarget(), NirTarget(), OnnxTarget()
STANDALONE, CONDUCTANCES = StandaloneTarget(), ConductancesTarget()
SPIKESIM, NEUROSIM = SpikeSimTarget(), NeuroSimTarget()
