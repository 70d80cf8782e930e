"""Samples and their splits, as a run's config asks for them."""
