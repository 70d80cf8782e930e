"""What every dataset keeps to: its card is complete, and its samples are what the card says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hasnas.datasets.catalog import Located
from hasnas.datasets.source import DATASETS, SPLITS, DatasetSource, Split
from hasnas.errors import BadInputError

from .suite import Suite

Opened = tuple[DatasetSource, Path]


class CheckDatasetSource(Suite):
    """For names in `DATASETS` (entry points `hasnas.datasets`).

    A dataset that reads files needs `write_files`, which lays a small copy of them out; where the card tells the
    numbers of samples or checksums of the official files, `open` must give a reader that expects those of the copy.
    """

    def build(self, name: str) -> DatasetSource:
        """The dataset that is tested, as users get it."""
        return DATASETS.get(name)

    def write_files(self, name: str, root: Path) -> None:
        """Write a small copy of the dataset's files into the data root; by default there are none."""

    def open(self, name: str, root: Path) -> Opened:
        """The dataset to load from, and the data root that holds its files."""
        self.write_files(name, root)
        source = self.build(name)
        return source.located(root) if isinstance(source, Located) else source, root

    @pytest.fixture
    def opened(self, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Opened:
        """A dataset with its files, and where they lie."""
        monkeypatch.setenv("HASNAS_CACHE", str(tmp_path / "cache"))
        root = tmp_path / "root"
        root.mkdir()
        return self.open(name, root)

    def test_card_tells_all_a_user_must_know(self, name: str) -> None:
        source = self.build(name)
        assert isinstance(source, DatasetSource)
        card = source.card
        assert card.name == name
        assert card.title
        assert card.licence
        assert card.citation
        assert len(card.input_shape) == 3
        assert card.task in ("classification", "regression")
        assert not card.class_names or len(card.class_names) == card.classes
        assert all(len(digest) == 64 for digest in card.checksums.values())
        assert all(not file.url or file.url.startswith("http") for file in card.files)
        assert all(count > 0 for count in card.splits.values())

    @pytest.mark.parametrize("split", SPLITS)
    def test_samples_are_what_the_card_says(self, opened: Opened, split: Split) -> None:
        source, root = opened
        card, samples = source.card, source.load(split, root)
        assert len(samples) == card.splits.get(split, len(samples)) > 0
        assert samples.inputs.shape[1:] == (*([card.timesteps] if card.timesteps else []), *card.input_shape)
        some = np.arange(min(len(samples), 100))
        assert np.isfinite(samples.floats(some)).all()
        assert samples.floats(some).any()
        if not card.timesteps and card.input_shape[1] > 1:  # images; signals have units of their own
            assert samples.floats(some).min() >= 0
            assert samples.floats(some).max() <= 1

    @pytest.mark.parametrize("split", SPLITS)
    def test_targets_fit_the_task(self, opened: Opened, split: Split) -> None:
        source, root = opened
        card, targets = source.card, source.load(split, root).targets
        if card.task == "regression":
            assert targets.dtype == np.float32
            assert targets.shape[1:] == (card.outputs,)
            assert np.isfinite(targets).all()
        else:
            assert targets.dtype == np.int64
            assert targets.ndim == 1
            assert targets.min() >= 0
            assert targets.max() < card.classes

    def test_loading_twice_gives_the_same(self, opened: Opened) -> None:
        source, root = opened
        first, second = source.load("test", root), source.load("test", root)
        np.testing.assert_array_equal(first.inputs, second.inputs)
        np.testing.assert_array_equal(first.targets, second.targets)

    def test_the_files_are_only_read(self, opened: Opened) -> None:
        source, root = opened

        def listing() -> dict[Path, int]:
            return {path: path.stat().st_mtime_ns for path in root.rglob("*")}

        before = listing()
        source.load("train", root)
        assert listing() == before

    def test_an_unknown_split_is_refused(self, name: str, tmp_path: Path) -> None:
        with pytest.raises(BadInputError, match="choose train or test"):
            self.build(name).load("validation", tmp_path)  # type: ignore[arg-type]

    def test_absent_files_are_reported_in_one_line(self, name: str, tmp_path: Path) -> None:
        source, nothing = self.build(name), tmp_path / "nothing"
        told = complaint(source, nothing)
        if told is None:  # the dataset brings its samples along
            assert not source.card.files
            assert not isinstance(source, Located)
        else:
            assert "\n" not in told
            assert str(nothing) in told


def complaint(source: DatasetSource, root: Path) -> str | None:
    """What a dataset says when it is to be loaded from a folder that does not exist; None if it loads all the same."""
    try:
        source.load("train", root)
    except BadInputError as error:
        return str(error)
    return None
