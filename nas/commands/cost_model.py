"""The cost model on the command line: prices, mappings, schedules, simulations, chips; without a search."""

from __future__ import annotations

from pathlib import Path

import typer

from hasnas.errors import BadInputError

from . import completion
from .options import AS_JSON, ROOT, records, tell, tell_json


def estimate(
    source: Path = typer.Argument(
        ...,
        metavar="X",
        help="ARCHITECTURE.json, LAYERS.yaml, NETWORK.nir, FILE.py:FACTORY (torch), a network's folder, or a run.",
    ),
    hardware: list[str] = typer.Option(
        [], "--hardware", help="Preset or YAML file, several to compare.", autocompletion=completion.hardware
    ),
    settings: list[str] = typer.Option([], "--set", metavar="FIELD=VALUE", help="Change the hardware."),
    sweeps: list[str] = typer.Option([], "--sweep", metavar="FIELD=A,B,C", help="Try several values."),
    activity: str | None = typer.Option(None, "--activity", help="dense, a rate such as 0.2, or measured."),
    timesteps: int | None = typer.Option(None, "--timesteps", min=1, help="T, for torch modules and NIR files."),
    input_shape: str | None = typer.Option(None, "--input", metavar="C,H,W", help="Image that a torch module takes."),
    input_count: int = typer.Option(0, "--input-count", min=0, help="Largest value of whole inputs: 1 for spikes."),
    as_json: bool = AS_JSON,
    csv: Path | None = typer.Option(None, "--csv", metavar="FILE", help="Write a line for each layer to a file."),
    plot: Path | None = typer.Option(None, "--plot", metavar="DIR", help="Draw stacked bars and a roofline into DIR."),
    nonideal: str | None = typer.Option(None, "--nonideal", metavar="DEVICE", help="A run's accuracy on such chips."),
    chips: int | None = typer.Option(None, "--chips", min=1, help="Chips for --nonideal; 20 by default."),
    dataset: str | None = typer.Option(
        None, "--dataset", help="Samples for --nonideal of an imported network.", autocompletion=completion.datasets
    ),
    data_root: Path | None = ROOT,
) -> None:
    """Price a network on a chip, by layer and in total; or try a run's network on imperfect chips."""
    if nonideal is not None:
        of_prices = {
            "--hardware": hardware, "--set": settings, "--sweep": sweeps, "--activity": activity, "--csv": csv,
            "--timesteps": timesteps, "--input": input_shape, "--input-count": input_count, "--plot": plot,
        }  # fmt: skip
        idle = next((name for name, value in of_prices.items() if value), None)
        if idle is not None:
            raise BadInputError(f"{idle} changes no accuracy on imperfect chips; leave it or --nonideal out")
        from .nonideal import try_on_chips

        report = try_on_chips(source, nonideal, chips or 20, dataset, data_root)
        tell_json(report.to_json()) if as_json else tell(report.describe())
        return
    of_chips = {"--chips": chips, "--dataset": dataset, "--data-root": data_root}
    idle = next((name for name, value in of_chips.items() if value is not None), None)
    if idle is not None:
        raise BadInputError(f"{idle} is for imperfect chips; give --nonideal DEVICE too, or leave it out")
    read = [source, *map(Path, hardware)]
    if csv is not None and csv.exists() and any(one.exists() and csv.samefile(one) for one in read):
        raise BadInputError(f"--csv {csv} would overwrite what is read; give another file")
    from hasnas.files import write_atomic

    from .estimate import Question, answer, drawn, read_shape, to_csv, to_json, to_text, write_plots

    shape = None if input_shape is None else read_shape(input_shape)
    variants = answer(Question(source, hardware, settings, sweeps, activity, timesteps, shape, input_count))
    pictures = drawn(variants) if plot is not None else {}
    if csv is not None:
        write_atomic(csv, to_csv(variants))
    if plot is not None:
        write_plots(pictures, plot)
    tell(to_json(variants) if as_json else to_text(variants))


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
    by_layer: bool = typer.Option(False, "--by-layer", help="Also the energy of what each layer hears; for networks."),
    as_json: bool = AS_JSON,
) -> None:
    """Put a spiking network on crossbars and tiles, and say what that costs."""
    from .map import MapQuestion, answer, draw, to_json, to_text

    if recipe is not None and recipes is not None:
        raise BadInputError("give --recipe or --recipes, not both")
    names = (recipes or recipe or "spinemap").split(",")
    found = answer(
        MapQuestion(
            source,
            spikes=spikes,
            recipes=names,
            hardware=hardware,
            settings=settings,
            step=step,
            seed=seed,
            save=save,
            network=network,
            cells=cells,
            mapping=mapping,
            save_graph=save_graph,
            samples=samples,
            dataset=dataset,
            data_root=data_root,
            by_channel=by_channel,
            timesteps=timesteps,
            wires=wires,
            by_layer=by_layer,
        )
    )
    if plot is not None:
        draw(found, plot)
    tell(to_json(found, by_layer) if as_json else to_text(found, by_layer))


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
    from .schedule import ScheduleQuestion, answer, to_json, to_text

    of_networks = {"--room": room, "--admit": joining, "--samples": samples, "--spikes": spikes}
    of_two = {"--admit-mapping": joining_mapping, "--admit-spikes": joining_spikes, "--chip": tiles_of_chip}
    if mapping is None:
        of_chips = {"--hardware": hardware != "rram-32nm", "--set": settings, "--dataset": dataset}
        of_chips |= {"--data-root": data_root, "--at-least": at_least != 1.0}
        given = [name for name, value in (of_networks | of_two).items() if value is not None]
        given += [name for name, value in of_chips.items() if value]
        if given or source.is_dir():
            what = f"{given[0]} is for mapped networks" if given else f"{source} is a folder, not a dataflow graph"
            raise BadInputError(f"{what}; to schedule a network give --mapping M.npz, of hasnas map --save")
        found = answer(ScheduleQuestion(source, tiles, one_at_a_time, buffers))
        tell(to_json(found) if as_json else to_text(found))
        return
    if tiles is not None or one_at_a_time or buffers:
        raise BadInputError("--mapping says where everything is; leave out --tiles, --one-at-a-time and --buffers")
    from .map import MapQuestion
    from .schedule_mapped import (
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
    if joining is None and any(value is not None for value in of_two.values()):
        raise BadInputError(f"{', '.join(of_two)} belong to a second network; give it with --admit SOURCE")
    if joining is not None:
        if room is not None:
            raise BadInputError("--room is for one network; with --admit queues have the room that both need")
        if joining_mapping is None:
            raise BadInputError("--admit needs the second network's mapping; give --admit-mapping M.npz")
        wanted = AdmissionQuestion(joining, joining_mapping, joining_spikes, at_least, tiles_of_chip)
        both = answer_admission(question, wanted)
        tell(to_json(both) if as_json else admission_text(both))
        return
    mapped = answer_mapped(question, room)
    tell(to_json(mapped) if as_json else mapped_text(mapped))


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
    period: str | None = typer.Option(None, "--period", help="A timestep in free mode; by default as with barriers."),
    room: int = typer.Option(4, "--room", help="Packets that fit each queue."),
    unicast: bool = typer.Option(False, "--unicast", help="A spike travels to each destination by itself."),
    trace: Path | None = typer.Option(None, "--trace", metavar="T.json", help="A trace for ui.perfetto.dev."),
    as_json: bool = AS_JSON,
) -> None:
    """Run a mapped network on its chip, event by event: answers, latency, energy, congestion."""
    from hasnas.cim_estimator import parse_quantity

    from .simulate import SimulateQuestion, answer, to_json, to_text

    period_s = None if period is None else parse_quantity(period, "s")
    found = answer(
        SimulateQuestion(
            source,
            mapping=mapping,
            mode=mode,
            spikes=spikes,
            samples=samples,
            dataset=dataset,
            data_root=data_root,
            timesteps=timesteps,
            hardware=hardware,
            settings=settings,
            network=network,
            period_s=period_s,
            room=room,
            unicast=unicast,
            trace=trace,
        )
    )
    tell(to_json(found) if as_json else to_text(found))


def list_hardware(
    name: str | None = typer.Argument(
        None,
        metavar="[NAME]",
        help="A preset or YAML file: all constants, sources.",
        autocompletion=completion.hardware,
    ),
    as_json: bool = AS_JSON,
) -> None:
    """List chips with node, bits and source, and the parts they are made of; or one chip in full, beside the others."""
    from hasnas.nas.tracking.aligned import align

    from .hardware import beside_others, chips, in_full, one, parts, why

    if name is None:
        listed = {"chips": records(chips()), "parts": {title: names.split(", ") for title, names in parts()}}
        tell_json(listed) if as_json else tell(f"{align(chips())}\n\n{align(parts())}")
        return
    if as_json:
        tell_json(in_full(name))
        return
    from hasnas.cim_estimator import load_hardware

    reasons = "\n".join(why(load_hardware(name)))
    layer = "a 3 x 3 convolution of 64 channels, 16 x 16, T = 4, one input in ten active"
    tell(f"{align(one(name))}\n\n{reasons}\n\n{layer}:\n{align(beside_others(name))}")
