"""Due runs: claimed with a lease, in fair order, within rates and pauses, and their outcomes."""
