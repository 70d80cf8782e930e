"""`hasnas estimate FILE.py:FACTORY`: modules that somebody wrote in torch, and files that give none."""

import json
from pathlib import Path

import pytest

from hasnas.nas.cli import run_command

HARDWARE = "rram-32nm"
FILE = '''
import torch
from torch import nn
from spikingjelly.activation_based import functional, layer, neuron
from parts import CHANNELS

print("loading")

def make():
    first = layer.Conv2d(1, CHANNELS, 3)
    return nn.Sequential(first, neuron.LIFNode(), layer.Flatten(), layer.Linear(36 * CHANNELS, 2))

def multi():
    net = make()
    functional.set_step_mode(net, "m")
    return net

def repeats():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = multi()
        def forward(self, x):
            return self.net(x.unsqueeze(0).repeat(3, 1, 1, 1, 1)).mean(0)
    return Net()

def number():
    return 3

def fails():
    raise RuntimeError("no weights")

def rectified():
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU())

constant = 3
'''


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(FILE)
    Path("parts.py").write_text("CHANNELS = 4\n")
    Path("broken.py").write_text("import absent_package\n")
    Path("torn.py").write_text("def f(:\n")
    Path("layers.yaml").write_text("timesteps: 1\nlayers: [{kind: linear, in_channels: 64, out_channels: 10}]\n")
    return tmp_path


def test_the_command_prices_a_module_in_every_layout(here: Path, capsys: pytest.CaptureFixture[str]):
    trees = []
    for factory in ("make", "multi", "repeats"):
        line = f"estimate net.py:{factory} --input 1,8,8 --timesteps 3 --hardware {HARDWARE} --json"
        assert run_command(line.split()) == 0
        trees.append(json.loads(capsys.readouterr().out))
    assert trees[0]["parameters"] == 4 * 9 + 4 + 36 * 4 * 2 + 2
    assert len({tree["energy_j"] for tree in trees}) == 1
    frames = f"estimate net.py:make --input 3,1,8,8 --timesteps 3 --hardware {HARDWARE} --json"
    assert run_command(frames.split()) == 0
    assert json.loads(capsys.readouterr().out)["energy_j"] > trees[0]["energy_j"], "the first layer runs every time"


@pytest.mark.parametrize(
    "line, message",
    [
        ("net.py:make --timesteps 3", "net.py:make needs --input C,H,W and --timesteps"),
        ("net.py:make --input 1,8,8", "net.py:make needs --input C,H,W and --timesteps"),
        ("net.py:make --input 1x8x8 --timesteps 3", "--input is '1x8x8'; write C,H,W"),
        ("net.py:make --input 1,8,0 --timesteps 3", "--input is '1,8,0'"),
        ("net.py:make --input 4,1,8,8 --timesteps 3", "--input begins with 4 timesteps"),
        ("net.py:make --input 3,8,8 --timesteps 3", "layer '0' cannot run on"),
        ("net.py:repeats --input 1,9,9 --timesteps 3", "layer 'net.3' cannot run on"),
        ("net.py:repeats --input 1,8,8 --timesteps 4", "with 4 timesteps and 2 samples"),
        ("net.py:mak --input 1,8,8 --timesteps 3", "net.py defines no 'mak'; did you mean 'make'?"),
        ("net.py:number --input 1,8,8 --timesteps 3", "gives a int; it must return a torch.nn.Module"),
        ("net.py:constant --input 1,8,8 --timesteps 3", "'constant' in net.py is a int"),
        ("net.py:fails --input 1,8,8 --timesteps 3", "fails() fails: RuntimeError: no weights"),
        ("net.py:rectified --input 1,8,8 --timesteps 3", "layer '1' is a ReLU"),
        ("absent.py:make --input 1,8,8 --timesteps 3", "cannot read absent.py"),
        ("broken.py:make --input 1,8,8 --timesteps 3", "broken.py:1 fails: ModuleNotFoundError"),
        ("torn.py:make --input 1,8,8 --timesteps 3", "torn.py:1 fails: SyntaxError"),
        ("net.py --input 1,8,8 --timesteps 3", "--input is for a module in FILE.py:FACTORY"),
        ("net.py", "net.py is of no known kind"),
        ("layers.yaml --input 1,8,8", "--input is for a module in FILE.py:FACTORY"),
    ],
)
def test_bad_files_and_shapes_are_one_clear_line(
    here: Path, capfd: pytest.CaptureFixture[str], line: str, message: str
):
    assert run_command(["estimate", *line.split(), "--hardware", HARDWARE]) == 2
    error = capfd.readouterr().err.removeprefix("loading\n")
    assert error.startswith("hasnas: error: ")
    assert message in error
    assert error.count("\n") == 1
