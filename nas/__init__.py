"""The search itself: from one YAML to trained, exported networks with the evidence."""
