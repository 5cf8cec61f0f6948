"""CEL, its facts and the templates made of it. Nothing else in the house imports a CEL library."""

from receiver.expressions.cel import Bindings, Expressions, Program
from receiver.expressions.facts import application_facts, resource_facts, sync_facts
from receiver.expressions.scope import Earlier, Scope
from receiver.expressions.seen import one_line, seen
from receiver.expressions.template import (
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
