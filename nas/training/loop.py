"""The training loop as a Lightning module: one epoch is reproducible from the state before it, whatever ran before."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from itertools import islice

import torch
from torch import Tensor

from hasnas.cim_estimator.nonideal import load_nonideal
from hasnas.errors import BadInputError, HasnasError
from hasnas.nas.config.training import MIXES_CLASSES, AugmentationSection, RetrainSection
from hasnas.nas.data.samples import Splits, batches
from hasnas.nas.environment.torchvision_repair import repair_imports
from hasnas.search_spaces.network import SpikingNetwork

from .augmentation import augment, mix
from .average import WeightAverage
from .compilation import compile_if_worthwhile
from .devices import current_device, lightning_place, precision_on
from .evaluation import evaluate
from .interrupts import interruptible
from .losses import task_loss
from .noise import WeightNoise
from .parts import autocast, forward_pass
from .regularisation import rate_penalty
from .schedule import learning_rate_at
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
        merit: what it is judged by, more being better: the share of validation samples that are right after it; for
            regression minus their mean absolute error.
        learning_rate: step size of its last step.
    """

    epoch: int
    loss: float
    merit: float
    learning_rate: float

    def metrics(self) -> dict[str, float]:
        """The record without its number."""
        return {name: value for name, value in asdict(self).items() if name != "epoch"}


class EpochBatches:
    """The train split in an order that only the seed and the epoch decide; Lightning walks through it once an epoch.

    Args:
        splits: the train split is used.
        settings: batch size and augmentation.
        generator: of a purpose, in the present epoch.
        process: number of this process; each takes its share of every batch, augmented alike on all of them.
    """

    def __init__(
        self,
        splits: Splits,
        settings: RetrainSection,
        generator: Callable[[str], torch.Generator],
        process: Callable[[], int] = lambda: 0,
    ) -> None:
        self._splits, self._settings, self._generator, self._process = splits, settings, generator, process

    def __len__(self) -> int:
        return steps_per_epoch(len(self._splits.train), self._settings.batch_size, self._settings.processes)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        settings, recipe = self._settings, self._settings.augmentation
        draws = self._generator("augmentation")
        order = batches(self._splits.train, settings.batch_size, self._generator("shuffle"))
        for inputs, targets in islice(order, len(self)):
            if recipe != AugmentationSection():
                inputs = augment(inputs, recipe, draws)
                inputs, targets = mix(inputs, targets, self._splits.classes, recipe, draws)
            yield self._share(inputs, targets)

    def _share(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        if self._settings.processes == 1:
            return inputs, targets
        count = len(targets) // self._settings.processes
        own = slice(self._process() * count, (self._process() + 1) * count)
        return inputs[(slice(None),) * (inputs.dim() - 4) + (own,)], targets[own]


def steps_per_epoch(samples: int, batch_size: int, processes: int = 1) -> int:
    """Batches of an epoch; a rest too small to give every process two samples is left out, for batch norm's sake.

    >>> steps_per_epoch(65, 32), steps_per_epoch(66, 32)
    (2, 3)
    """
    full, rest = divmod(samples, batch_size)
    return full + (rest >= 2 * processes)


class TrainingLoop(lightning.LightningModule):
    """Trains a network from a given epoch on.

    Args:
        network: trained in place.
        splits: train and validation are used.
        settings: how.
        seed: decides order, dropout, augmentation and noise of every epoch.
        first_epoch: epochs that were done before.
        after_epoch: called with the record of each epoch, the network being in evaluation mode; says whether to go on.
    """

    def __init__(
        self,
        network: SpikingNetwork,
        splits: Splits,
        settings: RetrainSection,
        seed: int,
        first_epoch: int,
        after_epoch: Callable[[EpochRecord], bool],
    ) -> None:
        super().__init__()
        if splits.train.is_regression and (settings.augmentation.mixup or settings.augmentation.cutmix):
            raise BadInputError(MIXES_CLASSES)
        compile_if_worthwhile(network, len(splits.train) * (settings.epochs - first_epoch), current_device())
        self.network = network
        self.optimizer = build_optimizer(network, settings)
        self.average = None if settings.ema_decay is None else WeightAverage(network, settings.ema_decay)
        self._noise = None
        if settings.noise.device is not None:
            self._noise = WeightNoise(network, load_nonideal(settings.noise.device), seed)
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
        return EpochBatches(self._splits, self._settings, self._generator, lambda: self.global_rank)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Lightning's hook: the optimizer, perhaps with a restored memory."""
        return self.optimizer

    def on_train_epoch_start(self) -> None:
        """Lightning's hook: dropout draws from torch's own generator, so that is where each epoch starts anew."""
        self.network.train()
        purpose = f"dropout/{self.global_rank}" if self.global_rank else "dropout"
        torch.manual_seed(derived_seed(self._seed, purpose, self.epoch))
        self._losses.clear()

    def on_train_batch_start(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Lightning's hook: set the step size."""
        steps = steps_per_epoch(len(self._splits.train), self._settings.batch_size, self._settings.processes)
        self._rate = learning_rate_at(self.epoch * steps + batch_idx, steps, self._settings)
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Lightning's hook: the loss of the mean output over time, and what spikes cost."""
        self._inputs, targets = batch
        settings = self._settings
        if self._noise is not None:
            self._noise.perturb(self.epoch, batch_idx)
        punishes = settings.regularisation.rate_weight > 0
        device = self._inputs.device
        with autocast(device, precision_on(device, settings.precision)):
            passed = forward_pass(self.network, self._inputs, settings.recomputed_parts, rates=punishes)
        loss = training_loss(passed.outputs.float(), targets, settings, self._splits.train.is_regression)
        if punishes:
            loss = loss + rate_penalty(self.network.graph, passed.rates, settings.regularisation)
        if not torch.isfinite(loss):
            raise self._diverged("the loss", self._first_bad_layer() or "the loss itself", batch_idx)
        self._losses.append(loss.detach())
        return loss

    def on_after_backward(self) -> None:
        """Lightning's hook: gradients were taken on perturbed weights; they update the others."""
        if self._noise is not None:
            self._noise.restore()

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Lightning's hook: shorten the gradients; parameters are never touched by one that is not finite."""
        limit = self._settings.gradient_clip or float("inf")
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), limit)
        if not torch.isfinite(norm):
            named = [(name, p.grad) for name, p in self.network.named_parameters() if p.grad is not None]
            layer = self._first_bad_layer() or first_non_finite(named) or "all layers together"
            raise self._diverged("the gradient", layer, len(self._losses) - 1)

    def on_train_batch_end(self, outputs: object, batch: object, batch_idx: int) -> None:
        """Lightning's hook: the weights have moved."""
        if self.average is not None:
            self.average.update(self.network)

    def on_train_epoch_end(self) -> None:
        """Lightning's hook: judge and report; a state that is no longer finite is not kept."""
        bad = first_non_finite(self.network.state_dict().items())
        if bad is not None:  # batch norm answers an overflow with zeros, which leave the loss finite
            raise self._diverged("the network", bad, len(self._losses) - 1)
        self.network.eval()
        loss = torch.stack(self._losses).mean()
        merit = 0.0
        if self.global_rank == 0:
            with nullcontext() if self.average is None else self.average.applied(self.network):
                merit = evaluate(self.network, self._splits.validation)
        if self._settings.processes > 1:
            loss = torch.as_tensor(self.all_gather(loss)).mean()
            merit = self.trainer.strategy.broadcast(merit)
        record = EpochRecord(self.epoch + 1, float(loss), merit, self._rate)
        self.trainer.should_stop = not self._after_epoch(record)

    def judged_state(self) -> dict[str, Tensor]:
        """Parameters and buffers of the network that is validated and returned."""
        return self.network.state_dict() if self.average is None else self.average.state

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


def training_loss(outputs: Tensor, targets: Tensor, settings: RetrainSection, regression: bool = False) -> Tensor:
    """Cross entropy for classes, given as numbers or as probabilities; the loss of the settings for regression.

    Args:
        outputs: `[B, classes]`, or `[B, outputs]` for regression.
        targets: `[B]` class indices, `[B, classes]` probabilities of mixed samples, or `[B, outputs]` values.
        settings: label smoothing, and the loss of regression.
        regression: whether targets are values.
    """
    return task_loss(outputs, targets, regression, settings.loss, settings.label_smoothing)


def run_loop(loop: TrainingLoop, epochs: int, settings: RetrainSection) -> None:
    """Let Lightning run a loop for some epochs, silently; the generators of the caller stay as they are.

    Raises:
        BadInputError: if the machine lacks the device or the precision.
    """
    accelerator, devices = lightning_place(settings)
    with _silence(), interruptible(), torch.random.fork_rng():
        trainer = lightning.Trainer(
            max_epochs=epochs,
            accelerator=accelerator,
            devices=devices,
            num_nodes=settings.nodes,
            strategy="ddp" if settings.processes > 1 else "auto",
            use_distributed_sampler=False,
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
