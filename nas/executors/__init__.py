"""Where evaluations run: in this process or in several."""

from .executor import EXECUTORS, Executor, Outcome, create_executor, map_once

__all__ = ["EXECUTORS", "Executor", "Outcome", "create_executor", "map_once"]
