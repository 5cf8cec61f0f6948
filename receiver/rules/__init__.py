"""From rule files to rules in force, and what they match."""
