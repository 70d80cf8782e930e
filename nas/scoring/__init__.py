"""Training-free scores: rank candidates before any of them is trained."""

from .score import BASELINES, DEFAULT_SCORE, NETWORK_SCORES, SCORES, Score, ScoreResult, ScoringTask

__all__ = ["BASELINES", "DEFAULT_SCORE", "NETWORK_SCORES", "SCORES", "Score", "ScoreResult", "ScoringTask"]
