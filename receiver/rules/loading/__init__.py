"""YAML files -> validated rules with their digest; a broken set never replaces a good one."""
