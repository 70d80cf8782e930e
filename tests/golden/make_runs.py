"""Make the golden runs of a version, before it is released: what later versions must read and go on with.

    python tests/golden/make_runs.py

`tests/golden/runs/<version>/trained` holds every kind of record: candidates with a chip and a training of their own,
rungs, retrainings of two seeds, baselines, and events of a run of which more was asked. `scored` stopped in the middle
of a batch. They keep config and ledger; `expected.json` says what this version reads in them.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import yaml

from hasnas import __version__
from hasnas.nas.history.ledger import read_ledger
from hasnas.nas.history.records import encode_line
from hasnas.nas.run import resume_run, start_run
from hasnas.nas.tracking.status import run_status

RUNS = Path(__file__).parent / "runs"
COMMON = """
name: golden
seed: 1
dataset: {name: digits, subset: {train: 120, test: 40}}
budget: {parameters: 400}
"""
MACRO = "macro: {channels: 2, timesteps: 2, hidden: 0, votes: 1, final_pool: 4, dropout: 0.1}"
TRAINED = f"""{COMMON}
space: {{name: snasnet, nodes: 3, {MACRO}}}
hardware: {{preset: rram-32nm, searched: {{crossbar.size: [64, 128]}}}}
supernet: {{enabled: false}}
search: {{strategy: random, evaluations: 4, batch: 4, multi_fidelity: {{epochs: [1, 2], keep: 0.5}}}}
retrain: {{top: 1, seeds: 1, epochs: 1, searched: {{surrogate.width: [0.5, 2]}}}}
export: {{enabled: false}}
"""
SCORED = f"""{COMMON}
space: {{name: snasnet, {MACRO}}}
hardware: rram-32nm
screen: {{sample: 256}}
search: {{strategy: random, score: depth, evaluations: 8, batch: 4}}
retrain: {{enabled: false}}
export: {{enabled: false}}
"""
STOPPED_AFTER = 6


def read_in(directory: Path) -> dict[str, Any]:
    """What a version must find in a run, floats in full."""
    contents, status = read_ledger(directory / "ledger.jsonl"), run_status(directory)
    return {
        "trials": [[one.id, one.stage, one.key, one.seed, one.state, dict(one.metrics)] for one in contents.trials],
        "choices": [one.choices for one in contents.trials],
        "costs": [dict(one.costs) for one in contents.trials],
        "rungs": [[one.trial, one.rung, one.key, one.state, dict(one.metrics)] for one in contents.rungs],
        "events": [[one["event"], one["stage"]] for one in contents.events],
        "front": [one["key"] for one in status["front"]],
        "returned": [one["key"] for one in status["returned"]],
    }


def kept(run: Path, target: Path, most: int | None = None) -> None:
    """Config and ledger of a run, up to so many trials, without what says on which machine it was made."""
    records, trials = [], 0
    for record in read_ledger(run / "ledger.jsonl").records:
        trials += record["kind"] == "trial"
        if most is not None and trials > most:
            break
        records.append({**record, "host": "golden", "time": float(len(records))})
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    (target / "ledger.jsonl").write_bytes(b"".join(map(encode_line, records)))
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["versions"].pop("platform")
    (target / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    (target / "expected.json").write_text(json.dumps(read_in(target), indent=1) + "\n")


def main() -> None:
    """Run both and keep what is needed."""
    with tempfile.TemporaryDirectory() as place:
        for name, config in {"trained": TRAINED, "scored": SCORED}.items():
            yaml_file = Path(place, f"{name}.yaml")
            yaml_file.write_text(config)
            run = start_run(yaml_file, run_directory=Path(place, name))
            if name == "trained":
                resume_run(run, changes=["retrain.seeds=2"])
            kept(run, RUNS / __version__ / name, STOPPED_AFTER if name == "scored" else None)


if __name__ == "__main__":
    main()
