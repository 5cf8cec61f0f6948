"""Puts the parts together, and runs the processes of a host."""
