"""Trackers of other tools: each a class of the tracker seam, registered under a name and run with a config."""
