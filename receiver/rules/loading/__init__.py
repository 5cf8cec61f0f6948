"""YAML files -> validated rules with their digest; a broken set never replaces a good one."""

from receiver.rules.loading.load import (
    Rulebook,
    RuleSet,
    load_rules,
    place_in_files,
    readings,
    rule_set_from,
)
from receiver.rules.loading.scopes import action_scope, condition_scope, key_scope

__all__ = [
    "RuleSet",
    "Rulebook",
    "action_scope",
    "condition_scope",
    "key_scope",
    "load_rules",
    "place_in_files",
    "readings",
    "rule_set_from",
]
