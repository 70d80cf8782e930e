"""What a network costs: from an architecture, a layer list, a NIR file, a torch module or a run; once, or swept."""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hasnas.cim_estimator import Activity, SweepPoint, Workload, read_layers, sweep
from hasnas.cim_estimator.report.formats import to_csv as report_csv
from hasnas.errors import BadInputError, one_line
from hasnas.files import CARD_FILE, expanded, make_directory, read_json, sealed, write_atomic
from hasnas.nas.budget.costs import STANDARD, Costs, known_costs
from hasnas.nas.history.returned import returned_networks
from hasnas.nas.history.run_config import load_run_config, nothing_returned
from hasnas.nas.history.stored_run import read_run
from hasnas.nas.history.trial import Trial
from hasnas.nas.tracking.aligned import align
from hasnas.search_spaces.architecture import Architecture, description_in
from hasnas.search_spaces.graph import LayerGraph
from hasnas.search_spaces.layers import Input
from hasnas.search_spaces.lowering import lower
from hasnas.search_spaces.nir import read_nir

from .options import reject_repeated, steps_shown

MEASURED = "measured"
MOST_VALUES = 10**8  # of an input
PYTHON_SOURCE = re.compile(r".+\.py:\w+")


@dataclass(frozen=True)
class Question:
    """What to estimate.

    Args:
        source: architecture or graph of layers (`.json`), layer list (`.yaml`), NIR file (`.nir`), run directory,
            folder of an imported or exported network, or `FILE.py:FACTORY` for a torch module that a function in a
            Python file returns.
        hardware: presets or paths, several to compare; only a run brings its own.
        settings: texts `field=value` that change the hardware.
        sweeps: texts `field=a,b,c`; several of them are combined.
        activity: `"dense"`, a rate such as `"0.2"`, or `"measured"` (a run only); by default `"measured"` for a run,
            `"dense"` for anything else.
        timesteps: T of a sample, for torch modules, and for NIR files that do not say.
        input_shape: of an image `[C, H, W]` that is shown at every timestep, or `[T, C, H, W]`; torch modules only.
        largest_count: the largest of the input's values if these are whole numbers, 1 for spikes; 0 for real values;
            torch modules and NIR files only.
    """

    source: Path
    hardware: Sequence[str] = ()
    settings: Sequence[str] = ()
    sweeps: Sequence[str] = ()
    activity: str | None = None
    timesteps: int | None = None
    input_shape: tuple[int, ...] | None = None
    largest_count: int = 0


def answer(question: Question) -> list[SweepPoint]:
    """One report for each chip and combination of the sweeps' values; a single one for one chip without sweeps.

    Raises:
        BadInputError: if the source, the hardware, a setting or the activity cannot be used.
    """
    is_run = question.source.is_dir() and not is_saved(question.source)
    activity = read_activity(question.activity or (MEASURED if is_run else "dense"))
    if activity.kind == MEASURED and not is_run and not is_saved(question.source):
        raise BadInputError(f"--activity measured needs a run; {question.source} has no trained network, give a rate")
    workload, ignored = _workload(question, activity.kind == MEASURED)
    references, settings = question.hardware, {}
    if not references:
        if not is_run:
            raise BadInputError(f"give --hardware for {question.source}; list the presets with: hasnas hardware")
        section = load_run_config(question.source).hardware
        references = [section.reference]
        settings = section.settings_of(returned_network(question.source).hardware)
    pairs = [_pair(text, "--set") for text in question.settings]
    swept = [_values(text) for text in question.sweeps]
    reject_repeated([key for key, _ in (*pairs, *swept)], "--set and --sweep")
    settings |= dict(pairs)
    fields = dict(swept)
    points = []
    for reference in dict.fromkeys(references):
        compared = {"hardware": reference} if len(set(references)) > 1 else {}
        with steps_shown(reference) as progress:
            found = sweep(workload, reference, fields, activity, settings, progress)
        for point in found:
            report = replace(point.report, warnings=(*ignored, *point.report.warnings))
            points.append(replace(point, values={**compared, **point.values}, report=report))
    return points


def _workload(question: Question, measured: bool) -> tuple[Workload, tuple[str, ...]]:
    """The layers, and what their file says beyond what is priced."""
    source, shape = question.source, question.input_shape
    if not PYTHON_SOURCE.fullmatch(str(source)):
        if shape is not None:
            raise BadInputError(f"--input is for a module in FILE.py:FACTORY; leave it out for {source}")
        if source.suffix == ".nir":
            found = read_nir(source, question.timesteps)
            return lower(_with_counts(found.graph, question.largest_count)), found.ignored
        if question.largest_count:
            raise BadInputError(f"--input-count is for torch modules and NIR files; leave it out for {source}")
        if question.timesteps is not None and (source.is_dir() or source.suffix in (".json", ".yaml", ".yml")):
            raise BadInputError(f"--timesteps is for torch modules and NIR files; {source} says its own, leave it out")
        return read_workload(source, measured, question.timesteps), ()
    if shape is None or question.timesteps is None:
        raise BadInputError(f"{source} needs --input C,H,W and --timesteps, for example --input 3,32,32 --timesteps 4")
    from .python_source import read_graph

    notes: list[str] = []
    return lower(read_graph(source, shape, question.timesteps, question.largest_count, notes.append)), tuple(notes)


def _with_counts(graph: LayerGraph, largest: int) -> LayerGraph:
    """The same network with inputs that are whole numbers up to `largest`; what its file says, if that is 0."""
    nodes = (
        replace(node, operation=replace(node.operation, largest_count=largest))
        if largest and isinstance(node.operation, Input)
        else node
        for node in graph.nodes
    )
    return replace(graph, nodes=tuple(nodes))


def read_shape(text: str) -> tuple[int, ...]:
    """The shape that `--input` names.

    Raises:
        BadInputError: if the text is not 1 to 4 positive whole numbers, or names too many values.

    >>> read_shape("3,32,32")
    (3, 32, 32)
    """
    sides = [side.strip() for side in text.split(",")]
    if len(sides) > 4 or not all(side.isascii() and side.isdigit() and int(side) for side in sides):
        known = "C,H,W (an image), T,C,H,W (frames), C,L (a line) or F (a vector)"
        raise BadInputError(f"--input is '{text}'; write {known}")
    shape = tuple(int(side) for side in sides)
    if math.prod(shape) > MOST_VALUES:
        raise BadInputError(f"--input {one_line(text)} holds more than {MOST_VALUES:,} values; give a smaller one")
    return shape


def read_activity(text: str) -> Activity:
    """The activity that `--activity` names.

    >>> read_activity("0.2").rate
    0.2
    """
    if text in ("dense", MEASURED):
        return Activity(text)
    try:
        return Activity.assumed(float(text))
    except BadInputError:
        raise
    except ValueError as error:
        raise BadInputError(f"--activity is '{text}'; give dense, measured, or a rate from 0 to 1") from error


def read_workload(source: Path, measured: bool = False, timesteps: int | None = None) -> Workload:
    """The layers of a network in any of the forms that `estimate` takes.

    Args:
        source: see `Question`.
        measured: whether to use the spike activity that a run measured on its returned network.
        timesteps: see `Question`.

    Raises:
        BadInputError: if the file is missing, of no known kind, or not what its name says.
    """
    if described := description_in(source):
        return lower(_graph_of_json(described), _rates_of_card(source) if measured else None)
    if source.is_dir():
        winner = returned_network(source)
        graph = Architecture.from_json(winner.architecture).expand()
        return lower(graph, _measured_rates(source, winner) if measured else None)
    if source.suffix == ".json":
        return lower(_graph_of_json(source))
    if source.suffix in (".yaml", ".yml"):
        return read_layers(source)
    if source.suffix == ".nir":
        return lower(read_nir(source, timesteps).graph)
    if not source.exists():
        raise BadInputError(f"cannot read {source}: there is no such file or directory; check the path")
    raise BadInputError(
        f"{source} is of no known kind; give a file ending in .json, .yaml or .nir, FILE.py:FACTORY, or a run directory"
    )


def is_saved(source: Path) -> bool:
    """Whether a folder holds one network: of `hasnas import`, `hasnas tune`, or of a run's `export/`."""
    return description_in(source) is not None


def _graph_of_json(path: Path) -> LayerGraph:
    """The layers of an architecture, or of a graph of layers."""
    data = read_json(path)
    return LayerGraph.load(path) if isinstance(data, dict) and "nodes" in data else Architecture.load(path).expand()


def _rates_of_card(folder: Path) -> dict[str, float]:
    """The activity that was measured on a network when it was trained, as its card says."""
    path = folder / CARD_FILE
    card = read_json(path)
    if not isinstance(card, dict) or sealed(card) != card or not card.get("activity"):
        raise BadInputError(f"{path} holds no measured activity; give --activity dense or a rate, or run hasnas tune")
    return {name: float(rate) for name, rate in card["activity"].items()}


def returned_network(run_directory: Path) -> Trial:
    """The network that a run returned: the most accurate retrained one that keeps to the budget, its best training.

    Raises:
        BadInputError: if the directory holds no run, or the run has returned nothing yet.
    """
    networks = returned_networks(read_run(run_directory).trials)
    if not networks:
        raise nothing_returned(run_directory)
    return networks[0].best


def _measured_rates(run_directory: Path, trial: Trial) -> dict[str, float]:
    """The activity that was measured when the network was retrained."""
    from hasnas.nas.training.folders import read_activity, retrain_directory

    directory = retrain_directory(run_directory, trial.trained_as, trial.seed)
    rates = read_activity(directory)
    if not rates:
        raise BadInputError(f"{directory} holds no measured activity; give --activity dense or a rate")
    return rates


def to_json(variants: Sequence[SweepPoint]) -> str:
    """A report as JSON: totals in SI and the tree below them; a sweep is a list of them, each with what was `set`."""
    trees: list[dict[str, Any]] = [variant.report.to_dict() for variant in variants]
    if len(variants) == 1 and not variants[0].values:
        return json.dumps(trees[0], indent=2)
    return json.dumps(
        [{"set": dict(variant.values), **tree} for variant, tree in zip(variants, trees, strict=True)], indent=2
    )


def to_csv(variants: Sequence[SweepPoint]) -> str:
    """Comma-separated values in SI units: a line for each layer, and in a sweep for each combination of values."""
    parts = [report_csv(one.report, one.values, heading=number == 0) for number, one in enumerate(variants)]
    return "".join(parts)


def drawn(variants: Sequence[SweepPoint]) -> dict[str, bytes]:
    """PNG files by name: `energy.png`, `area.png` and, where the hardware describes a bus, `roofline.png`.

    Raises:
        BadInputError: for more than one report.
    """
    from hasnas.cim_estimator.hardware.spec import GeneralHardware
    from hasnas.cim_estimator.report.plots import draw_breakdown, draw_roofline

    if len(variants) != 1:
        raise BadInputError("--plot draws one report; leave out --sweep, and name one --hardware")
    only = variants[0]
    figures = {name: draw_breakdown(only.report, name) for name in ("energy", "area")}
    if isinstance(only.hardware, GeneralHardware):
        figures["roofline"] = draw_roofline(only.report, only.hardware)
    files = {}
    for name, figure in figures.items():
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=120)
        files[f"{name}.png"] = buffer.getvalue()
    return files


def write_plots(files: Mapping[str, bytes], directory: Path) -> None:
    """Write pictures into a folder, which is made.

    Raises:
        BadInputError: if it cannot be.
    """
    make_directory(directory)
    for name, content in files.items():
        write_atomic(directory / name, content)


def to_text(variants: Sequence[SweepPoint]) -> str:
    """A table for people: the layers of one report, or the totals along a sweep; then the warnings."""
    if variants[0].values:
        keys = list(variants[0].values)
        rows = [(*(key.upper() for key in keys), *(cost.name.upper() for cost in STANDARD))]
        rows += [(*variant.values.values(), *_shown(variant.report.to_dict())) for variant in variants]
    else:
        tree = variants[0].report.to_dict()
        rows = [("LAYER", "KIND", *(cost.name.upper() for cost in STANDARD))]
        rows += [(layer["name"], layer["kind"], *_shown(layer)) for layer in tree["layers"]]
        rows.append(("total", "", *_shown(tree)))
    warnings = dict.fromkeys(warning for variant in variants for warning in variant.report.warnings)
    more = [] if variants[0].values else [_derived(variants[0])]
    return "\n".join([align(rows), *more, *(f"warning: {warning}" for warning in warnings)])


def _shown(tree: Mapping[str, Any]) -> list[str]:
    return [cost.show(tree[cost.field]) for cost in STANDARD]


def _derived(variant: SweepPoint) -> str:
    """The totals that layers have no share of, and what was done for the energy."""
    costs = tuple(cost for cost in known_costs() if cost not in STANDARD)
    table, report = Costs.of(variant.report.costs(), costs), variant.report
    shown = [f"{cost.name} {cost.show(value)}" for cost, value in zip(costs, table.values[0], strict=True)]
    share = float(report.operations_done) / max(float(report.operations), 1.0)
    done = f"{float(report.tops_per_watt):.4g} TOPS/W of operations done ({share:.3g} of the dense)"
    return ", ".join([*shown, done])


def _pair(text: str, option: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key.strip() or not value.strip():
        raise BadInputError(f"{option} '{text}' is not field=value; write for example crossbar.rows=128")
    return key.strip(), _path_from_here(value.strip(), key.strip())


def _path_from_here(value: str, key: str) -> str:
    """A file beside the user, not beside the file that names the chip; anything else as it is."""
    if not value.endswith((".yaml", ".yml")):
        return value
    path = expanded(value, key)
    return str(path.resolve()) if path.is_file() else value


def _values(text: str) -> tuple[str, list[str]]:
    key, values = _pair(text, "--sweep")
    choices = [_path_from_here(value.strip(), key) for value in values.split(",")]
    if not all(choices):
        raise BadInputError(f"--sweep '{text}' has an empty value; write for example adc.bits=4,5,6")
    return key, choices
