"""NNI's differentiable one-shot strategies on spiking supernets: DARTS, Gumbel-DARTS and ProxylessNAS.

All three learn a vector alpha for each gene beside the shared weights. DARTS weighs the operations of an edge by
softmax(alpha), Gumbel-DARTS by a noisy softmax that sharpens from epoch to epoch. Both run all operations, so they
cannot keep to a region beyond leaving out options that occur nowhere in it. Proxyless runs one path a step, drawn
from the architectures of the region in proportion to the product of their choices' probabilities; only the step that
judges the choices computes the other operations, to learn what they would have changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from hasnas.errors import BadInputError
from hasnas.nas.config.sections import SupernetSection
from hasnas.nas.config.training import RegressionLoss
from hasnas.nas.data.samples import Split
from hasnas.nas.supernet.choosing import log_probabilities, most_probable, reached_sources
from hasnas.nas.supernet.mixture import require_mixable
from hasnas.nas.supernet.settings import Choosing, Probabilities, ProgressCallback, TrainedSupernet
from hasnas.nas.supernet.sharing import Options, PathSampler
from hasnas.search_spaces.space import Codes, Gene, SearchSpace

from .environment import require_nni
from .penalty import CostProfiler, LivePenalty
from .recipe import CHECKPOINT_NAME, Recipe, fit, weights_of
from .supernet import GeneChoice, Supernet, build_supernet

require_nni()

from nni.mutable import Sample  # noqa: E402
from nni.nas.evaluator.pytorch import LightningModule  # noqa: E402
from nni.nas.oneshot.pytorch.differentiable import (  # noqa: E402
    DartsLightningModule,
    LinearTemperatureScheduler,
)
from nni.nas.oneshot.pytorch.supermodule.base import BaseSuperNetModule  # noqa: E402
from nni.nas.strategy import DARTS, GumbelDARTS, Proxyless  # noqa: E402

TEMPERATURES = (1.0, 0.33)
"""Of Gumbel-DARTS: at the first epoch and after the last, NNI's own."""


class WeighedGeneChoice(GeneChoice, BaseSuperNetModule):
    """A gene whose operations are weighed by the softmax of its parameters, as NNI's `DifferentiableMixedLayer`.

    The gene's operations live in several cells and share neurons, so they are run by the mixture; this holds alpha.

    Args:
        gene: the label and the names of all choices.
        allowed: the choices that may be taken.
        alpha: their parameters.
        softmax: makes weights of them.
    """

    def __init__(self, gene: Gene, allowed: list[str], alpha: nn.Parameter, softmax: nn.Module) -> None:
        super().__init__(gene, allowed)
        self.alpha = alpha
        self._softmax = softmax

    @property
    def chosen(self) -> str:
        """The most probable choice."""
        return self.allowed[int(self.alpha.argmax())]

    def weights(self, judged: bool) -> Tensor | None:
        """What weighs the operations."""
        return self._softmax(self.alpha)

    def arch_parameters(self) -> list[nn.Parameter]:
        """What NNI's architecture optimizer trains."""
        return [self.alpha]

    def resample(self, memo: dict[str, Any]) -> dict[str, Any]:
        """Nothing is sampled."""
        return {}

    def export(self, memo: dict[str, Any]) -> dict[str, Any]:
        """The most probable choice."""
        return {} if self.gene.label in memo else {self.gene.label: self.chosen}

    def export_probs(self, memo: dict[str, Any]) -> dict[str, Any]:
        """The probabilities, as plain numbers and without noise."""
        if self.gene.label in memo:
            return {}
        return {self.gene.label: dict(zip(self.allowed, self.alpha.softmax(-1).tolist(), strict=True))}

    @classmethod
    def mutate(cls, module: nn.Module, name: str, memo: dict[str, Any], mutate_kwargs: dict[str, Any]) -> Any:
        """NNI's mutation hook: replaces a `GeneChoice`."""
        if type(module) is not GeneChoice:
            return None
        return cls(module.gene, module.allowed, memo[module.gene.label], mutate_kwargs["softmax"])


class GatedGeneChoice(WeighedGeneChoice):
    """A gene of which one operation runs, with the gradient of NNI's `ProxylessMixedLayer`.

    The gates g are 1 for the sampled choice and 0 for the others, and dL/dalpha = J_softmax(alpha)^T dL/dg. NNI runs
    the other operations in the backward pass of every step. Here they run in the forward pass of the steps that
    judge choices, as their neurons belong to several edges, and in no other step; the gradient is the same.
    """

    def __init__(self, gene: Gene, allowed: list[str], alpha: nn.Parameter, softmax: nn.Module) -> None:
        super().__init__(gene, allowed, alpha, softmax)
        self._sampled: str | None = None
        self._reached = True

    @property
    def chosen(self) -> str:
        """The choice that was sampled last."""
        return super().chosen if self._sampled is None else self._sampled

    def weights(self, judged: bool) -> Tensor | None:
        """The gates in a step that judges choices."""
        if not judged:
            return None
        gates = functional.one_hot(torch.tensor(self.allowed.index(self.chosen)), len(self.allowed)).to(self.alpha)
        # Where the input does not arrive, no operation of the edge can change what is deployed.
        if not self._reached:
            return gates
        probabilities = self._softmax(self.alpha)
        return gates + (probabilities - probabilities.detach())

    def take(self, choice: str, reached: bool) -> None:
        """Run this choice from now on; `reached` says whether the edge's source has a value."""
        self._sampled, self._reached = choice, reached

    def resample(self, memo: dict[str, Any]) -> dict[str, Any]:
        """The choice that was set by `take`: genes are drawn together, from a region."""
        return {self.gene.label: self.chosen}


class _RegionPaths(DartsLightningModule):
    """NNI's training whose paths are drawn from the region by a generator of their own."""

    def __init__(self, training_module: LightningModule, strategy: SeededProxyless) -> None:
        super().__init__(training_module, arc_learning_rate=strategy.arc_learning_rate, penalty=strategy.penalty)
        self._source = strategy

    def resample(self) -> Sample:
        """Set every choice to that of the next path."""
        return self._source.take_path(self.model)


class SeededDarts(DARTS):
    """NNI's `DARTS` that begins with given alphas where there are any.

    Args:
        learning_rate: of the alphas.
        penalty: on the expected cost, or None.
        known: label -> alphas to begin with.
    """

    gene_hooks: tuple[Callable[..., Any], ...] = (WeighedGeneChoice.mutate,)

    def __init__(self, learning_rate: float, penalty: LivePenalty | None, known: Mapping[str, Tensor]) -> None:
        super().__init__(arc_learning_rate=learning_rate, penalty=penalty)
        self._known = known

    def mutate_model(self, model: Any) -> Any:
        """See NNI; the alphas that NNI drew give way to the known ones."""
        return _with_alphas(super().mutate_model(model), self._known)


class SeededGumbelDarts(GumbelDARTS):
    """NNI's `GumbelDARTS` that goes on at the temperature where it stopped.

    Args:
        learning_rate: of the alphas.
        penalty: on the expected cost, or None.
        known: label -> alphas to begin with.
        epochs: the number of the epoch to begin with, from 0, and of all epochs.
    """

    gene_hooks: tuple[Callable[..., Any], ...] = (WeighedGeneChoice.mutate,)

    def __init__(
        self, learning_rate: float, penalty: LivePenalty | None, known: Mapping[str, Tensor], epochs: tuple[int, int]
    ) -> None:
        super().__init__(
            temperature=_ResumedTemperature(*epochs), arc_learning_rate=learning_rate, penalty=penalty
        )
        self._known = known

    def mutate_model(self, model: Any) -> Any:
        """See `SeededDarts.mutate_model`."""
        return _with_alphas(super().mutate_model(model), self._known)


class SeededProxyless(Proxyless):
    """NNI's `Proxyless` on paths of a region.

    Args:
        learning_rate: of the alphas.
        codes: the architectures that paths are drawn from, `[M, genes]`.
        penalty: on the expected cost, or None.
        known: label -> alphas to begin with.
        seed: of the paths, until `reseed` replaces the generator.
    """

    gene_hooks: tuple[Callable[..., Any], ...] = (GatedGeneChoice.mutate,)

    def __init__(
        self, learning_rate: float, codes: Codes, penalty: LivePenalty | None, known: Mapping[str, Tensor], seed: int
    ) -> None:
        super().__init__(arc_learning_rate=learning_rate, penalty=penalty)
        self._known, self._codes = known, codes
        self.rng = np.random.default_rng(seed)

    def reseed(self, rng: np.random.Generator) -> None:
        """Draw the coming paths from this generator."""
        self.rng = rng

    def take_path(self, supernet: Supernet) -> dict[str, str]:
        """Draw the next path and set the supernet to it."""
        logarithms = log_probabilities(supernet.space, probabilities_of(supernet), self._codes)
        cumulative = np.cumsum(np.exp(logarithms - logarithms.max()))
        # The largest random number is below 1, but rounding may put the product on the last sum.
        drawn = np.searchsorted(cumulative, self.rng.random() * cumulative[-1], side="right")
        row = min(int(drawn), len(cumulative) - 1)
        codes = tuple(int(code) for code in self._codes[row])
        sample = supernet.sample_of(codes)
        reached = reached_sources(supernet.space, codes)
        for choice in supernet.decisions:
            if isinstance(choice, GatedGeneChoice):
                choice.take(sample[choice.gene.label], reached[choice.gene.label])
        return sample

    def mutate_model(self, model: Any) -> Any:
        """See `SeededDarts.mutate_model`."""
        return _with_alphas(super().mutate_model(model), self._known)

    def configure_oneshot_module(self, training_module: LightningModule) -> DartsLightningModule:
        """The search part of the training, as NNI asks for it."""
        return _RegionPaths(training_module, self)


class _ResumedTemperature(LinearTemperatureScheduler):
    """Counts the epochs of the whole training, where NNI sees only those since the last interruption."""

    def __init__(self, first: int, epochs: int) -> None:
        super().__init__(*TEMPERATURES)
        self._first, self._epochs = first, epochs

    def step(self, current: int, total: int | None = None) -> float:
        """The temperature of an epoch."""
        return float(super().step(self._first + current, self._epochs))


class DartsTrainer:
    """Trains weights and alphas in turn, all operations at once; see `SupernetTrainer`."""

    def train(
        self,
        space: SearchSpace,
        sampler: PathSampler,
        data: Split,
        *,
        settings: SupernetSection,
        seed: int,
        options: Options | None = None,
        loss: RegressionLoss = "smooth_l1",
        choosing: Choosing | None = None,
        checkpoint_directory: Path | None = None,
        progress: ProgressCallback | None = None,
    ) -> TrainedSupernet:
        """See `SupernetTrainer.train`; `sampler` is not asked.

        Raises:
            BadInputError: if the space has feedback or other genes than edges, there is nothing to choose by, the
                checkpoint belongs to another training, or none of its copies is sound.
            KeyboardInterrupt: if the user interrupts; the finished epochs are kept.
        """
        require_mixable(space)
        if choosing is None:
            raise BadInputError("a differentiable supernet strategy needs samples and architectures to choose by")
        recipe = Recipe(data, settings, seed, progress, choosing, loss)
        with torch.random.fork_rng(devices=[]):
            supernet = build_supernet(space, options, seed)
            penalty = _penalty(supernet, choosing, recipe.weight)
            recipe.metrics = lambda: _figures(supernet, penalty)
            if checkpoint_directory is not None:
                recipe.restore(Path(checkpoint_directory) / CHECKPOINT_NAME, supernet)
            if recipe.done < settings.epochs:
                fit(supernet, recipe, self._strategy(recipe, choosing, penalty))
        probabilities = {
            choice.gene.label: _distribution(choice, recipe.alphas[choice.gene.label]) for choice in supernet.decisions
        }
        codes = most_probable(space, probabilities, choosing.codes, choosing.admits)
        return TrainedSupernet(weights_of(supernet), probabilities, codes)

    def _strategy(self, recipe: Recipe, choosing: Choosing, penalty: LivePenalty | None) -> DARTS:
        return SeededDarts(recipe.settings.architecture_learning_rate, penalty, recipe.alphas)


class GumbelDartsTrainer(DartsTrainer):
    """Trains with noisy weights that sharpen from epoch to epoch; see `DartsTrainer`."""

    def _strategy(self, recipe: Recipe, choosing: Choosing, penalty: LivePenalty | None) -> DARTS:
        rate, epochs = recipe.settings.architecture_learning_rate, (recipe.done, recipe.settings.epochs)
        return SeededGumbelDarts(rate, penalty, recipe.alphas, epochs)


class ProxylessTrainer(DartsTrainer):
    """Trains one path of the region a step, drawn by the alphas; see `DartsTrainer`."""

    def _strategy(self, recipe: Recipe, choosing: Choosing, penalty: LivePenalty | None) -> DARTS:
        rate = recipe.settings.architecture_learning_rate
        strategy = SeededProxyless(rate, choosing.codes, penalty, recipe.alphas, recipe.seed)
        recipe.reseed_paths = strategy.reseed
        return strategy


def probabilities_of(supernet: Supernet) -> Probabilities:
    """The present probabilities of all choices."""
    alphas = supernet.alphas
    return {choice.gene.label: _distribution(choice, alphas[choice.gene.label]) for choice in supernet.decisions}


def _distribution(choice: GeneChoice, alpha: Tensor) -> dict[str, float]:
    return dict(zip(choice.allowed, alpha.detach().softmax(-1).tolist(), strict=True))


def _penalty(supernet: Supernet, choosing: Choosing, weight: float) -> LivePenalty | None:
    if choosing.table is None:
        return None
    return LivePenalty(CostProfiler(supernet, choosing.table), weight, supernet)


def _figures(supernet: Supernet, penalty: LivePenalty | None) -> dict[str, float]:
    """What a person wants to follow: the probabilities, and the expected cost."""
    figures = {
        f"probability/{label}/{name}": value
        for label, row in probabilities_of(supernet).items()
        for name, value in row.items()
    }
    if penalty is not None:
        figures[f"expected/{penalty.profiler.table.cost}"] = float(penalty.profile({}).detach())
    return figures


def _with_alphas(supernet: Supernet, known: Mapping[str, Tensor]) -> Supernet:
    with torch.no_grad():
        for label, alpha in supernet.alphas.items():
            if label in known:
                alpha.copy_(known[label])
    return supernet
