"""Judges a PostSyncRule: whether it may be in force, and what is wrong with it if not."""

from __future__ import annotations

import traceback
from dataclasses import dataclass

from receiver.core.errors import BeyondBounds, RuleError
from receiver.core.logs import Log
from receiver.core.validation import FieldError
from receiver.dispatcher.tenants.seen_rule import SeenRule
from receiver.rules.expressions.cel import Expressions
from receiver.rules.handlers.registry import Registry
from receiver.rules.loading.load import RuleSet
from receiver.rules.tenants.bounds import ASK_FOR_BOUNDS, Tenants
from receiver.rules.tenants.resource import load_resource

PROBLEMS = 10
"""Problems of one rule that its condition names; `postsync check` has all of them."""
LONGEST = 4_000
"""Characters of a condition's message."""

IN_FORCE = "the rule is in force"
TOO_MANY = "TooMany"
BEYOND = "BeyondBounds"


@dataclass(frozen=True, slots=True)
class Judged:
    """Its rule set if it may be in force; ``reason`` in one word, ``message`` for people."""

    rule_set: RuleSet | None
    reason: str
    message: str


class Judge:
    """Judges one by one, each alone.

    Args:
        tenants: what the rules of each namespace may do.
        registry: the handlers.
        expressions: compiles what stands in rules.
        log: gets what is a bug of ours.
        connected: whether any sender has a connection to Argo CD.
    """

    def __init__(
        self, tenants: Tenants, registry: Registry, expressions: Expressions, log: Log, *,
        connected: bool,
    ) -> None:  # fmt: skip
        self._tenants = tenants
        self._registry = registry
        self._expressions = expressions
        self._log = log
        self._connected = connected

    def judge(self, seen: SeenRule, others: int) -> Judged:
        """Judge a rule beside so many others of its namespace that are in force."""
        if self._tenants.of(seen.namespace) is None:
            message = f"namespace {seen.namespace} may have no rules"
            return Judged(None, "NoBounds", str(FieldError((), message, ASK_FOR_BOUNDS)))
        if refusal := self._tenants.too_many(seen.namespace, others):  # nor is it read
            return Judged(None, TOO_MANY, refusal)
        try:
            rule_set = load_resource(
                seen.resource, self._registry, self._expressions, connected=self._connected,
                tenants=self._tenants,
            )  # fmt: skip
        except RuleError as error:
            if error.__cause__ is not None:
                self._log_bug(seen.key, error.__cause__)
            reason = BEYOND if isinstance(error, BeyondBounds) else "Invalid"
            return Judged(None, reason, _problems(error))
        warnings = [
            str(FieldError((), f"{one.path}: {one.message}", one.hint)) for one in rule_set.warnings
        ]
        return Judged(rule_set, "InForce", _lines([IN_FORCE, *warnings]))

    def most_rules(self, namespace: str) -> int:
        """Return how many rules a namespace may have."""
        bounds = self._tenants.of(namespace)
        return bounds.max_rules if bounds else 0

    def may_stay(self, rule_set: RuleSet, namespace: str, others: int) -> bool:
        """Whether a rule that was in force may still be, by the bounds of today."""
        try:
            beyond = any(
                any(self._tenants.check(rule, namespace, self._registry)) for rule in rule_set.rules
            )
        except Exception as error:  # noqa: BLE001 one rule for which a check fails stops no other
            self._log_bug(rule_set.rules[0].name, error)
            return False
        return not (beyond or self._tenants.too_many(namespace, others))

    def _log_bug(self, rule: str, error: BaseException) -> None:
        bug = "".join(traceback.format_exception(error))
        self._log.error("rules.bug", rule=rule, traceback=bug)


def _problems(error: RuleError) -> str:
    found = [
        str(FieldError((), f"{one.path}: {one.message}" if one.path else one.message, one.hint))
        for one in error.problems
    ]
    return _lines(found)


def _lines(found: list[str]) -> str:
    more = len(found) - PROBLEMS
    lines = [*found[:PROBLEMS], *([f"and {more} more"] if more > 0 else [])]
    return "\n".join(lines)[:LONGEST]
