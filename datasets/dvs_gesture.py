"""DVS128 Gesture: 29 people make 11 gestures under three to four lights."""

from __future__ import annotations

from pathlib import Path

from hasnas.errors import BadInputError
from hasnas.files import read_text

from .event_dataset import Clip, EventDataset
from .event_files import parse_aedat31
from .official import find_folder
from .source import DatasetCard, RemoteFile, Split

FOLDER = "DvsGesture"


def list_clips(card: DatasetCard, split: Split, root: Path | None) -> list[Clip]:
    """The labelled spans of the recordings in `trials_to_train.txt` or `trials_to_test.txt`.

    Raises:
        BadInputError: if files are missing or a table of labels is damaged.
    """
    folder = find_folder(card, [FOLDER], card.files, root)
    trials = read_text(folder / f"trials_to_{split}.txt").split()
    return [clip for trial in trials for clip in _clips(folder / trial, card.classes)]


def _clips(recording: Path, classes: int) -> list[Clip]:
    if not recording.exists():
        raise BadInputError(f"{recording} is missing; fetch the official archive again")
    table = recording.with_name(f"{recording.stem}_labels.csv")
    rows = enumerate(read_text(table).splitlines()[1:], start=2)
    return [_clip(recording, row, classes, f"{table}, line {line}") for line, row in rows if row.strip()]


def _clip(recording: Path, row: str, classes: int, where: str) -> Clip:
    try:
        label, start_us, end_us = (int(value) for value in row.split(","))
    except ValueError as error:
        raise BadInputError(f"{where}: '{row}' is not class,start,end; fetch the official archive again") from error
    if not 1 <= label <= classes:
        raise BadInputError(f"{where}: label {label} is outside 1 to {classes}; fetch the official archive again")
    if start_us >= end_us:
        raise BadInputError(f"{where}: the clip ends at {end_us} us, before it starts; fetch the archive again")
    return Clip(recording, label - 1, (start_us, end_us))


DVS128_GESTURE = EventDataset(
    DatasetCard(
        name="dvs128-gesture",
        title="DVS128 Gesture",
        task="classification",
        input_shape=(2, 128, 128),
        outputs=11,
        splits={"train": 1_176, "test": 288},
        licence="CC BY 4.0",
        citation="A. Amir et al.: A Low Power, Fully Event-Based Gesture Recognition System. CVPR 2017",
        class_names=(
            "hand clapping",
            "right hand wave",
            "left hand wave",
            "right arm clockwise",
            "right arm counter clockwise",
            "left arm clockwise",
            "left arm counter clockwise",
            "arm roll",
            "air drums",
            "air guitar",
            "other gestures",
        ),
        files=(RemoteFile("DvsGesture.tar.gz", md5="8a5c71fb11e24e5ca5b11866ca6c00a1"),),
        notes="fetched by hand from https://ibm.ent.box.com/s/3hiq58ww1pbbjrinh367ykfdf60xsfm8/folder/50167556794",
    ),
    list_clips,
    parse_aedat31,
)
