"""What each install holds: the core prices networks without any extra, and whatever needs one says so in one line."""

import ast
import configparser
import re
import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from hasnas.extras import EXTRAS
from hasnas.nas.export.deploy import deploy
from hasnas.nas.export.nir_writer import write_nir
from hasnas.search_spaces.architecture import Architecture
from hasnas.search_spaces.cells import Edge, Genotype
from hasnas.search_spaces.macro import Macro
from hasnas.search_spaces.network import build_network

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
# Packages that another one brings along, in step with itself.
INSIDE = {"protobuf": {"tensorboard"}, "h5py": {"nir"}, "pydantic-core": {"pydantic"}, "gpytorch": {"botorch"},
          "linear-operator": {"botorch"}}  # fmt: skip
FOLDERS = ("cim_estimator", "search_spaces", "datasets", "nas", "hasnas")
LAYERS = """
timesteps: 5
layers:
  - {kind: conv, in_channels: 3, out_channels: 64, kernel_size: 3, in_size: 32, out_size: 32}
  - {kind: linear, in_channels: 64, out_channels: 10}
"""
# Runs a command where none of the extras' packages can be found, as in an install of the core.
CORE_ONLY = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in sys.argv[1].split(","):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
from hasnas.nas.cli import run_command
sys.exit(run_command(sys.argv[2:]))
"""


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a network in each form that the core prices."""
    folder = tmp_path_factory.mktemp("networks")
    (folder / "layers.yaml").write_text(LAYERS)
    cell = Genotype(3, (Edge(0, 1, "conv3x3"), Edge(0, 2, "identity"), Edge(1, 2, "conv1x1")))
    architecture = Architecture((cell, cell), Macro((1, 8, 8), timesteps=2, channels=4, hidden=0, votes=1))
    architecture.save(folder / "architecture.json")
    network = build_network(architecture.expand(), seed=0)
    write_nir(folder / "network.nir", deploy(network.graph, network.state_dict()))
    return folder


def run_core(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", CORE_ONLY, ",".join(EXTRAS), *arguments]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=100, check=False)


def install_lists() -> dict[str, set[str]]:
    """Name of an install (`""` is the core) -> names of the packages that it brings."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    texts = {"": setup["options"]["install_requires"], **setup["options.extras_require"]}
    name_of = re.compile(r"[A-Za-z0-9_-]+")
    return {
        extra: {name_of.match(line).group().lower().replace("_", "-") for line in text.split("\n") if line.strip()}  # type: ignore[union-attr]
        for extra, text in texts.items()
    }


@pytest.mark.parametrize(
    "arguments",
    [
        ["estimate", "layers.yaml", "--hardware", "spikesim-65nm-rram"],
        ["estimate", "layers.yaml", "--hardware", "rram-32nm", "--sweep", "adc.bits=4,5", "--json"],
        ["estimate", "network.nir", "--hardware", "rram-32nm"],
        ["estimate", "architecture.json", "--hardware", "rram-32nm"],
        ["hardware"],
        ["configs", "ls"],
        ["ls"],
        ["--version"],
    ],
    ids=" ".join,
)
def test_the_core_prices_and_lists(networks: Path, arguments: list[str]):
    done = run_core(networks, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip()


@pytest.mark.parametrize(
    "arguments, package, extra",
    [
        (["search", str(ROOT / "experiments" / "digits.yaml")], "PyTorch", "search"),
        (["data", "prepare", "digits"], "scikit-learn", "search"),
        (["estimate", "layers.yaml", "--hardware", "rram-32nm", "--plot", "plots"], "Matplotlib", "plots"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_command_names_the_extra_that_it_needs(tmp_path: Path, arguments: list[str], package: str, extra: str):
    (tmp_path / "layers.yaml").write_text(LAYERS)
    done = run_core(tmp_path, *arguments)
    command = " ".join(["hasnas", *arguments[: 2 if arguments[0] == "data" else 1]])
    assert done.returncode == 2
    assert done.stderr == f"hasnas: error: {command} needs {package}: pip install 'hasnas[{extra}]'\n"


def packages_of(statements: Iterable[ast.AST]) -> set[str]:
    """Packages, other than ours and Python's own, that import statements name."""
    names = [alias.name for node in statements if isinstance(node, ast.Import) for alias in node.names]
    names += [str(node.module) for node in statements if isinstance(node, ast.ImportFrom) and not node.level]
    return {name.split(".")[0] for name in names} - {"hasnas", "tests", *sys.stdlib_module_names}


def bringers(package: str) -> set[str]:
    """What an install lists in order to bring a package."""
    names = {name.lower().replace("_", "-") for name in packages_distributions().get(package, [package])}
    return INSIDE.get(min(names), names)


def test_every_imported_package_belongs_to_an_install():
    installs = install_lists()
    for path in [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]:
        for top in packages_of(list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))):
            brought_by = installs[EXTRAS[top][1] if top in EXTRAS else ""]
            assert bringers(top) & brought_by, f"{path.relative_to(ROOT)} imports {top}, which no install brings"


def test_tests_import_at_their_top_only_what_the_tests_install_brings():
    installs = install_lists()
    brought = installs[""] | installs["search"] | installs["test"]
    for path in (ROOT / "tests").rglob("*.py"):
        for top in packages_of(ast.parse(path.read_text(encoding="utf-8")).body):
            local = (path.parent / f"{top}.py").exists() or (ROOT / "docs" / f"{top}.py").exists()
            assert local or bringers(top) & brought, f"{path.relative_to(ROOT)} imports {top}"


def test_plots_can_be_drawn_where_a_search_can_run():
    assert install_lists()["plots"] <= install_lists()["search"]
