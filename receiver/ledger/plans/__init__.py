"""Plans and their runs: stored, loaded, started, debounced, superseded."""
