"""Situations of users' own data, runs and messages: what hasnas answers; a Markdown table, beside an older version.

python experiments/faults/data_situations.py [--before TREE] [--only TEXT]     # TREE: a checkout of an older version

Each situation is written into a folder of its own and tried through the command line (or a few lines of Python); the
answer must match what is right. The exit code is the number of wrong answers.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from situations import IDLE, Situation, command, main

ARRAYS, IMAGES = "{name: arrays, root: d}", "{name: image-folder, root: d}"
RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (120, 1, 8, 8)).astype(np.uint8)
F = (X / 255).astype(np.float32)
Y = np.arange(120) % 3


def npz(path: Path, inputs: Any = F, targets: Any = Y) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, inputs=inputs, targets=targets)


def both(train: tuple[Any, Any] = (F, Y), test: tuple[Any, Any] = (F, Y)) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        npz(folder / "d" / "train.npz", *train)
        npz(folder / "d" / "test.npz", *test)

    return make


def alone(inputs: Any = F, targets: Any = Y) -> Callable[[Path], None]:
    return lambda folder: npz(folder / "d" / "train.npz", inputs, targets)


def picture(path: Path, pixels: Any, **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)


def pictures(*folders: str, count: int = 5, pixels: Callable[[int], Any] | None = None, ending: str = "png",
             **options: Any) -> Callable[[Path], None]:  # fmt: skip
    """Images in some folders; a folder whose name ends in `!` stays empty, one that ends in `*` holds them flat."""

    def make(root: Path) -> None:
        rng = np.random.default_rng(1)
        for folder in folders:
            (root / "d" / folder.rstrip("!*")).mkdir(parents=True, exist_ok=True)
            for number in range(0 if folder.endswith("!") else count):
                drawn = rng.integers(0, 256, (8, 8, 3)).astype(np.uint8) if pixels is None else pixels(number)
                picture(root / "d" / folder.rstrip("!*") / f"{number}.{ending}", drawn, **options)

    return make


def loaded(name: str) -> Callable[[Path], str]:
    """What a dataset's training split holds."""

    def probe(folder: Path) -> str:
        from hasnas.datasets.catalog import open_dataset

        source = open_dataset(name, folder / "d")
        samples = source.load("train")
        values = samples.floats()
        return f"classes {source.card.class_names}, {values.shape}, values {values.min():.3f} to {values.max():.3f}"

    return probe


def events(**columns: Any) -> Callable[[Path], None]:
    given = {"t": [0, 10, 20, 90], "x": [0, 1, 2, 3], "y": [0, 0, 1, 1], "p": [1, 0, 1, 0]} | columns

    def make(root: Path) -> None:
        for name in ("left", "right"):
            for number in range(6):
                path = root / "d" / name / f"{number}.npz"
                path.parent.mkdir(parents=True, exist_ok=True)
                np.savez(path, **(given | {"x": given["x"] if name == "left" else given["x"][::-1]}))

    return make


def wavs(root: Path) -> None:
    for name, pitch in (("low", 3), ("high", 9)):
        for number in range(6):
            path = root / "d" / name / f"{number}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            with wave.open(str(path), "wb") as file:
                file.setparams((1, 2, 8000, 0, "NONE", ""))
                tone = np.sin(np.arange(256) * pitch * (1 + number / 50) / 20)
                file.writeframes((tone * 30000).astype("<i2").tobytes())


def own_space(root: Path) -> None:
    alone()(root)
    (root / "own.py").write_text(
        "from dataclasses import dataclass\nfrom hasnas.search_spaces.macro import Macro\n"
        "from hasnas.search_spaces.snasnet import CellSpace\n\n@dataclass(frozen=True)\nclass Own:\n    macro: Macro\n"
        "    def __post_init__(self): object.__setattr__(self, 'inner', CellSpace(self.macro))\n"
        "    cells = property(lambda self: self.inner.cells)\n    genes = property(lambda self: self.inner.genes)\n"
        "    def decode(self, codes): return self.inner.decode(codes)\n"
        "    def encode(self, architecture): return self.inner.encode(architecture)\n"
        "    def canonical(self, codes): return self.inner.canonical(codes)\n"
    )


def also(make: Callable[[Path], object], name: str, text: str) -> Callable[[Path], None]:
    def both_of(root: Path) -> None:
        make(root)
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)

    return both_of


def changed_between(write: Callable[[Path], object]) -> Callable[[Path], str]:
    """Run, change something, run again in the same directory."""

    def probe(folder: Path) -> str:
        first = command(["search", "b.yaml", "--run-dir", "r", *IDLE])
        write(folder)
        again = command(["search", "b.yaml", "--run-dir", "r", *IDLE])
        return again if first.startswith("0 ") else f"first: {first}"

    return probe


def nmnist_forty(root: Path) -> None:
    for split, count in (("Train", 3), ("Test", 1)):
        for digit in range(10):
            for number in range(count):
                path = root / "d" / split / str(digit) / f"{digit}{number}.bin"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(b"".join(bytes([digit + number, 3, 0x80, 0, time]) for time in (1, 20, 30)))


def elsewhere(root: Path) -> None:
    npz(root / "sub" / "mine.npz")
    text = (root / "b.yaml").read_text().replace("root: d", "root: mine.npz")
    (root / "sub" / "b.yaml").write_text(text)


def exif(root: Path) -> None:
    tag = Image.Exif()
    tag[0x0112] = 6
    pictures("a", "b", pixels=lambda number: np.repeat(np.arange(8, dtype=np.uint8)[:, None] * 9 + number, 12, 1),
             exif=tag)(root)  # fmt: skip


def upright(folder: Path) -> str:
    from hasnas.datasets.catalog import open_dataset

    return f"height x width {open_dataset('image-folder', folder / 'd').card.input_shape[1:]}"


def sparse_frames(root: Path) -> None:
    frames = np.zeros((60, 2, 2, 128, 128), np.uint8)
    frames[np.arange(60), :, :, np.arange(60), 5] = 1
    npz(root / "d" / "train.npz", frames, np.arange(60) % 3)


def dry_run_seconds(folder: Path) -> str:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    limit = 120
    script = [sys.executable, "-m", "hasnas", "search", "b.yaml", "--dry-run", "space.feedback=true", "space.nodes=8",
              "screen.sample=1000000"]  # fmt: skip
    try:
        subprocess.run(script, cwd=folder, capture_output=True, timeout=limit, check=False)
    except subprocess.TimeoutExpired:
        return f"no answer within {limit} s"
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return f"answered after {seconds:.0f} s of processor time"


def normalised(folder: Path) -> str:
    from hasnas.nas.data.samples import load_splits

    inputs = load_splits("arrays", folder / "d", 0.2, 0).train.inputs
    return f"the network sees values of standard deviation {float(inputs.std()):.2g}"


def search(*changes: str) -> list[list[str]]:
    return [["search", "b.yaml", "--run-dir", "r", *changes]]


def validate(*changes: str) -> list[list[str]]:
    return [["validate", "b.yaml", *changes]]


WAVE = np.sin(np.arange(60)[:, None, None, None, None] + np.arange(32).reshape(1, 2, 1, 1, 16)).astype(np.float32)
DIGITS = "{name: digits}"
SITUATIONS = [
    Situation("D1", "other data in a finished run's directory", alone(), r"^2 .*another dataset",
              probe=changed_between(lambda root: npz(root / "d" / "train.npz", F[:90], Y[:90]))),
    Situation("D1, own", "one pixel of one sample changed", alone(), r"^2 .*another dataset",
              probe=changed_between(lambda root: npz(root / "d" / "train.npz", np.where(F.max() == F, 0, F)))),
    Situation("D1, own", "the same data compressed anew", alone(), r"^0 ",
              probe=changed_between(lambda root: np.savez(root / "d" / "train.npz", inputs=F, targets=Y))),
    Situation("D1", "a device file with another content", also(alone(), "dev.yaml", "device_variation: 0.1\n"),
              r"^2 .*another content of nonideal.device", dataset=ARRAYS + "\nnonideal: {device: dev.yaml}",
              probe=changed_between(lambda root: (root / "dev.yaml").write_text("device_variation: 0.3\n"))),
    Situation("D2", "test labels as floats", both(test=(F, Y.astype(np.float32))), r"^2 .*test.npz: targets are"),
    Situation("D2", "train floats 0 to 255, test bytes", both((F * 255, Y), (X, Y)), r"^2 .*test.npz holds uint8"),
    Situation("D2, own", "train 0 to 1, test 0 to 255", both((F, Y), (F * 255, Y)), r"^2 .*one scale"),
    Situation("D2, own", "train standardised, test 0 to 1", both(((F - 0.5) / 0.29, Y), (F, Y)), r"^2 .*one scale"),
    Situation("D2", "train 8x8, test 7x8", both(test=(F[:, :, 1:], Y)), r"^2 .*test.npz: a sample has shape"),
    Situation("D2", "test without a sample", both(test=(F[:0], Y[:0])), r"^2 .*test.npz holds no sample"),
    Situation("D2, own", "a class in the test file only", both(test=(F, Y + 1)), r"^2 .*class 3 does not occur"),
    Situation("D2, own", "two targets in training, one in the test file", both((F, F[:, 0, :2, 0]), (F, F[:, 0, :1,
              0])),
              r"^2 .*1 targets for each"),
    Situation("D2, own", "test images in the training set", both(test=(F[:40], Y[:40])), r"^0 .*40 of 40 samples"),
    Situation("D3", "16-bit images of values 1,000 to 41,000", pictures(
        "a", "b", pixels=lambda n: (np.linspace(1000, 41000, 64).reshape(8, 8) - n).astype(np.uint16)),
        r"values 0.015 to 0.626", dataset=IMAGES, probe=loaded("image-folder")),
    Situation("D3", "float TIFF of 0 to 1", pictures(
        "a", "b", ending="tif", pixels=lambda n: (np.linspace(0, 1, 64).reshape(8, 8) / (1 + n)).astype(np.float32)),
        r"values 0.000 to 1.000", dataset=IMAGES, probe=loaded("image-folder")),
    Situation("D3, own", "float TIFF of -3 to 812", pictures(
        "a", "b", ending="tif", pixels=lambda n: np.linspace(-3, 812 - n, 64).reshape(8, 8).astype(np.float32)),
        r"^2 .*not from 0 to 1", dataset=IMAGES),
    Situation("D3", "photographs held upright (EXIF 6)", exif, r"\(12, 8\)", dataset=IMAGES, probe=upright),
    Situation("D3", "a split of one value", both(test=(F * 0, Y)), r"^2 .*test.npz: every value"),
    Situation("D3, own", "black ink on transparent paper", pictures(
        "a", "b", pixels=lambda n: np.dstack([np.zeros((8, 8, 3), np.uint8), np.eye(8, k=n, dtype=np.uint8) * 255])),
        r"values 0.000 to 1.000", dataset=IMAGES, probe=loaded("image-folder")),
    Situation("D4", "training/ and testing/", pictures("training/0", "training/1", "testing/0", "testing/1"),
              r"classes \('0', '1'\)", dataset=IMAGES, probe=loaded("image-folder")),
    Situation("D4", "an empty .ipynb_checkpoints/", pictures("0", "1", ".ipynb_checkpoints!"),
              r"classes \('0', '1'\)", dataset=IMAGES, probe=loaded("image-folder")),
    Situation("D4, own", "a copy in .ipynb_checkpoints/ inside a class", pictures("0", "1", "1/.ipynb_checkpoints"),
              r"\(8, 3", dataset=IMAGES, probe=loaded("image-folder")),
    Situation("D4", "an empty class folder", pictures("0", "1", "2!"), r"^2 .*2 holds no images", dataset=IMAGES),
    Situation("D4", "train/ and valid/", pictures("train/0", "train/1", "valid/0", "valid/1"), r"\(10, 3",
              dataset=IMAGES, probe=loaded("image-folder")),
    Situation("D4", "val/ labelled, test/ without classes", pictures("train/0", "train/1", "val/0", "val/1", "test*"),
              r"^0 .*val/ is the test split", dataset=IMAGES),
    Situation("D4, own", "one folder around everything", pictures("data/train/0", "data/train/1", "data/test/0"),
              r"^2 .*give .*data as the root", dataset=IMAGES),
    Situation("D4, own", "splits inside the classes", pictures("0/train", "0/test", "1/train", "1/test"),
              r"^2 .*above the classes", dataset=IMAGES),
    Situation("D4, own", "fold1/ to fold3/", pictures("fold1", "fold2", "fold3"), r"^2 .*parts of a dataset",
              dataset=IMAGES),
    Situation("D5", "all labels 0", alone(targets=Y * 0), r"^2 .*every sample has the label 0"),
    Situation("D5", "four samples", alone(F[:8], Y[:8] % 2), r"^0 .*test split has 2 samples"),
    Situation("D5", "a sequence in volts (x 1e-5)", alone(WAVE * 1e-5, Y[:60]), r"standard deviation (1|0.99)",
              probe=normalised),
    Situation("D5", "a threshold no neuron reaches", lambda root: None, r"^0 .*no neuron fires", search(
        *IDLE[:2], "space.macro.threshold=10000", "export.enabled=false"), dataset=DIGITS),
    Situation("D6", "classes as floats", alone(targets=Y.astype(np.float32)), r"^0 .*regression .*\.astype\(int\)"),
    Situation("D6, own", "one-hot rows as floats", alone(targets=np.eye(3, dtype=np.float32)[Y]),
              r"^0 .*\.argmax\(1\)"),
    Situation("D7", "a last batch of one on 1x1 maps", alone(RNG.normal(size=(102, 2, 1, 1)).astype(np.float32),
                                                             Y[:102]), r"^0 ", search(
        "space.macro.final_pool=1", "space.macro.reductions=[]", "supernet.batch_size=13", "search.enabled=false",
        "retrain.enabled=false", "export.enabled=false", "dataset.validation_share=0.2")),
    Situation("D8", "poisson code of values 0 to 255", alone(F * 255), r"^2 .*poisson", validate(
        "dataset.encoding={name: poisson, timesteps: 2}")),
    Situation("D8", "N-MNIST with 40 recordings", nmnist_forty, r"^2 .*incomplete", dataset="{name: nmnist, root: d, "
              "framing: {frames: 2}}"),
    Situation("D8", "absent files of a dataset", lambda root: None, r"^2 .*hasnas data prepare",
              dataset="{name: mnist}"),
    Situation("D8", "a GPU where there is none", alone(), r"^2 .*GPU|^0 ", validate("device=cuda")),
    Situation("D8", "a misspelt device", alone(), r"^2 .*rram-typical", validate("nonideal.device=rram-typcal")),
    Situation("D8", "a space in Python that a score cannot read", own_space, r"^2 .*cell_groups", [[
        "validate", "b.yaml", "space={file: own.py}", "search.score=depth"]]),
    Situation("D8, own", "a run directory that cannot be written", alone(), r"^2 .*cannot be written", [[
        "search", "b.yaml", "--run-dir", "b.yaml/r"]]),
    Situation("D8, own", "a share that leaves nothing to choose by", alone(), r"^2 .*leaves one side empty", validate(
        "dataset.validation_share=0.001")),
    Situation("D9", "a path relative to the YAML, from above", elsewhere, r"^0 ", [["validate", "sub/b.yaml"]]),
    Situation("D9", "a missing file", lambda root: None, r"^2 .*nothing.npz is missing",
              dataset="{name: arrays, root: nothing.npz}"),
    Situation("D10", "times as fractions of seconds", events(t=[0.0, 0.1, 0.2, 0.9]), r"^2 .*microseconds",
              dataset="{name: event-folder, root: d, sensor: [8, 8], framing: {frames: 2}}"),
    Situation("D10", "polarities -1 and 1", events(p=[1, -1, 1, -1]), r"^0 ",
              dataset="{name: event-folder, root: d, sensor: [2, 4], framing: {frames: 2}}",
              commands=validate("space.macro.final_pool=1", "space.macro.reductions=[]")),
    Situation("D11", "labels of Python objects", alone(targets=np.array(["0", "1", "2"] * 40, object)),
              r"^2 .*Python objects"),
    Situation("D11", "frames of events, compressed 190 to 1", sparse_frames, r"^0 "),
    Situation("D11", "a signal as one row", alone(F.reshape(120, 1, 1, 64)),
              r"^2 .*final_pool to 1 .*reductions: \[\]"),
    Situation("D11", "--resume RUN key=value", lambda root: None, r"^2 .*holds no run", [[
        "search", "--resume", "r", "search.evaluations=20"]], dataset=DIGITS),
    Situation("D11", "a plug-in that is not installed", lambda root: None, r"^2 .*install that package",
              dataset="{name: my-lab-data}"),
    Situation("D12", "recordings of one's own, classes as folders", events(), r"^0 ",
              dataset="{name: event-folder, root: d, sensor: [2, 4], framing: {frames: 2}}",
              commands=validate("space.macro.final_pool=1", "space.macro.reductions=[]")),
    Situation("D12", "300 of the digits", lambda root: None, r"^0 .*240 to train, 60 to choose, 50 to test",
              dataset="{name: digits, subset: {train: 300, test: 50}}"),
    Situation("D12", "a first image of another size", lambda root: (pictures("a", "b")(root), picture(
        root / "d" / "a" / "0.png", np.zeros((5, 7, 3), np.uint8))), r"^2 .*dataset.images", dataset=IMAGES),
    Situation("D12", "size and channels of images", pictures("a", "b"), r"^0 ",
              dataset="{name: image-folder, root: d, images: {size: [12, 10], channels: 1}}"),
    Situation("D12", "signals [N, C, L]", alone(RNG.normal(size=(120, 2, 64)), Y), r"^0 ",
              dataset="{name: signal, root: d, signal: {rows: 8}}"),
    Situation("D12", "WAV files in class folders", wavs, r"^0 ", dataset="{name: signal, root: d, signal: {rows: 16}}"),
    Situation("D13", "a dry run on a space of 1e26", lambda root: None, r"after [0-5] s",
              dataset=DIGITS, probe=dry_run_seconds),
    Situation("D16", "hasnas search -h", lambda root: None, r"^0 .*Usage", [["search", "-h"]], dataset=DIGITS),
    Situation("D16", "what chips there are", lambda root: None, r"^0 .*32nm", [["hardware"]], dataset=DIGITS),
]  # fmt: skip


if __name__ == "__main__":
    sys.exit(main(__file__, SITUATIONS, __doc__))
