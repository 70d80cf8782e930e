"""Damaged data, through the command line: what it answers, and that it leaves nothing half-written; a Markdown table.

python experiments/benchmarks/bad_input_data.py [--only TEXT] [--mnist FOLDER]     # FOLDER: MNIST's official files
"""

from __future__ import annotations

import argparse
import gzip
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import broken_data as broken

SMALL_RUN = """
name: diverging
dataset: {name: arrays, root: ROOT, validation_share: 0.2}
space:
  name: snasnet
  macro: {channels: 4, timesteps: 2, hidden: 0, votes: 1, final_pool: 2, dropout: 0.0}
hardware: rram-32nm
budget: {energy: 1 mJ}
search: {strategy: random, score: parameters, evaluations: 2, batch: 2}
retrain: {top: 1, epochs: 12, batch_size: 32, learning_rate: 10, weight_decay: WEIGHT_DECAY, warmup_epochs: 0}
export: {formats: [json]}
"""


@dataclass(frozen=True)
class Case:
    """A mishap.

    Args:
        name: what went wrong.
        make: writes it into a folder, the data root.
        arguments: of the command; DATA is the folder.
        code: the exit code it must give.
        kept: beginnings of paths that may be new afterwards.
    """

    name: str
    make: Callable[[Path], object]
    arguments: str
    code: int = 2
    kept: tuple[str, ...] = ()


def _packed(how: str) -> Callable[[Path], None]:
    def make(data: Path) -> None:
        broken.tar(data / "nmnist_small.tar.xz", broken.recordings())
        broken.spoil(data / "nmnist_small.tar.xz", how)

    return make


def _tar(name: str, kind: bytes | None = None, content: bytes = b"x") -> Callable[[Path], None]:
    def make(data: Path) -> None:
        links = [] if kind is None else [(name, "Train/0/00000.bin" if kind == tarfile.LNKTYPE else "/etc", kind)]
        members = broken.recordings() | ({name: content} if kind is None else {})
        broken.tar(data / "nmnist_small.tar.xz", members, links)

    return make


def _mnist(content: bytes, how: str = "") -> Callable[[Path], None]:
    def make(data: Path) -> None:
        path = data / "train-images-idx3-ubyte.gz"
        path.write_bytes(gzip.compress(content, 6))
        if how:
            broken.spoil(path, how)

    return make


def _labels(mnist: Path) -> Callable[[Path], None]:
    def make(data: Path) -> None:
        broken.idx(data / "train-labels-idx1-ubyte.gz", [1, 2, 10])
        shutil.copy(mnist / "train-images-idx3-ubyte.gz", data)

    return make


def _npz(how: str) -> Callable[[Path], None]:
    def make(data: Path) -> None:
        broken.arrays(data / "mine.npz")
        broken.spoil(data / "mine.npz", how)

    return make


def _npz_bomb(data: Path) -> None:
    broken.zipped(data / "mine.npz", {"inputs.npy": broken.ZEROS, "targets.npy": broken.ZEROS})


def _config(data: Path, nan: bool = False, weight_decay: float = 1.0) -> None:
    broken.arrays(data / "mine.npz", nan)
    text = SMALL_RUN.replace("ROOT", str(data / "mine.npz")).replace("WEIGHT_DECAY", str(weight_decay))
    (data / "run.yaml").write_text(text)


def cases(mnist_files: Path | None) -> list[Case]:
    """All mishaps; that of MNIST's labels needs its sound images."""
    small, mnist, mine = "nmnist-small --data-root DATA", "mnist --data-root DATA", "arrays --data-root DATA/mine.npz"
    noise = os.urandom(200_000)
    search = "search DATA/run.yaml --run-dir DATA/run"
    return [
        Case("corrupt tar.xz (N-MNIST, small)", _packed("flip"), f"data prepare {small}"),
        Case("truncated tar.xz", _packed("cut"), f"data prepare {small}"),
        Case("tar entry `../outside.bin`", _tar("../outside.bin"), f"data prepare {small}"),
        Case("tar entry `/tmp/outside.bin`", _tar("/tmp/outside.bin"), f"data prepare {small}"),
        Case("symbolic link in tar", _tar("Train/0/link.bin", tarfile.SYMTYPE), f"data prepare {small}"),
        Case("hard link in tar", _tar("Train/0/link.bin", tarfile.LNKTYPE), f"data prepare {small}"),
        Case("bomb in tar.xz (50 MB of zeros)", _tar("Train/0/1.bin", None, broken.ZEROS), f"data prepare {small}"),
        Case("corrupt .gz (MNIST)", _mnist(noise, "flip"), f"data prepare {mnist}"),
        Case("truncated .gz", _mnist(noise, "cut"), f"data prepare {mnist}"),
        Case("bomb in .gz", _mnist(broken.ZEROS), f"data prepare {mnist}"),
        Case("wrong checksum .gz", _mnist(noise), f"data prepare {mnist}"),
        Case("wrong checksum .gz, `check`", _mnist(noise), f"data check {mnist}"),
        Case("wrong checksum tar.gz (CIFAR-10)",
             lambda data: broken.tar(data / "cifar-10-binary.tar.gz", {"x": b"x"}),
             "data prepare cifar10 --data-root DATA"),
        Case("path traversal in zip (Tiny ImageNet)",
             lambda data: broken.zipped(data / "tiny-imagenet-200.zip", {"../outside": b"x"}),
             "data prepare tiny-imagenet --data-root DATA"),
        Case("symbolic link in zip (CIFAR10-DVS)",
             lambda data: broken.zipped(data / "airplane.zip", {"airplane/a.aedat": b"x"}, "airplane/b.aedat"),
             "data prepare cifar10-dvs --data-root DATA"),
        Case("corrupt zip (own .npz)", _npz("flip"), f"data prepare {mine}"),
        Case("truncated zip (own .npz)", _npz("cut"), f"data prepare {mine}"),
        Case("bomb in zip (own .npz)", _npz_bomb, f"data prepare {mine}"),
        Case("N-MNIST .bin, time goes back",
             lambda data: broken.nmnist(data, broken.event(1, 1, 900) + broken.event(1, 1, 100)),
             f"data prepare {small}"),
        Case("N-MNIST .bin, x off the sensor",
             lambda data: broken.nmnist(data, broken.event(34, 1, 1)), f"data prepare {small}"),
        Case("N-MNIST .bin, cut inside an event",
             lambda data: broken.nmnist(data, broken.event(1, 1, 1) + b"\x01\x02"), f"data check {small}"),
        Case("DVS128 .aedat, time goes back",
             lambda data: broken.gestures(data, [(1, 1, 900), (1, 1, 100)]),
             "data prepare dvs128-gesture --data-root DATA"),
        Case("DVS128 .aedat, y off the sensor",
             lambda data: broken.gestures(data, [(1, 128, 1)]), "data prepare dvs128-gesture --data-root DATA"),
        Case("DVS128 .aedat, cut inside an event",
             lambda data: broken.gestures(data, [(1, 1, 1), (1, 1, 2)], cut=3),
             "data prepare dvs128-gesture --data-root DATA"),
        Case("DVS128 labels, class 12 of 11",
             lambda data: broken.gestures(data, [(1, 1, 1)], label=12),
             "data prepare dvs128-gesture --data-root DATA"),
        Case("CIFAR10-DVS .aedat, time goes back",
             lambda data: broken.cifar10_dvs(data, [(3, 900), (3, 100)]),
             "data prepare cifar10-dvs --data-root DATA"),
        Case("CIFAR10-DVS .aedat, cut inside an event",
             lambda data: broken.cifar10_dvs(data, [(3, 1), (3, 2)], cut=3),
             "data prepare cifar10-dvs --data-root DATA"),
        Case("own arrays, label -1", lambda data: broken.arrays(data / "mine.npz", label=-1), f"data prepare {mine}"),
        Case("own arrays, label 255 of 3 classes",
             lambda data: broken.arrays(data / "mine.npz", label=255), f"data prepare {mine}"),
        *([] if mnist_files is None else
          [Case("MNIST labels with a 10", _labels(mnist_files), f"data prepare {mnist}")]),
        Case("CIFAR-10 batch with label 77",
             lambda data: broken.cifar10(data, 77), "data prepare cifar10 --data-root DATA"),
        Case("image folder, unreadable image", broken.images, "data prepare image-folder --data-root DATA"),
        Case("image folder, class only in test",
             lambda data: broken.images(data, stray_class=True),
             "data prepare image-folder --data-root DATA", 2, ("cache/",)),
        Case("own arrays, NaN", lambda data: broken.arrays(data / "mine.npz", nan=True), f"data prepare {mine}"),
        Case("own arrays, NaN, `preview`",
             lambda data: broken.arrays(data / "mine.npz", nan=True),
             "data preview arrays DATA/sheet.png --data-root DATA/mine.npz"),
        Case("own arrays, NaN, `validate`", lambda data: _config(data, nan=True), "validate DATA/run.yaml"),
        Case("own arrays, NaN, `search`", lambda data: _config(data, nan=True), search),
        Case("learning rate 1e30", _config, f"{search} retrain.learning_rate=1e30"),
        Case("training diverges", _config, search, 2, ("data/run/",)),
    ]  # fmt: skip


def listing(folder: Path) -> set[str]:
    """Paths of all files in a folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


def run(case: Case) -> tuple[str, list[str]]:
    """The table's line of a mishap, and what is wrong with the answer."""
    folder = Path(tempfile.mkdtemp())
    data = folder / "data"
    data.mkdir()
    case.make(data)
    before = listing(folder)
    command = [sys.executable, "-m", "hasnas", *case.arguments.replace("DATA", str(data)).split()]
    environment = {**os.environ, "HASNAS_CACHE": str(folder / "cache")}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    new = sorted(listing(folder) - before)
    left = [path for path in new if not path.startswith(case.kept or ("\0",))]
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    errors = [line for line in lines if "error:" in line]
    said = [line for line in done.stdout.splitlines() if line.startswith("BAD")] + errors
    faults = [
        *(["traceback"] if "Traceback" in done.stderr else []),
        *([f"exit code {done.returncode}"] if done.returncode != case.code else []),
        *([f"{len(errors)} lines of error"] if len(errors) != 1 else []),
        *(["files left"] if left or before - listing(folder) else []),
    ]
    answer = "<br>".join(f"`{' '.join(line.split())}`" for line in said or lines[-1:])
    answer = answer.replace(str(data), "DATA").replace(str(folder), "DIR").replace("|", "/")
    files = f"{len(before)} before, {len(before) + len(new)} after" + (f": {', '.join(new[:12])}" if new else "")
    shutil.rmtree(folder)
    command_shown = case.arguments.split("--data-root")[0].replace("DATA/", "")
    return f"| {case.name} | `{command_shown.strip()}` | {done.returncode} | {answer} | {files} |", faults


def main() -> None:
    """Print the table; exit 1 if an answer is not as it must be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="mishaps whose name holds this text")
    parser.add_argument("--mnist", type=Path, help="folder with MNIST's official files")
    options = parser.parse_args()
    chosen = [case for case in cases(options.mnist) if options.only in case.name]
    wrong: list[str] = []
    print("| mishap | command | exit code | answer | files |\n|---|---|---|---|---|")
    for case in chosen:
        line, faults = run(case)
        wrong += [f"{case.name}: {', '.join(faults)}"] if faults else []
        print(line, flush=True)
    print(f"\n{len(chosen)} mishaps, {len(wrong)} answered otherwise than they must be.", *wrong, sep="\n- ")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
