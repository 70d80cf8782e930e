"""What several commands of the command line share; nothing heavy is imported here."""

from __future__ import annotations

import typer

HELP = {"help_option_names": ["-h", "--help"]}
AS_JSON = typer.Option(False, "--json", help="Print JSON.")
ROOT = typer.Option(None, "--data-root", help="The folder that holds the datasets' files.")
