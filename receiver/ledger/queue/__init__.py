"""Due runs are claimed with a lease, in fair order, within rate limits and pauses."""
