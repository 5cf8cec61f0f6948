"""PostSyncRules: watched, judged, put into force, and told how they do."""
