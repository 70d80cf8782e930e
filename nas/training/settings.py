"""How a network is trained; plain data, read without torch."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from hasnas.errors import BadInputError, nearest
from hasnas.nas.config.plugins import TRAINING_METHODS

OPTIMIZERS = ("adamw", "adam", "sgd")
SURROGATES = ("arctan", "sigmoid", "triangle", "piecewise")
PRECISIONS = ("float32", "bfloat16")
ACCELERATORS = ("cpu", "gpu", "auto")
BATCH_NORMS = ("standard", "threshold")
COUNTS = ("spikes", "operations")
LOSSES = ("smooth_l1", "mse")
MIXES_CLASSES = "retrain.augmentation: mixup and cutmix mix classes; set both to 0 for regression"


class Checked:
    """Fields with ranges; a subclass names its place in a config."""

    _place = "retrain"

    def _check(self, name: str, fits: bool, wanted: str) -> None:
        if not fits:
            raise BadInputError(f"{self._place}.{name} is {getattr(self, name)}; give {wanted}")

    def _check_name(self, name: str, known: Collection[str]) -> None:
        value = getattr(self, name)
        if value not in known:
            raise BadInputError(f"{self._place}.{name} is '{value}'{nearest(str(value), known)}")


@dataclass(frozen=True)
class AugmentationSettings(Checked):
    """Random variants of training samples; the defaults change nothing.

    Args:
        mixup: parameter alpha of Beta(alpha, alpha), from which the share of a second sample is drawn; 0 is off.
        cutmix: the same for the share of a rectangle cut from a second sample; where both are on, a coin decides.
        operations: operations of RandAugment's kind applied to each static sample.
        magnitude: their strength, 0 to 1.
        flip: chance that left and right are mirrored; 0 where they carry the class, as for digits and gestures.
        shift: largest move along each axis, in pixels; zeros (the mean of static samples) come in.
        drop_events: largest chance at which an event is lost, sequences only; each sample draws its own.

    Raises:
        BadInputError: naming the field, if a value is out of range.
    """

    _place = "retrain.augmentation"

    mixup: float = 0.0
    cutmix: float = 0.0
    operations: int = 0
    magnitude: float = 0.5
    flip: float = 0.0
    shift: int = 0
    drop_events: float = 0.0

    def __post_init__(self) -> None:
        for name in ("mixup", "cutmix"):
            self._check(name, 0 <= getattr(self, name) < math.inf, "0 (off) or a positive number")
        for name in ("magnitude", "flip"):
            self._check(name, 0 <= getattr(self, name) <= 1, "0 to 1")
        for name in ("operations", "shift"):
            self._check(name, getattr(self, name) >= 0, "0 (off) or a positive number")
        self._check("drop_events", 0 <= self.drop_events < 1, "from 0 to below 1")


@dataclass(frozen=True)
class SurrogateSettings(Checked):
    """What stands for the derivative of a spike.

    Args:
        family: `"arctan"`, `"sigmoid"`, `"triangle"` or `"piecewise"`; see `hasnas.nas.training.surrogates`.
        width: in units of the membrane potential; `None` is the family's own, `"auto"` tunes each layer's.

    Raises:
        BadInputError: naming the field, if a value is out of range.
    """

    _place = "retrain.surrogate"

    family: str = "arctan"
    width: float | Literal["auto"] | None = None

    def __post_init__(self) -> None:
        self._check_name("family", SURROGATES)
        if isinstance(self.width, str):
            self._check("width", self.width == "auto", "a positive number, auto or null")
        elif self.width is not None:
            self._check("width", 0 < self.width < math.inf, "a positive number, auto or null")


@dataclass(frozen=True)
class RegularisationSettings(Checked):
    """A term of the loss that punishes spikes.

    Args:
        rate_weight: its weight; 0 is off.
        rate_target: spikes per neuron and timestep that cost nothing.
        count: `"spikes"` (each layer's excess counts the same) or `"operations"` (each spike counts the synaptic
            operations that it causes).

    Raises:
        BadInputError: naming the field, if a value is out of range.
    """

    _place = "retrain.regularisation"

    rate_weight: float = 0.0
    rate_target: float = 0.1
    count: str = "spikes"

    def __post_init__(self) -> None:
        self._check("rate_weight", 0 <= self.rate_weight < math.inf, "0 (off) or a positive number")
        self._check("rate_target", 0 <= self.rate_target <= 1, "0 to 1")
        self._check_name("count", COUNTS)


@dataclass(frozen=True)
class NoiseSettings(Checked):
    """Training with weights as a device would hold them.

    Args:
        device: preset or YAML file of device non-ideality, e.g. `"rram-typical"`; `None` is off.
    """

    _place = "retrain.noise"

    device: str | None = None


@dataclass(frozen=True)
class RetrainSettings(Checked):
    """Everything that decides a training besides architecture, data and seed.

    The defaults bring small convolutional cells on 8x8 digits beyond 98 % test accuracy in 25 epochs.

    Args:
        epochs: passes over the train split.
        batch_size: samples per step, at least 2.
        method: a registered training method: `"surrogate"` gradients from scratch, or a conversion (`"soft_lif"`,
            `"threshold_balance"`, `"spike_response"`).
        optimizer: `"adamw"`, `"adam"` or `"sgd"` (with momentum 0.9).
        learning_rate: the largest step size; about 0.3 for SGD.
        weight_decay: pull on kernels and matrices; biases and batch norm are left alone.
        label_smoothing: share of the target spread over all classes; regression has none and ignores it.
        warmup_epochs: epochs in which the step size rises from near zero; may be a fraction.
        gradient_clip: largest Euclidean norm of all gradients together; `None` leaves them as they are.
        loss: of regression, `"smooth_l1"` or `"mse"`; classes are trained with cross entropy.
        patience: epochs without a better validation result after which training ends; `None` never ends it early.
        ema_decay: share that a running average of the weights keeps at each step, e.g. 0.999; the average is then what
            is validated and returned. `None` is off.
        precision: `"float32"`, or `"bfloat16"` for convolutions and matrix products in training.
        accelerator: `"cpu"`, `"gpu"` or `"auto"`.
        devices: processes on a machine, each with a device of its own and its share of every batch.
        nodes: machines; with more than one, a launcher such as torchrun or SLURM starts every process.
        recomputed_parts: parts that the network is cut into; each is computed again in the backward pass instead of
            kept in memory. 0 is off, 4 to 8 save most; results are bit for bit the same.
        batch_norm: `"standard"` starts at scale 1, `"threshold"` at the scale that suits the neurons' thresholds.
        augmentation, surrogate, regularisation, noise: further choices, each off by default.

    Raises:
        BadInputError: naming the field, if a value is out of range.

    >>> RetrainSettings(optimizer="sdg")
    Traceback (most recent call last):
        ...
    hasnas.errors.BadInputError: retrain.optimizer is 'sdg'; did you mean 'sgd'? Known: adam, adamw, sgd
    """

    epochs: int = 25
    batch_size: int = 32
    optimizer: str = "adamw"
    learning_rate: float = 4e-3
    weight_decay: float = 2e-2
    label_smoothing: float = 0.1
    warmup_epochs: float = 1.0
    gradient_clip: float | None = 5.0
    method: str = "surrogate"
    loss: str = "smooth_l1"
    patience: int | None = None
    ema_decay: float | None = None
    precision: str = "float32"
    accelerator: str = "cpu"
    devices: int = 1
    nodes: int = 1
    recomputed_parts: int = 0
    batch_norm: str = "standard"
    augmentation: AugmentationSettings = AugmentationSettings()
    surrogate: SurrogateSettings = SurrogateSettings()
    regularisation: RegularisationSettings = RegularisationSettings()
    noise: NoiseSettings = NoiseSettings()

    def __post_init__(self) -> None:
        self._check_name("method", TRAINING_METHODS.names())
        self._check_name("optimizer", OPTIMIZERS)
        self._check_name("loss", LOSSES)
        self._check_name("precision", PRECISIONS)
        self._check_name("accelerator", ACCELERATORS)
        self._check_name("batch_norm", BATCH_NORMS)
        self._check("epochs", self.epochs >= 1, "at least 1")
        self._check("batch_size", self.batch_size >= 2, "at least 2; batch norm needs more than one sample")
        self._check("learning_rate", 0 < self.learning_rate < math.inf, "a positive number")
        self._check("weight_decay", 0 <= self.weight_decay < math.inf, "0 or a positive number")
        self._check("label_smoothing", 0 <= self.label_smoothing < 1, "from 0 to below 1")
        self._check("warmup_epochs", 0 <= self.warmup_epochs < math.inf, "0 or a positive number")
        clip = self.gradient_clip
        self._check("gradient_clip", clip is None or 0 < clip < math.inf, "a positive number or null")
        self._check("patience", self.patience is None or self.patience >= 1, "at least 1 epoch or null")
        self._check("ema_decay", self.ema_decay is None or 0 <= self.ema_decay < 1, "from 0 to below 1 or null")
        self._check("devices", self.devices >= 1, "at least 1")
        self._check("nodes", self.nodes >= 1, "at least 1")
        self._check("recomputed_parts", self.recomputed_parts >= 0, "0 (off) or a positive number")
        per_process = self.batch_size // self.processes
        self._check("batch_size", per_process >= 2, f"at least 2 samples for each of the {self.processes} processes")

    @property
    def processes(self) -> int:
        """Processes that share the batches."""
        return self.devices * self.nodes

    @classmethod
    def from_tree(cls, tree: dict[str, Any]) -> RetrainSettings:
        """Settings from nested plain data.

        >>> RetrainSettings.from_tree({"surrogate": {"width": "auto"}}).surrogate.width
        'auto'
        """
        sections = {name: kind(**tree[name]) for name, kind in _SECTIONS.items() if name in tree}
        return cls(**{**tree, **sections})

    def to_json(self) -> dict[str, Any]:
        """Plain data that identify a training; what came after the first release is left out where it is off.

        >>> sorted(RetrainSettings(patience=3).to_json().keys() - RetrainSettings().to_json().keys())
        ['patience']
        """
        default = RetrainSettings()
        kept = [
            field.name
            for field in fields(self)
            if field.name in _FIRST_FIELDS or getattr(self, field.name) != getattr(default, field.name)
        ]
        tree = asdict(self)
        return {name: tree[name] for name in kept}


_SECTIONS: dict[str, type] = {
    "augmentation": AugmentationSettings,
    "surrogate": SurrogateSettings,
    "regularisation": RegularisationSettings,
    "noise": NoiseSettings,
}
_FIRST_FIELDS = (
    "epochs",
    "batch_size",
    "optimizer",
    "learning_rate",
    "weight_decay",
    "label_smoothing",
    "warmup_epochs",
    "gradient_clip",
)


def learning_rate_at(step: int, steps_per_epoch: int, settings: RetrainSettings) -> float:
    """Step size of one step: a linear rise, then half a cosine down to 1 % of the largest.

        lr(s) = L * min(1, (s + 1) / w) * (0.01 + 0.99 * (1 + cos(pi * s / S)) / 2)

    Args:
        step: s, counted from 0 over all epochs.
        steps_per_epoch: batches in an epoch.
        settings: epochs and warm-up in epochs give S and w in steps; L is the largest step size.

    >>> settings = RetrainSettings(epochs=2, learning_rate=1.0, warmup_epochs=0.2)
    >>> [round(learning_rate_at(step, 10, settings), 3) for step in (0, 1, 10, 19)]
    [0.5, 0.994, 0.505, 0.016]
    """
    total = settings.epochs * steps_per_epoch
    warmup = max(1.0, settings.warmup_epochs * steps_per_epoch)
    decay = 0.01 + 0.99 * (1 + math.cos(math.pi * step / total)) / 2
    return settings.learning_rate * min(1.0, (step + 1) / warmup) * decay
