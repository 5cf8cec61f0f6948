"""CEL expressions, the values that they see, and templates. Only this package imports CEL."""

from receiver.rules.expressions.cel import Bindings, Expressions, Program
from receiver.rules.expressions.facts import application_facts, resource_facts, sync_facts
from receiver.rules.expressions.scope import Earlier, Scope
from receiver.rules.expressions.seen import one_line, seen
from receiver.rules.expressions.template import (
    Template,
    check_tree,
    is_template,
    parse_template,
    render_tree,
)

__all__ = [
    "Bindings",
    "Earlier",
    "Expressions",
    "Program",
    "Scope",
    "Template",
    "application_facts",
    "check_tree",
    "is_template",
    "one_line",
    "parse_template",
    "render_tree",
    "resource_facts",
    "seen",
    "sync_facts",
]
