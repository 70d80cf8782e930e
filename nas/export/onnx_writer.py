"""A deployed network for ONNX runtimes: unrolled over its timesteps, and a single timestep with its states outside.

Both are exported from the plain torch form of `standalone.py`, so what they compute is what that file says.

- `network.onnx`: `samples` as the dataset gives them -> `scores`.
- `step.onnx`: `samples` of one timestep and the states by their names -> `output` and each state as `next.<name>`.
  States start at the values that the file's metadata name (`start`); the network's answer is the mean of the outputs.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hasnas.nas.data.samples import Normalisation

from .deploy import Deployed
from .standalone import plain_torch, states_of

UNROLLED_FILE, STEP_FILE = "network.onnx", "step.onnx"
OPSET = 20
EXAMPLES = 2  # samples of the batch that is traced; the batch stays free


def onnx_files(deployed: Deployed, normalisation: Normalisation) -> dict[str, bytes]:
    """Both files.

    Raises:
        NotExpressibleError: if it holds neurons without source.
        ModuleNotFoundError: if ONNX is not installed.
    """
    network = plain_torch(deployed, normalisation)
    entry, static = deployed.graph.entry, deployed.graph.takes_static
    sample = torch.zeros(EXAMPLES, *entry.shape)
    whole = sample if static else torch.zeros(deployed.graph.timesteps, EXAMPLES, *entry.shape)
    states = states_of(deployed.graph)
    start = json.dumps({name: value for name, (_, value) in states.items()})
    outputs = ["output", *(f"next.{name}" for name in states)]
    example = (sample, *(torch.full((EXAMPLES, *shape), value) for shape, value in states.values()))
    told = {"timesteps": str(deployed.graph.timesteps), "start": start}
    return {
        UNROLLED_FILE: _onnx(network, (whole,), ["samples"], ["scores"], 0 if static else 1),
        STEP_FILE: _onnx(_Step(network, list(states)), example, ["samples", *states], outputs, 0, told),
    }


def run_onnx(path: Path, samples: Tensor) -> Tensor:
    """What ONNX Runtime computes from `network.onnx`, one thread.

    Raises:
        ModuleNotFoundError: if ONNX Runtime is not installed.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(["scores"], {"samples": samples.numpy()})[0])


class _Step(nn.Module):
    """A timestep whose states are arguments and results of their own, in the order of their names."""

    def __init__(self, network: nn.Module, names: list[str]) -> None:
        super().__init__()
        self.network, self.names = network, names

    def forward(self, samples: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        """Output and new states."""
        output, after = self.network.step(samples, dict(zip(self.names, states, strict=True)))  # type: ignore[operator]
        return (output, *(after[name] for name in self.names))


def _onnx(
    network: nn.Module,
    example: tuple[Tensor, ...],
    inputs: list[str],
    outputs: list[str],
    batch_axis: int,
    metadata: dict[str, str] | None = None,
) -> bytes:
    """The bytes of a model whose batch is free; `batch_axis` is that of the first input."""
    import onnx

    batch = torch.export.Dim("batch")
    free: Any = ({batch_axis: batch}, *({0: batch} for _ in example[1:]))
    dynamic = free if not isinstance(network, _Step) else (free[0], free[1:])
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), _quiet("torch.onnx", "onnxscript"):
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            network,
            example,
            dynamo=True,
            input_names=inputs,
            output_names=outputs,
            dynamic_shapes=dynamic,
            opset_version=OPSET,
            verbose=False,
        )
    assert program is not None  # for the type checker: with a path it would be
    model = program.model_proto
    onnx.helper.set_model_props(model, metadata or {})
    model.doc_string = ""
    return bytes(model.SerializeToString())


@contextlib.contextmanager
def _quiet(*names: str) -> Any:
    """Loggers that say nothing below errors."""
    loggers = [logging.getLogger(name) for name in names]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
