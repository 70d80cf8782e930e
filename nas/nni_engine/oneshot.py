"""Supernet training by NNI's random one-shot strategy, made seedable, resumable and silent.

Everything random in an epoch (paths, order of samples, dropout) comes from generators that are seeded by the run's
seed and the number of the epoch. So weights, the optimizer's state and the number of finished epochs are all that a
checkpoint holds, and a training that goes on from one ends with the same bits as one that was never interrupted.
"""

from __future__ import annotations

import math
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from hasnas.errors import BadInputError
from hasnas.nas.checkpoint import has_checkpoint, load_checkpoint, save_checkpoint
from hasnas.nas.data import Split, batches
from hasnas.search_spaces.space import SearchSpace

from .environment import require_nni
from .settings import ProgressCallback, SupernetSettings, TrainingProgress
from .sharing import PathSampler
from .supernet import Supernet, build_supernet

require_nni()

from nni.mutable import Sample  # noqa: E402
from nni.nas.evaluator.pytorch import Lightning, LightningModule, Trainer  # noqa: E402
from nni.nas.execution import SequentialExecutionEngine  # noqa: E402
from nni.nas.oneshot.pytorch.sampling import RandomSamplingLightningModule  # noqa: E402
from nni.nas.space import RawFormatModelSpace  # noqa: E402
from nni.nas.strategy import RandomOneShot  # noqa: E402

CHECKPOINT_NAME = "supernet.safetensors"

_OPTIMIZER_PREFIX = "optimizer/"
_PATHS, _SAMPLES, _DROPOUT = range(3)


class SeededRandomOneShot(RandomOneShot):
    """NNI's `RandomOneShot` whose paths come from a sampler with a generator of its own.

    NNI draws every choice from a fresh, unseeded generator, so its runs cannot be repeated, and it draws genes
    independently, so it cannot keep to a region.

    Args:
        sampler: draws the path of each step.
        seed: of the generator, until `reseed` replaces it.
    """

    def __init__(self, sampler: PathSampler, seed: int) -> None:
        super().__init__()
        self.sampler = sampler
        self.rng = np.random.default_rng(seed)

    def reseed(self, rng: np.random.Generator) -> None:
        """Draw the coming paths from this generator."""
        self.rng = rng

    def draw(self) -> tuple[int, ...]:
        """The codes of the next path."""
        return tuple(self.sampler(self.rng))

    def configure_oneshot_module(self, training_module: LightningModule) -> RandomSamplingLightningModule:
        """The search part of the training, as NNI asks for it."""
        return _SeededSampling(training_module, self)


class _SeededSampling(RandomSamplingLightningModule):
    def __init__(self, training_module: LightningModule, strategy: SeededRandomOneShot) -> None:
        super().__init__(training_module)
        self._source = strategy

    def resample(self) -> Sample:
        """Set every choice of the supernet to the sampler's next path."""
        supernet = self.model
        if not isinstance(supernet, Supernet):
            raise BadInputError(f"a seeded one-shot training needs a Supernet, not {type(supernet).__name__}")
        sample = supernet.sample_of(self._source.draw())
        for module in self.supernet_modules():
            module.resample(memo=dict(sample))
        return sample


class _Recipe(LightningModule):
    """What happens in a step: cross entropy, AdamW, a half cosine; and, around epochs, seeding and checkpoints."""

    def __init__(
        self, data: _EpochBatches, settings: SupernetSettings, seed: int, progress: ProgressCallback | None
    ) -> None:
        super().__init__()
        self.data, self.settings, self.seed, self.progress = data, settings, seed, progress
        self.done = 0
        self.optimizer_state: dict[int, dict[str, Tensor]] = {}
        self.checkpoint: Path | None = None
        self.strategy: SeededRandomOneShot | None = None

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        optimizer = torch.optim.AdamW(
            self.model.parameters(), self.settings.learning_rate, weight_decay=self.settings.weight_decay
        )
        groups = optimizer.state_dict()["param_groups"]
        optimizer.load_state_dict({"state": self.optimizer_state, "param_groups": groups})
        return optimizer

    def on_train_epoch_start(self) -> None:
        torch.manual_seed(_seed(self.seed, self.done, _DROPOUT))
        if self.strategy is not None:
            self.strategy.reseed(np.random.default_rng(_seed(self.seed, self.done, _PATHS)))

    def training_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:
        inputs, targets = batch
        elapsed = (self.done + batch_index / len(self.data)) / self.settings.epochs
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = self.settings.learning_rate * (1 + math.cos(math.pi * elapsed)) / 2
        loss = functional.cross_entropy(self(inputs), targets)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise BadInputError(
                f"supernet training diverged in epoch {self.done + 1} (loss {value}); lower supernet.learning_rate "
                f"from {self.settings.learning_rate}"
            )
        if self.progress is not None:
            stand = (self.done + 1, self.settings.epochs, batch_index + 1, len(self.data))
            self.progress(TrainingProgress(*stand, loss=value))
        return loss

    def on_train_epoch_end(self) -> None:
        self.done += 1
        self.data.epoch = self.done
        if self.checkpoint is not None:
            tensors = {**self.model.state_dict(), **_optimizer_tensors(self.trainer.optimizers[0])}
            save_checkpoint(self.checkpoint, tensors, {"epochs_done": self.done, **self.identity()})

    def identity(self) -> dict[str, Any]:
        """What must be the same for a checkpoint to be of this training."""
        settings = {key: value for key, value in asdict(self.settings).items() if key != "options"}
        return {"seed": self.seed, "samples": len(self.data.split), "settings": settings}


class _EpochBatches:
    """The batches of an epoch, in the order that the seed and the number of the epoch decide."""

    def __init__(self, split: Split, batch_size: int, seed: int) -> None:
        self.split, self.batch_size, self.seed = split, batch_size, seed
        self.epoch = 0

    def __len__(self) -> int:
        return math.ceil(len(self.split) / self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        generator = torch.Generator().manual_seed(_seed(self.seed, self.epoch, _SAMPLES))
        return batches(self.split, self.batch_size, generator)


class RandomOneShotTrainer:
    """Trains a supernet with one feasible path a step; see `SupernetTrainer`."""

    def train(
        self,
        space: SearchSpace,
        sampler: PathSampler,
        data: Split,
        *,
        settings: SupernetSettings,
        seed: int,
        checkpoint_directory: Path | None = None,
        progress: ProgressCallback | None = None,
    ) -> dict[str, Tensor]:
        """See `SupernetTrainer.train`.

        Raises:
            BadInputError: if the checkpoint belongs to another training, none of its copies is sound, the sampler
                draws a path that `settings.options` left out, or there are no samples.
            KeyboardInterrupt: if the user interrupts; the finished epochs are kept.
        """
        if len(data) < 2:
            raise BadInputError(f"supernet training got {len(data)} samples; give at least 2")
        recipe = _Recipe(_EpochBatches(data, settings.batch_size, seed), settings, seed, progress)
        with torch.random.fork_rng(devices=[]):
            supernet = build_supernet(space, settings.options, seed)
            if checkpoint_directory is not None:
                recipe.checkpoint = Path(checkpoint_directory) / CHECKPOINT_NAME
                _restore(recipe, supernet)
            if recipe.done < settings.epochs:
                _fit(supernet, recipe, SeededRandomOneShot(sampler, seed))
        return {name: tensor.detach().cpu().clone() for name, tensor in supernet.state_dict().items()}


def _fit(supernet: Supernet, recipe: _Recipe, strategy: SeededRandomOneShot) -> None:
    recipe.strategy = strategy
    supernet.train()
    with _silence(), _interruptible():
        trainer = Trainer(
            max_epochs=recipe.settings.epochs - recipe.done,
            accelerator="cpu",
            devices=1,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            limit_val_batches=0,
        )
        evaluator = Lightning(recipe, trainer, train_dataloaders=recipe.data, val_dataloaders=[])
        strategy(RawFormatModelSpace.from_model(supernet, evaluator), SequentialExecutionEngine())


def _restore(recipe: _Recipe, supernet: nn.Module) -> None:
    """Take up the state that an interrupted training left, if there is one."""
    path = recipe.checkpoint
    if path is None or not has_checkpoint(path):
        return
    tensors, meta = load_checkpoint(path)
    weights = {name: tensor for name, tensor in tensors.items() if not name.startswith(_OPTIMIZER_PREFIX)}
    same = {key: meta.get(key) for key in recipe.identity()} == recipe.identity()
    if not same or weights.keys() != supernet.state_dict().keys():
        raise BadInputError(
            f"{path} is of a training with another space, seed, data or settings; use another run directory"
        )
    supernet.load_state_dict(weights)
    recipe.done = recipe.data.epoch = int(meta["epochs_done"])
    recipe.optimizer_state = _optimizer_state(tensors)


def _optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """An optimizer's state as named tensors."""
    return {
        f"{_OPTIMIZER_PREFIX}{index}/{key}": value
        for index, entries in optimizer.state_dict()["state"].items()
        for key, value in entries.items()
    }


def _optimizer_state(tensors: dict[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    """An optimizer's state from named tensors, the inverse of `_optimizer_tensors`."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith(_OPTIMIZER_PREFIX):
            index, key = name.removeprefix(_OPTIMIZER_PREFIX).split("/")
            state.setdefault(int(index), {})[key] = tensor
    return state


def _seed(seed: int, epoch: int, use: int) -> int:
    return int(np.random.SeedSequence([seed, epoch, use]).generate_state(1, np.uint64)[0] >> np.uint64(1))


@contextmanager
def _silence() -> Iterator[None]:
    """Lightning's advice (loggers, workers, versions) is about choices made here, not by the user."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C stays Ctrl-C: Lightning would exit the process and leave the signal ignored."""
    in_main_thread = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as error:
        if isinstance(error.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from error
        raise
    finally:
        if in_main_thread:
            signal.signal(signal.SIGINT, handler)
