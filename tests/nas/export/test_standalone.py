"""A network as a Python file: it runs without this project, and does what the network does."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from hasnas.nas.data.samples import Normalisation, TargetScale
from hasnas.nas.export.deploy import deploy
from hasnas.nas.export.standalone import plain_torch, standalone_files, standalone_source, states_of
from hasnas.nas.export.target import NotExpressibleError, probe
from hasnas.search_spaces.neurons import LIF

SCALE = Normalisation((0.5, -1.0), (2.0, 0.25), TargetScale((1.0, 2.0, 3.0), (4.0, 5.0, 6.0)))


@pytest.mark.parametrize("seed", range(6))
@torch.no_grad()
def test_it_answers_as_the_network_with_feedback_sequences_and_scales(trained, seed: int) -> None:
    network = trained(seed, seed % 2 == 1)[1]
    samples = probe(network, 8) * 2 + 0.5
    expected = SCALE.in_units(network(SCALE.apply(samples)))
    answers = plain_torch(deploy(network.graph, network.state_dict()), SCALE)(samples)
    assert expected.std(0).max() > 0
    torch.testing.assert_close(answers, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_the_file_needs_torch_alone(trained, tmp_path: Path) -> None:
    network = trained(1, True)[1]
    for name, content in standalone_files(deploy(network.graph, network.state_dict()), SCALE).items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    samples = probe(network, 3)
    torch.save(samples, tmp_path / "samples.pt")
    code = (
        "import sys, torch\n"
        "sys.modules.update(dict.fromkeys(['hasnas', 'numpy', 'spikingjelly', 'nni', 'safetensors']))\n"
        "from network import load\n"
        "torch.save(load()(torch.load('../samples.pt')), '../answers.pt')\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path / "standalone", check=True, env={"OMP_NUM_THREADS": "1"})
    expected = SCALE.in_units(network(SCALE.apply(samples))).detach()
    torch.testing.assert_close(torch.load(tmp_path / "answers.pt"), expected, rtol=1e-5, atol=1e-5)


def test_states_are_named_and_start_where_the_neurons_do(trained) -> None:
    network = trained(1, True)[1]
    states = states_of(deploy(network.graph, network.state_dict()).graph)
    assert {name.rpartition(".")[2] for name in states} == {"v", "last"}
    assert all(value == 0.0 for _, value in states.values())


def test_neurons_that_nobody_wrote_down_are_refused_by_name(trained, monkeypatch: pytest.MonkeyPatch) -> None:
    network = trained(0, False)[1]
    monkeypatch.setattr(LIF, "charge_source", lambda self: [])
    with pytest.raises(NotExpressibleError, match=r"layer '.*lif': nobody wrote LIF neurons down in plain torch"):
        standalone_source(deploy(network.graph, network.state_dict()), SCALE)
