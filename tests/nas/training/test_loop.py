from __future__ import annotations

from typing import Any

import pytest
import torch

from hasnas.nas.config.training import RetrainSection
from hasnas.nas.data.samples import Splits
from hasnas.nas.training.loop import EpochRecord, TrainingDivergedError, TrainingLoop, run_loop
from hasnas.search_spaces.architecture import Architecture
from hasnas.search_spaces.network import build_network


def test_an_overflow_that_leaves_the_loss_finite_is_not_taken_for_a_good_state(
    architecture: dict[str, Any], few: Splits
):
    network = build_network(Architecture.from_json(architecture).expand(), seed=0)
    with torch.no_grad():
        network.get_parameter("stem.conv.weight").mul_(1e25)  # the variance of what it makes is beyond float32
    judged: list[EpochRecord] = []
    settings = RetrainSection(epochs=1, batch_size=32)
    loop = TrainingLoop(network, few, settings, 0, 0, lambda record: bool(judged.append(record)))
    with pytest.raises(TrainingDivergedError, match=r"^the network is NaN .* first in 'stem.norm.running_var'; lower"):
        run_loop(loop, 1, settings)
    assert not judged
