"""The repairs, against fakes that fail as the CUDA wheels do beside a CPU torch, each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hasnas.nas.environment.torchvision_repair import Repair, repair_imports

VISION = "import torch\ntorch.library.register_fake('torchvision::nms')(lambda boxes, scores, threshold: boxes)\n"
AUDIO = "raise OSError('libc10_cuda.so: cannot open shared object file: No such file or directory')\n"


def run(fakes: Path, code: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(fakes), "OMP_NUM_THREADS": "1"}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=600)


def fake(folder: Path, package: str, source: str) -> None:
    (folder / package).mkdir()
    (folder / package / "__init__.py").write_text(source)


@pytest.mark.slow
def test_broken_builds_are_repaired_once_and_said(tmp_path: Path):
    fake(tmp_path, "torchvision", VISION)
    fake(tmp_path, "torchaudio", AUDIO)
    for package, message in (("torchvision", "operator torchvision::nms does not exist"), ("torchaudio", "libc10")):
        assert message in run(tmp_path, f"import {package}").stderr
    done = run(
        tmp_path,
        "import logging\n"
        "logging.basicConfig(level=logging.DEBUG)\n"
        "from hasnas.nas.environment.torchvision_repair import repair_imports\n"
        "print([repair.package for repair in repair_imports()], repair_imports())\n"
        "import torch, torchvision, torchaudio\n"
        "from importlib.util import find_spec\n"
        "print(hasattr(torch.ops.torchvision, 'qnms'), find_spec('torchaudio') is not None)\n",
    )
    assert done.stdout.splitlines() == ["['torchvision', 'torchaudio'] ()", "True True"]
    assert "torchvision: declared the missing operators" in done.stderr
    assert "torchaudio: replaced by an empty module" in done.stderr


@pytest.mark.slow
def test_a_users_file_may_import_what_is_repaired(tmp_path: Path):
    fake(tmp_path, "torchvision", VISION)
    (tmp_path / "net.py").write_text("import torch, torchvision\n\ndef net():\n    return torch.nn.Linear(784, 10)\n")
    arguments = [f"{tmp_path}/net.py:net", "--input", "784", "--timesteps", "4", "--hardware", "rram-32nm"]
    done = run(tmp_path, f"from hasnas.nas.cli import run_command\nrun_command({['estimate', *arguments]})\n")
    assert "7,850" in done.stdout, done.stderr


@pytest.mark.slow
def test_what_cannot_be_repaired_says_what_to_install(tmp_path: Path):
    fake(tmp_path, "torchvision", VISION + "torch.library.register_fake('torchvision::roi')(lambda x: x)\n")
    done = run(tmp_path, "from hasnas.nas.environment.torchvision_repair import repair_imports\nrepair_imports()")
    assert "hasnas.errors.HasnasError: torchvision cannot be imported beside torch" in done.stderr
    assert "uninstall torchvision" in done.stderr


def test_other_faults_are_not_hidden(tmp_path: Path):
    fake(tmp_path, "torchvision", "raise RuntimeError('the disk is on fire')\n")
    done = run(tmp_path, "from hasnas.nas.environment.torchvision_repair import repair_imports\nrepair_imports()")
    assert done.stderr.strip().endswith("RuntimeError: the disk is on fire")


def test_sound_or_absent_packages_are_left_alone(caplog: pytest.LogCaptureFixture):
    repair_imports()
    caplog.clear()
    assert repair_imports() == ()
    assert not caplog.records


def test_a_repair_reads_as_one_line():
    text = str(Repair("torchaudio", "libc10_cuda.so missing", "replaced by an empty module"))
    assert text == "torchaudio: replaced by an empty module (it failed with: libc10_cuda.so missing)"
