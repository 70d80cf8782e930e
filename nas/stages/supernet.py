"""Stage 2: weights that all candidates share, trained along paths of the feasible region."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from hasnas.errors import BadInputError
from hasnas.nas.checkpoint import has_checkpoint, load_checkpoint, save_checkpoint
from hasnas.nas.nni_engine.settings import SUPERNET_TRAINERS, SupernetSettings, TrainingProgress
from hasnas.nas.nni_engine.sharing import live_options, supernet_report

from .context import RunContext, Setup
from .evaluation import DataReference, DeviceReference, splits_of

WEIGHTS_FILE = "supernet-weights.safetensors"


def data_reference(setup: Setup) -> DataReference:
    """The samples of this run."""
    section = setup.config.dataset
    return DataReference(section.name, section.root, section.validation_share, setup.config.seed)


def device_reference(context: RunContext) -> DeviceReference | None:
    """The imperfect chips of this run, if its config names a device."""
    section = context.config.nonideal
    return None if section.device is None else DeviceReference(section.device, section.chips)


def weights_path(context: RunContext) -> Path:
    """The file with the trained weights."""
    return context.checkpoints / WEIGHTS_FILE


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
    region, section = context.feasible_region(), context.config.supernet
    # A sample of the region cannot show that an option occurs nowhere in it.
    options = live_options(context.space, region.codes) if region.complete else None
    report = supernet_report(context.space, options)
    context.console.say(f"supernet: {report} after removing what no feasible architecture uses")
    if _is_trained(context):
        return
    settings = SupernetSettings(
        epochs=section.epochs,
        batch_size=section.batch_size,
        learning_rate=section.learning_rate,
        weight_decay=section.weight_decay,
        options=options,
    )
    train = splits_of(data_reference(context)).train
    steps = -(-len(train) // section.batch_size) * section.epochs
    with context.console.bar("supernet", steps, "step") as bar:

        def progress(state: TrainingProgress) -> None:
            bar.update((state.epoch - 1) * state.batches + state.batch - bar.n)
            bar.set_postfix(epoch=f"{state.epoch}/{state.epochs}", loss=f"{state.loss:.3f}", refresh=False)
            if state.batch == state.batches:
                context.tracker.on_epoch("supernet", state.epoch, {"loss": state.loss})

        weights = SUPERNET_TRAINERS.get(section.strategy)().train(
            context.space,
            region.draw,
            train,
            settings=settings,
            seed=context.config.seed,
            checkpoint_directory=context.checkpoints,
            progress=progress,
        )
    save_checkpoint(weights_path(context), weights, {"report": asdict(report)})
    context.event("report", "supernet", asdict(report))
