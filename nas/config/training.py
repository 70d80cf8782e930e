"""The section `retrain` of a run's YAML, which is what training takes: how networks are trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from hasnas.errors import BadInputError, nearest
from hasnas.search_spaces.joint import DeadTraining

from .plugins import TRAINING_METHODS
from .searched import Searched, SearchedValues
from .section import Section
from .sections import Rate, Share, known_device

RegressionLoss = Literal["smooth_l1", "mse"]
MIXES_CLASSES = "retrain.augmentation: mixup and cutmix mix classes; set both to 0 for regression"
# By these a stored training is always told apart, by other fields only where they are not at their defaults: trainings
# from before a field existed can still be gone on with.
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
_NOT_OF_ONE_TRAINING = ("enabled", "top", "baselines", "seeds", "searched", "mapping", "mapping_samples", "simulate")
Baseline = Literal["chain", "random"]
# Neither where a training runs decides its result, nor how long the chosen ones are trained that of the search.
_NOT_SEARCHED = (*_NOT_OF_ONE_TRAINING, "devices", "nodes", "recomputed_parts", "epochs", "patience")

# Fields that change nothing where another has one of some values.
WITHOUT_EFFECT = (
    DeadTraining(("surrogate.family", "surrogate.width"), "method", ("soft_lif", "spike_response")),
    DeadTraining(
        ("spike_response.width", "spike_response.height"), "method", ("surrogate", "soft_lif", "threshold_balance")
    ),
    DeadTraining(
        ("threshold_balance.percentile", "threshold_balance.factor", "threshold_balance.fine_tuning_epochs"),
        "method",
        ("surrogate", "soft_lif", "spike_response"),
    ),
    DeadTraining(("augmentation.magnitude",), "augmentation.operations", (0,)),
    DeadTraining(("regularisation.rate_target", "regularisation.count"), "regularisation.rate_weight", (0,)),
)
# Fields that a training of a task does not read, and why.
UNREAD: dict[str, dict[str, str]] = {
    "classification": {"loss": "classes are trained with cross entropy"},
    "regression": {
        "label_smoothing": "values have no labels to smooth",
        "augmentation.mixup": "mixup mixes classes",
        "augmentation.cutmix": "cutmix mixes classes",
    },
}


class AugmentationSection(Section):
    """Random variants of training samples; the defaults change nothing.

    Targets stay as they are, so for regression choose only what does not change the right answer; `mixup` and `cutmix`
    need classes.

    Args:
        mixup: parameter alpha of Beta(alpha, alpha), from which the share of a second sample is drawn; 0 is off.
        cutmix: the same for the share of a rectangle cut from a second sample; where both are on, a coin decides.
        operations: operations of RandAugment's kind applied to each static sample.
        magnitude: strength of these operations, 0 to 1.
        flip: chance that left and right are mirrored; 0 where they carry the class, as for digits and gestures.
        shift: largest move along each axis, in pixels; zeros (the mean of static samples) come in.
        drop_events: largest chance at which an event is lost, sequences only; each sample draws its own.
    """

    place = "retrain.augmentation"
    mixup: Annotated[float, Field(ge=0, le=1000)] = 0.0
    cutmix: Annotated[float, Field(ge=0, le=1000)] = 0.0
    operations: Annotated[int, Field(ge=0, le=100)] = 0
    magnitude: Share = 0.5
    flip: Share = 0.0
    shift: Annotated[int, Field(ge=0, le=10_000)] = 0
    drop_events: Annotated[float, Field(ge=0, lt=1)] = 0.0


class SurrogateSection(Section):
    """What stands for the derivative of a spike.

    Args:
        family: shape of the derivative around the threshold.
        width: how far it reaches, in units of the membrane potential; null is the family's usual one, `auto` tunes each
            layer's.
    """

    place = "retrain.surrogate"
    family: Literal["arctan", "sigmoid", "triangle", "piecewise"] = "arctan"
    width: Annotated[float, Field(gt=0, le=1e6)] | Literal["auto"] | None = None


class RegularisationSection(Section):
    """A term of the loss that punishes spikes.

    Args:
        rate_weight: weight of the term; 0 is off.
        rate_target: spikes per neuron and timestep that cost nothing.
        count: `spikes` (each layer's excess counts the same) or `operations` (each spike counts what it causes).
    """

    place = "retrain.regularisation"
    rate_weight: Annotated[float, Field(ge=0, le=1e9)] = 0.0
    rate_target: Share = 0.1
    count: Literal["spikes", "operations"] = "spikes"


class SpikeResponseSection(Section):
    """The probability density of a spike's change that the method `spike_response` assigns errors by.

    Args:
        width: of the density, in units of the threshold.
        height: factor on the density.
    """

    place = "retrain.spike_response"
    width: Annotated[float, Field(gt=0, le=1e6)] = 1.0
    height: Annotated[float, Field(gt=0, le=1e6)] = 1.0


class ThresholdBalanceSection(Section):
    """How the method `threshold_balance` converts, and for how long it trains the spiking network afterwards.

    Args:
        percentile: which of the largest currents of neurons over time sets a layer's threshold; 100 is the maximum.
        factor: threshold for each unit of that current.
        fine_tuning_epochs: epochs that the spiking network is trained for; 0 leaves it as converted.
    """

    place = "retrain.threshold_balance"
    percentile: Annotated[float, Field(gt=0, le=100)] = 90.0
    factor: Annotated[float, Field(gt=0, le=1e6)] = 0.7
    fine_tuning_epochs: Annotated[int, Field(ge=0, le=100_000)] = 5


def _known_method(name: str) -> str:
    """Refuse a training method that is not registered."""
    if name not in TRAINING_METHODS.names():
        raise ValueError(f"no such training method{nearest(name, TRAINING_METHODS.names())}")
    return name


class TrainingNoiseSection(Section):
    """Training with weights as a device would hold them.

    Args:
        device: a preset of device non-ideality or a YAML file, e.g. `rram-typical`; null is off.
    """

    place = "retrain.noise"
    device: Annotated[str, AfterValidator(known_device)] | None = None


class RetrainSection(Section):
    """Everything that decides a training besides architecture, data and seed, and how many there are.

    The defaults bring small convolutional cells on 8x8 digits beyond 98 % test accuracy in 25 epochs.

    Args:
        enabled: whether networks are retrained, tested and returned.
        top: networks to retrain, the best of the front first.
        baselines: what the returned networks are compared with, trained alike and as many of each: `chain`, plain
            chains of 3x3 convolutions on the same macro within the budget, and `random`, candidates drawn within it.
            Empty is off.
        seeds: trainings of each network, from the run's seed on: seed, seed + 1, ... Reported are their mean and
            standard deviation; a network is over the budget if any of them is.
        epochs: passes over the train split.
        batch_size: samples per step.
        method: a registered training method: `surrogate` trains the spiking network from scratch; `soft_lif`,
            `threshold_balance` and `spike_response` convert.
        optimizer: the update rule; `sgd` has momentum 0.9.
        learning_rate: the largest step size, about 0.3 for SGD; it rises, then falls along a half cosine.
        weight_decay: pull on kernels and matrices; biases and batch norm are left alone.
        label_smoothing: share of the target spread over all classes; regression ignores it.
        warmup_epochs: epochs in which the step size rises; may be a fraction.
        gradient_clip: largest norm of all gradients together; null leaves them as they are.
        loss: what a regression minimises, here and in the supernet; classes are trained with cross entropy.
        patience: epochs without a better validation result after which training ends; null never ends it early.
        kept_epoch: whose weights are returned: `best` on validation samples, the later of equals; `within_error`, the
            latest that is at most a standard error behind it, as the luckiest of many epochs on few validation samples
            may be an early one (regressions take the best); `last`.
        ema_decay: share that a running average of the weights keeps at each step; the average is returned. Null is off.
        precision: of convolutions and matrix products in training; `auto` is what suits the device.
        devices: processes on a machine that share every batch, each with a device of its own.
        nodes: machines; with more than one, torchrun or srun starts the training.
        recomputed_parts: parts that the network is cut into; each is computed again in the backward pass instead of
            kept in memory. 0 is off, 4 to 8 save most; results are bit for bit the same.
        batch_norm: `standard` starts at scale 1, `threshold` at the scale that suits the neurons' thresholds.
        augmentation, surrogate, regularisation, noise: see their sections; each is off by default.
        spike_response, threshold_balance: see their sections; of the methods of these names.
        mapping: recipe, or YAML file of one, by which returned networks are mapped onto crossbars and tiles, e.g.
            `spinemap`; their `mapped_energy`, `mapped_latency`, `lifetime` and `temperature` may then be limited by the
            budget and be objectives, and candidates of the search are mapped as well. Empty is off.
        mapping_samples: validation samples whose spikes are mapped.
        simulate: `barrier` or `free` runs those samples on the mapped chip, event by event (`mapping` names the
            recipe); `simulated_energy`, `simulated_latency` and `simulated_accuracy` may then be limited by the budget
            and be objectives. Empty is off.
        searched: dotted field -> the values that it may take, searched beside the network: a list, or numbers
            `{from: 1e-4, to: 1e-2, steps: 16, scale: log}`.

    >>> RetrainSection(optimizer="sdg")
    Traceback (most recent call last):
        ...
    hasnas.errors.BadInputError: retrain.optimizer is 'sdg'; did you mean 'sgd'? Known: adam, adamw, sgd
    """

    place = "retrain"
    enabled: bool = True
    top: Annotated[int, Field(ge=1, le=10_000)] = 3
    baselines: Annotated[tuple[Baseline, ...], Field(strict=False)] = ()
    seeds: Annotated[int, Field(ge=1, le=100)] = 1
    epochs: Annotated[int, Field(ge=1, le=100_000)] = 25
    batch_size: Annotated[int, Field(ge=2, le=1_000_000)] = 32
    method: Annotated[str, AfterValidator(_known_method)] = "surrogate"
    optimizer: Literal["adam", "adamw", "sgd"] = "adamw"
    learning_rate: Rate = 4e-3
    weight_decay: Share = 2e-2
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.1
    warmup_epochs: Annotated[float, Field(ge=0, le=100_000)] = 1.0
    gradient_clip: Annotated[float, Field(gt=0, le=1e9)] | None = 5.0
    loss: RegressionLoss = "smooth_l1"
    patience: Annotated[int, Field(ge=1, le=100_000)] | None = None
    kept_epoch: Literal["best", "within_error", "last"] = "best"
    ema_decay: Annotated[float, Field(ge=0, lt=1)] | None = None
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    devices: Annotated[int, Field(ge=1, le=1024)] = 1
    nodes: Annotated[int, Field(ge=1, le=1024)] = 1
    recomputed_parts: Annotated[int, Field(ge=0, le=10_000)] = 0
    batch_norm: Literal["standard", "threshold"] = "standard"
    augmentation: AugmentationSection = AugmentationSection()
    surrogate: SurrogateSection = SurrogateSection()
    regularisation: RegularisationSection = RegularisationSection()
    noise: TrainingNoiseSection = TrainingNoiseSection()
    spike_response: SpikeResponseSection = SpikeResponseSection()
    threshold_balance: ThresholdBalanceSection = ThresholdBalanceSection()
    mapping: str = ""
    mapping_samples: Annotated[int, Field(ge=1, le=1_000_000)] = 16
    simulate: Literal["", "barrier", "free"] = ""
    searched: SearchedValues = Searched()

    @property
    def trainings(self) -> int:
        """How many trainings that is at most."""
        return self.top * self.seeds * (1 + len(self.baselines))

    @property
    def files(self) -> tuple[str, ...]:
        """Files that a training reads beside the data, or names of presets in their place."""
        return () if self.noise.device is None else (self.noise.device,)

    @property
    def processes(self) -> int:
        """Processes that share the batches of a training."""
        return self.devices * self.nodes

    @model_validator(mode="after")
    def _each_baseline_once(self) -> RetrainSection:
        if len(set(self.baselines)) != len(self.baselines):
            raise ValueError(f"baselines is [{', '.join(self.baselines)}]; name each once")
        return self

    @model_validator(mode="after")
    def _enough_samples_for_each_process(self) -> RetrainSection:
        if self.batch_size // self.processes < 2:
            raise ValueError(
                f"batch_size is {self.batch_size}; give at least 2 samples for each of the {self.processes} processes"
            )
        return self

    @model_validator(mode="after")
    def _searched_fields_are_of_a_training(self) -> RetrainSection:
        default = RetrainSection.model_construct()
        for item in self.searched.fields:
            key = f"searched.{item.name}"
            if item.name in _NOT_SEARCHED:
                raise ValueError(f"{key} cannot be searched: the search itself does not depend on it; remove it")
            if item.name not in self.searchable:
                raise ValueError(f"unknown key 'retrain.{key}'{nearest(item.name, self.searchable)}")
            if (fixed := self.field(item.name)) != default.field(item.name):
                raise ValueError(f"{key} is fixed by {item.name} ({fixed}) as well; remove one of them")
            for value in item.values:
                try:
                    self.chosen({item.name: value})
                except BadInputError as error:
                    raise ValueError(f"searched.{str(error).removeprefix('retrain.')}") from error
        for rule in WITHOUT_EFFECT:
            if rule.where not in self.searched.values and self.field(rule.where) in rule.values:
                for name in (name for name in rule.fields if name in self.searched.values):
                    raise ValueError(f"searched.{name} changes nothing while {rule.where} is {self.field(rule.where)}")
        return self

    @property
    def searchable(self) -> list[str]:
        """The fields that may be searched: those that decide the result of a training, sections by their fields."""
        names = []
        for name, about in type(self).model_fields.items():
            kind = about.annotation
            if isinstance(kind, type) and issubclass(kind, Section):
                names += [f"{name}.{inner}" for inner in kind.model_fields]
            elif name not in _NOT_SEARCHED:
                names.append(name)
        return names

    def field(self, name: str) -> Any:
        """The value of a dotted field."""
        section, dot, inner = name.partition(".")
        return getattr(getattr(self, section), inner) if dot else getattr(self, name)

    def chosen(self, changes: Mapping[str, Any]) -> RetrainSection:
        """One training's settings: some fields, by their dotted names, as they were chosen, and nothing searched.

        Raises:
            BadInputError: for an impossible value.

        >>> RetrainSection().chosen({"surrogate.width": 2.0, "learning_rate": 1e-3}).surrogate.width
        2.0
        """
        tree: dict[str, Any] = {"searched": Searched()}
        for name, value in changes.items():
            section, dot, inner = name.partition(".")
            own = tree.get(section, getattr(self, section))
            tree[section] = own.with_changes({inner: value}) if dot else value
        return self.with_changes(tree)

    def to_json(self) -> dict[str, Any]:
        """Plain data that identify one training; what came after the first release is left out where it is off.

        >>> sorted(RetrainSection(patience=3).to_json().keys() - RetrainSection().to_json().keys())
        ['patience']
        """
        tree, default = self.model_dump(exclude=set(_NOT_OF_ONE_TRAINING)), RetrainSection().model_dump()
        return {name: value for name, value in tree.items() if name in _FIRST_FIELDS or value != default[name]}
