"""Stage 2: weights that all candidates share, trained along paths of the feasible region."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from hasnas.errors import BadInputError
from hasnas.nas.budget.region import of_networks
from hasnas.nas.config.plugins import DIFFERENTIABLE, RANDOM_ONE_SHOT, SUPERNET_TRAINERS
from hasnas.nas.data.needs import DataReference
from hasnas.nas.history.checkpoint import has_checkpoint, load_checkpoint, save_checkpoint
from hasnas.nas.history.layout import SUPERNET_FILE
from hasnas.nas.supernet.cost_table import CostTable, fit_cost_table
from hasnas.nas.supernet.mixture import require_mixable
from hasnas.nas.supernet.settings import Choosing, TrainedSupernet, TrainingProgress
from hasnas.nas.supernet.sharing import live_options, supernet_report

from .context import RunContext, Setup
from .evaluation import DeviceReference, splits_of
from .supernet_source import source_weights

PRICED_FOR_PENALTY = 4096


def data_reference(setup: Setup) -> DataReference:
    """The samples of this run."""
    section = setup.config.dataset
    share, seed = section.validation_share, setup.config.seed
    return DataReference(section.name, section.root, share, seed, section.chosen_framing)


def device_reference(context: RunContext) -> DeviceReference | None:
    """The imperfect chips of this run, if its config names a device."""
    section = context.config.nonideal
    return None if section.device is None else DeviceReference(section.device, section.chips)


def weights_path(context: RunContext) -> Path:
    """The file with the trained weights."""
    _ = context.checkpoints  # makes the folder
    return context.directory / SUPERNET_FILE


def _is_trained(context: RunContext) -> bool:
    """Whether the weights are there and sound; damaged ones are made again from the last epoch's checkpoint."""
    if not has_checkpoint(weights_path(context)):
        return False
    try:
        load_checkpoint(weights_path(context))
    except BadInputError as error:
        context.console.say(f"supernet: {str(error).split(';')[0]}; going on from the last checkpoint of its training")
        return False
    return True


def run_supernet(context: RunContext) -> None:
    """Train the shared weights, or find them trained."""
    if context.config.search.score is not None:
        score = context.config.search.score
        context.console.say(f"supernet: skipped; candidates are ranked by the training-free score '{score}'")
        return
    if not context.config.supernet.enabled:
        context.console.say("supernet: switched off; candidates are trained by themselves")
        return
    region, section = of_networks(context.feasible_region()), context.config.supernet
    space = region.space
    if section.strategy in DIFFERENTIABLE:
        require_mixable(space)
    # A sample of the region cannot show that an option occurs nowhere in it.
    options = live_options(space, region.codes) if region.complete else None
    report = supernet_report(space, options)
    context.console.say(f"supernet: {report} after removing what no feasible architecture uses")
    if _is_trained(context):
        return
    if section.source is not None:
        weights = source_weights(section.source, space, options)
        save_checkpoint(weights_path(context), weights, {"report": asdict(report), "from": section.source})
        context.console.say(f"supernet: {section.source} has trained it")
        return
    choosing = _choosing(context)
    train = splits_of(data_reference(context)).train
    steps = -(-len(train) // section.batch_size) * section.epochs
    with context.console.bar("supernet", steps, "step") as bar:

        def progress(state: TrainingProgress) -> None:
            bar.update((state.epoch - 1) * state.batches + state.batch - bar.n)
            bar.show({"epoch": f"{state.epoch}/{state.epochs}", "loss": f"{state.loss:.3f}"})
            if state.batch == state.batches:
                context.tracker.on_epoch("supernet", state.epoch, {"loss": state.loss, **state.metrics})

        trained = SUPERNET_TRAINERS.get(section.strategy)().train(
            space,
            region.draw,
            train,
            settings=section,
            seed=context.config.seed,
            options=options,
            loss=context.config.retrain.loss,
            choosing=choosing,
            checkpoint_directory=context.checkpoints,
            progress=progress,
        )
    found = _proposal(context, trained, None if choosing is None else choosing.table)
    save_checkpoint(weights_path(context), trained.weights, {"report": asdict(report), **found})
    context.event("report", "supernet", asdict(report))
    if found:
        context.event("architecture", "supernet", found["architecture"])
        context.console.say(f"supernet: {section.strategy} proposes {found['architecture']['key']}, searched first")


def proposed_architecture(context: RunContext) -> tuple[int, ...] | None:
    """The codes that the supernet's strategy proposes; None if it proposes none, or there is no supernet."""
    if context.config.supernet.strategy == RANDOM_ONE_SHOT or not has_checkpoint(weights_path(context)):
        return None
    found = load_checkpoint(weights_path(context))[1].get("architecture")
    return None if found is None else tuple(found["codes"])


def _choosing(context: RunContext) -> Choosing | None:
    """What a strategy learns choices from, if it learns any: validation samples and the feasible region."""
    section, region = context.config.supernet, context.feasible_region()
    if section.strategy == RANDOM_ONE_SHOT:
        return None
    return Choosing(
        samples=splits_of(data_reference(context)).validation,
        codes=region.codes,
        admits=region.admits,
        table=_cost_table(context),
    )


def _cost_table(context: RunContext) -> CostTable | None:
    """What each choice costs, by the prices of architectures of the region."""
    section, codes = context.config.supernet.penalty, context.feasible_region().codes
    if section is None:
        return None
    if len(codes) > PRICED_FOR_PENALTY:
        rng = np.random.default_rng([context.config.seed, 3])
        codes = codes[np.sort(rng.choice(len(codes), PRICED_FOR_PENALTY, replace=False))]
    table = fit_cost_table(context.space, codes, context.pricer.costs(codes)[section.cost], section.cost)
    context.console.say(
        f"supernet: penalty on {section.cost} by a sum over choices that explains {table.r_squared:.1%} "
        f"of its variance among {len(codes)} architectures"
    )
    return table


def _proposal(context: RunContext, trained: TrainedSupernet, table: CostTable | None) -> dict[str, Any]:
    """What the strategy learned of the architecture, as plain data; empty if it learned nothing."""
    if trained.codes is None:
        return {}
    architecture = context.space.decode(trained.codes)
    found: dict[str, Any] = {
        "codes": list(trained.codes),
        "key": architecture.key,
        "architecture": architecture.to_json(),
        "probabilities": {label: dict(row) for label, row in trained.probabilities.items()},
        "costs": context.pricer.costs(np.array([trained.codes], np.int16)).row(0),
    }
    if table is not None:
        chances = [
            [trained.probabilities[gene.label].get(name, 0.0) for name in gene.choices] for gene in context.space.genes
        ]
        expected = {"cost": table.cost, "expected": table.expected(chances), "r_squared": table.r_squared}
        found["penalty"] = {**expected, "reference": table.reference}
    return {"architecture": found}
