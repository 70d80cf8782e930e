"""The bits of a network's input follow from its dataset and encoding, in the search as in what is returned."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hasnas.cim_estimator.workload.workload import Workload
from hasnas.nas.config.loading import load_config
from hasnas.nas.data.sources import open_source
from hasnas.nas.stages.context import built_space
from hasnas.search_spaces import Architecture
from hasnas.search_spaces.lowering import lower
from hasnas.search_spaces.lowering_codes import lower_codes
from hasnas.search_spaces.space import sample

CONFIG = """
name: bits
dataset: {name: DATASET}
space: {name: snasnet, macro: {channels: 4, timesteps: 2, hidden: 0, votes: 1, final_pool: 2}}
hardware: rram-32nm
"""


def stem_bits(workload: Workload) -> int:
    return int(workload.input_bits.reshape(-1, len(workload.names))[0][workload.names.index("stem.conv")])


@pytest.mark.parametrize(
    "dataset, largest, bits",
    [
        ("digits", 0, 8),
        ("digits, encoding: {name: poisson, timesteps: 2}", 1, 1),
        ("digits, encoding: {name: latency, timesteps: 2}", 1, 1),
        ("digits, encoding: {name: direct, timesteps: 2}", 0, 8),
        ("nmnist, framing: {frames: 2}", 0, 8),  # counts up to 255 take as many bits as real values
        ("nmnist, framing: {frames: 2, largest_count: 1}", 1, 1),
        ("nmnist, framing: {frames: 2, largest_count: 7}", 7, 3),
    ],
)
def test_bits_of_the_stem(dataset: str, largest: int, bits: int, tmp_path: Path):
    path = tmp_path / "run.yaml"
    path.write_text(CONFIG.replace("DATASET", dataset))
    config = load_config(path)
    card = open_source(config.dataset.name, None, config.dataset.chosen_framing).card
    space = built_space(config, card).space
    assert space.macro.largest_count == largest
    codes = sample(space, np.random.default_rng(0), 20)
    codes = codes[space.canonical(codes)[1]]
    assert stem_bits(lower_codes(space, codes)) == bits
    architecture = space.decode(codes[0])
    assert stem_bits(lower(architecture.expand())) == bits
    assert ("largest_count" in architecture.to_json()["macro"]) == (largest > 0)
    assert stem_bits(lower(Architecture.from_json(architecture.to_json()).expand())) == bits
