"""What every supernet trainer must do, whatever it trains with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from hasnas.nas.data import Split
from hasnas.nas.nni_engine.settings import SUPERNET_TRAINERS, ProgressCallback, SupernetSettings, TrainingProgress
from hasnas.nas.nni_engine.sharing import inherit, shared_layers
from hasnas.search_spaces.macro import Macro
from hasnas.search_spaces.snasnet import CellSpace

SPACE = CellSpace(Macro((1, 8, 8), classes=3, timesteps=3, channels=3, hidden=6, votes=2, dropout=0.25), feedback=True)
PATHS = ((3, 0, 1, 0, 2, 0), (2, 3, 0, 0, 0, 3), (0, 0, 3, 0, 0, 0), (3, 1, 0, 7, 2, 3))
OPTIONS = {
    gene.label: tuple(gene.choices[code] for code in sorted({path[index] for path in PATHS}))
    for index, gene in enumerate(SPACE.genes)
}
SETTINGS = SupernetSettings(epochs=3, batch_size=8, learning_rate=0.02, weight_decay=0.01, options=OPTIONS)

pytestmark = pytest.mark.parametrize("name", SUPERNET_TRAINERS.names())


class KilledError(Exception):
    """Stands for the end of the process."""


def draw(rng: np.random.Generator) -> tuple[int, ...]:
    return PATHS[rng.integers(len(PATHS))]


def samples() -> Split:
    generator = torch.Generator().manual_seed(0)
    return Split(torch.rand(20, 1, 8, 8, generator=generator), torch.arange(20) % 3)


def train(
    name: str, folder: Path | None = None, progress: ProgressCallback | None = None, seed: int = 1
) -> dict[str, Tensor]:
    return SUPERNET_TRAINERS.get(name)().train(
        SPACE, draw, samples(), settings=SETTINGS, seed=seed, checkpoint_directory=folder, progress=progress
    )


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


def kill_at(epoch: int, batch: int) -> ProgressCallback:
    def progress(state: TrainingProgress) -> None:
        if (state.epoch, state.batch) == (epoch, batch):
            raise KilledError

    return progress


def test_the_weights_are_those_of_the_allowed_options_and_serve_every_path(name: str):
    state = train(name)
    layers = {key.rsplit(".", 1)[0] for key in state}
    assert layers == set(shared_layers(SPACE, OPTIONS))
    assert not any(tensor.requires_grad for tensor in state.values())
    for path in PATHS:
        assert inherit(state, SPACE.decode(path)).eval()(samples().inputs).isfinite().all()


def test_the_seed_decides_everything_and_the_process_is_left_alone(name: str):
    first = train(name)
    torch.manual_seed(123)
    before = torch.get_rng_state()
    assert same(train(name), first)
    assert torch.equal(torch.get_rng_state(), before)
    assert not same(train(name, seed=2), first)


@pytest.mark.parametrize("epoch, batch", [(1, 2), (2, 1), (3, 3)])
def test_an_interrupted_training_goes_on_to_the_same_bits(name: str, tmp_path: Path, epoch: int, batch: int):
    undisturbed = train(name)
    with pytest.raises(KilledError):
        train(name, tmp_path, kill_at(epoch, batch))
    torch.rand(3)
    steps: list[TrainingProgress] = []
    assert same(train(name, tmp_path, steps.append), undisturbed)
    assert [(step.epoch, step.batch) for step in steps] == [(e, b) for e in range(epoch, 4) for b in (1, 2, 3)]
    assert same(train(name, tmp_path, kill_at(3, 3)), undisturbed), "a finished training is not repeated"


def test_the_progress_counts_steps(name: str):
    steps: list[TrainingProgress] = []
    train(name, None, steps.append)
    assert [(s.epoch, s.epochs, s.batch, s.batches) for s in steps] == [
        (e, 3, b, 3) for e in (1, 2, 3) for b in (1, 2, 3)
    ]
    assert all(np.isfinite(step.loss) for step in steps)
