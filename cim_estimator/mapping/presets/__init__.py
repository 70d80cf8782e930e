"""Constants of networks-on-chip and of cells as YAML: every value with its source."""
