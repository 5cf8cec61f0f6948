"""YAML files -> validated rules with their digest; a broken set never replaces a good one."""

from receiver.rules.loading.load import (
    Rulebook,
    RuleSet,
    load_rules,
    place_in_files,
    readings,
    rule_set_from,
)
from receiver.rules.loading.scopes import KEY_SCOPE, action_scope

__all__ = [
    "KEY_SCOPE",
    "RuleSet",
    "Rulebook",
    "action_scope",
    "load_rules",
    "place_in_files",
    "readings",
    "rule_set_from",
]
