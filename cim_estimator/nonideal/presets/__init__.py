"""Devices as YAML: every value with its source."""
