"""Gaussian processes of BoTorch for what only an evaluation tells, and the supervisor that spares needless fits.

Fitting lengthscales and noise takes longer than anything else of a proposal. A process is fitted again only where the
newly told candidates surprise it; else it takes them in with the lengthscales and the noise that it has.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from hasnas.errors import BadInputError
from hasnas.search_spaces.space import Codes, SearchSpace

try:
    import torch
    from botorch.exceptions.warnings import BotorchWarning
    from botorch.fit import fit_gpytorch_mll
    from botorch.models import ModelListGP, SingleTaskGP
    from botorch.models.kernels import CategoricalKernel
    from botorch.models.utils.gpytorch_modules import get_covar_module_with_dim_scaled_prior
    from gpytorch.constraints import GreaterThan
    from gpytorch.kernels import Kernel, ScaleKernel
    from gpytorch.likelihoods import GaussianLikelihood
    from gpytorch.mlls import ExactMarginalLogLikelihood
    from gpytorch.priors import LogNormalPrior
    from linear_operator.utils.warnings import NumericalWarning
except ImportError as error:
    raise BadInputError(
        f"bayesian_pareto needs botorch ({error}); install it: pip install 'hasnas[bayesian]'"
    ) from error

FloatArray = NDArray[np.float64]
# A fit is kept while errors of predictions as large as these are more probable than this.
SURPRISE = 0.01
# A fit is made again at the latest when so many times as many candidates are told.
GROWTH = 1.5
ITERATIONS = 50  # of a fit
# Variance of the noise over that of the values. Most objectives are reproducible; a process that first of all believes
# in noise takes curvature for it while little is told, and then sees no reason to look where it would learn better.
LEAST_NOISE, FIRST_NOISE, NOISE_PRIOR = 1e-6, 1e-3, (-6.0, 2.5)


@contextmanager
def by_itself(seed: int) -> Iterator[None]:
    """What is done within draws from generators of its own, and says nothing of roundings."""
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        torch.manual_seed(seed)
        warnings.simplefilter("ignore", BotorchWarning)
        warnings.simplefilter("ignore", NumericalWarning)
        yield


@dataclass(frozen=True, eq=False)
class GeneInputs:
    """Codes as a process sees them: genes that have an order lie between 0 and 1, others are equal or not.

    Args:
        space: whose genes they are; genes without a choice are left out.
    """

    space: SearchSpace

    @property
    def ordered(self) -> list[int]:
        """Columns with distances."""
        return [column for column, gene in enumerate(self._free) if self.space.genes[gene].has_order]

    @property
    def categorical(self) -> list[int]:
        """Columns without."""
        return [column for column, gene in enumerate(self._free) if not self.space.genes[gene].has_order]

    @property
    def _free(self) -> list[int]:
        return [number for number, gene in enumerate(self.space.genes) if len(gene.choices) > 1]

    def __call__(self, codes: Codes) -> FloatArray:
        """`[N, genes]` -> `[N, columns]`."""
        array = np.atleast_2d(codes)
        columns = []
        for number in self._free:
            gene, chosen = self.space.genes[number], array[:, number]
            columns.append(gene.coordinates[chosen] if gene.has_order else chosen.astype(float))
        return np.stack(columns, axis=1) if columns else np.zeros((len(array), 1))

    def kernel(self) -> Kernel:
        """A squared exponential of the distances times one of how many of the others differ, each gene with a scale."""
        ordered, categorical = self.ordered, self.categorical
        if not categorical:
            columns = ordered or [0]
            return get_covar_module_with_dim_scaled_prior(ard_num_dims=len(columns), active_dims=columns)
        differing = CategoricalKernel(ard_num_dims=len(categorical), active_dims=categorical)
        if not ordered:
            return ScaleKernel(differing)
        near = get_covar_module_with_dim_scaled_prior(ard_num_dims=len(ordered), active_dims=ordered)
        return ScaleKernel(near * differing)


class Surrogate:
    """A process for one output.

    Args:
        inputs: what it sees of candidates.
    """

    def __init__(self, inputs: GeneInputs) -> None:
        self.inputs = inputs
        self.fits = self.skipped = 0
        self.mean, self.scale = 0.0, 1.0
        self._model: SingleTaskGP | None = None
        self._known = self._fitted_to = 0

    @property
    def model(self) -> SingleTaskGP:
        """The process, in units of `mean` and `scale`.

        Raises:
            BadInputError: before anything was told.
        """
        if self._model is None:
            raise BadInputError("nothing was told that a process could be fitted to; evaluate candidates first")
        return self._model

    def learn(self, inputs: torch.Tensor, values: FloatArray) -> None:
        """Take in all that was told, what was told before in front; fit anew if the rest is a surprise.

        Args:
            inputs: `[n, columns]`; further columns behind those of the genes are not looked at.
            values: `[n]`.
        """
        if self._model is not None and len(values) == self._known:
            return
        if self._model is None or len(values) >= GROWTH * self._fitted_to or self._surprised(inputs, values):
            self._fit(inputs, values)
        else:
            self.skipped += 1
            self._model = self._conditioned(inputs, values, self._model.state_dict())
        self._known = len(values)

    def _surprised(self, inputs: torch.Tensor, values: FloatArray) -> bool:
        """Whether the new values are farther off than the process believes possible."""
        with torch.no_grad(), by_itself(0):
            posterior = self.model.posterior(inputs[self._known :], observation_noise=True)
            mean, deviation = posterior.mean[:, 0].numpy(), posterior.variance[:, 0].sqrt().numpy()
        errors = (values[self._known :] - self.mean) / self.scale - mean
        return bool(((errors / deviation) ** 2).sum() > chi2.isf(SURPRISE, len(errors)))

    def _fit(self, inputs: torch.Tensor, values: FloatArray) -> None:
        self.mean, self.scale = float(values.mean()), float(values.std())
        self.scale = self.scale if self.scale > 1e-12 * max(abs(self.mean), 1e-300) else 1.0
        model = self._conditioned(inputs, values)  # where the last fit ended may be a trap: all new
        with by_itself(len(values)):
            options = {"options": {"maxiter": ITERATIONS}}
            fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model), optimizer_kwargs=options)
        self._model, self._fitted_to = model, len(values)
        self.fits += 1

    def _conditioned(
        self, inputs: torch.Tensor, values: FloatArray, state: Mapping[str, Any] | None = None
    ) -> SingleTaskGP:
        targets = torch.as_tensor((values - self.mean) / self.scale, dtype=torch.double)[:, None]
        least = GreaterThan(LEAST_NOISE, transform=None, initial_value=FIRST_NOISE)
        noise = GaussianLikelihood(noise_prior=LogNormalPrior(*NOISE_PRIOR), noise_constraint=least)
        model = SingleTaskGP(inputs, targets, None, noise, self.inputs.kernel(), outcome_transform=None)
        if state is not None:
            model.load_state_dict(state)
        return model.eval()


class Surrogates:
    """A process for each output, all on the same candidates but for those that an output lacks.

    Args:
        inputs: what they see of candidates.
        count: of the outputs.
    """

    def __init__(self, inputs: GeneInputs, count: int) -> None:
        self.each = tuple(Surrogate(inputs) for _ in range(count))

    def learn(self, inputs: torch.Tensor, values: FloatArray) -> ModelListGP:
        """All processes after what was told.

        Args:
            inputs: `[n, columns]`.
            values: `[n, outputs]` of the first outputs, NaN where one is unknown.
        """
        asked = self.each[: values.shape[1]]
        for surrogate, column in zip(asked, values.T, strict=True):
            known = np.isfinite(column)
            surrogate.learn(inputs[torch.as_tensor(known)], column[known])
        return ModelListGP(*(surrogate.model for surrogate in asked))

    def offsets(self, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and scale of the first so many outputs."""
        means = torch.tensor([one.mean for one in self.each[:count]], dtype=torch.double)
        return means, torch.tensor([one.scale for one in self.each[:count]], dtype=torch.double)
