"""A trained network as files that other tools open. Nothing is imported before it is asked for."""
