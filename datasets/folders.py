"""Class folders as people lay them out: which is the training split, which the test split, which are the classes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hasnas.errors import BadInputError, nearest

from .source import Split, held_out

_TAIL = r"([-_ ]?(set|data|images?|imgs?|split|samples))?"
_KINDS = {
    "train": re.compile(rf"(train|training|trn|tr){_TAIL}", re.IGNORECASE),
    "test": re.compile(rf"(test|testing|tst|eval|evaluation){_TAIL}", re.IGNORECASE),
    "validation": re.compile(rf"(val|valid|validation|validate|dev){_TAIL}", re.IGNORECASE),
}
_WORD = re.compile("[A-Z]?[a-z]+|[A-Z]+")
_FOLD = re.compile(r"(folds?|split|part|subset|batch|chunk|shard)[-_ ]?\d+", re.IGNORECASE)


@dataclass(frozen=True)
class Layout:
    """Where the samples of a folder lie.

    Args:
        classes: names of the class folders, in the order of their labels.
        train: labelled files to learn from.
        test: labelled files to be judged on; empty where a share of the training files must be held out.
        notes: what was passed over, one line each.
    """

    classes: tuple[str, ...]
    train: tuple[tuple[Path, int], ...]
    test: tuple[tuple[Path, int], ...]
    notes: tuple[str, ...] = ()

    def split(self, split: Split) -> tuple[tuple[Path, int], ...]:
        """The files of a split with their labels; without test files a stratified fifth is held out of the others."""
        if self.test:
            return self.train if split == "train" else self.test
        kept, held = held_out(np.array([label for _, label in self.train], np.int64))
        return tuple(self.train[row] for row in (kept if split == "train" else held))


def is_hidden(path: Path) -> bool:
    """Whether a file or folder is one of those that programs leave behind: `.ipynb_checkpoints`, `__MACOSX`, `@eaDir`.

    >>> is_hidden(Path("a/._cat.png")), is_hidden(Path("a/cat.png"))
    (True, False)
    """
    return path.name.startswith((".", "__", "@", "$"))


def visible_folders(folder: Path) -> list[Path]:
    """The folders right inside a folder, by name, without hidden ones."""
    return sorted(path for path in folder.iterdir() if path.is_dir() and not is_hidden(path))


def sample_files(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    """The files of some endings in a folder and its subfolders, by name, without hidden ones."""
    found = (path for path in folder.rglob("*") if path.suffix.lower() in suffixes and not path.is_dir())
    return sorted(
        path for path in found if not any(is_hidden(part) for part in (path, *_parents_below(path, folder)))
    )  # fmt: skip


def _parents_below(path: Path, folder: Path) -> list[Path]:
    return [parent for parent in path.parents if folder in parent.parents]


def read_layout(folder: Path, suffixes: Sequence[str], what: str) -> Layout:
    """Find splits and classes.

    Known are `<class>/<file>`, and that below `train`, `training`, `train_set` ... beside `test`, `testing` ... or
    `val`, `valid`, `validation`, in any case of letters.

    Args:
        folder: the root.
        suffixes: endings of the files that are samples, in small letters.
        what: what a sample is called, e.g. `"images"`.

    Raises:
        BadInputError: if there is more than one way to read the folder, or none; the message says what was found.
    """
    if not folder.is_dir():
        state = "is a file, not a folder" if folder.exists() else "is missing"
        raise BadInputError(f"{folder} {state}; give the folder whose subfolders are the classes")
    splits = _split_folders(folder)
    train = splits.get("train", folder)
    _check_top(folder, train, splits, suffixes, what)
    classes = _class_names(train, suffixes, what)
    test, notes = _test_folder(splits, suffixes, what)
    others = [path for path in visible_folders(folder) if path not in splits.values()] if splits else []
    rest = [path.name for path in others]
    alike = next((path for path in others if {inside.name for inside in visible_folders(path)} & {*classes}), None)
    if test is None and alike is not None:
        raise BadInputError(
            f"{alike} holds classes of {train} too; call it test/ if it is the test split, else move it elsewhere"
        )
    if rest:
        notes.append(f"{folder}: not used: {_listing(rest)}")
    loose = _files_right_in(train, suffixes)
    if loose:
        notes.append(f"{train}: {len(loose)} {what} beside the class folders are not used ({loose[0].name}, ...)")
    return Layout(
        classes,
        _labelled(train, classes, suffixes),
        () if test is None else _test_files(test, train, classes, suffixes, what),
        tuple(notes),
    )


def _split_folders(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in visible_folders(folder):
        kind = next((kind for kind, pattern in _KINDS.items() if pattern.fullmatch(path.name)), None)
        if kind is None:
            continue
        if kind in found:
            raise BadInputError(
                f"{folder} holds {found[kind].name} and {path.name}, which both name the {kind} split; keep one"
            )
        found[kind] = path
    return found


def _check_top(folder: Path, train: Path, splits: dict[str, Path], suffixes: Sequence[str], what: str) -> None:
    if splits and "train" not in splits:
        others = [path.name for path in visible_folders(folder) if path not in splits.values()]
        held = ", ".join(path.name for path in splits.values())
        raise BadInputError(
            f"{folder} holds {held}, but no train folder" + (f" (and {_listing(others)})" if others else "")
            + "; put the training classes into train/, or the classes right under the root"
        )  # fmt: skip
    inside = visible_folders(train)
    if not inside:
        count, flat = len(_files_right_in(train, suffixes)), _listing(sorted(path.name for path in train.iterdir()))
        raise BadInputError(
            f"{train} has no folders of {what} ({f'{count} {what} without a class' if count else flat or 'it is empty'}"
            f"); lay them out as {train}/<class>/<file>"
        )
    names = [path.name for path in inside]
    if all(_FOLD.fullmatch(name) for name in names) or len({*filter(None, map(_kind_within, names))}) > 1:
        raise BadInputError(
            f"{train} holds {_listing(names)}, which look like parts of a dataset, not like classes; "
            "lay it out as train/<class>/<file> and test/<class>/<file>"
        )
    nested = next((path for path in inside if "train" in _split_folders(path)), None)
    if nested is not None:
        remedy = f"give {nested} as the root" if len(inside) == 1 else "put train/ and test/ above the classes"
        raise BadInputError(f"{nested} holds {_listing([p.name for p in visible_folders(nested)])}; {remedy}")


def _kind_within(name: str) -> str | None:
    """The split that a word of a folder's name means, e.g. of `train-clean-100` or `val2017`."""
    words = _WORD.findall(name)
    return next((kind for word in words for kind, pattern in _KINDS.items() if pattern.fullmatch(word)), None)


def _class_names(train: Path, suffixes: Sequence[str], what: str) -> tuple[str, ...]:
    folders = visible_folders(train)
    for path in folders:
        if not sample_files(path, suffixes):
            raise BadInputError(
                f"{path} holds no {what}{_endings(path)}; put some there or remove the folder "
                f"(known endings are {', '.join(suffixes)})"
            )
    names = [path.name for path in folders]
    if len(names) == 1:
        inside = _listing([path.name for path in visible_folders(folders[0])])
        raise BadInputError(
            f"{train} holds one class folder only, {names[0]}"
            + (f", with {inside} inside: if those are the classes, give {folders[0]}" if inside else "")
            + "; a classification needs at least two"
        )  # fmt: skip
    return tuple(sorted(names, key=int) if all(re.fullmatch("[0-9]+", name) for name in names) else names)


def _test_folder(splits: dict[str, Path], suffixes: Sequence[str], what: str) -> tuple[Path | None, list[str]]:
    """The folder of the test split, if there is one, and what is to be said of the choice."""
    test, validation = splits.get("test"), splits.get("validation")
    labelled = [path for path in (test, validation) if path is not None and visible_folders(path)]
    if not labelled:
        for path in (test, validation):
            if path is not None:
                raise BadInputError(
                    f"{path} holds {len(_files_right_in(path, suffixes))} {what} without a class; lay them out as "
                    f"{path}/<class>/<file>, or remove it: then a fifth of the training files is the test split"
                )
        return None, []
    if test is not None and validation is not None:
        if len(labelled) == 2:
            return test, [
                f"{validation.name}/ is not used: validation samples are drawn from the training files "
                "(dataset.validation_share)"
            ]
        if labelled == [test]:
            return test, [f"{validation.name}/ is not used: its {what} have no class"]
        return validation, [f"{validation.name}/ is the test split: the {what} of {test.name}/ have no class"]
    notes = [] if test is not None else [f"{labelled[0].name}/ is the test split; validation is drawn from training"]
    return labelled[0], notes


def _test_files(
    test: Path, train: Path, classes: tuple[str, ...], suffixes: Sequence[str], what: str
) -> tuple[tuple[Path, int], ...]:
    unknown = [path.name for path in visible_folders(test) if path.name not in classes]
    if unknown:
        raise BadInputError(
            f"{test / unknown[0]}: no such class in {train}{nearest(unknown[0], classes)}; "
            "rename it, add it there or remove it here"
        )
    found = _labelled(test, classes, suffixes)
    if not found:
        raise BadInputError(f"{test} holds no {what}{_endings(test)}; known endings are {', '.join(suffixes)}")
    return found


def _labelled(top: Path, classes: tuple[str, ...], suffixes: Sequence[str]) -> tuple[tuple[Path, int], ...]:
    return tuple((path, label) for label, name in enumerate(classes) for path in sample_files(top / name, suffixes))


def _files_right_in(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.is_file() and p.suffix.lower() in suffixes and not is_hidden(p))


def _endings(folder: Path) -> str:
    """What else lies in a folder, by ending."""
    counts = Counter(path.suffix or path.name for path in folder.rglob("*") if path.is_file() and not is_hidden(path))
    told = ", ".join(f"{count} {ending}" for ending, count in counts.most_common(3))
    return f", but {told}" if told else ""


def _listing(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (f", ... ({len(names)})" if len(names) > 4 else "")
