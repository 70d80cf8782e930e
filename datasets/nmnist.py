"""N-MNIST: MNIST digits seen by an event camera that makes three saccades."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hasnas.errors import BadInputError

from .event_dataset import Clip, EventDataset
from .event_files import parse_atis
from .official import find_folder
from .source import DatasetCard, RemoteFile, Split

DIGITS = tuple("0123456789")


def list_clips(card: DatasetCard, split: Split, root: Path | None) -> list[Clip]:
    """The recordings `Train/<digit>/<id>.bin` or `Test/<digit>/<id>.bin`, in the order of their ids.

    Args:
        card: the dataset; its files are one archive, or the archives of the training and the test split.
        split: which recordings.
        root: the data root.

    Raises:
        BadInputError: if they are missing or lie in a folder that is no digit.
    """
    name = split.capitalize()
    archives = card.files if len(card.files) == 1 else [card.files[0 if split == "train" else 1]]
    folder = find_folder(card, [name], archives, root)
    files = sorted(folder.glob("*/*.bin"), key=lambda path: path.name)
    strange = [path for path in files if path.parent.name not in DIGITS]
    if strange:
        raise BadInputError(f"{strange[0]}: label '{strange[0].parent.name}' is outside 0 to 9; remove the folder")
    if not files:
        raise BadInputError(f"{folder} holds no recordings <digit>/<id>.bin; fetch the official archive")
    return [Clip(path, int(path.parent.name)) for path in files]


_CARD = DatasetCard(
    name="nmnist",
    title="N-MNIST",
    task="classification",
    input_shape=(2, 34, 34),
    outputs=10,
    splits={"train": 60_000, "test": 10_000},
    licence="CC BY-SA 4.0",
    citation="G. Orchard, A. Jayawant, G. Cohen, N. Thakor: Converting Static Image Datasets to Spiking Neuromorphic "
    "Datasets Using Saccades. Front. Neurosci. 9:437, 2015",
    class_names=DIGITS,
    files=(
        RemoteFile(
            "Train.zip",
            url="https://data.mendeley.com/public-files/datasets/468j46mzdv/files/"
            "39c25547-014b-4137-a934-9d29fa53c7a0/file_downloaded",
            md5="20959b8e626244a1b502305a9e6e2031",
        ),
        RemoteFile(
            "Test.zip",
            url="https://data.mendeley.com/public-files/datasets/468j46mzdv/files/"
            "05a4d654-7e03-4c15-bdfa-9bb2bcbea494/file_downloaded",
            md5="69ca8762b2fe404d9b9bad1103e97832",
        ),
    ),
)

NMNIST = EventDataset(_CARD, list_clips, parse_atis)

NMNIST_SMALL = EventDataset(
    replace(
        _CARD,
        name="nmnist-small",
        title="N-MNIST, 1,100 recordings",
        splits={"train": 1_000, "test": 100},
        files=(RemoteFile("nmnist_small.tar.xz"),),
        notes="the first 1,000 training and 100 test recordings, as spread with slayerPytorch",
    ),
    list_clips,
    parse_atis,
)
