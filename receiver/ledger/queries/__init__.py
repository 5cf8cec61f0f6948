"""The questions of people and of metrics, answered by reading alone."""
