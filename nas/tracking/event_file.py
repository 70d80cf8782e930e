"""TensorBoard's event files, written record by record: no threads, no torch, nothing that outlives a call.

Each record is on its way to the disk when `add` returns, so TensorBoard shows it at its next look.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from time import time_ns
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event, SourceMetadata
from tensorboard.compat.proto.summary_pb2 import HistogramProto, Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.compat.proto.types_pb2 import DT_STRING
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.custom_scalar import metadata as layout_metadata
from tensorboard.plugins.hparams import metadata as hparams_metadata
from tensorboard.plugins.hparams.api_pb2 import (
    DATA_TYPE_FLOAT64,
    DATA_TYPE_STRING,
    Experiment,
    HParamInfo,
    MetricInfo,
    MetricName,
)
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionStartInfo
from tensorboard.plugins.text import metadata as text_metadata
from tensorboard.summary.writer.record_writer import RecordWriter

PREFIX = "events.out.tfevents."
HISTOGRAM_BINS = 20


class EventFile:
    """One run as TensorBoard understands it: a directory with a file of events.

    Each opening writes a file with a later name: a TensorBoard that is open follows names, and would keep on reading
    a file that was deleted and written anew under the old one.

    Args:
        directory: made if absent; its path below the log directory is the run's name.
        time: seconds since the epoch, for the first record.
    """

    def __init__(self, directory: Path, time: float) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        name = f"{PREFIX}{time_ns():020d}.hasnas"
        self._file = open(directory / name, "ab")  # noqa: SIM115  (closed by `close`)
        self._records = RecordWriter(self._file)
        if not self._file.tell():
            version = Event(file_version="brain.Event:2", source_metadata=SourceMetadata(writer="hasnas"))
            version.wall_time = time
            self._write(version)

    def add(self, step: int, time: float, values: Iterable[Summary.Value]) -> None:
        """Append values under a step."""
        event = Event(step=step, summary=Summary(value=list(values)))
        event.wall_time = time
        self._write(event)

    def close(self) -> None:
        """Let go of the file; closing twice is harmless."""
        self._file.close()

    def _write(self, event: Event) -> None:
        self._records.write(event.SerializeToString())
        self._records.flush()


def read_scalars(directory: Path) -> list[tuple[str, int, float, float]]:
    """Tag, step, value and time of every scalar in a run's event files, up to the first damage."""
    return [
        (value.tag, event.step, value.simple_value, event.wall_time)
        for event in _events(directory)
        for value in event.summary.value
        if value.HasField("simple_value")
    ]


def read_pages(directory: Path) -> dict[str, tuple[int, float, str]]:
    """Tag of each page of Markdown -> step, time and text of its last writing."""
    return {
        value.tag: (event.step, event.wall_time, value.tensor.string_val[0].decode())
        for event in _events(directory)
        for value in event.summary.value
        if value.metadata.plugin_data.plugin_name == text_metadata.PLUGIN_NAME
    }


def _events(directory: Path) -> Iterator[Event]:
    from tensorboard.compat.tensorflow_stub.errors import DataLossError, OpError
    from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import PyRecordReader_New

    for path in sorted(directory.glob(f"{PREFIX}*")):
        reader = PyRecordReader_New(str(path))
        try:
            while True:
                reader.GetNext()
                yield Event.FromString(reader.record())
        except (DataLossError, OpError, ValueError):  # the end, a record that was not finished, or a flipped bit
            continue


def scalar(tag: str, value: float) -> Summary.Value:
    """A point of a curve."""
    return Summary.Value(tag=tag, simple_value=float(value))


def scalars(values: Mapping[str, float]) -> list[Summary.Value]:
    """Points of several curves; values that are not finite are left out."""
    return [scalar(tag, value) for tag, value in values.items() if math.isfinite(value)]


def image(tag: str, png: bytes) -> Summary.Value:
    """A picture; its size is read from the PNG's header."""
    width, height = (int.from_bytes(png[start : start + 4], "big") for start in (16, 20))
    return Summary.Value(
        tag=tag, image=Summary.Image(encoded_image_string=png, height=height, width=width, colorspace=4)
    )


def text(tag: str, markdown: str) -> Summary.Value:
    """A page of Markdown."""
    metadata = text_metadata.create_summary_metadata(display_name=tag, description="")
    shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)])
    tensor = TensorProto(dtype=DT_STRING, string_val=[markdown.encode()], tensor_shape=shape)
    return Summary.Value(tag=tag, metadata=metadata, tensor=tensor)


def custom_layout(
    margins: Mapping[str, Mapping[str, tuple[str, str, str]]], lines: Mapping[str, Mapping[str, Sequence[str]]]
) -> Summary.Value:
    """What the page of custom scalars shows; the categories with margin charts come first.

    Args:
        margins: title of a category -> title of a chart -> tags of its curve and of what bounds the shaded area.
        lines: title of a category -> title of a chart -> regular expressions of its tags.
    """
    categories = []
    for category, shaded in margins.items():
        charts = []
        for title, (value, lower, upper) in shaded.items():
            series = layout_pb2.MarginChartContent.Series(value=value, lower=lower, upper=upper)
            content = layout_pb2.MarginChartContent(series=[series])
            charts.append(layout_pb2.Chart(title=title, margin=content))
        categories.append(layout_pb2.Category(title=category, chart=charts))
    for category, drawn in lines.items():
        charts = []
        for title, tags in drawn.items():
            charts.append(layout_pb2.Chart(title=title, multiline=layout_pb2.MultilineChartContent(tag=list(tags))))
        categories.append(layout_pb2.Category(title=category, chart=charts))
    data = layout_pb2.Layout(category=categories).SerializeToString()
    return Summary.Value(
        tag=layout_metadata.CONFIG_SUMMARY_TAG,
        metadata=layout_metadata.create_summary_metadata(),
        tensor=TensorProto(dtype=DT_STRING, string_val=[data], tensor_shape=TensorShapeProto()),
    )


def histogram(tag: str, values: Sequence[float]) -> Summary.Value:
    """How values between 0 and 1 are spread.

    >>> histogram("rates", [0.0, 0.5, 1.0]).histo.num
    3.0
    """
    counts = [0.0] * HISTOGRAM_BINS
    for value in values:
        counts[min(int(value * HISTOGRAM_BINS), HISTOGRAM_BINS - 1)] += 1
    return Summary.Value(
        tag=tag,
        histo=HistogramProto(
            min=min(values, default=0.0),
            max=max(values, default=0.0),
            num=len(values),
            sum=sum(values),
            sum_squares=sum(value**2 for value in values),
            bucket_limit=[(index + 1) / HISTOGRAM_BINS for index in range(HISTOGRAM_BINS)],
            bucket=counts,
        ),
    )


def hparams_experiment(
    settings: Mapping[str, str | float], apart: Container[str], metrics: Mapping[str, str]
) -> Summary.Value:
    """What the rows of the hparams page hold, declared once: columns that appear later would be lost.

    No domain is declared for a text: rows with another value than the declared ones would be hidden.

    Args:
        settings: hyperparameter -> a value, which tells texts from numbers.
        apart: those that set rows apart, which are shown first.
        metrics: tag -> name to show.
    """
    infos = [
        HParamInfo(
            name=name,
            type=DATA_TYPE_STRING if isinstance(value, str) else DATA_TYPE_FLOAT64,
            differs=name in apart,
        )
        for name, value in settings.items()
    ]
    shown = [MetricInfo(name=MetricName(tag=tag), display_name=name) for tag, name in metrics.items()]
    experiment = Experiment(hparam_infos=infos, metric_infos=shown)
    return _hparams_value(hparams_metadata.EXPERIMENT_TAG, HParamsPluginData(experiment=experiment))


def hparams_row(values: Mapping[str, str | float], time: float) -> Summary.Value:
    """The hyperparameters of a run; its scalars with the declared tags are its metrics.

    Args:
        values: hyperparameter -> value.
        time: seconds since the epoch.
    """
    start = SessionStartInfo(start_time_secs=time)
    for name, value in values.items():
        if isinstance(value, str):
            start.hparams[name].string_value = value
        else:
            start.hparams[name].number_value = value
    return _hparams_value(hparams_metadata.SESSION_START_INFO_TAG, HParamsPluginData(session_start_info=start))


def _hparams_value(tag: str, data: Any) -> Summary.Value:
    metadata: SummaryMetadata = hparams_metadata.create_summary_metadata(data)
    return Summary.Value(tag=tag, metadata=metadata, tensor=hparams_metadata.NULL_TENSOR)
