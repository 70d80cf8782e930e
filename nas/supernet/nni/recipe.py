"""One supernet training for all of NNI's one-shot strategies: the step, the batches, and what makes it resumable.

Everything random in an epoch (paths, order of samples, dropout) comes from generators that are seeded by the run's
seed and the number of the epoch. So weights, what is known of the architecture, both optimizers' states and the number
of finished epochs are all that a checkpoint holds, and a training that goes on from one ends with the same bits as one
that was never interrupted.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hasnas.errors import BadInputError
from hasnas.nas.config.sections import SupernetSection
from hasnas.nas.config.training import RegressionLoss
from hasnas.nas.data.samples import Split, batches
from hasnas.nas.history.checkpoint import has_checkpoint, load_checkpoint, save_checkpoint
from hasnas.nas.supernet.settings import Choosing, ProgressCallback, TrainingProgress
from hasnas.nas.training.devices import lightning_place, placed, precision_on
from hasnas.nas.training.interrupts import interruptible
from hasnas.nas.training.losses import task_loss
from hasnas.nas.training.parts import autocast
from hasnas.nas.training.state import first_non_finite

from .environment import require_nni
from .supernet import CHOICES, Supernet

require_nni()

from nni.nas.evaluator.pytorch import Lightning, LightningModule, Trainer  # noqa: E402
from nni.nas.execution import SequentialExecutionEngine  # noqa: E402
from nni.nas.oneshot.pytorch.strategy import OneShotStrategy  # noqa: E402
from nni.nas.space import RawFormatModelSpace  # noqa: E402

CHECKPOINT_NAME = "supernet.safetensors"

FEWEST = 2  # samples of a batch that batch norm can take whatever the size of the maps

_OF_THE_WEIGHTS = ("epochs", "batch_size", "learning_rate", "weight_decay")
_OPTIMIZER, _ALPHAS, _ALPHA_OPTIMIZER = "optimizer/", "architecture/", "architecture_optimizer/"
_PATHS, _SAMPLES, _DROPOUT, _CHOOSING, _FIRST_ALPHAS = range(5)

OptimizerState = dict[str, dict[str, Tensor]]
"""Name or number of a parameter -> what the optimizer remembers of it."""


class EpochBatches:
    """A number of batches for each epoch, in the order that the seed and the number of the epoch decide.

    Args:
        split: the samples; gone through again, in another order, where one pass has too few batches.
        batch_size: samples per batch.
        seed: of the order.
        length: batches of an epoch, by default those of one pass.
        use: tells apart what the same seed is used for.
    """

    def __init__(self, split: Split, batch_size: int, seed: int, length: int | None = None, use: int = _SAMPLES):
        self.split, self.batch_size, self.seed, self.use = split, batch_size, seed, use
        full, rest = divmod(len(split), batch_size)
        self.length = max(full + (rest >= FEWEST), 1) if length is None else length
        self.epoch = 0

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        generator = torch.Generator().manual_seed(derived_seed(self.seed, self.epoch, self.use))
        given = 0
        while given < self.length:
            for batch in batches(self.split, self.batch_size, generator, FEWEST):
                if given < self.length:
                    yield batch
                given += 1


class Recipe(LightningModule):
    """What happens in a step: the loss of the task, AdamW, a half cosine; and, around epochs, seeding and checkpoints.

    NNI's differentiable strategies call a step twice for each batch, first for the architecture, then for the weights.

    Args:
        data: what the weights learn from.
        settings: how to train.
        seed: of everything random.
        progress: called after each step of the weights.
        choosing: what the architecture learns from; None where it does not learn.
        loss: of regression.
    """

    def __init__(
        self,
        data: Split,
        settings: SupernetSection,
        seed: int,
        progress: ProgressCallback | None = None,
        choosing: Choosing | None = None,
        loss: RegressionLoss = "smooth_l1",
    ) -> None:
        super().__init__()
        if len(data) < 2:
            raise BadInputError(f"supernet training got {len(data)} samples; give at least 2")
        self.data = EpochBatches(data, settings.batch_size, seed)
        self.settings, self.seed, self.progress, self.choosing, self.loss = settings, seed, progress, choosing, loss
        self.judging: EpochBatches | None = None
        if choosing is not None:
            self.judging = EpochBatches(choosing.samples, settings.batch_size, seed, len(self.data), _CHOOSING)
        self.done = 0
        self.checkpoint: Path | None = None
        self.optimizer_state: OptimizerState = {}
        self.alphas: dict[str, Tensor] = {}
        self.alpha_state: OptimizerState = {}
        self.reseed_paths: Callable[[np.random.Generator], None] | None = None
        self.metrics: Callable[[], Mapping[str, float]] = dict

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        weights = [tensor for name, tensor in self.model.named_parameters() if not name.startswith(CHOICES)]
        optimizer = torch.optim.AdamW(weights, self.settings.learning_rate, weight_decay=self.settings.weight_decay)
        groups = optimizer.state_dict()["param_groups"]
        state = {int(index): entries for index, entries in self.optimizer_state.items()}
        optimizer.load_state_dict({"state": state, "param_groups": groups})
        return optimizer

    def on_train_start(self) -> None:
        """Give the architecture's optimizer back what it knew: NNI makes it anew, its parameters in any order."""
        for label, alpha in self.model.alphas.items():
            if label in self.alpha_state:
                known = self.alpha_state[label].items()
                # Adam counts its steps on the CPU, wherever the parameters are.
                moved = {key: value.clone() if key == "step" else value.to(alpha.device) for key, value in known}
                self.trainer.optimizers[1].state[alpha] = moved

    def on_train_epoch_start(self) -> None:
        torch.manual_seed(derived_seed(self.seed, self.done, _DROPOUT))
        if self.reseed_paths is not None:
            self.reseed_paths(np.random.default_rng(derived_seed(self.seed, self.done, _PATHS)))

    def training_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:
        phases = 1 if self.choosing is None else 2
        step, phase = divmod(batch_index, phases)
        self.model.judges_choices = phase < phases - 1
        inputs, targets = batch
        with autocast(inputs.device, precision_on(inputs.device, "auto")):
            outputs = self(inputs).float()
        loss = task_loss(outputs, targets, self.data.split.is_regression, self.loss)
        self._check(float(loss.detach()))
        if not self.model.judges_choices:
            self._set_learning_rate((self.done + step / len(self.data)) / self.settings.epochs)
            self._report(step + 1, float(loss.detach()))
        return loss

    def on_train_epoch_end(self) -> None:
        if self._bad_layer() is not None:
            raise self._diverged("not finite")
        self.done += 1
        self._number_epoch()
        self.alphas = {label: alpha.detach().clone() for label, alpha in self.model.alphas.items()}
        if self.checkpoint is not None:
            save_checkpoint(self.checkpoint, self._tensors(), {"epochs_done": self.done, **self.identity()})

    def identity(self) -> dict[str, Any]:
        """What must be the same for a checkpoint to be of this training."""
        settings: dict[str, Any] = {name: getattr(self.settings, name) for name in _OF_THE_WEIGHTS}
        if self.data.split.is_regression:
            settings["loss"] = self.loss
        own = {} if self.choosing is None else {"choosing": self._choosing_identity(self.choosing)}
        return {"seed": self.seed, "samples": len(self.data.split), "settings": settings, **own}

    def _choosing_identity(self, choosing: Choosing) -> dict[str, Any]:
        return {
            "learning_rate": self.settings.architecture_learning_rate,
            "samples": len(choosing.samples),
            "architectures": len(choosing.codes),
            "penalty": None if choosing.table is None else {"weight": self.weight, "cost": choosing.table.cost},
        }

    @property
    def weight(self) -> float:
        """Weight of the penalty on the expected cost."""
        return 0.0 if self.settings.penalty is None else self.settings.penalty.weight

    def restore(self, path: Path, supernet: nn.Module) -> None:
        """Take up the state that an interrupted training left, if there is one, and leave the next states there.

        Raises:
            BadInputError: if it belongs to another training or none of its copies is sound.
        """
        self.checkpoint = path
        if not has_checkpoint(path):
            return
        tensors, meta = load_checkpoint(path)
        own = (_OPTIMIZER, _ALPHAS, _ALPHA_OPTIMIZER)
        weights = {name: tensor for name, tensor in tensors.items() if not name.startswith(own)}
        identity = self.identity()
        same = {key: meta.get(key) for key in identity} == identity and ("choosing" in meta) == ("choosing" in identity)
        if not same or weights.keys() != supernet.state_dict().keys():
            raise BadInputError(
                f"{path} is of a training with another space, seed, data or settings; use another run directory"
            )
        supernet.load_state_dict(weights)
        self.done = int(meta["epochs_done"])
        self._number_epoch()
        self.optimizer_state = _state_from(tensors, _OPTIMIZER)
        self.alphas = {n.removeprefix(_ALPHAS): t for n, t in tensors.items() if n.startswith(_ALPHAS)}
        self.alpha_state = _state_from(tensors, _ALPHA_OPTIMIZER)

    def _number_epoch(self) -> None:
        self.data.epoch = self.done
        if self.judging is not None:
            self.judging.epoch = self.done

    def _tensors(self) -> dict[str, Tensor]:
        weights, *others = self.trainer.optimizers
        remembered = {
            label: others[0].state[alpha] for label, alpha in self.model.alphas.items() if alpha in others[0].state
        }
        return {
            **weights_of(self.model),
            **_named({str(index): entries for index, entries in weights.state_dict()["state"].items()}, _OPTIMIZER),
            **{_ALPHAS + label: alpha for label, alpha in self.alphas.items()},
            **_named(remembered, _ALPHA_OPTIMIZER),
        }

    def _set_learning_rate(self, elapsed: float) -> None:
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = self.settings.learning_rate * (1 + math.cos(math.pi * elapsed)) / 2

    def _check(self, loss: float) -> None:
        if not math.isfinite(loss):
            raise self._diverged(f"loss {loss}")

    def _bad_layer(self) -> str | None:
        weights = self.model.state_dict()
        return first_non_finite((name, value) for name, value in weights.items() if not name.startswith(CHOICES))

    def _diverged(self, what: str) -> BadInputError:
        layer = self._bad_layer() or "the loss itself"
        kept = f"; the state after epoch {self.done} is in {self.checkpoint}" if self.done and self.checkpoint else ""
        return BadInputError(
            f"supernet training diverged in epoch {self.done + 1} ({what}, first in '{layer}'); "
            f"lower supernet.learning_rate from {self.settings.learning_rate}{kept}"
        )

    def _report(self, batch: int, loss: float) -> None:
        if self.progress is not None:
            metrics = self.metrics() if batch == len(self.data) else {}
            stand = (self.done + 1, self.settings.epochs, batch, len(self.data))
            self.progress(TrainingProgress(*stand, loss=loss, metrics=metrics))


def fit(supernet: Supernet, recipe: Recipe, strategy: OneShotStrategy) -> None:
    """Let NNI train the epochs that are left."""
    placed(supernet.train())
    accelerator, devices = lightning_place()
    with _silence(), interruptible():
        # NNI draws the first alphas from the global generator.
        torch.manual_seed(derived_seed(recipe.seed, 0, _FIRST_ALPHAS))
        trainer = Trainer(
            max_epochs=recipe.settings.epochs - recipe.done,
            accelerator=accelerator,
            devices=devices,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            limit_val_batches=0,
        )
        judging: Any = [] if recipe.judging is None else recipe.judging
        evaluator = Lightning(recipe, trainer, train_dataloaders=recipe.data, val_dataloaders=judging)
        strategy(RawFormatModelSpace.from_model(supernet, evaluator), SequentialExecutionEngine())


def weights_of(supernet: nn.Module) -> dict[str, Tensor]:
    """A copy of the shared weights, without what belongs to the choices."""
    state = supernet.state_dict()
    return {name: t.detach().cpu().clone() for name, t in state.items() if not name.startswith(CHOICES)}


def derived_seed(seed: int, epoch: int, use: int) -> int:
    """The seed of one of the uses of randomness in one epoch."""
    return int(np.random.SeedSequence([seed, epoch, use]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def _named(state: Mapping[str, Mapping[str, Tensor]], prefix: str) -> dict[str, Tensor]:
    """An optimizer's state as named tensors."""
    return {f"{prefix}{name}/{key}": value for name, entries in state.items() for key, value in entries.items()}


def _state_from(tensors: Mapping[str, Tensor], prefix: str) -> OptimizerState:
    """An optimizer's state from named tensors, the inverse of `_named`."""
    state: OptimizerState = {}
    for name, tensor in tensors.items():
        if name.startswith(prefix):
            parameter, key = name.removeprefix(prefix).rsplit("/", 1)
            state.setdefault(parameter, {})[key] = tensor
    return state


@contextmanager
def _silence() -> Iterator[None]:
    """Lightning's advice (loggers, workers, versions) is about choices made here, not by the user."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
