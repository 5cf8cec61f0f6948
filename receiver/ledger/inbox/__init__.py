"""What arrives: notifications, committed in groups, and what hooks say."""
