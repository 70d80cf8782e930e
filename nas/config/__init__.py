"""What a YAML may say: its sections are the settings of a run."""
