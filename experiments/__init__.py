"""Example configurations that travel with the package."""
