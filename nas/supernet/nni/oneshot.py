"""Supernet training by NNI's random one-shot strategy, made seedable, resumable and silent."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from hasnas.errors import BadInputError
from hasnas.nas.config.sections import SupernetSection
from hasnas.nas.config.training import RegressionLoss
from hasnas.nas.data.samples import Split
from hasnas.nas.supernet.settings import Choosing, ProgressCallback, TrainedSupernet
from hasnas.nas.supernet.sharing import Options, PathSampler
from hasnas.search_spaces.space import SearchSpace

from .environment import require_nni
from .recipe import CHECKPOINT_NAME as CHECKPOINT_NAME
from .recipe import Recipe, fit, weights_of
from .supernet import Supernet, build_supernet

require_nni()

from nni.mutable import Sample  # noqa: E402
from nni.nas.evaluator.pytorch import LightningModule  # noqa: E402
from nni.nas.oneshot.pytorch.sampling import RandomSamplingLightningModule  # noqa: E402
from nni.nas.strategy import RandomOneShot  # noqa: E402


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


class RandomOneShotTrainer:
    """Trains a supernet with one feasible path a step; see `SupernetTrainer`."""

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
        """See `SupernetTrainer.train`.

        Raises:
            BadInputError: if the checkpoint belongs to another training, none of its copies is sound, the sampler
                draws a path that `options` left out, or there are no samples.
            KeyboardInterrupt: if the user interrupts; the finished epochs are kept.
        """
        recipe = Recipe(data, settings, seed, progress, loss=loss)
        with torch.random.fork_rng(devices=[]):
            supernet = build_supernet(space, options, seed)
            if checkpoint_directory is not None:
                recipe.restore(Path(checkpoint_directory) / CHECKPOINT_NAME, supernet)
            if recipe.done < settings.epochs:
                strategy = SeededRandomOneShot(sampler, seed)
                recipe.reseed_paths = strategy.reseed
                fit(supernet, recipe, strategy)
        return TrainedSupernet(weights_of(supernet))
