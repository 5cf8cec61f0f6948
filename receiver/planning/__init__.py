"""From a sync and rules to plans, and from a plan's state to its next step; stores nothing."""
