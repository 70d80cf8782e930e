"""A hardware penalty whose gradient reaches the architecture, in the place where NNI has one without."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from hasnas.nas.supernet.cost_table import CostTable

from .environment import require_nni
from .supernet import Supernet

require_nni()

from nni.mutable import MutableExpression, Sample  # noqa: E402
from nni.nas.oneshot.pytorch.profiler import ExpectationProfilerPenalty  # noqa: E402
from nni.nas.profiler import ExpressionProfiler  # noqa: E402


class CostProfiler(ExpressionProfiler):
    """A `CostTable` as NNI's profiler: the cost of a sample is the sum of what its choices add.

    Args:
        supernet: whose genes; asked before a strategy changes it.
        table: what each choice costs.
    """

    def __init__(self, supernet: Supernet, table: CostTable) -> None:
        self.table = table
        self.rows = {
            choice.gene.label: [row[choice.gene.choices.index(name)] for name in choice.allowed]
            for choice, row in zip(supernet.decisions, table.rows, strict=True)
        }
        self.expression: Any = table.intercept
        for choice in supernet.decisions:
            costs = dict(zip(choice.allowed, self.rows[choice.gene.label], strict=True))
            self.expression = self.expression + MutableExpression.switch_case(choice.decision, costs)

    def profile(self, sample: Sample) -> float:
        """The cost of one architecture."""
        return float(self.expression.evaluate(sample))


class LivePenalty(ExpectationProfilerPenalty):
    """NNI's penalty on the expected cost, computed from the parameters themselves.

        loss + weight * (E[cost] / reference - 1),    E[cost] = intercept + sum over genes of softmax(alpha) . row

    NNI computes the expectation from probabilities that have become plain numbers, so its penalty changes the loss
    but never an architecture.

    Args:
        profiler: what the choices cost.
        weight: of the penalty.
        supernet: whose alphas; they need not be there before the training begins.
    """

    def __init__(self, profiler: CostProfiler, weight: float, supernet: Supernet) -> None:
        super().__init__(profiler, baseline=profiler.table.reference, scale=weight)
        # In a list, so that the supernet does not become a part of this module.
        self._supernet = [supernet]

    def profile(self, sample: Sample) -> Tensor:
        """The expected cost of the present probabilities, whatever `sample` says."""
        alphas = self._supernet[0].alphas
        terms = [
            alpha.softmax(-1) @ alpha.new_tensor(self.profiler.rows[label]) / self.baseline
            for label, alpha in alphas.items()
        ]
        return self.baseline * (sum(terms[1:], start=terms[0]) + self.profiler.table.intercept / self.baseline)
