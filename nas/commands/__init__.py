"""What the command line does, as functions that return text or data."""
