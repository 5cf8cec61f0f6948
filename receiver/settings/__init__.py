"""The settings of a process, its tokens and its secrets."""
