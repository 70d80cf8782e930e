"""The section `retrain` of a run's YAML: how the chosen networks are trained."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from hasnas.errors import nearest

from .sections import Rate, Section, Share


class AugmentationSection(Section):
    """Random variants of training samples: the fields of `hasnas.nas.training.settings.AugmentationSettings`.

    Targets stay as they are, so for regression choose only what does not change the right answer; `mixup` and `cutmix`
    need classes.
    """

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
        family: its shape.
        width: in units of the membrane potential; null is the family's usual one, `auto` tunes each layer's.
    """

    family: Literal["arctan", "sigmoid", "triangle", "piecewise"] = "arctan"
    width: Annotated[float, Field(gt=0, le=1e6)] | Literal["auto"] | None = None


class RegularisationSection(Section):
    """A term of the loss that punishes spikes.

    Args:
        rate_weight: its weight; 0 is off.
        rate_target: spikes per neuron and timestep that cost nothing.
        count: `spikes` (each layer's excess counts the same) or `operations` (each spike counts what it causes).
    """

    rate_weight: Annotated[float, Field(ge=0, le=1e9)] = 0.0
    rate_target: Share = 0.1
    count: Literal["spikes", "operations"] = "spikes"


def _known_device(name: str) -> str:
    """Refuse a preset that does not exist before anything is trained; files are read when they are needed."""
    from hasnas.cim_estimator.nonideal.spec import nonideal_names

    if Path(name).suffix not in (".yaml", ".yml") and name not in nonideal_names():
        raise ValueError(f"no such preset{nearest(name, nonideal_names())}")
    return name


class TrainingNoiseSection(Section):
    """Training with weights as a device would hold them.

    Args:
        device: a preset of device non-ideality or a YAML file, e.g. `rram-typical`; null is off.
    """

    device: Annotated[str, AfterValidator(_known_device)] | None = None


class RetrainSection(Section):
    """Training of the chosen networks from scratch.

    Args:
        enabled: whether networks are retrained, tested and returned.
        top: networks to retrain, the best of the front first.
        seeds: trainings of each network, from the run's seed on: seed, seed + 1, ... Reported are their mean and
            standard deviation; a network is over the budget if any of them is.
        epochs: passes over the train split.
        batch_size: samples per step.
        method: `surrogate` trains the spiking network; `soft_lif`, `threshold_balance` and `spike_response` convert.
        optimizer: the update rule.
        learning_rate: the largest step size; it rises, then falls along a half cosine.
        weight_decay: pull on kernels and matrices.
        label_smoothing: share of the target spread over all classes; regression ignores it.
        warmup_epochs: epochs in which the step size rises; may be a fraction.
        gradient_clip: largest norm of all gradients together; null leaves them as they are.
        loss: of regression, here and in the supernet; classes are trained with cross entropy.
        patience: epochs without a better validation result after which training ends; null never ends it early.
        ema_decay: share that a running average of the weights keeps at each step; the average is returned. Null is off.
        precision: of convolutions and matrix products in training.
        accelerator: where networks are trained.
        devices: processes on a machine that share every batch, each with a device of its own.
        nodes: machines; with more than one, torchrun or srun starts the training.
        recomputed_parts: parts of the network that are computed twice instead of kept in memory; 0 is off.
        batch_norm: `standard` starts at scale 1, `threshold` at the scale that suits the neurons' thresholds.
        augmentation, surrogate, regularisation, noise: see their sections.
    """

    enabled: bool = True
    top: Annotated[int, Field(ge=1, le=10_000)] = 3
    seeds: Annotated[int, Field(ge=1, le=100)] = 1
    epochs: Annotated[int, Field(ge=1, le=100_000)] = 25
    batch_size: Annotated[int, Field(ge=2, le=1_000_000)] = 32
    method: str = "surrogate"
    optimizer: Literal["adam", "adamw", "sgd"] = "adamw"
    learning_rate: Rate = 4e-3
    weight_decay: Share = 2e-2
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.1
    warmup_epochs: Annotated[float, Field(ge=0, le=100_000)] = 1.0
    gradient_clip: Annotated[float, Field(gt=0, le=1e9)] | None = 5.0
    loss: Literal["smooth_l1", "mse"] = "smooth_l1"
    patience: Annotated[int, Field(ge=1, le=100_000)] | None = None
    ema_decay: Annotated[float, Field(ge=0, lt=1)] | None = None
    precision: Literal["float32", "bfloat16"] = "float32"
    accelerator: Literal["cpu", "gpu", "auto"] = "cpu"
    devices: Annotated[int, Field(ge=1, le=1024)] = 1
    nodes: Annotated[int, Field(ge=1, le=1024)] = 1
    recomputed_parts: Annotated[int, Field(ge=0, le=10_000)] = 0
    batch_norm: Literal["standard", "threshold"] = "standard"
    augmentation: AugmentationSection = AugmentationSection()
    surrogate: SurrogateSection = SurrogateSection()
    regularisation: RegularisationSection = RegularisationSection()
    noise: TrainingNoiseSection = TrainingNoiseSection()

    @property
    def trainings(self) -> int:
        """How many trainings that is at most."""
        return self.top * self.seeds
