"""How a search proposes candidates."""

from .strategy import STRATEGIES, SearchProblem, Strategy, create_strategy

__all__ = ["STRATEGIES", "SearchProblem", "Strategy", "create_strategy"]
