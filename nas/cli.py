"""The command line. Nothing heavy is imported before a command needs it: `hasnas --help` stays fast.

Commands of the cost model, of data, of benchmarks and those that look at runs stand in `commands/`; here they get their
names.

Exit codes: 0 done, 1 the machine failed, 2 bad input, 3 nothing fits the budget, 130 interrupted (Ctrl-C or SIGTERM).
"""

from __future__ import annotations

import io
import json
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import current_thread, main_thread

import typer

from hasnas import __version__
from hasnas.errors import BadInputError, HasnasError, one_line
from hasnas.extras import missing_extra
from hasnas.files import OF_THE_MACHINE
from hasnas.registry import raised_by_plugin

from .commands import completion
from .commands.bench import bench_app
from .commands.cost_model import estimate, list_hardware, map_command, schedule_command, simulate_command
from .commands.data import data_app
from .commands.options import AS_JSON, HELP, records, tell, tell_json
from .commands.views import RUN, compare, list_runs, merge, print_status, report, show, status

INTERRUPTED = 130
MOST_CHARACTERS = 2000  # of an error line

EXIT_CODES = (
    "Exit codes: 0 done; 1 the machine failed (a full disk, a dead worker: mend it and go on); 2 bad input, told in "
    "one line on the error stream; 3 nothing fits the budget; 130 interrupted (Ctrl-C or SIGTERM). With --json the "
    "standard output holds JSON and nothing else."
)

app = typer.Typer(
    help="Hardware-aware search for spiking neural networks on ReRAM compute-in-memory crossbars.",
    epilog=EXIT_CODES,
    context_settings=HELP,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # importing rich takes as long as everything else
)
configs_app = typer.Typer(help="The example configs that come with hasnas.", context_settings=HELP)
app.add_typer(configs_app, name="configs")
app.add_typer(data_app, name="data")
app.add_typer(bench_app, name="bench")

CONFIG = typer.Argument(..., metavar="CONFIG", help="The run as YAML; examples: hasnas configs ls.")
OVERRIDES = typer.Argument(None, metavar="[KEY=VALUE]...", help="Changes, e.g. budget.energy='2 uJ' seed=1.")


def _print_version(wanted: bool) -> None:
    if wanted:
        tell(f"hasnas {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", callback=_print_version, is_eager=True, help="Print the version."),
) -> None:
    pass


@app.command()
def search(
    config: Path | None = typer.Argument(None, metavar="CONFIG", help="The run as YAML; examples: hasnas configs ls."),
    overrides: list[str] | None = OVERRIDES,
    run_dir: Path | None = typer.Option(None, "--run-dir", help="Where everything goes; by default runs/<name>."),
    resume: Path | None = typer.Option(
        None, "--resume", metavar="RUN", help="Go on with a run, or ask more of it.", autocompletion=completion.runs
    ),
    workers: int | None = typer.Option(
        None, "--workers", min=1, max=1024, help="Processes, by default 1, with Ray all that fit; the result stays."
    ),
    time_limit: float | None = typer.Option(
        None, "--time-limit", metavar="SECONDS", help="Longest evaluation or training; one retry, then the run stops."
    ),
    dry_run: bool = typer.Option(False, "--dry-run", help="Only say how large the space is and what fits."),
    as_json: bool = AS_JSON,
) -> None:
    """Search a space within a budget, retrain the best, export."""
    from .commands.check import check_config, check_run

    # Whatever is wrong with config, data or machine is said before anything heavy is imported.
    changes = overrides or []
    if resume is not None:
        if config is not None and "=" in str(config):  # the place of CONFIG is taken by the first change
            config, changes = None, [str(config), *changes]
        if config is not None or run_dir is not None or dry_run:
            raise BadInputError("--resume takes the config of the run; leave out CONFIG, --run-dir and --dry-run")
        checked = check_run(resume, changes)
        from . import run

        with _told_how_to_go_on(resume):
            print_status(run.resume_run(resume, workers, checked, changes, time_limit), as_json)
        return
    if config is None:
        raise BadInputError("give a CONFIG, or --resume RUN; example configs: hasnas configs ls")
    checked = check_config(config, changes, run_dir, writes=not dry_run)
    if dry_run:
        tell(f"data: {checked.facts.describe()}", err=True)  # at once: what follows may take seconds
        from .stages import forecast

        found = forecast.dry_run(config, changes, checked=True)
        tell_json(found.to_json()) if as_json else tell(found.describe())
        return
    from . import run

    with _told_how_to_go_on(checked.directory):
        print_status(run.start_run(config, changes, run_dir, workers, checked, time_limit), as_json)


class _StoppedError(Exception):
    """A run was interrupted; the argument is its directory."""


@contextmanager
def _told_how_to_go_on(directory: Path | None) -> Iterator[None]:
    """Ctrl-C and SIGTERM alike end a run where it is; what it has done is on disk."""

    def stop(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    former = signal.signal(signal.SIGTERM, stop) if current_thread() is main_thread() else None
    try:
        yield
    except KeyboardInterrupt as error:
        raise _StoppedError(directory) from error
    finally:
        if former is not None:
            signal.signal(signal.SIGTERM, former)


@app.command()
def validate(config: Path = CONFIG, overrides: list[str] | None = OVERRIDES, as_json: bool = AS_JSON) -> None:
    """Check a config and all that it names; run nothing."""
    from .commands.check import validate_config

    found = validate_config(config, overrides or [])
    tell_json(found.to_json()) if as_json else tell(found.describe())


@app.command()
def analyse(
    config: Path = CONFIG,
    overrides: list[str] | None = OVERRIDES,
    score: str | None = typer.Option(None, "--score", help="A training-free score; by default the config's."),
    samples: int = typer.Option(2000, "--samples", help="Feasible candidates for each set of operations."),
    out: Path | None = typer.Option(None, "--out", metavar="FILE", help="Write the analysis as JSON to a file."),
    as_json: bool = AS_JSON,
) -> None:
    """Take each operation from the space in turn, and say which ones a search needs; nothing is trained."""
    from hasnas.files import write_atomic

    from .commands.analyse import analyse, describe

    found = analyse(config, overrides or [], score, samples)
    if out is not None:
        write_atomic(out, json.dumps(found.to_json(), indent=2) + "\n")
    tell_json(found.to_json()) if as_json else tell(describe(found))


app.command()(estimate)
app.command("map")(map_command)
app.command("schedule")(schedule_command)
app.command("simulate")(simulate_command)


@app.command()
def export(
    run: Path = RUN,
    to: list[str] = typer.Option(
        [],
        "--to",
        metavar="A,B",
        autocompletion=completion.formats,
        help="json, safetensors, nir, onnx, standalone, conductances, spikesim, neurosim; by default the config's.",
    ),
    as_json: bool = AS_JSON,
) -> None:
    """Write the returned networks for other tools, beside what was exported before."""
    from .opened_run import open_run

    formats = [name.strip() for names in to for name in names.split(",") if name.strip()]
    if to and not formats:
        raise BadInputError(f"--to is '{','.join(to)}'; name a format, e.g. nir, or leave it out for the config's")
    _ = open_run(run).best  # a run that has returned nothing is told at once: exporting imports torch first
    from .stages.progress import waiting

    with waiting(f"exporting the networks of {run}"):
        from .export.run_export import export_run

        written = export_run(run, formats or None)
    if as_json:
        tell_json({"run": run, "files": written})
        return
    for path in written:
        tell(path)


@app.command("import")
def import_command(
    source: Path = typer.Argument(..., metavar="SOURCE", help="NETWORK.nir, or FILE.py:FACTORY (a torch module)."),
    out: Path = typer.Option(..., "-o", "--out", metavar="DIR", help="Where the network is saved."),
    input_shape: str | None = typer.Option(None, "--input", metavar="C,H,W", help="Sample that a torch module takes."),
    timesteps: int | None = typer.Option(None, "--timesteps", min=1, help="T, for modules and NIR files without it."),
    input_count: int = typer.Option(0, "--input-count", min=0, help="Largest value of whole inputs: 1 for spikes."),
    step: str | None = typer.Option(None, "--step", help="Duration of a timestep, for NIR files without it."),
    mean: str = typer.Option("", "--mean", metavar="A,B", help="What its training subtracted from each channel."),
    deviation: str = typer.Option("", "--deviation", metavar="A,B", help="What it divided each channel by."),
    approximately: bool = typer.Option(False, "--approximately", help="Take a module that ours only resembles."),
    as_json: bool = AS_JSON,
) -> None:
    """Make a network of ours from one found elsewhere: to price, map, simulate, try on chips and train further."""
    from hasnas.cim_estimator import parse_quantity

    from .commands.estimate import read_shape
    from .commands.import_network import import_network
    from .commands.options import read_numbers

    found = import_network(
        source,
        out,
        None if input_shape is None else read_shape(input_shape),
        timesteps,
        input_count,
        None if step is None else parse_quantity(step, "s"),
        read_numbers(mean, "--mean"),
        read_numbers(deviation, "--deviation"),
        approximately,
    )
    tell_json(found.to_json()) if as_json else tell(found.describe())


@app.command()
def tune(
    network: Path = typer.Argument(..., metavar="NETWORK", help="Folder of an imported or exported network."),
    config: Path = CONFIG,
    overrides: list[str] | None = OVERRIDES,
    out: Path = typer.Option(..., "-o", "--out", metavar="DIR", help="Where the tuned network is saved."),
    as_json: bool = AS_JSON,
) -> None:
    """Train a network further, on the data and by the training settings of a config."""
    from .commands.import_network import tune_network

    found = tune_network(network, config, out, overrides or [])
    tell_json(found.to_json()) if as_json else tell(found.describe())


app.command()(status)
app.command()(show)
app.command()(compare)
app.command()(report)
app.command()(merge)
app.command("ls")(list_runs)
app.command("hardware")(list_hardware)


@app.command()
def doctor(as_json: bool = AS_JSON) -> None:
    """Say what this machine and install have, what was repaired, and what each extra would bring."""
    from .commands.doctor import examine

    found = examine()
    tell_json(found.to_json()) if as_json else tell(found.describe())


@configs_app.command("ls")
def list_configs_command(as_json: bool = AS_JSON) -> None:
    """List the example configs."""
    from .commands.configs import list_configs
    from .tracking.aligned import align

    found = list_configs()
    tell_json(records([("NAME", "TITLE"), *found])) if as_json else tell(align(found))


@configs_app.command("cp")
def copy_config_command(
    name: str = typer.Argument(..., metavar="NAME", autocompletion=completion.example_configs),
    target: Path = typer.Argument(Path("."), metavar="[TARGET]", help="A file or a directory."),
    as_json: bool = AS_JSON,
) -> None:
    """Copy an example config, to be changed."""
    from .commands.configs import copy_config

    written = copy_config(name, target)
    tell_json({"path": written}) if as_json else tell(written)


def run_command(arguments: Sequence[str]) -> int:
    """Run one command line; the exit code.

    Errors meant for the user become one line on the error stream; anything else is a bug and keeps its traceback.
    """
    try:
        result = app(list(arguments) or ["--help"], prog_name="hasnas", standalone_mode=False)
    except HasnasError as error:
        return _complain(str(error), error.exit_code)
    except MemoryError:
        return _complain("out of memory; free some, or give a smaller network, batch or number of workers", 1)
    except ModuleNotFoundError as error:
        missing = missing_extra(error, _command_of(arguments))
        if missing is None:
            raise
        return _complain(str(missing), missing.exit_code)
    except _StoppedError as stopped:
        return _complain(f"interrupted; go on with: hasnas search --resume {stopped}", INTERRUPTED)
    except KeyboardInterrupt:
        result = INTERRUPTED
    except BrokenPipeError:  # the reader of our output has enough, e.g. `hasnas ls | head`
        _drop_output()
        return 0
    except OSError as error:
        if error.errno not in OF_THE_MACHINE:
            if error.filename is None or raised_by_plugin(error):
                return _complain_of_plugin(error)
            return _complain(f"cannot use {error.filename}: {error.strerror}; check the path and its permissions", 2)
        _drop_output()
        return _complain(f"cannot write {error.filename or 'the output'}: {error.strerror}; make room, then again", 1)
    except BaseException as error:
        if isinstance(error, RuntimeError) and str(error).startswith("cannot cache function"):
            return _complain("numba may keep nowhere what it compiles; set NUMBA_CACHE_DIR to a folder for it", 1)
        # typer's own errors (an unknown option, a missing argument); their classes moved between its versions.
        format_message = getattr(error, "format_message", None)
        if format_message is None:
            return _complain_of_plugin(error)
        message = str(format_message()).rstrip(".")
        return _complain(f"{message}; see: hasnas --help", 2)
    if result == INTERRUPTED:  # newer versions of typer turn the interrupt into this number
        return _complain("interrupted; a search goes on with: hasnas search --resume RUN", INTERRUPTED)
    return result if isinstance(result, int) else 0


def _complain_of_plugin(error: BaseException) -> int:
    """One line about what a plug-in of another package raised; whatever else arrives here is a bug of ours."""
    plugin = raised_by_plugin(error)
    if plugin is None:
        raise error
    told = f"{plugin} raised {type(error).__name__}: {error}"
    return _complain(f"{told}; mend it; a search goes on with: hasnas search --resume RUN", 2)


def _drop_output() -> None:
    """What could not be written is not tried again when the process ends."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _command_of(arguments: Sequence[str]) -> str:
    """The command that a line begins with, for messages: `"hasnas search"`, `"hasnas data ls"`."""
    groups = {group.name for group in app.registered_groups}
    return " ".join(["hasnas", *arguments[: 2 if arguments[0] in groups else 1]])


def _complain(message: str, exit_code: int) -> int:
    """One line without control characters, however long what it quotes."""
    line = one_line(" ".join(message.split("\n")))
    if len(line) > MOST_CHARACTERS:
        line = f"{line[: MOST_CHARACTERS // 2]} ... {line[-MOST_CHARACTERS // 2 :]}"
    tell(f"hasnas: error: {line}", err=True)
    return exit_code


def main() -> None:
    """Entry point of the `hasnas` command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # not where it is closed; names that it cannot spell are written out
            stream.reconfigure(errors="backslashreplace")
    sys.exit(run_command(sys.argv[1:]))
