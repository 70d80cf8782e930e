"""The stages of a run, in order: screen, supernet, search, retrain, export."""
