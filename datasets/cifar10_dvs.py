"""CIFAR10-DVS: 1,000 CIFAR-10 images of each class moved in front of an event camera."""

from __future__ import annotations

import re
from pathlib import Path

from hasnas.errors import BadInputError

from .cifar import CIFAR10_CLASSES
from .event_dataset import Clip, EventDataset
from .event_files import parse_aedat2
from .official import find_folder
from .source import DatasetCard, RemoteFile, Split

FIRST_TEST_NUMBER = 900  # the data set has no official split: recordings 900 to 999 of each class are held out


def list_clips(card: DatasetCard, split: Split, root: Path | None) -> list[Clip]:
    """The recordings `<class>/cifar10_<class>_<number>.aedat`; numbers from 900 on are the test split.

    Raises:
        BadInputError: if a class is missing or a file's name holds no number.
    """
    clips: list[Clip] = []
    for label, name in enumerate(card.class_names):
        archives = [file for file in card.files if file.name == f"{name}.zip"]
        numbered = sorted((_number(path), path) for path in find_folder(card, [name], archives, root).glob("*.aedat"))
        clips += [Clip(path, label) for number, path in numbered if (number >= FIRST_TEST_NUMBER) == (split == "test")]
    return clips


def _number(path: Path) -> int:
    match = re.search(r"_(\d+)\.aedat$", path.name)
    if match is None:
        raise BadInputError(f"{path}: the name does not end in a number; restore the official name")
    return int(match.group(1))


_FILES = (
    ("airplane", 7712788, "0afd5c4bf9ae06af762a77b180354fdd"),
    ("automobile", 7712791, "8438dfeba3bc970c94962d995b1b9bdd"),
    ("bird", 7712794, "a9c207c91c55b9dc2002dc21c684d785"),
    ("cat", 7712812, "52c63c677c2b15fa5146a8daf4d56687"),
    ("deer", 7712815, "b6bf21f6c04d21ba4e23fc3e36c8a4a3"),
    ("dog", 7712818, "f379ebdf6703d16e0a690782e62639c3"),
    ("frog", 7712842, "cad6ed91214b1c7388a5f6ee56d08803"),
    ("horse", 7712851, "e7cbbf77bec584ffbf913f00e682782a"),
    ("ship", 7712836, "41c7bd7d6b251be82557c6cce9a7d5c9"),
    ("truck", 7712839, "89f3922fd147d9aeff89e76a2b0b70a7"),
)

CIFAR10_DVS = EventDataset(
    DatasetCard(
        name="cifar10-dvs",
        title="CIFAR10-DVS",
        task="classification",
        input_shape=(2, 128, 128),
        outputs=10,
        splits={"train": 9_000, "test": 1_000},
        licence="CC BY 4.0",
        citation="H. Li, H. Liu, X. Ji, G. Li, L. Shi: CIFAR10-DVS: An Event-Stream Dataset for Object Classification. "
        "Front. Neurosci. 11:309, 2017",
        class_names=CIFAR10_CLASSES,
        files=tuple(
            RemoteFile(f"{name}.zip", url=f"https://ndownloader.figshare.com/files/{number}", md5=md5)
            for name, number, md5 in _FILES
        ),
        notes="no official split; ours holds out recordings 900 to 999 of each class",
    ),
    list_clips,
    parse_aedat2,
)
