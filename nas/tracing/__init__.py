"""A user's torch module -> a layer graph."""
