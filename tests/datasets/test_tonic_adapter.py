"""The bridge to tonic: its arrays become our events; without it the remedy is named."""

import sys

import numpy as np
import pytest

from hasnas.datasets.catalog import open_dataset
from hasnas.datasets.tonic_adapter import events_of
from hasnas.errors import BadInputError

FIELDS = np.dtype([("x", np.int16), ("y", np.int16), ("t", np.int64), ("p", bool)])


def test_structured_arrays_become_events():
    events = events_of(np.array([(1, 2, 30, True), (3, 0, 40, False)], FIELDS), (4, 5), "sample 0")
    columns = [column.tolist() for column in (events.t_us, events.x, events.y, events.p)]
    assert columns == [[30, 40], [1, 3], [2, 0], [1, 0]]


def test_what_is_no_recording_is_refused():
    with pytest.raises(BadInputError, match="sample 0 has no field p"):
        events_of(np.zeros(1, np.dtype([("x", int), ("y", int), ("t", int)])), (4, 5), "sample 0")
    with pytest.raises(BadInputError, match="sample 0 has no field p"):
        events_of(np.zeros((3, 4)), (4, 5), "sample 0")
    with pytest.raises(BadInputError, match="off the 5 x 4 sensor"):
        events_of(np.array([(9, 0, 0, True)], FIELDS), (4, 5), "sample 0")


def test_without_tonic_the_extra_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "tonic", None)
    with pytest.raises(BadInputError, match=r"GPL-3.0.*pip install hasnas\[tonic\]"):
        open_dataset("tonic:NMNIST").load("train")
