"""Training a chosen network from scratch, and measuring what it does. Nothing is imported before it is asked for."""
