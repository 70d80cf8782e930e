"""Views of a run: TensorBoard and Optuna's journal while it goes on; a table of the front and a report at its end.

All of them can be rebuilt from the ledger and the checkpoints. matplotlib and tensorboard are imported when a view is
made, not before.
"""

from .tracker import AllTrackers as AllTrackers
from .tracker import TrackedRun as TrackedRun
from .tracker import Tracker as Tracker
from .tracker import create_tracker as create_tracker
