"""Where evaluations run: in this process or in several."""

from .executor import EXECUTORS, Executor, Outcome, StopAtMachineFaults, create_executor, map_once

__all__ = ["EXECUTORS", "Executor", "Outcome", "StopAtMachineFaults", "create_executor", "map_once"]
