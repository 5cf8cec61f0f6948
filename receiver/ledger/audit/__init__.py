"""The trail of audit events, and single facts by key."""
