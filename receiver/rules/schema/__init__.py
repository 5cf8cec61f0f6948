"""The rule file as operators write it: its schema and its built-in defaults.

A field that was not given holds its built-in default; `model_fields_set` has those that were
given, so that loading can fill in the file's own `defaults`. Durations are seconds.
"""

from receiver.rules.schema.actions import Action, FailureAction, Retry, Target, When
from receiver.rules.schema.match import (
    ApplicationMatch,
    DestinationMatch,
    Globs,
    Match,
    ResourceMatch,
    Strict,
)
from receiver.rules.schema.rule_file import (
    Concurrency,
    Debounce,
    Defaults,
    Limits,
    OnUnknownChange,
    Rule,
    RuleFile,
)

__all__ = [
    "Action",
    "ApplicationMatch",
    "Concurrency",
    "Debounce",
    "Defaults",
    "DestinationMatch",
    "FailureAction",
    "Globs",
    "Limits",
    "Match",
    "OnUnknownChange",
    "ResourceMatch",
    "Retry",
    "Rule",
    "RuleFile",
    "Strict",
    "Target",
    "When",
]
