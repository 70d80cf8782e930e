"""The chip: its description, presets, units and constants, read and checked."""
