"""The command line: light to start, one line and exit code 2 for whatever a user gets wrong."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import typer

from hasnas import __version__
from hasnas.nas.cli import app, run_command
from hasnas.nas.config.loading import load_config
from hasnas.nas.scoring import SCORES

EXAMPLES = Path(__file__).parents[2] / "experiments"
HARDWARE = ("--hardware", "spikesim-65nm-rram")


def heavy_modules_after(*arguments: str) -> list[str]:
    script = """
import contextlib, io, sys
from hasnas.nas.cli import run_command
with contextlib.redirect_stdout(io.StringIO()):
    assert run_command(sys.argv[1:]) == 0
heavy = ("torch", "torchvision", "nni", "lightning", "pytorch_lightning", "spikingjelly", "tensorboard", "matplotlib")
heavy += ("pydantic", "numpy", "scipy", "numba", "sklearn", "rich", "yaml", "nir")
print([name for name in heavy if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1].replace("'", '"'))


def test_help_imports_nothing_heavy():
    assert heavy_modules_after("--help") == []
    # The command line's own library reads options with pydantic where it finds it.
    assert set(heavy_modules_after("search", "--help")) <= {"pydantic"}
    assert set(heavy_modules_after("--version")) <= {"pydantic"}


@pytest.mark.slow
def test_checking_and_listing_never_import_torch(here: Path):
    for arguments in (["configs", "ls"], ["ls"], ["hardware"], ["estimate", "layers.yaml", *HARDWARE]):
        assert not {"torch", "nni", "lightning"} & set(heavy_modules_after(*arguments))


@pytest.mark.parametrize(
    "command",
    ["search", "validate", "estimate", "export", "status", "ls", "hardware", "configs", "data ls", "bench spikenas"],
)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]):
    assert run_command([*command.split(), "--help"]) == 0
    assert "Usage: hasnas" in capsys.readouterr().out


def commands_below(group: Any, *names: str) -> Iterator[tuple[str, Any]]:
    """Every command with its full name."""
    for name, command in group.commands.items():
        yield from commands_below(command, *names, name) if hasattr(command, "commands") else [
            (" ".join([*names, name]), command)
        ]


def test_every_command_gives_json():
    found = dict(commands_below(typer.main.get_command(app)))
    assert {"search", "show", "compare", "doctor", "data check", "configs cp"} <= set(found)
    assert [name for name, one in found.items() if not any("--json" in option.opts for option in one.params)] == []


@pytest.mark.parametrize(
    ("line", "keys"),
    [
        ("validate small.yaml", "run space architectures budget data"),
        ("configs ls", "name title"),
        ("configs cp digits", "path"),
        ("data ls", "name state title splits"),
        ("data check digits", "what detail good"),
        ("data prepare digits", "name samples"),
        ("hardware", "chips parts"),
        ("hardware rram-32nm", "chip constants rules reference_layer"),
        pytest.param("search small.yaml --dry-run", "space_size feasible_share", marks=pytest.mark.slow),
    ],
)
def test_json_is_all_that_is_printed(here: Path, line: str, keys: str, capsys: pytest.CaptureFixture[str]):
    assert run_command([*line.split(), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(keys.split()) <= set(found[0] if isinstance(found, list) else found)


@pytest.mark.slow
def test_the_doctor_says_what_an_extra_would_bring(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr("hasnas.nas.commands.doctor.EXTRAS", {"hasnas": ("hasnas", "own"), "cowsay": ("Cowsay", "fun")})
    assert run_command(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines[-4:-2]] == [
        ["own", "complete", "hasnas", __version__],
        ["fun", "absent", "Cowsay", "(absent)"],
    ]
    assert lines[-1] == "to add one: pip install 'hasnas[fun]'"
    assert any(line.split() == ["numpy", version("numpy")] for line in lines)
    assert run_command(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(extra["name"], extra["missing"]) for extra in found["extras"]] == [("own", []), ("fun", ["Cowsay"])]
    assert found["processor"]["cores"] >= 1
    assert found["processor"]["features"]


def test_the_help_names_the_exit_codes(capsys: pytest.CaptureFixture[str]):
    assert run_command(["--help"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    for code in ("0 done", "1 the machine failed", "2 bad input", "3 nothing fits", "130 interrupted"):
        assert code in told


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("sea", ["search"]),
        ("show ru", ["runs/first"]),
        ("show runs/fir", ["runs/first"]),
        ("configs cp digits_", ["digits_supernet"]),
        ("export runs/first --to nir,ne", ["nir,neurosim"]),
        ("hardware rram-4", ["rram-45nm"]),
        ("data check mn", ["mnist"]),
    ],
)
def test_a_shell_is_offered_names(
    here: Path, words: str, offered: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    Path("runs/first").mkdir(parents=True)
    Path("runs/first/config.yaml").touch()
    for name, value in {"_HASNAS_COMPLETE": "complete_bash", "COMP_WORDS": f"hasnas {words}"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split())))
    with pytest.raises(SystemExit):
        run_command([])
    assert capsys.readouterr().out.splitlines() == offered


def test_without_arguments_the_help_is_shown(capsys: pytest.CaptureFixture[str]):
    assert run_command([]) == 0
    assert "Commands:" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize(
    "line, message",
    [
        ("foo", "No such command 'foo'"),
        ("search", "give a CONFIG, or --resume RUN"),
        ("search --bar", "No such option: --bar"),
        ("search small.yaml --workers two", "Invalid value for '--workers'"),
        ("export runs/small --to ,", "--to is ','; name a format"),
        ("search small.yaml --resume runs/small", "--resume takes the config of the run"),
        ("search --resume absent", "absent holds no run"),
        ("search absent.yaml", "cannot read absent.yaml"),
        ("search small.yaml sead=1", "unknown key 'sead'; did you mean 'seed'?"),
        ("search small.yaml budget.energy=2_parsec", "budget.energy is '2_parsec'"),
        ("search small.yaml budget.energy=-2uJ", "a limit is positive and finite"),
        ("search small.yaml budget.parameters=.nan", "a limit is positive and finite"),
        ("search small.yaml dataset.name=digit", "did you mean 'digits'?"),
        ("search small.yaml space.name=snasnett", "did you mean 'snasnet'?"),
        ("search small.yaml hardware=rram-23nm", "unknown hardware.preset 'rram-23nm'; did you mean 'rram-"),
        ("search small.yaml seed", "override 'seed' is not key=value"),
        ("validate small.yaml space.macro.final_pool=9", "macro.final_pool 9 does not fit on the last cell's"),
        ("validate small.yaml hardware.overrides.crossbar.rowz=9", "unknown key 'crossbar.rowz'"),
        ("validate small.yaml hardware=absent.yaml", "absent.yaml"),
        ("validate small.yaml space.operations=[identity,none]", "begin with 'none'"),
        ("status .", "holds no run"),
        ("export .", ". holds no run"),
        ("configs", "Missing command"),
        ("configs cp digit", "unknown config 'digit'; did you mean 'digits'?"),
        ("configs cp digits small.yaml", "small.yaml exists"),
        ("configs cp digits absent/a.yaml", "cannot write absent/a.yaml"),
        ("estimate layers.yaml", "give --hardware for layers.yaml"),
        ("estimate layers.yaml --hardware rram-33nm", "unknown hardware 'rram-33nm'; did you mean"),
        ("estimate layers.yaml --hardware spikesim-65nm-rram --set crossbar.rows", "--set 'crossbar.rows' is not"),
        ("estimate layers.yaml --hardware spikesim-65nm-rram --set crossbar.rowz=1", "unknown key 'crossbar.rowz'"),
        ("estimate layers.yaml --hardware spikesim-65nm-rram --sweep tile.pes=1,,2", "has an empty value"),
        ("estimate layers.yaml --hardware spikesim-65nm-rram --activity 2", "activity rate is 2.0"),
        ("estimate layers.yaml --hardware spikesim-65nm-rram --activity hot", "--activity is 'hot'"),
        ("estimate layers.yaml --hardware spikesim-65nm-rram --activity measured", "--activity measured needs a run"),
        ("estimate layers.yaml --hardware spikesim-65nm-rram --timesteps 0", "Invalid value for '--timesteps'"),
        ("estimate layers.yaml --hardware spikesim-65nm-rram --timesteps 8", "layers.yaml says its own"),
        ("estimate layers.yaml --hardware spikesim-65nm-rram --chips 8", "give --nonideal DEVICE too"),
        ("estimate layers.yaml --hardware spikesim-65nm-rram --csv layers.yaml", "would overwrite what is read"),
        ("estimate layers.yaml --hardware rram-32nm --set adc.bits=4 --sweep adc.bits=4,5", "adc.bits is given twice"),
        ("estimate layers.yaml --hardware rram-32nm --set device=no.yaml", "cannot read no.yaml"),
        ("estimate layers.yaml --hardware rram-32nm --set device=nosuch", "override: unknown device 'nosuch'"),
        ("estimate . --nonideal rram-typical --csv costs.csv", "--csv changes no accuracy"),
        ("estimate net.py:net --hardware rram-32nm --timesteps 4 --input 3,90000,90000", "100,000,000 values"),
        ("estimate small.yaml --hardware spikesim-65nm-rram", "small.yaml: unknown key"),
        ("estimate absent --hardware spikesim-65nm-rram", "cannot read absent"),
        ("estimate absent.json --hardware spikesim-65nm-rram", "error: cannot read absent.json"),
        ("estimate absent.nir --hardware spikesim-65nm-rram", "cannot read absent.nir"),
        ("estimate . --hardware spikesim-65nm-rram", "holds no run"),
        ("estimate torn.json --hardware spikesim-65nm-rram", "torn.json is not valid JSON"),
        ("estimate other.txt --hardware spikesim-65nm-rram", "other.txt is of no known kind"),
        ("data check mnists", "did you mean 'mnist'?"),
    ],
)
def test_bad_input_is_one_clear_line_and_exit_code_2(
    here: Path, capfd: pytest.CaptureFixture[str], line: str, message: str
):
    Path("torn.json").write_text(Path("cell.json").read_text()[:-20])
    Path("other.txt").touch()
    assert run_command(line.split()) == 2
    error = capfd.readouterr().err
    assert error.startswith("hasnas: error: ")
    assert message in error
    assert error.count("\n") == 1


def test_a_bad_config_is_refused_by_the_real_command_without_a_traceback(here: Path):
    command = [sys.executable, "-m", "hasnas", "search", "small.yaml", "seed=x"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "hasnas: error: override 'seed=x': seed is 'x'; it must be a whole number\n"
    assert not Path("runs").exists()


def test_a_bug_keeps_its_traceback(here: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("hasnas.nas.tracking.status.list_runs", lambda directory: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run_command(["ls"])


@pytest.mark.slow
def test_where_numba_may_write_nothing_a_folder_is_asked_for():
    script = """
import sys
from numba.core import caching
def refused(locator):
    raise OSError(30, "Read-only file system")
for kind in (caching._CacheLocator, *caching._CacheLocator.__subclasses__()):
    kind.ensure_cache_path = refused
from hasnas.nas.cli import run_command
sys.exit(run_command(["map", "none.nir", "--hardware", "rram-32nm"]))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    told = "hasnas: error: numba may keep nowhere what it compiles; set NUMBA_CACHE_DIR to a folder for it\n"
    assert (done.returncode, done.stderr) == (1, told)


@pytest.mark.slow
def test_names_that_the_terminal_cannot_spell_are_written_out(here: Path):
    (here / "日本").mkdir()
    (here / "日本" / "config.yaml").write_text(Path("small.yaml").read_text())
    command = [sys.executable, "-m", "hasnas", "status", "日本"]
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    done = subprocess.run(command, capture_output=True, check=True, env=environment)
    assert done.stdout.startswith(b"\\u65e5\\u672c: stopped")


@pytest.mark.parametrize(
    ("score", "told"),
    [
        ("raises", "a plug-in of the package foreign (foreign_scores.py, line 3) raised ValueError: two lines"),
        ("leaves", "a plug-in of the package foreign (foreign_scores.py, line 6) raised SystemExit: 7; mend it"),
        ("answers", "score 'answers' answered a NoneType for 1 candidates"),
        ("absent", "score 'absent' cannot be loaded from foreign_scores:absent: AttributeError"),
        ("nowhere", "score 'nowhere' cannot be loaded from foreign_nowhere:x: ModuleNotFoundError: No module named"),
    ],
)
def test_what_a_plug_in_of_another_package_does_wrong_is_one_line(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], score: str, told: str
):
    (here / "foreign-1.0.dist-info").mkdir()
    (here / "foreign-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: foreign\nVersion: 1.0\n")
    points = [f"{name} = foreign_scores:{name}" for name in ("raises", "leaves", "answers", "absent")]
    lines = "\n".join(["[hasnas.scores]", *points, "nowhere = foreign_nowhere:x"])
    (here / "foreign-1.0.dist-info" / "entry_points.txt").write_text(lines)
    code = """class raises:
    def __call__(self, task, codes):
        raise ValueError("two\\nlines")
class leaves:
    def __call__(self, task, codes):
        raise SystemExit(7)
class answers:
    def __call__(self, task, codes):
        return None
"""
    (here / "foreign_scores.py").write_text(code)
    monkeypatch.syspath_prepend(str(here))
    monkeypatch.setattr(SCORES, "_loaded", dict(SCORES._loaded))  # the package is there for this test only
    assert run_command(["validate", "small.yaml", f"search.score={score}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line


def test_an_interrupt_is_told_how_to_go_on(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def interrupted(directory: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("hasnas.nas.tracking.status.list_runs", interrupted)
    assert run_command(["ls"]) == 130
    assert "hasnas search --resume RUN" in capsys.readouterr().err


@pytest.mark.slow
def test_a_reader_that_has_enough_ends_the_command_quietly(here: Path):
    script = f"{sys.executable} -m hasnas estimate layers.yaml --hardware spikesim-65nm-rram --json"
    done = subprocess.run(["bash", "-c", f"{script} | true"], capture_output=True, text=True, check=True)
    assert done.stderr == ""


def test_example_configs_are_listed_and_copied(here: Path, capsys: pytest.CaptureFixture[str]):
    assert run_command(["configs", "ls"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert any(line.startswith("digits ") and "scikit-learn's digits" in line for line in listed)
    assert run_command(["configs", "cp", "digits"]) == 0
    assert run_command(["configs", "cp", "digits.yaml", "own.yaml"]) == 0
    assert capsys.readouterr().out.split() == ["digits.yaml", "own.yaml"]
    assert load_config(Path("own.yaml")) == load_config(Path("digits.yaml"))


@pytest.mark.parametrize("config", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_example_config_is_valid(config: Path, capsys: pytest.CaptureFixture[str]):
    code, told = run_command(["validate", str(config)]), capsys.readouterr()
    # Of a good config the only thing that may be missing is its data, which do not come with the package.
    assert f"{config} is valid" in told.out if code == 0 else "run `hasnas data prepare" in told.err


def test_a_config_is_validated(here: Path, capsys: pytest.CaptureFixture[str]):
    assert run_command(["validate", "small.yaml", "budget.energy=2 uJ"]) == 0
    told = capsys.readouterr().out
    assert "small.yaml is valid" in told
    assert "15,625 architectures" in told
    assert "energy 2 uJ" in told


def test_datasets_and_hardware_are_listed(here: Path, capsys: pytest.CaptureFixture[str]):
    assert run_command(["data", "ls"]) == 0
    assert "digits" in capsys.readouterr().out
    assert run_command(["data", "check", "digits"]) == 0
    assert "ok" in capsys.readouterr().out
    assert run_command(["data", "prepare", "digits"]) == 0
    assert "1,438 train samples, 359 test samples" in capsys.readouterr().out
    assert run_command(["hardware"]) == 0
    told = capsys.readouterr().out
    assert "spikesim-65nm-rram" in told.split()
    (chip,) = [line.split() for line in told.splitlines() if line.startswith("rram-32nm ")]
    assert chip[1:9] == ["32nm", "128", "x", "128", "2", "8", "5", "general"]
    assert "rram-typical" in told
    assert run_command(["hardware", "rram-32nm"]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert next(row for row in rows if row.startswith("device.on_resistance_ohm ")).split()[1:3] == ["6000", "ohm"]
    assert next(row for row in rows if row.startswith("time: a read of 128 rows takes 12 ns"))
    (published,) = [row.split() for row in rows if row.startswith("spikesim-65nm-rram ")]
    assert float(published[-2]) > 500  # times the latency of this chip, and the next lines say why
    assert run_command(["hardware", "spikesim-65nm-rram"]) == 0
    assert "one output value after another" in capsys.readouterr().out
    assert run_command(["hardware", "rram-33nm"]) == 2
    assert "did you mean" in capsys.readouterr().err
    assert run_command(["-h"]) == run_command(["search", "-h"]) == run_command(["data", "check", "-h"]) == 0


def test_no_runs_are_an_empty_list(here: Path, capsys: pytest.CaptureFixture[str]):
    assert run_command(["ls", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []
    assert run_command(["ls"]) == 0
    assert capsys.readouterr().out == "no run in runs\n"
