"""The training loop as a Lightning module: one epoch is reproducible from the state before it, whatever ran before."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import torch
from torch import Tensor
from torch.nn import functional

from hasnas.errors import HasnasError
from hasnas.nas.compat import repair_imports
from hasnas.nas.data import Split, Splits, batches
from hasnas.search_spaces.network import SpikingNetwork

from .evaluation import evaluate
from .settings import RetrainSettings, learning_rate_at
from .state import build_optimizer, derived_seed, first_non_finite

repair_imports()

import pytorch_lightning as lightning  # noqa: E402  (only importable after the repair)

NAMESPACES = ("pytorch_lightning", "lightning", "lightning_fabric", "lightning_utilities")


class TrainingDivergedError(HasnasError):
    """A loss or gradient became NaN or infinite; the message names the layer, the moment and the remedy."""


@dataclass(frozen=True)
class EpochRecord:
    """What one epoch gave.

    Args:
        epoch: number of the epoch, from 1.
        loss: mean over the batches.
        validation_accuracy: share of validation samples that are right after it.
        learning_rate: step size of its last step.
    """

    epoch: int
    loss: float
    validation_accuracy: float
    learning_rate: float

    def metrics(self) -> dict[str, float]:
        """The record without its number."""
        return {name: value for name, value in asdict(self).items() if name != "epoch"}


class EpochBatches:
    """The train split in an order that only the seed and the epoch decide; Lightning walks through it once an epoch."""

    def __init__(self, split: Split, batch_size: int, generator: Callable[[], torch.Generator]) -> None:
        self._split, self._batch_size, self._generator = split, batch_size, generator

    def __len__(self) -> int:
        return steps_per_epoch(len(self._split), self._batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for index, batch in enumerate(batches(self._split, self._batch_size, self._generator())):
            if index < len(self):
                yield batch


def steps_per_epoch(samples: int, batch_size: int) -> int:
    """Batches of an epoch; one sample alone is left out, as batch norm cannot take it.

    >>> steps_per_epoch(65, 32), steps_per_epoch(66, 32)
    (2, 3)
    """
    full, rest = divmod(samples, batch_size)
    return full + (rest > 1)


class TrainingLoop(lightning.LightningModule):
    """Trains a network from a given epoch on.

    Args:
        network: trained in place.
        splits: train and validation are used.
        settings: how.
        seed: decides order and dropout of every epoch.
        first_epoch: epochs that were done before.
        after_epoch: called with the record of each epoch, the network being in evaluation mode.
    """

    def __init__(
        self,
        network: SpikingNetwork,
        splits: Splits,
        settings: RetrainSettings,
        seed: int,
        first_epoch: int,
        after_epoch: Callable[[EpochRecord], None],
    ) -> None:
        super().__init__()
        self.network = network
        self.optimizer = build_optimizer(network, settings)
        self._splits, self._settings, self._seed = splits, settings, seed
        self._first_epoch, self._after_epoch = first_epoch, after_epoch
        self._losses: list[Tensor] = []
        self._inputs = torch.empty(0)
        self._rate = 0.0

    @property
    def epoch(self) -> int:
        """Number of the epoch in work, from 0, counted over interruptions."""
        return self._first_epoch + self.trainer.current_epoch

    def train_dataloader(self) -> EpochBatches:
        """Lightning's hook: the batches."""
        return EpochBatches(self._splits.train, self._settings.batch_size, lambda: self._generator("shuffle"))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Lightning's hook: the optimizer, perhaps with a restored memory."""
        return self.optimizer

    def on_train_epoch_start(self) -> None:
        """Lightning's hook: dropout draws from torch's own generator, so that is where each epoch starts anew."""
        self.network.train()
        torch.manual_seed(derived_seed(self._seed, "dropout", self.epoch))
        self._losses.clear()

    def on_train_batch_start(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Lightning's hook: set the step size."""
        steps = steps_per_epoch(len(self._splits.train), self._settings.batch_size)
        self._rate = learning_rate_at(self.epoch * steps + batch_idx, steps, self._settings)
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Lightning's hook: cross entropy of the mean output over time."""
        self._inputs, targets = batch
        outputs, smoothing = self.network(self._inputs), self._settings.label_smoothing
        loss = functional.cross_entropy(outputs, targets, label_smoothing=smoothing)
        if not torch.isfinite(loss):
            raise self._diverged("the loss", self._first_bad_layer() or "the loss itself", batch_idx)
        self._losses.append(loss.detach())
        return loss

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Lightning's hook: shorten the gradients; parameters are never touched by one that is not finite."""
        limit = self._settings.gradient_clip or float("inf")
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), limit)
        if not torch.isfinite(norm):
            named = [(name, p.grad) for name, p in self.network.named_parameters() if p.grad is not None]
            layer = self._first_bad_layer() or first_non_finite(named) or "all layers together"
            raise self._diverged("the gradient", layer, len(self._losses) - 1)

    def on_train_epoch_end(self) -> None:
        """Lightning's hook: judge and report."""
        self.network.eval()
        accuracy = evaluate(self.network, self._splits.validation)
        loss = float(torch.stack(self._losses).mean())
        self._after_epoch(EpochRecord(self.epoch + 1, loss, accuracy, self._rate))

    def _generator(self, purpose: str) -> torch.Generator:
        return torch.Generator().manual_seed(derived_seed(self._seed, purpose, self.epoch))

    def _first_bad_layer(self) -> str | None:
        """Where the present batch first meets a value that is not finite; a neuron hides a NaN from what follows."""
        if not torch.isfinite(self._inputs).all():
            return "input"
        bad = first_non_finite(self.network.named_parameters())
        if bad is not None:
            return bad
        with torch.no_grad():
            values = self.network.run(self._inputs)
        return first_non_finite((name, values[name]) for group in self.network.graph.recurrent_groups for name in group)

    def _diverged(self, what: str, layer: str, step: int) -> TrainingDivergedError:
        return TrainingDivergedError(
            f"{what} is NaN or infinite in epoch {self.epoch + 1}, step {step + 1}, first in '{layer}'; "
            f"lower retrain.learning_rate (now {self._settings.learning_rate:g}) or retrain.gradient_clip, "
            "and check the inputs"
        )


def run_loop(loop: TrainingLoop, epochs: int, accelerator: str = "cpu") -> None:
    """Let Lightning run a loop for some epochs, silently; the generators of the caller stay as they are."""
    with _silence(), torch.random.fork_rng():
        trainer = lightning.Trainer(
            max_epochs=epochs,
            accelerator=accelerator,
            devices=1,
            logger=False,
            enable_progress_bar=False,
            enable_checkpointing=False,
            enable_model_summary=False,
        )
        trainer.fit(loop)


@contextmanager
def _silence() -> Iterator[None]:
    """Lightning's notes and warnings switched off; errors stay."""
    loggers = [logging.getLogger(name) for name in NAMESPACES]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
