"""Hardware presets and their parts as YAML; every value names its source."""
