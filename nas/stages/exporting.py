"""Stage 5: the front as a table, and the returned networks as files that other tools open."""

from __future__ import annotations

from hasnas.files import CARD_FILE
from hasnas.nas.history.returned import returned_networks

from .context import RunContext
from .training import require_a_trained_network


def run_export(context: RunContext) -> None:
    """Write the front and the export of what the ledger holds.

    Raises:
        HasnasError: if trainings were asked for and all of them failed.
    """
    from hasnas.nas.export.run_export import export_run, sound_export
    from hasnas.nas.tracking.tables import write_pareto

    write_pareto(context.directory)
    require_a_trained_network(context)
    if not context.config.export.enabled:
        context.console.say("export: switched off")
        return
    if not returned_networks(context.trials):
        context.console.say("export: no retrained network to export")
        return
    folder, returned = context.directory / "export", {one.key for one in returned_networks(context.trials)}
    for former in sorted({path.parent.name for path in folder.glob("*/" + CARD_FILE)} - returned):
        context.console.say(f"export: {folder / former} is of a network that is no longer among the returned ones")
    formats = context.config.export.formats
    files = sound_export(context.directory, formats) or export_run(context.directory)
    context.console.say(f"export: {len(files)} files in {folder}{_views(context)}")


def _views(context: RunContext) -> str:
    page, board = context.directory / "report.html", context.directory / "tensorboard"
    views = {"report": str(page), "tensorboard": f"tensorboard --logdir {board}"}
    shown = [where for name, where in views.items() if name in context.config.tracking]
    return f"; the whole story: {', or '.join(shown)}" if shown else ""
