"""What a run directory holds, by name; light, so that looking at a run imports nothing heavy."""

from pathlib import Path

RUNS = Path("runs")
STAGES = ("screen", "supernet", "search", "retrain", "export")
CONFIG_FILE = "config.yaml"
LEDGER_FILE = "ledger.jsonl"
SCREEN_FILE = "screen.npz"
