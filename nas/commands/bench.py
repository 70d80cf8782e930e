"""`hasnas bench`: strategies and scores on published tables, on the command line."""

from __future__ import annotations

from pathlib import Path

import typer

from .options import AS_JSON, HELP, tell, tell_json

bench_app = typer.Typer(help="Strategies and scores on published tables of trained networks.", context_settings=HELP)


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
    from hasnas.nas.bench.bench import bench_spikenas

    found = bench_spikenas(data, strategy, evaluations, seeds, budget=budget, cost=cost, hardware=hardware)
    if as_json:
        tell_json(found)
        return
    from hasnas.nas.bench.bench import over_time_table
    from hasnas.nas.tracking.aligned import align

    tell(align(over_time_table(found)))


@bench_app.command("proxies")
def bench_proxies_command(
    data: Path = typer.Option(..., "--data", help="SpikeNAS-Bench as .npz."),
    images: Path | None = typer.Option(
        None, "--images", help="CIFAR-10 JPEG copies, or the folder of the table's own dataset, for scores of networks."
    ),
    names: list[str] = typer.Option([], "--score", help="A training-free score; by default all that can be run."),
    networks: int = typer.Option(360, "--networks", help="Architectures at most for scores that run networks."),
    as_json: bool = AS_JSON,
) -> None:
    """Rank correlation of training-free scores with trained accuracy, counters beside every score."""
    from hasnas.nas.bench.bench_proxies import NetworkSettings, bench_proxies, proxies_table
    from hasnas.nas.tracking.aligned import align

    settings = NetworkSettings(networks=networks)
    say = None if as_json else lambda name: tell(f"scoring by {name}", err=True)
    rows = bench_proxies(data, names or None, images=images, settings=settings, report=say)
    tell_json(rows) if as_json else tell(align(proxies_table(rows)))
