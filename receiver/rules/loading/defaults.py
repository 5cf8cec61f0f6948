"""Fills in what a rule leaves out, from its file's ``defaults`` and the built-in ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain, count
from typing import Any, TypeVar

from receiver.rules.schema.match import Match, ResourceMatch
from receiver.rules.schema.rule_file import (
    Action,
    Defaults,
    FailureAction,
    Retry,
    Rule,
    Target,
    When,
)

HOUR = 3600.0
FROM_DEFAULTS = (
    *("concurrency", "on_unknown_change", "verify", "mode", "finally_", "on_failure", "timeout"),
)

FINALLY: Mapping[str, Any] = {
    "target": Target.APPLICATION,
    "when": When.ALWAYS,
    "continue_on_error": True,
}
"""Defaults of an action of `finally`."""

A = TypeVar("A", bound=FailureAction)


def merge(rule: Rule, defaults: Defaults) -> Rule:
    """Return the rule with every field filled in."""
    update: dict[str, Any] = {
        name: getattr(defaults, name)
        for name in FROM_DEFAULTS
        if name not in rule.model_fields_set and name in defaults.model_fields_set
    }
    retry = _merge_retry(rule.retry, defaults.retry)
    update |= {"retry": retry, "deadline": _deadline(rule, defaults, retry)}
    update["match"] = _match(rule.match)
    whole = rule.model_copy(update=update)
    every = (*rule.actions, *whole.finally_, *whole.on_failure)
    named = {action.name for action in every if action.name}
    own = (_target(action, rule.match) for action in rule.actions)
    actions = tuple(_action(action, whole, "", named) for action in own)
    last = tuple(_action(action, whole, "finally_", named) for action in _last(whole))
    failure = tuple(_action(action, whole, "on_failure_", named) for action in whole.on_failure)
    return whole.model_copy(update={"actions": (*actions, *last), "on_failure": failure})


def sections(rule: Rule) -> Iterator[tuple[str, int, FailureAction]]:
    """Yield each action of a merged rule with its section and its place in that."""
    own = len(rule.actions) - len(rule.finally_)
    for index, action in enumerate(rule.actions):
        yield ("actions", index, action) if index < own else ("finally", index - own, action)
    for index, failure in enumerate(rule.on_failure):
        yield "onFailure", index, failure


def _merge_retry(own: Retry, above: Retry) -> Retry:
    """Return a retry policy whose fields that were not given come from the one above."""
    given = {name: getattr(own, name) for name in own.model_fields_set}
    return above.model_copy(update=given) if given else above


def _deadline(rule: Rule, defaults: Defaults, retry: Retry) -> float:
    for given in (rule, defaults):
        if "deadline" in given.model_fields_set:
            return given.deadline
    return max(HOUR, retry.for_)


def _action(action: A, rule: Rule, prefix: str, named: set[str]) -> A:
    """Fill in an action; ``named`` are the names that are taken, and gets this one's."""
    retry = _merge_retry(action.retry, rule.retry)
    given = action.model_fields_set
    longest = max(rule.deadline, retry.for_) if "retry" in given else rule.deadline
    deadline = action.deadline if "deadline" in given else longest
    name = action.name or _free(prefix + action.uses.replace(".", "_").replace("-", "_"), named)
    named.add(name)
    timeout = action.timeout if "timeout" in given else rule.timeout
    return action.model_copy(
        update={"name": name, "retry": retry, "timeout": timeout, "deadline": deadline}
    )


def _free(name: str, named: set[str]) -> str:
    """Return a name that no other action has: where one has it, with a number."""
    numbered = (f"{name}_{number}" for number in count(2))
    return next(one for one in chain((name,), numbered) if one not in named)


def _last(rule: Rule) -> Iterator[Action]:
    """Yield the actions of `finally` as those of waves after all others, in their order."""
    after = max(action.wave for action in rule.actions) + 1
    first = min((action.wave for action in rule.finally_), default=0)
    for action in rule.finally_:
        given = {name: getattr(action, name) for name in FINALLY if name in action.model_fields_set}
        wave = {"wave": after + action.wave - first}
        yield action.model_copy(update={**FINALLY, **given, **wave})


def _target(action: Action, match: Match) -> Action:
    if match.resources is not None or "target" in action.model_fields_set:
        return action
    return action.model_copy(update={"target": Target.APPLICATION})


def _match(match: Match) -> Match:
    if match.resources is None:
        return match
    failed = match.phases != ("Succeeded",)
    found = (_widen(one) if failed or one.health is not None else one for one in match.resources)
    return match.model_copy(update={"resources": tuple(found)})


def _widen(selector: ResourceMatch) -> ResourceMatch:
    """Match any change and status not given.

    After a failed sync nobody knows what was changed, and how healthy something is, is no change.
    """
    given = selector.model_fields_set
    wide = {name: ("any",) for name in ("change", "status") if name not in given}
    return selector.model_copy(update=wide)
