"""What of a run directory other configs may name; the rest is in `history/layout.py`."""

CONFIG_FILE = "config.yaml"
SUPERNET_FILE = "checkpoints/supernet-weights.safetensors"
