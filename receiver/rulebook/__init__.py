"""YAML files -> validated rules with their digest; a broken set never replaces a good one."""

from receiver.rulebook.load import RuleSet, load_rules, readings, rule_set_from
from receiver.rulebook.places import place_in_files
from receiver.rulebook.scopes import action_scope, condition_scope, key_scope
from receiver.rulebook.watch import Rulebook

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
