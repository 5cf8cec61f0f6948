"""What people ask afterwards: why a rule matched, what a name was meant to be, a dry run."""
