"""Judges a PostSyncRule: whether it may be in force, and what is wrong with it if not."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from dataclasses import dataclass

from receiver.core.errors import RuleError
from receiver.core.logs import Log
from receiver.core.validation import FieldError, dotted
from receiver.dispatcher.tenants.seen_rule import SeenRule
from receiver.rules.expressions.cel import Expressions
from receiver.rules.handlers.registry import Registry
from receiver.rules.loading.load import RuleSet
from receiver.rules.tenants.bounds import Tenants
from receiver.rules.tenants.cron_job import place_in_cron_job
from receiver.rules.tenants.names import cron_job_of, full_name
from receiver.rules.tenants.resource import load_resource

PROBLEMS = 10
"""Problems of one rule that its condition names; `postsync check` has all of them."""
LONGEST = 4_000
"""Characters of a condition's message."""

IN_FORCE = "the rule is in force"
TOO_MANY = "TooMany"


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
            return Judged(None, "NoBounds", self._without_bounds(seen.namespace))
        if refusal := self._tenants.too_large(seen.namespace, len(seen.said.encode())):
            return Judged(None, "TooLarge", refusal)
        if refusal := self._tenants.too_many(seen.namespace, others):  # nor is it read
            return Judged(None, TOO_MANY, refusal)
        try:
            rule_set = load_resource(
                seen.resource, self._registry, self._expressions, connected=self._connected
            )
        except RuleError as error:
            if error.__cause__ is not None:
                bug = "".join(traceback.format_exception(error.__cause__))
                self._log.error("rules.bug", rule=seen.key, traceback=bug)
            return Judged(None, "Invalid", _problems(error))
        if beyond := [*self._beyond(rule_set, seen.namespace)]:
            return Judged(None, "BeyondBounds", _lines(beyond))
        warnings = [
            str(FieldError((), f"{one.path}: {one.message}", one.hint)) for one in rule_set.warnings
        ]
        return Judged(rule_set, "InForce", _lines([IN_FORCE, *warnings]))

    def may_stay(self, rule_set: RuleSet, namespace: str, others: int) -> bool:
        """Whether a rule that was in force may still be, by the bounds of today."""
        return not (
            any(self._beyond(rule_set, namespace)) or self._tenants.too_many(namespace, others)
        )

    def _beyond(self, rule_set: RuleSet, namespace: str) -> Iterator[str]:
        for rule in rule_set.rules:
            for mistake in self._tenants.check(rule, namespace, self._registry):
                of_cron_job = cron_job_of(rule.name.removeprefix(full_name(namespace, "")))
                path = place_in_cron_job(mistake.path) if of_cron_job else ("spec", *mistake.path)
                place = dotted(path)
                yield str(FieldError((), f"{place}: {mistake.message}", mistake.hint))

    def _without_bounds(self, namespace: str) -> str:
        hint = "ask who runs Postsync to add it to tenants.bounds"
        return str(FieldError((), f"namespace {namespace} may have no rules", hint))


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
