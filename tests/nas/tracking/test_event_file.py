from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from hasnas.nas.tracking.event_file import PREFIX, EventFile, histogram, image, read_scalars, scalar, scalars, text
from hasnas.nas.tracking.figures import progress, to_png


def test_tensorboard_reads_what_was_written(tmp_path: Path):
    png = to_png(progress([]))
    file = EventFile(tmp_path, 100.0)
    file.add(0, 100.0, [scalar("loss", 0.5), text("page", "# Title"), image("picture", png)])
    file.add(1, 101.0, [scalar("loss", 0.25), histogram("rates", [0.1, 0.9])])
    file.close()
    found = EventAccumulator(str(tmp_path), size_guidance={"images": 0, "scalars": 0, "histograms": 0, "tensors": 0})
    found.Reload()
    assert [(event.step, event.value, event.wall_time) for event in found.Scalars("loss")] == [
        (0, 0.5, 100.0),
        (1, 0.25, 101.0),
    ]
    picture = found.Images("picture")[0]
    assert picture.encoded_image_string == png
    assert picture.width > picture.height > 100
    assert found.Histograms("rates")[0].histogram_value.sum == 1.0
    assert found.Tensors("page")[0].tensor_proto.string_val[0] == b"# Title"


def test_a_record_is_there_as_soon_as_it_is_added(tmp_path: Path):
    file = EventFile(tmp_path, 0.0)
    file.add(3, 1.0, [scalar("a", 2.0)])
    assert read_scalars(tmp_path) == [("a", 3, 2.0, 1.0)]
    file.close()


def test_a_file_is_continued(tmp_path: Path):
    for step in range(2):
        file = EventFile(tmp_path, 0.0)
        file.add(step, 0.0, [scalar("a", step)])
        file.close()
        file.close()
    assert [step for _, step, _, _ in read_scalars(tmp_path)] == [0, 1]


@given(st.integers(0, 400), st.integers(0, 7))
def test_damage_costs_only_what_follows_it(tmp_path_factory: pytest.TempPathFactory, position: int, bit: int):
    directory = tmp_path_factory.mktemp("events")
    file = EventFile(directory, 0.0)
    for step in range(6):
        file.add(step, 0.0, [scalar("a", step)])
    file.close()
    (path,) = directory.glob(f"{PREFIX}*")
    data = bytearray(path.read_bytes())
    data[position % len(data)] ^= 1 << bit
    path.write_bytes(data)
    steps = [step for _, step, _, _ in read_scalars(directory)]
    assert steps == list(range(len(steps)))


def test_a_torn_last_record_is_left_out(tmp_path: Path):
    file = EventFile(tmp_path, 0.0)
    file.add(0, 0.0, [scalar("a", 1.0)])
    file.add(1, 0.0, [scalar("a", 2.0)])
    file.close()
    (path,) = tmp_path.glob(f"{PREFIX}*")
    path.write_bytes(path.read_bytes()[:-3])
    assert [step for _, step, _, _ in read_scalars(tmp_path)] == [0]
    assert read_scalars(tmp_path / "absent") == []


def test_values_that_are_no_numbers_are_left_out():
    assert [value.tag for value in scalars({"a": 1.0, "b": float("nan"), "c": float("inf")})] == ["a"]


@given(st.lists(st.floats(0, 1), max_size=30))
def test_histograms_count_every_value(values: list[float]):
    shown = histogram("rates", values).histo
    assert sum(shown.bucket) == shown.num == len(values)
    np.testing.assert_allclose(shown.sum, sum(values))
