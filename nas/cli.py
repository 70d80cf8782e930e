"""The command line. Nothing heavy is imported before a command needs it: `hasnas --help` stays fast.

Exit codes: 0 done, 2 bad input, 3 nothing fits the budget, 130 interrupted (Ctrl-C or SIGTERM).
"""

from __future__ import annotations

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

INTERRUPTED = 130
MOST_CHARACTERS = 2000  # of an error line

HELP = {"help_option_names": ["-h", "--help"]}

app = typer.Typer(
    help="Hardware-aware search for spiking neural networks on ReRAM compute-in-memory crossbars.",
    context_settings=HELP,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # importing rich takes as long as everything else
)
configs_app = typer.Typer(help="The example configs that come with hasnas.", context_settings=HELP)
data_app = typer.Typer(help="The datasets.", context_settings=HELP)
app.add_typer(configs_app, name="configs")
app.add_typer(data_app, name="data")
bench_app = typer.Typer(help="Strategies and scores on published tables of trained networks.", context_settings=HELP)
app.add_typer(bench_app, name="bench")

CONFIG = typer.Argument(..., metavar="CONFIG", help="The run as YAML; examples: hasnas configs ls.")
OVERRIDES = typer.Argument(None, metavar="[KEY=VALUE]...", help="Changes, e.g. budget.energy='2 uJ' seed=1.")
RUN = typer.Argument(..., metavar="RUN", help="A run directory.")
AS_JSON = typer.Option(False, "--json", help="Print JSON.")
ROOT = typer.Option(None, "--data-root", help="The folder that holds the datasets' files.")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"hasnas {__version__}")
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
    resume: Path | None = typer.Option(None, "--resume", metavar="RUN", help="Go on with a run that was stopped."),
    workers: int = typer.Option(1, "--workers", min=1, max=1024, help="Processes; they do not change the result."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Only say how large the space is and what fits."),
) -> None:
    """Search a space within a budget, retrain the best, export."""
    from .commands.check import check_config, check_run

    # Whatever is wrong with config, data or machine is said before anything heavy is imported.
    changes = overrides or []
    if resume is not None:
        if config is not None and "=" in str(config):
            raise BadInputError(
                f"--resume goes on with the config of the run, which '{config}' would change; start a new run: "
                f"hasnas search {resume}/config.yaml {config} --run-dir DIR"
            )
        if config is not None or run_dir is not None or dry_run:
            raise BadInputError("--resume takes the config of the run; leave out CONFIG, --run-dir and --dry-run")
        checked = check_run(resume)
        from . import run

        with _told_how_to_go_on(resume):
            _print_status(run.resume_run(resume, workers, checked), as_json=False)
        return
    if config is None:
        raise BadInputError("give a CONFIG, or --resume RUN; example configs: hasnas configs ls")
    checked = check_config(config, changes, run_dir, writes=not dry_run)
    if dry_run:  # at once: what follows imports torch first
        typer.echo(f"data: {checked.facts.describe()}", err=True)
    from . import run

    if dry_run:
        typer.echo(run.dry_run(config, changes, checked).describe())
    else:
        with _told_how_to_go_on(checked.directory):
            _print_status(run.start_run(config, changes, run_dir, workers, checked), as_json=False)


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
def validate(config: Path = CONFIG, overrides: list[str] | None = OVERRIDES) -> None:
    """Check a config and all that it names; run nothing."""
    from .commands.configs import validate_config

    typer.echo(validate_config(config, overrides or []))


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
    text = json.dumps(found.to_json(), indent=2)
    if out is not None:
        write_atomic(out, text + "\n")
    typer.echo(text if as_json else describe(found))


@app.command()
def estimate(
    source: Path = typer.Argument(
        ..., metavar="X", help="ARCHITECTURE.json, LAYERS.yaml, NETWORK.nir, FILE.py:FACTORY (torch) or a run."
    ),
    hardware: list[str] = typer.Option([], "--hardware", help="Preset or YAML file, several to compare."),
    settings: list[str] = typer.Option([], "--set", metavar="FIELD=VALUE", help="Change the hardware."),
    sweeps: list[str] = typer.Option([], "--sweep", metavar="FIELD=A,B,C", help="Try several values."),
    activity: str | None = typer.Option(None, "--activity", help="dense, a rate such as 0.2, or measured (a run)."),
    timesteps: int | None = typer.Option(None, "--timesteps", min=1, help="T, for torch modules and NIR files."),
    input_shape: str | None = typer.Option(None, "--input", metavar="C,H,W", help="Image that a torch module takes."),
    input_count: int = typer.Option(0, "--input-count", min=0, help="Largest value of whole inputs: 1 for spikes."),
    as_json: bool = AS_JSON,
    csv: Path | None = typer.Option(None, "--csv", metavar="FILE", help="Write a line for each layer to a file."),
    plot: Path | None = typer.Option(None, "--plot", metavar="DIR", help="Draw stacked bars and a roofline into DIR."),
    nonideal: str | None = typer.Option(None, "--nonideal", metavar="DEVICE", help="A run's accuracy on such chips."),
    chips: int = typer.Option(20, "--chips", min=1, help="Chips for --nonideal."),
) -> None:
    """Price a network on a chip, by layer and in total; or try a run's network on imperfect chips."""
    if nonideal is not None:
        from .commands.nonideal import try_on_chips

        report = try_on_chips(source, nonideal, chips)
        typer.echo(json.dumps(report.to_json(), indent=2) if as_json else report.describe())
        return
    from hasnas.files import write_atomic

    from .commands.estimate import Question, answer, drawn, read_shape, to_csv, to_json, to_text, write_plots

    shape = None if input_shape is None else read_shape(input_shape)
    variants = answer(Question(source, hardware, settings, sweeps, activity, timesteps, shape, input_count))
    pictures = drawn(variants) if plot is not None else {}
    if csv is not None:
        write_atomic(csv, to_csv(variants))
    if plot is not None:
        write_plots(pictures, plot)
    typer.echo(to_json(variants) if as_json else to_text(variants))


@app.command("map")
def map_command(
    source: Path = typer.Argument(
        ...,
        metavar="SOURCE",
        help="A run, an exported network or a NIR file; GRAPH.npz; or text: a line 'source destination ...'.",
    ),
    spikes: Path | None = typer.Option(None, "--spikes", metavar="FILE", help="For text: a line 'neuron time ...'."),
    recipe: str | None = typer.Option(None, "--recipe", help="Name or YAML file; by default spinemap."),
    recipes: str | None = typer.Option(None, "--recipes", metavar="A,B,C", help="Compare several."),
    hardware: str = typer.Option("rram-32nm", "--hardware", help="Preset or YAML file."),
    settings: list[str] = typer.Option([], "--set", metavar="FIELD=VALUE", help="Change the hardware."),
    network: str = typer.Option("noxim", "--network", help="Constants of the network between tiles."),
    cells: str = typer.Option("unverified", "--cells", help="Constants of heat and wear."),
    samples: str | None = typer.Option(None, "--samples", metavar="N|FILE.npy", help="To trace; 64 by default."),
    dataset: str | None = typer.Option(None, "--dataset", help="Where samples come from, for NIR files."),
    data_root: Path | None = ROOT,
    by_channel: bool = typer.Option(False, "--by-channel", help="A channel of maps is one neuron; for networks."),
    timesteps: int | None = typer.Option(None, "--timesteps", min=1, help="T, for NIR files of other tools."),
    step: str = typer.Option("1 ms", "--step", help="Duration of a timestep, for text and networks."),
    seed: int = typer.Option(0, "--seed", min=0, help="The only source of chance."),
    save: Path | None = typer.Option(None, "--save", metavar="FILE.npz", help="Write the mapping."),
    mapping: Path | None = typer.Option(None, "--mapping", metavar="FILE.npz", help="Judge a saved mapping."),
    save_graph: Path | None = typer.Option(None, "--save-graph", metavar="FILE.npz", help="Write the spike graph."),
    plot: Path | None = typer.Option(None, "--plot", metavar="DIR", help="Draw heat, lifetime and traffic into DIR."),
    wires: str = typer.Option("rram-typical", "--wires", help="Preset of imperfect devices, for its wires."),
    as_json: bool = AS_JSON,
) -> None:
    """Put a spiking network on crossbars and tiles, and say what that costs."""
    from hasnas.nas.commands.map import MapQuestion, answer, draw, to_json, to_text

    if recipe is not None and recipes is not None:
        raise BadInputError("give --recipe or --recipes, not both")
    names = (recipes or recipe or "spinemap").split(",")
    found = answer(
        MapQuestion(
            source,
            spikes,
            names,
            hardware,
            settings,
            step,
            seed,
            save,
            network,
            cells,
            mapping,
            save_graph,
            samples,
            dataset,
            data_root,
            by_channel,
            timesteps,
            wires,
        )
    )
    if plot is not None:
        draw(found, plot)
    metrics = [one.metrics for one in found]
    typer.echo(to_json(metrics) if as_json else to_text(metrics))


@app.command("schedule")
def schedule_command(
    source: Path = typer.Argument(
        ..., metavar="SOURCE", help="A dataflow graph as SDF3 writes it; with --mapping what hasnas map takes."
    ),
    mapping: Path | None = typer.Option(None, "--mapping", metavar="M.npz", help="A mapping, of hasnas map --save."),
    tiles: str | None = typer.Option(None, "--tiles", metavar="ACTOR=TILE,...", help="Order the firings on tiles."),
    one_at_a_time: bool = typer.Option(False, "--one-at-a-time", help="No actor fires again before it has finished."),
    buffers: bool = typer.Option(False, "--buffers", help="Throughput against buffer space."),
    spikes: Path | None = typer.Option(None, "--spikes", metavar="FILE", help="For graphs as text."),
    samples: str | None = typer.Option(None, "--samples", metavar="N|FILE.npy", help="To trace; 64 by default."),
    dataset: str | None = typer.Option(None, "--dataset", help="Where samples come from, for NIR files."),
    data_root: Path | None = ROOT,
    hardware: str = typer.Option("rram-32nm", "--hardware", help="Preset or YAML file; that of the mapping."),
    settings: list[str] = typer.Option([], "--set", metavar="FIELD=VALUE", help="Change the hardware."),
    room: int | None = typer.Option(None, "--room", help="Packets that fit each queue; by default enough."),
    joining: Path | None = typer.Option(None, "--admit", metavar="SOURCE", help="A second network for the same chip."),
    joining_mapping: Path | None = typer.Option(None, "--admit-mapping", metavar="M.npz", help="Its mapping."),
    joining_spikes: Path | None = typer.Option(None, "--admit-spikes", metavar="FILE", help="Its spikes, for text."),
    at_least: float = typer.Option(1.0, "--at-least", metavar="STEPS/S", help="Timesteps a second that both need."),
    tiles_of_chip: str | None = typer.Option(None, "--chip", metavar="WxH", help="Tiles; by default the mapping's."),
    as_json: bool = AS_JSON,
) -> None:
    """Say what throughput a dataflow graph or a mapped network guarantees, and what bounds it."""
    from hasnas.nas.commands.schedule import ScheduleQuestion, answer, to_json, to_text

    if mapping is None:
        found = answer(ScheduleQuestion(source, tiles, one_at_a_time, buffers))
        typer.echo(to_json(found) if as_json else to_text(found))
        return
    if tiles is not None or one_at_a_time or buffers:
        raise BadInputError("--mapping says where everything is; leave out --tiles, --one-at-a-time and --buffers")
    from hasnas.nas.commands.map import MapQuestion
    from hasnas.nas.commands.schedule_mapped import (
        AdmissionQuestion,
        admission_text,
        answer_admission,
        answer_mapped,
        mapped_text,
    )

    question = MapQuestion(
        source, spikes, hardware=hardware, settings=settings, mapping=mapping, samples=samples, dataset=dataset,
        data_root=data_root,
    )  # fmt: skip
    if joining is not None:
        if joining_mapping is None:
            raise BadInputError("--admit needs the second network's mapping; give --admit-mapping M.npz")
        wanted = AdmissionQuestion(joining, joining_mapping, joining_spikes, at_least, tiles_of_chip)
        both = answer_admission(question, wanted)
        typer.echo(to_json(both) if as_json else admission_text(both))
        return
    mapped = answer_mapped(question, room)
    typer.echo(to_json(mapped) if as_json else mapped_text(mapped))


@app.command("simulate")
def simulate_command(
    source: Path = typer.Argument(
        ..., metavar="SOURCE", help="A run, an exported network or a NIR file; or a spike graph, which is replayed."
    ),
    mapping: Path = typer.Option(..., "--mapping", metavar="M.npz", help="Where everything is: hasnas map --save."),
    mode: str = typer.Option("barrier", "--mode", help="barrier: in lock-step; free: cores read whatever has arrived."),
    spikes: Path | None = typer.Option(None, "--spikes", metavar="FILE", help="For graphs as text."),
    samples: str | None = typer.Option(None, "--samples", metavar="N|FILE.npy", help="For networks; 64 by default."),
    dataset: str | None = typer.Option(None, "--dataset", help="Where samples come from, for NIR files."),
    data_root: Path | None = ROOT,
    timesteps: int | None = typer.Option(None, "--timesteps", min=1, help="T, for NIR files of other tools."),
    hardware: str = typer.Option("rram-32nm", "--hardware", help="Preset or YAML file; that of the mapping."),
    settings: list[str] = typer.Option([], "--set", metavar="FIELD=VALUE", help="Change the hardware."),
    network: str = typer.Option("noxim", "--network", help="Constants of the network between tiles."),
    period: str | None = typer.Option(
        None, "--period", help="A timestep in free mode; by default as with barriers."
    ),
    room: int = typer.Option(4, "--room", help="Packets that fit each queue."),
    unicast: bool = typer.Option(False, "--unicast", help="A spike travels to each destination by itself."),
    trace: Path | None = typer.Option(None, "--trace", metavar="T.json", help="A trace for ui.perfetto.dev."),
    as_json: bool = AS_JSON,
) -> None:
    """Run a mapped network on its chip, event by event: answers, latency, energy, congestion."""
    from hasnas.cim_estimator import parse_quantity
    from hasnas.nas.commands.simulate import SimulateQuestion, answer, to_json, to_text

    period_s = None if period is None else parse_quantity(period, "s")
    found = answer(
        SimulateQuestion(
            source, mapping, mode, spikes, samples, dataset, data_root, timesteps, hardware, settings, network,
            period_s, room, unicast, trace,
        )
    )  # fmt: skip
    typer.echo(to_json(found) if as_json else to_text(found))


@app.command()
def export(
    run: Path = RUN,
    formats: list[str] = typer.Option([], "--format", help="json, safetensors or nir; by default those of the config."),
) -> None:
    """Write the returned networks for other tools."""
    from .tracking.status import load_run_config

    chosen = formats or load_run_config(run).export.formats
    from .export.run_export import export_run

    for path in export_run(run, chosen):
        typer.echo(path)


@app.command()
def status(run: Path = RUN, as_json: bool = AS_JSON) -> None:
    """Show stages, trials, front and returned networks."""
    _print_status(run, as_json)


@app.command()
def pareto(
    runs: list[Path] = typer.Argument(..., metavar="RUN...", help="Run directories, on the same data."),
    objectives: str | None = typer.Option(None, "--objectives", metavar="A,B", help="E.g. accuracy,energy,area."),
    reference: str | None = typer.Option(
        None, "--reference", metavar="A=X,B=Y", help="The worst values of interest, e.g. accuracy=0.5,energy='2 uJ'."
    ),
    as_json: bool = AS_JSON,
    plot: Path | None = typer.Option(None, "--plot", metavar="FILE.png", help="Draw the fronts."),
) -> None:
    """Compare the fronts of runs: hypervolume, attainment, and which run is ahead where."""
    from hasnas.files import write_atomic

    from .tracking.compare import compare_runs, read_reference

    names = None if objectives is None else [name.strip() for name in objectives.split(",")]
    found = compare_runs(runs, names, read_reference(reference))
    if plot is not None:
        from .tracking.figures import fronts, to_png

        write_atomic(plot, to_png(fronts(found)))
    typer.echo(json.dumps(found.to_json(), indent=2) if as_json else found.describe())


@app.command("ls")
def list_runs_command(
    directory: Path = typer.Argument(Path("runs"), metavar="[DIR]", help="Where the runs are."), as_json: bool = AS_JSON
) -> None:
    """List the runs in a directory."""
    from .tracking.status import describe_runs, list_runs

    runs = list_runs(directory)
    typer.echo(json.dumps(runs, indent=2) if as_json else describe_runs(runs) or f"no run in {directory}")


@app.command("hardware")
def list_hardware(
    name: str | None = typer.Argument(None, metavar="[NAME]", help="A preset or YAML file: all constants, sources."),
) -> None:
    """List chips with node, bits and source, and the parts they are made of; or one chip in full."""
    from .commands.hardware import chips, one, parts
    from .tracking.status import align

    if name is not None:
        typer.echo(align(one(name)))
        return
    typer.echo(f"{align(chips())}\n\n{align(parts())}")


@configs_app.command("ls")
def list_configs_command() -> None:
    """List the example configs."""
    from .commands.configs import list_configs
    from .tracking.status import align

    typer.echo(align(list_configs()))


@configs_app.command("cp")
def copy_config_command(
    name: str = typer.Argument(..., metavar="NAME"),
    target: Path = typer.Argument(Path("."), metavar="[TARGET]", help="A file or a directory."),
) -> None:
    """Copy an example config, to be changed."""
    from .commands.configs import copy_config

    typer.echo(copy_config(name, target))


@data_app.command("ls")
def list_data_command(root: Path | None = ROOT) -> None:
    """List the datasets and whether their files are there."""
    from hasnas.datasets.commands import list_datasets

    from .tracking.status import align

    rows = [("NAME", "STATE", "INPUT", "CLASSES", "TITLE")]
    for row in list_datasets(root):
        card = row.card
        frames = [card.timesteps] if card.timesteps else []
        shape = "x".join(str(length or "?") for length in (*frames, *card.input_shape))
        rows.append((card.name, row.state, shape, str(card.outputs or "?"), card.title))
    typer.echo(align(rows))


@data_app.command("prepare")
def prepare_data_command(name: str, root: Path | None = ROOT) -> None:
    """Download what is missing of a dataset, check it, and read it once."""
    from hasnas.datasets.commands import prepare

    counts = prepare(name, root)
    typer.echo(f"{name}: " + ", ".join(f"{count:,} {split} samples" for split, count in counts.items()))


@data_app.command("check")
def check_data_command(name: str, root: Path | None = ROOT) -> None:
    """Compare a dataset's files with their published checksums, and read both splits."""
    from hasnas.datasets.commands import check

    from .tracking.status import align

    findings = check(name, root)
    typer.echo(align([("ok" if finding.good else "BAD", finding.what, finding.detail) for finding in findings]))
    if not all(finding.good for finding in findings):
        raise BadInputError(f"dataset '{name}' is not sound; see the lines marked BAD")


@data_app.command("preview")
def preview_data_command(name: str, path: Path, root: Path | None = ROOT) -> None:
    """Write a PNG sheet of samples of a dataset."""
    from hasnas.datasets.commands import preview

    preview(name, path, root)
    typer.echo(path)


@bench_app.command("spikenas")
def bench_spikenas_command(
    data: Path = typer.Option(..., "--data", help="SpikeNAS-Bench as .npz."),
    strategy: str = typer.Option("predictor", "--strategy", help="A registered strategy, or a yardstick."),
    evaluations: int = typer.Option(100, "--evaluations", help="Networks that each search may look up."),
    seeds: int = typer.Option(20, "--seeds", help="Searches."),
    budget: str | None = typer.Option(
        None, "--budget", help="A level: 50%, 10% or 1% of the cells fit; or a limit on the cost: 8e8, '150 uJ'."
    ),
    cost: str = typer.Option("synaptic_operations", "--cost", help="What is limited: synaptic_operations, energy, ..."),
    hardware: str | None = typer.Option(None, "--hardware", help="The chip that costs are estimated for."),
    as_json: bool = AS_JSON,
) -> None:
    """Search 15,625 trained networks with a strategy, and judge its pick."""
    from .bench.bench import bench_spikenas

    found = bench_spikenas(data, strategy, evaluations, seeds, budget=budget, cost=cost, hardware=hardware)
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    from .bench.bench import over_time_table
    from .tracking.status import align

    typer.echo(align(over_time_table(found)))


@bench_app.command("proxies")
def bench_proxies_command(
    data: Path = typer.Option(..., "--data", help="SpikeNAS-Bench as .npz."),
    images: Path | None = typer.Option(None, "--images", help="CIFAR-10 JPEG copies, for scores that run networks."),
    names: list[str] = typer.Option([], "--score", help="A training-free score; by default all that can be run."),
    networks: int = typer.Option(360, "--networks", help="Architectures for scores that run networks."),
    as_json: bool = AS_JSON,
) -> None:
    """Rank correlation of training-free scores with trained accuracy, counters beside every score."""
    from .bench.bench_proxies import NetworkSettings, bench_proxies, proxies_table
    from .tracking.status import align

    settings = NetworkSettings(networks=networks)
    say = None if as_json else lambda name: typer.echo(f"scoring by {name}", err=True)
    rows = bench_proxies(data, names or None, images=images, settings=settings, report=say)
    typer.echo(json.dumps(rows, indent=2) if as_json else align(proxies_table(rows)))


def _print_status(run: Path, as_json: bool) -> None:
    from .tracking.status import describe_status, run_status

    found = run_status(run)
    typer.echo(json.dumps(found, indent=2) if as_json else describe_status(found))


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
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        # typer's own errors (an unknown option, a missing argument); their classes moved between its versions.
        format_message = getattr(error, "format_message", None)
        if format_message is None:
            raise
        message = str(format_message()).rstrip(".")
        return _complain(f"{message}; see: hasnas --help", 2)
    if result == INTERRUPTED:  # newer versions of typer turn the interrupt into this number
        return _complain("interrupted; a search goes on with: hasnas search --resume RUN", INTERRUPTED)
    return result if isinstance(result, int) else 0


def _command_of(arguments: Sequence[str]) -> str:
    """The command that a line begins with, for messages: `"hasnas search"`, `"hasnas data ls"`."""
    groups = {group.name for group in app.registered_groups}
    return " ".join(["hasnas", *arguments[: 2 if arguments[0] in groups else 1]])


def _complain(message: str, exit_code: int) -> int:
    """One line without control characters, however long what it quotes."""
    line = one_line(" ".join(message.split("\n")))
    if len(line) > MOST_CHARACTERS:
        line = f"{line[: MOST_CHARACTERS // 2]} ... {line[-MOST_CHARACTERS // 2 :]}"
    typer.echo(f"hasnas: error: {line}", err=True)
    return exit_code


def main() -> None:
    """Entry point of the `hasnas` command."""
    sys.exit(run_command(sys.argv[1:]))
