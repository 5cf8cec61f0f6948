"""The trail of audit events with its counters, and the key-values that processes share."""
