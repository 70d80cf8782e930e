"""The tables of plug-ins that a YAML may name, by import path: naming one imports nothing.

What an entry must be is said by the seam of its room: `hasnas.nas.strategies.Strategy`, `hasnas.nas.scoring.Score`,
`hasnas.nas.training.retrain.retrain`, `hasnas.nas.executors.Executor`, `hasnas.nas.supernet.settings.SupernetTrainer`,
`hasnas.nas.export.target.Target`, `hasnas.nas.tracking.Tracker`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hasnas.registry import Registry

STRATEGIES: Registry[Callable[..., Any]] = Registry(
    "search strategy",
    {
        "random": "hasnas.nas.strategies.random_search:RandomSearch",
        "regularized_evolution": "hasnas.nas.supernet.nni.evolution:RegularizedEvolution",
        "bayesian_pareto": "hasnas.nas.strategies.bayesian_pareto:BayesianPareto",
        "nsga2": "hasnas.nas.strategies.genetic:NSGA2",
        "nsga3": "hasnas.nas.strategies.genetic:NSGA3",
        "optuna": "hasnas.nas.strategies.optuna_samplers:OptunaSampler",
        "deephyper": "hasnas.nas.strategies.deephyper_search:DeepHyperSearch",
        "predictor": "hasnas.nas.strategies.predictor:PredictorSearch",
        "cell_by_cell": "hasnas.nas.strategies.cell_by_cell:CellByCell",
        "q_learning": "hasnas.nas.strategies.q_learning:QLearning",
        "supernet_pruning": "hasnas.nas.strategies.supernet_pruning:SupernetPruning",
    },
    "hasnas.strategies",
)

MOST_EVALUATIONS = {"bayesian_pareto": 1_000, "predictor": 5_000, "optuna/gp": 1_000}
"""Strategy, with its sampler behind a slash where it has several -> evaluations beyond which it is no longer usable.

They are those with a Gaussian process on all that was told, whose time grows as the cube of the evaluations and whose
memory as the square; `experiments/benchmarks/strategy_growth.py` measures it, see "Growth of a proposal" in RESULTS.
"""

# Scores that run each network, by the class that computes them.
_RUN = {
    "sahd": "forward_scores:SahdMean",
    "sahd_sum": "forward_scores:SahdSum",
    "sahd_normalised": "forward_scores:SahdNormalisedMean",
    "sahd_normalised_sum": "forward_scores:SahdNormalisedSum",
    "measured_balance": "forward_scores:MeasuredBalance",
    "noise_sensitivity": "forward_scores:NoiseSensitivity",
    "synflow": "network_scores:Synflow",
    "snip": "network_scores:Snip",
    "zico": "network_scores:ZiCo",
    "jacobian": "network_scores:JacobianCovariance",
}
NETWORK_SCORES = tuple(_RUN)

# Scores that read nothing but the cells.
_COUNTED = {
    "depth": "counters:Depth",
    "live_convs": "counters:LiveConvs",
    "live_edges": "counters:LiveEdges",
    "mean_path_depth": "counters:MeanPathDepth",
    "paths": "counters:Paths",
    "parameters": "counters:Parameters",
}
COUNTERS = tuple(_COUNTED)

SCORES: Registry[Callable[[], Any]] = Registry(
    "score",
    {
        **{name: f"hasnas.nas.scoring.{attribute}" for name, attribute in _COUNTED.items()},
        "rate_balance": "hasnas.nas.scoring.rate_balance:RateBalance",
        "balanced_depth": "hasnas.nas.scoring.rate_balance:BalancedDepth",
        "isometric_depth": "hasnas.nas.scoring.isometry:IsometricDepth",
        "trainability": "hasnas.nas.scoring.trainability:Trainability",
        **{name: f"hasnas.nas.scoring.{attribute}" for name, attribute in _RUN.items()},
    },
    "hasnas.scores",
)
BASELINES = ("parameters", "live_convs", "live_edges", "depth")
DEFAULT_SCORE = "trainability"

TRAINING_METHODS: Registry[Callable[..., Any]] = Registry(
    "training method",
    {
        "surrogate": "hasnas.nas.training.retrain:retrain",
        "soft_lif": "hasnas.nas.training.methods.soft_lif:retrain",
        "threshold_balance": "hasnas.nas.training.methods.threshold_balance:retrain",
        "spike_response": "hasnas.nas.training.methods.spike_response:retrain",
    },
    "hasnas.training_methods",
)

RANDOM_ONE_SHOT = "random_one_shot"
"""Trains single paths and learns no choices."""

DIFFERENTIABLE = ("darts", "gumbel_darts", "proxyless")
"""Trainers that learn how probable each choice is, by its gradient."""

SUPERNET_TRAINERS: Registry[Callable[..., Any]] = Registry(
    "supernet trainer",
    {
        RANDOM_ONE_SHOT: "hasnas.nas.supernet.nni.oneshot:RandomOneShotTrainer",
        "darts": "hasnas.nas.supernet.nni.differentiable:DartsTrainer",
        "gumbel_darts": "hasnas.nas.supernet.nni.differentiable:GumbelDartsTrainer",
        "proxyless": "hasnas.nas.supernet.nni.differentiable:ProxylessTrainer",
    },
    "hasnas.supernet_trainers",
)

EXECUTORS: Registry[Callable[..., Any]] = Registry(
    "executor",
    {
        "in_process": "hasnas.nas.executors.in_process:InProcess",
        "process_pool": "hasnas.nas.executors.process_pool:ProcessPool",
        "ray": "hasnas.nas.executors.ray_cluster:RayCluster",
    },
    "hasnas.executors",
)

EXPORT_TARGETS: Registry[Any] = Registry(
    "export format",
    {
        "json": "hasnas.nas.export.targets:JSON",
        "safetensors": "hasnas.nas.export.targets:SAFETENSORS",
        "nir": "hasnas.nas.export.targets:NIR",
        "onnx": "hasnas.nas.export.targets:ONNX",
        "standalone": "hasnas.nas.export.targets:STANDALONE",
        "conductances": "hasnas.nas.export.targets:CONDUCTANCES",
        "spikesim": "hasnas.nas.export.targets:SPIKESIM",
        "neurosim": "hasnas.nas.export.targets:NEUROSIM",
    },
    "hasnas.export_targets",
)

TRACKERS: Registry[Callable[..., Any]] = Registry(
    "tracker",
    {
        "tensorboard": "hasnas.nas.tracking.tensorboard_tracker:tensorboard_tracker",
        "optuna": "hasnas.nas.tracking.optuna_journal:OptunaJournal",
        "report": "hasnas.nas.tracking.report.tracked:ReportTracker",
    },
    "hasnas.trackers",
)
