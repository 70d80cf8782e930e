"""The predictor's own Gaussian process beside BoTorch's at the same work, on SpikeNAS-Bench.

    python experiments/benchmarks/predictor_process.py --data cifar10.npz --seeds 5
    python experiments/benchmarks/predictor_process.py --data cifar10.npz --seeds 3 --part search --evaluations 60

`ranks`: each process is told N random architectures by the same graph features and the same normal scores, and ranks
all 15,625: rank correlation with test accuracy, CPU seconds of fit and prediction. `search`: the whole predictor with
either process: test accuracy of its pick by validation accuracy.
"""

from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path
from statistics import mean, stdev

import numpy as np
import torch
from botorch.fit import fit_gpytorch_mll
from botorch.models import SingleTaskGP
from botorch.models.transforms import Normalize
from gpytorch.kernels import MaternKernel, ScaleKernel
from gpytorch.mlls import ExactMarginalLogLikelihood
from numpy.typing import NDArray
from scipy.stats import spearmanr

from hasnas.nas.bench.table import BenchmarkTable, read_table
from hasnas.nas.config.sections import SearchSection
from hasnas.nas.scoring.graph_features import graph_features
from hasnas.nas.strategies.gaussian_process import GaussianProcess, distances, rank_gaussian
from hasnas.nas.strategies.predictor import PredictorSearch, _greedy, _Improvement
from hasnas.nas.strategies.strategy import SearchProblem

FloatArray = NDArray[np.float64]
BATCH = 8


def fitted(told: FloatArray, targets: FloatArray, alike: bool) -> SingleTaskGP:
    """BoTorch's process: its default (a lengthscale for each feature), or Matern-3/2 with one, as ours.

    Features come standardised. The default's priors are for features between 0 and 1, the first lengthscale of the
    other one for distances around 1: both get what they are made for.
    """
    inputs, values = torch.as_tensor(told), torch.as_tensor(targets)[:, None]
    kernel = scaling = None
    if alike:
        kernel = ScaleKernel(MaternKernel(1.5))
        kernel.base_kernel.lengthscale = told.shape[1] ** 0.5
    else:
        scaling = Normalize(told.shape[1])
    model = SingleTaskGP(inputs, values, covar_module=kernel, input_transform=scaling, outcome_transform=None)
    fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model), optimizer_kwargs={"options": {"maxiter": 75}})
    return model.eval()


def predicted(model: SingleTaskGP, inputs: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean and standard deviation of each."""
    with torch.no_grad():
        parts = [model.posterior(part[:, None]) for part in torch.as_tensor(inputs).split(2000)]
        return (
            np.concatenate([part.mean.flatten().numpy() for part in parts]),
            np.concatenate([part.variance.flatten().sqrt().numpy() for part in parts]),
        )


class WithBotorch(PredictorSearch):
    """The predictor with one objective, its process replaced."""

    alike = False

    def _guided(self, pool, count):  # type: ignore[no-untyped-def]  # as its base
        codes = np.array([codes for codes, (value, _) in self._told.items() if np.isfinite(value)], np.int16)
        values = np.array([value for value, _ in self._told.values() if np.isfinite(value)])
        told = self._features(codes)
        model = fitted(told, rank_gaussian(values), self.alike)
        gain = _Improvement(float(predicted(model, told)[0].max()))
        average, deviation = predicted(model, pool.features)
        merit = gain(average, deviation, np.arange(len(average)))
        shortlist = np.array(pool.distinct(np.argsort(-merit, kind="stable").tolist(), 200), np.int64)
        with torch.no_grad():
            joint = model.posterior(torch.as_tensor(pool.features[shortlist])).mvn.covariance_matrix.numpy()

        class Noise:
            noise, scale = float(model.likelihood.noise), 1.0

        return shortlist[_greedy(average[shortlist], joint, Noise(), gain, shortlist, count)]  # type: ignore[arg-type]


class WithBotorchAlike(WithBotorch):
    """With one lengthscale."""

    alike = True


def ranks(table: BenchmarkTable, seeds: int) -> None:
    """Print rank correlations."""
    features = graph_features(table.space, table.codes)
    spread = features.std(axis=0)
    scaled = ((features - features.mean(axis=0)) / np.where(spread > 1e-9, spread, 1))[:, spread > 1e-9]
    print(f"{scaled.shape[1]} features")
    for told in (25, 50, 100, 200):
        found: dict[str, list[tuple[float, float]]] = {"ours": [], "BoTorch": [], "BoTorch, one lengthscale": []}
        for seed in range(seeds):
            rows = np.random.default_rng(seed).choice(len(table), told, replace=False)
            near, targets = scaled[rows], rank_gaussian(table.validation[rows])
            for name, runs in found.items():
                began = time.process_time()
                if name == "ours":
                    process = GaussianProcess.fit(distances(near, near), targets, scaled.shape[1])
                    guess = process.predict(distances(scaled, near))[0]
                else:
                    guess = predicted(fitted(near, targets, name != "BoTorch"), scaled)[0]
                seconds = time.process_time() - began
                runs.append((float(spearmanr(guess, table.test).statistic), seconds))
        for name, runs in found.items():
            values, seconds = [value for value, _ in runs], mean(one for _, one in runs)
            print(f"told {told}, {name}: {mean(values):.3f} +- {stdev(values):.3f}, {seconds:.2f} s", flush=True)


def search(table: BenchmarkTable, seeds: int, evaluations: int) -> None:
    """Print the test accuracy of picks."""
    row_of = {tuple(row): number for number, row in enumerate(table.space.canonical(table.codes)[0].tolist())}
    for strategy in (PredictorSearch, WithBotorch, WithBotorchAlike):
        picks, seconds = [], []
        for seed in range(seeds):
            settings = SearchSection(batch=BATCH)
            task = SearchProblem(table.space, lambda codes: np.ones(len(codes), bool), settings, seed)
            search, done, began = strategy(task), [], time.process_time()
            while len(done) < evaluations:
                for codes in search.ask(min(BATCH, evaluations - len(done))):
                    done.append(row_of[codes])
                    search.tell(codes, float(table.validation[done[-1]]), {})
            seconds.append(time.process_time() - began)
            picks.append(float(table.test[max(done, key=lambda row: table.validation[row])]))
        print(f"{strategy.__name__}: {mean(picks):.4f} +- {stdev(picks):.4f}, {mean(seconds):.1f} s", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--part", choices=("ranks", "search"), default="ranks")
    parser.add_argument("--evaluations", type=int, default=100)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    known = read_table(given.data)
    if given.part == "ranks":
        ranks(known, given.seeds)
    else:
        search(known, given.seeds, given.evaluations)
