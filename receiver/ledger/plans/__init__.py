"""Plans and their runs are stored, started, debounced, superseded, and their outcomes written."""
