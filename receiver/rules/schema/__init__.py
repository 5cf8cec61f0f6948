"""The rule file as operators write it: its schema, its defaults, and nothing that acts.

A field that was not given holds its built-in default; `model_fields_set` tells the two
apart while the rulebook fills in what the file's `defaults` say. Durations are seconds.
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
