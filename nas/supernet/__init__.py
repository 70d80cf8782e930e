"""Shared weights for all paths of a space: sharing, mixtures, settings, the table of costs; nothing here needs NNI."""
