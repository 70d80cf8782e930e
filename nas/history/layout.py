"""What a run directory holds, by name; light, so that looking at a run imports nothing heavy."""

from pathlib import Path

from hasnas.nas.config.saved import CONFIG_FILE as CONFIG_FILE
from hasnas.nas.config.saved import SUPERNET_FILE as SUPERNET_FILE

RUNS = Path("runs")
STAGES = ("screen", "supernet", "search", "retrain", "export")
LEDGER_FILE = "ledger.jsonl"
SCREEN_FILE = "screen.npz"
