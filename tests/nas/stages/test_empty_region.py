"""A budget that nothing fits ends the run before any network is run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from hasnas.errors import NothingFitsError
from hasnas.nas.run import start_run

CONFIG = """
name: tiny
dataset: {name: digits, validation_share: 0.3}
space: {name: SPACE, macro: {channels: 4, timesteps: 2, hidden: 0, votes: 1, final_pool: 2, dropout: 0.1}}
hardware: rram-32nm
screen: {sample: 20000}  # all of the first space, a part of the second
budget: {energy: 1 fJ}
search: {evaluations: 4}
"""


@pytest.mark.slow
@pytest.mark.parametrize("space", ["snasnet", "hasnas"])
def test_no_forward_pass_where_nothing_fits(space: str, tmp_path: Path) -> None:
    config = tmp_path / "run.yaml"
    config.write_text(CONFIG.replace("SPACE", space))
    calls: list[object] = []
    hook = torch.nn.modules.module.register_module_forward_hook(lambda *given: calls.append(given))
    try:
        with pytest.raises(NothingFitsError, match="energy: least"):
            start_run(config, run_directory=tmp_path / "run")
    finally:
        hook.remove()
    assert not calls


@pytest.mark.slow
def test_nothing_that_runs_networks_is_imported_where_nothing_fits(tmp_path: Path) -> None:
    """Nor for the checks of strategies, here of one with objectives beside the accuracy."""
    config = tmp_path / "run.yaml"
    config.write_text(CONFIG.replace("SPACE", "snasnet").replace("sample: 20000", "sample: 64"))
    code = (
        "import json, sys\n"
        "from hasnas.nas.cli import run_command\n"
        "codes = [run_command([*sys.argv[1:], *more]) for more in ([], ['--dry-run'])]\n"
        "print(json.dumps([codes, sorted(sys.modules)]))"
    )
    options = ["search.strategy=random", "search.objectives=[accuracy, energy]", "--run-dir", str(tmp_path / "run")]
    command = [sys.executable, "-c", code, "search", str(config), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    codes, modules = json.loads(done.stdout)
    assert codes == [3, 3]
    assert done.stderr.count("no architecture fits the budget. energy: least") == 2
    assert not {"torch", "nni", "pytorch_lightning", "spikingjelly", "sklearn", "scipy", "numba"} & set(modules)
