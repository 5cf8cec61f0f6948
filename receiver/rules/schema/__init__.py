"""The rule file as operators write it: its schema, its defaults, and nothing that acts.

A field that was not given holds its built-in default; `model_fields_set` tells the two
apart while the rulebook fills in what the file's `defaults` say. Durations are seconds.
"""

from receiver.rules.schema.actions import Action, FailureAction, Target, When
from receiver.rules.schema.match import ApplicationMatch, DestinationMatch, Match, ResourceMatch
from receiver.rules.schema.rule_file import Defaults, Rule, RuleFile
from receiver.rules.schema.terms import (
    Concurrency,
    Debounce,
    Limits,
    OnUnknownChange,
    Retry,
)
from receiver.rules.schema.words import Globs, Strict

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
