"""Tabular benchmarks: searches judged in seconds on architectures that somebody has trained already."""
