"""E11: a pickle that runs code, in place of every file that is read; and no call in the sources that would run it.

    python experiments/faults/pickles.py

The pickle writes a file when it is loaded. It is handed over as it is, as a saved torch module, as an object array in
.npy and .npz, and as a YAML tag. Each reader must refuse it in one line, and the file must not appear.
"""

from __future__ import annotations

import ast
import contextlib
import io
import os
import pickle
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import CONFIG, arguments, command, told
from flips import mapped_graph, readers

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("hasnas", "cim_estimator", "search_spaces", "datasets", "nas", "experiments")
# Calls that run what they read; where an argument makes them harmless, that argument and its value.
UNSAFE: dict[str, tuple[str, str] | None] = {
    "torch.load": ("weights_only", "True"),
    "np.load": ("allow_pickle", "False"),
    "numpy.load": ("allow_pickle", "False"),
    "np.lib.format.read_array": ("allow_pickle", "False"),
    "pickle.load": None,
    "pickle.loads": None,
    "pickle.Unpickler": None,
    "joblib.load": None,
    "marshal.loads": None,
    "marshal.load": None,
    "shelve.open": None,
    "dill.load": None,
    "dill.loads": None,
    "yaml.load": None,
    "yaml.unsafe_load": None,
    "yaml.full_load": None,
    "pd.read_pickle": None,
}


class Malicious:
    """Writes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.open, (str(self.mark), os.O_CREAT | os.O_WRONLY)


def contents(mark: Path) -> dict[str, bytes]:
    """Kind -> a file that runs code where somebody loads it without care."""
    evil = Malicious(mark)
    saved, array, archive = io.BytesIO(), io.BytesIO(), io.BytesIO()
    torch.save({"weights": evil}, saved)
    objects = np.array([evil], dtype=object)
    np.save(array, objects, allow_pickle=True)
    names = ("inputs", "targets", "arch_id", "edge_ops", "epochs", "codes", "offsets", "clusters", "x", "y", "t", "p")
    np.savez(archive, allow_pickle=True, **dict.fromkeys(names, objects))
    tag = f"!!python/object/apply:os.open ['{mark}', {os.O_CREAT | os.O_WRONLY}]\n"
    return {
        "pickle": pickle.dumps(evil),
        "torch": saved.getvalue(),
        "npy": array.getvalue(),
        "npz": archive.getvalue(),
        "yaml": tag.encode(),
    }


def others(folder: Path) -> dict[str, tuple[str, Callable[[Path], Any]]]:
    """Readers of what people hand over: name -> name of the file, and what reads it."""
    from hasnas.datasets.arrays import read_inputs_and_targets
    from hasnas.datasets.event_folder import parse
    from hasnas.datasets.signals import read_signal
    from hasnas.nas.bench.table import read_table
    from hasnas.nas.cli import run_command
    from hasnas.search_spaces import read_nir

    def commanded(*given: str) -> Callable[[Path], Any]:
        def read(path: Path) -> Any:
            said = io.StringIO()
            with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
                code = run_command([str(path) if one == "FILE" else one for one in given])
            if code == 0:
                raise AssertionError("it was taken")
            from hasnas.errors import BadInputError

            raise BadInputError(said.getvalue().strip().splitlines()[-1])

        return read

    chip = ("--hardware", "rram-32nm")
    return {
        "arrays": ("d.npz", read_inputs_and_targets),
        "recording": ("d.npy", lambda path: parse(path.read_bytes(), (34, 34), path)),
        "signal": ("s.npy", read_signal),
        "benchmark table": ("t.npz", read_table),
        "NIR": ("n.nir", read_nir),
        "config": ("c.yaml", commanded("validate", "FILE")),
        "layer list": ("l.yaml", commanded("estimate", "FILE", *chip)),
        "architecture": ("a.json", commanded("estimate", "FILE", *chip)),
        "chip": ("h.yaml", commanded("hardware", "FILE")),
        "spike graph": ("g.npz", commanded("map", "FILE", "--recipe", "naive")),
    }


def refused(read: Callable[[], Any]) -> str:
    """What came of a read: refused in one line, anything else by its name."""
    from hasnas.errors import HasnasError

    try:
        read()
    except HasnasError as error:
        return "refused" if "\n" not in str(error) else "more than a line"
    except Exception as error:
        return f"traceback {type(error).__name__}: {error}"
    return "taken"


def unguarded() -> list[str]:
    """Calls in the sources that would run what they read."""
    found = []
    for path in sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            if called not in UNSAFE or not isinstance(node, ast.Call):
                continue
            guard = UNSAFE[called]
            given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            if guard is None or given.get(guard[0]) != guard[1]:
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}: {called}")
    return found


def main() -> int:
    """Hand them over and look for the file; the exit code says whether the bar is met."""
    arguments(__doc__).parse_args()
    answers: list[tuple[str, str, str]] = []
    executed = 0
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        mark = folder / "executed"
        pickle.loads(pickle.dumps(Malicious(mark)))  # noqa: S301  # it does what it should
        assert mark.exists()
        mark.unlink()
        os.environ["HASNAS_CACHE"] = str(folder / "cache")
        (folder / "tiny.yaml").write_text(CONFIG + "tracking: []\n")
        code, line = command(folder / "run")
        assert code == "0", line
        from hasnas.nas.cli import run_command

        with contextlib.redirect_stdout(io.StringIO()):
            assert run_command(["export", str(folder / "run")]) == 0
        evil = contents(mark)
        mapped_graph(folder)
        reads: list[tuple[str, Path, Callable[[], Any]]] = [
            (path.name, path, read) for path, read in readers(folder / "run", folder / "cache").items()
        ]
        for name, (file, read_it) in others(folder).items():
            path = folder / f"other-{file}"
            reads.append((name, path, lambda path=path, read_it=read_it: read_it(path)))  # type: ignore[misc]
        for name, path, read in reads:
            sound = path.read_bytes() if path.exists() else b""
            for kind, content in evil.items():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
                answers.append((name, kind, refused(read)))
                if mark.exists():
                    executed += 1
                    print(f"{name}: the {kind} was executed", flush=True)
                    mark.unlink()
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(sound)
    # A damaged ledger, screen or cache is set aside, told, and made again.
    remade = ("ledger.jsonl", "screen.npz", "digests.json", "inputs.npy", "targets.npy")
    odd = [one for one in answers if one[2] != "refused" and not (one[0] in remade and one[2] == "taken")]
    for one in odd:
        print(*one, flush=True)
    unsafe = unguarded()
    print("\n".join(unsafe), end="\n" if unsafe else "", flush=True)
    allowed = [one for one in unsafe if one.startswith("experiments/")]
    figure = {"tries": len(answers), "executions": executed, "tracebacks or taken": len(odd)}
    figure |= {"unguarded loads": len(unsafe) - len(allowed)}
    met = not executed and not odd and len(unsafe) == len(allowed)
    return told("E11", figure, "0 executions, 0 unguarded loads", met)


if __name__ == "__main__":
    sys.exit(main())
