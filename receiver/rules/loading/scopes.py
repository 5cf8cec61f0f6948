"""What the expressions of a rule may name, by where they stand."""

from __future__ import annotations

from receiver.rules.expressions.scope import Earlier, Scope
from receiver.rules.schema.rule_file import Action, FailureAction, Rule, Target

EVERYWHERE = ("application", "sync", "syncs", "actions")

KEY_SCOPE = Scope(("application", "sync"))
"""The scope of ``concurrency.key``, ``debounce.key`` and ``throttle.key``."""


def action_scope(rule: Rule, action: FailureAction) -> Scope:
    """Return the scope of an action's ``if`` and ``with``.

    ``actions.NAME`` is one run where there is only one, or where both act on the same
    resource; otherwise it is all runs of that action. In onFailure all of ``actions`` are
    earlier.
    """
    if not isinstance(action, Action):
        return _failure_scope(rule, action)
    per_resource = action.target is Target.RESOURCE
    earlier = tuple(
        Earlier(other.name, one_run=per_resource or other.target is not Target.RESOURCE)
        for other in rule.actions
        if other.wave < action.wave
    )
    later = tuple((other.name, other.wave) for other in rule.actions if other.wave >= action.wave)
    roots = (*EVERYWHERE, "resource" if per_resource else "resources")
    return Scope(roots, earlier, action.wave, later)


def _failure_scope(rule: Rule, action: FailureAction) -> Scope:
    main = [Earlier(one.name, one_run=one.target is not Target.RESOURCE) for one in rule.actions]
    failure = [Earlier(one.name) for one in rule.on_failure if one.wave < action.wave]
    later = tuple((one.name, one.wave) for one in rule.on_failure if one.wave >= action.wave)
    return Scope((*EVERYWHERE, "resources", "failure"), (*main, *failure), action.wave, later)
