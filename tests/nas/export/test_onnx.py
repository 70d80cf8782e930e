"""ONNX files as ONNX Runtime computes them."""

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from hasnas.nas.data.samples import Normalisation
from hasnas.nas.export.deploy import deploy
from hasnas.nas.export.onnx_writer import STEP_FILE, UNROLLED_FILE, onnx_files, run_onnx
from hasnas.nas.export.target import probe

PLAIN = Normalisation((0.5, -1.0), (2.0, 0.25))


@pytest.mark.slow
@torch.no_grad()
def test_both_files_answer_as_the_network_for_any_batch(trained, tmp_path: Path) -> None:
    network = trained(1, True)[1]
    for name, content in onnx_files(deploy(network.graph, network.state_dict()), PLAIN).items():
        (tmp_path / name).write_bytes(content)
    samples = probe(network, 5)
    expected = network(PLAIN.apply(samples))
    assert expected.std(0).max() > 0
    torch.testing.assert_close(run_onnx(tmp_path / UNROLLED_FILE, samples), expected, rtol=1e-5, atol=1e-5)
    step = onnxruntime.InferenceSession(str(tmp_path / STEP_FILE))
    told = step.get_modelmeta().custom_metadata_map
    start = json.loads(told["start"])
    states = {
        entry.name: np.full((5, *entry.shape[1:]), start[entry.name], np.float32) for entry in step.get_inputs()[1:]
    }
    assert set(states) == set(start) != set()
    total = 0.0
    for timestep in range(int(told["timesteps"])):
        shown = samples if samples.ndim == 4 else samples[timestep]
        output, *after = step.run(None, {"samples": shown.numpy(), **states})
        total, states = total + output, dict(zip(states, after, strict=True))
    np.testing.assert_allclose(total / int(told["timesteps"]), expected.numpy(), rtol=1e-5, atol=1e-5)
