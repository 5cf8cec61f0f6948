"""The questions of people, answered by reading alone."""
