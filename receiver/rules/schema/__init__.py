"""The rule file as operators write it: its schema and its built-in defaults.

A field that was not given holds its built-in default; `model_fields_set` has those that were
given, so that loading can fill in the file's own `defaults`. Durations are seconds.
"""
