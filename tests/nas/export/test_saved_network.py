import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from hasnas.errors import BadInputError
from hasnas.nas.export.deploy import deploy
from hasnas.nas.export.nir_reader import read_nir
from hasnas.nas.export.nir_writer import write_nir
from hasnas.nas.export.run_export import export_network
from hasnas.nas.export.saved_network import CONTENT, load_bare_network, load_network, weights_bytes
from hasnas.nas.export.target import TrainedNetwork, load_double, probe
from hasnas.search_spaces.architecture import Architecture
from hasnas.search_spaces.network import SpikingNetwork

IN_ANOTHER_PROCESS = """
import sys, numpy, torch
from hasnas.nas.export.nir_reader import read_nir
from hasnas.nas.export.saved_network import load_bare_network
torch.set_num_threads(1)
directory = sys.argv[1]
inputs = torch.from_numpy(numpy.load(directory + "/inputs.npy"))
with torch.no_grad():
    numpy.save(directory + "/reloaded.npy", load_bare_network(directory)(inputs).numpy())
    numpy.save(directory + "/nir.npy", read_nir(directory + "/network.nir")(inputs).numpy())
    double = read_nir(directory + "/network.nir", torch.float64)
    numpy.save(directory + "/nir_double.npy", double(inputs.double()).numpy())
"""


@pytest.fixture
def saved(trained, tmp_path: Path) -> tuple[Path, Architecture, SpikingNetwork]:
    architecture, network = trained(1, True)
    architecture.save(tmp_path / "architecture.json")
    (tmp_path / "weights.safetensors").write_bytes(weights_bytes(network.state_dict(), architecture))
    return tmp_path, architecture, network


@pytest.mark.slow
@torch.no_grad()
def test_another_process_computes_the_same(saved: tuple[Path, Architecture, SpikingNetwork]):
    directory, _, network = saved
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    write_nir(directory / "network.nir", deploy(network.graph, network.state_dict()))
    inputs = probe(network, 64)
    np.save(directory / "inputs.npy", inputs.numpy())
    subprocess.run([sys.executable, "-c", IN_ANOTHER_PROCESS, str(directory)], check=True, capture_output=True)
    expected, exact = network(inputs).numpy(), load_double(network)(inputs.double()).numpy()
    torch.set_num_threads(before)
    assert (np.load(directory / "reloaded.npy") == expected).all()
    differences = np.abs(np.load(directory / "nir.npy") - expected).max(1)
    assert (differences < 1e-4).sum() >= 60, "rounding moves a spike now and then"
    assert np.abs(np.load(directory / "nir_double.npy") - exact).max() < 1e-9


def test_loading_leaves_the_global_generator_alone(saved: tuple[Path, Architecture, SpikingNetwork]):
    directory, _, network = saved
    before = torch.random.get_rng_state()
    loaded = load_bare_network(directory)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert not loaded.training
    assert all(torch.equal(value, network.state_dict()[name]) for name, value in loaded.state_dict().items())


def test_a_returned_network_normalises_what_it_is_shown(saved: tuple[Path, Architecture, SpikingNetwork]):
    directory, _, network = saved
    normalisation = {"mean": [0.5, -1.0], "deviation": [2.0, 0.25], "targets": None}
    (directory / "card.json").write_text(json.dumps({"normalisation": normalisation}))
    raw = 3 * probe(network, 16) + 1
    shown = (raw - torch.tensor([0.5, -1.0]).reshape(2, 1, 1)) / torch.tensor([2.0, 0.25]).reshape(2, 1, 1)
    assert torch.equal(load_network(directory)(raw), network(shown))
    normalisation["targets"] = {"mean": [1.0, 2.0, 3.0], "deviation": [10.0, 20.0, 30.0]}
    (directory / "card.json").write_text(json.dumps({"normalisation": normalisation}))
    wanted = network(shown) * torch.tensor([10.0, 20.0, 30.0]) + torch.tensor([1.0, 2.0, 3.0])
    torch.testing.assert_close(load_network(directory)(raw), wanted)


@pytest.mark.slow
@pytest.mark.parametrize("card", ["[]", "{}", '{"normalisation": {"mean": 3}}', '{"normalisation": {"mean": ["x"]}}'])
def test_a_card_without_normalisation_is_named(saved: tuple[Path, Architecture, SpikingNetwork], card: str):
    (saved[0] / "card.json").write_text(card)
    with pytest.raises(BadInputError, match=r"card.json.*normalis.*export"):
        load_network(saved[0])


def test_the_weights_carry_the_architecture_s_key(saved: tuple[Path, Architecture, SpikingNetwork]):
    directory, architecture, _ = saved
    with safe_open(directory / "weights.safetensors", "pt") as file:
        assert file.metadata()[CONTENT].startswith(architecture.key)


@pytest.mark.slow
def test_no_flip_in_exported_files_is_silent(saved: tuple[Path, Architecture, SpikingNetwork]):
    directory, architecture, network = saved
    facts = {"normalisation": {"mean": [0.5, -1.0], "deviation": [2.0, 0.25], "targets": None}}
    export_network(TrainedNetwork(architecture, network, facts), directory)
    load_network(directory)
    names = ("card.json", "weights.safetensors", "architecture.json")
    readers = {**dict.fromkeys(names, lambda path: load_network(path.parent)), "network.nir": read_nir}
    random = np.random.default_rng(0)
    for name, read in readers.items():
        path = directory / name
        whole = path.read_bytes()
        for place in random.integers(0, len(whole), 40):
            flipped = bytearray(whole)
            flipped[place] ^= 1 << int(random.integers(0, 8))
            path.write_bytes(flipped)
            with pytest.raises(BadInputError, match=name.split(".")[0]) as refused:
                read(path)
            assert len(str(refused.value).splitlines()) == 1
        path.write_bytes(whole)
        read(path)


def test_weights_alone_are_checked(saved: tuple[Path, Architecture, SpikingNetwork]):
    directory, architecture, network = saved
    weights = directory / "weights.safetensors"
    state = network.state_dict()
    name = next(name for name, value in state.items() if value.is_floating_point())
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-2] + bytes([whole[-2] ^ 1]) + whole[-1:])
    with pytest.raises(BadInputError, match=r"weights.safetensors is not what was exported"):
        load_bare_network(directory)
    for value, fault in ((state[name].double(), "is torch.float64"), (state[name] * torch.nan, "holds a NaN")):
        weights.write_bytes(weights_bytes({**state, name: value}, architecture))
        with pytest.raises(BadInputError, match=fault):
            load_bare_network(directory)
    other = Architecture(architecture.genotypes, replace(architecture.macro, threshold=0.123))
    weights.write_bytes(weights_bytes(state, other))
    with pytest.raises(BadInputError, match=f"it is of architecture '{other.key}'"):
        load_bare_network(directory)


def test_damaged_or_foreign_files_are_named(saved: tuple[Path, Architecture, SpikingNetwork], trained):
    directory, architecture, _ = saved
    weights = directory / "weights.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-9])
    with pytest.raises(BadInputError, match=r"weights.safetensors is not a whole safetensors file"):
        load_bare_network(directory)
    weights.write_bytes(whole)
    trained(2, False)[0].save(directory / "architecture.json")
    with pytest.raises(BadInputError, match=r"weights.safetensors says that it is of architecture"):
        load_bare_network(directory)
    weights.unlink()
    architecture.save(directory / "architecture.json")
    with pytest.raises(BadInputError, match=r"cannot read .*weights.safetensors"):
        load_bare_network(directory)
