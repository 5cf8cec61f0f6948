"""What arrives: notifications, stored by group commit, and the messages of hooks."""
