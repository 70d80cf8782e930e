"""What happened in a run: trials, ledger, checkpoints, and what is read from them."""
