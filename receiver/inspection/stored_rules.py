"""Which rules count for a sync: those in force now, or those that it was planned by.

Both are in the ledger: of rule files as one set, of tenants as a set for each rule.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import copy
from functools import lru_cache

from sqlalchemy import Connection

from receiver.core.model import Sync
from receiver.inspection.explained import Unexplained
from receiver.ledger.audit.key_values import RULES, get_rule_set, get_value
from receiver.ledger.binding import UNBOUND, Binding
from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.plans.custom_rules import Files, read_custom_rules
from receiver.ledger.plans.load import sets_of_plans
from receiver.rules.expressions.cel import Expressions
from receiver.rules.loading.load import rule_set_from
from receiver.rules.matching.compiled import RuleCompiler
from receiver.rules.matching.matcher import Matcher
from receiver.rules.schema.rule_file import Rule
from receiver.rules.tenants.bounds import Tenants
from receiver.rules.tenants.names import full_name

MATCHERS = 4
"""Rule sets whose matcher is cached: most requests are for what happened lately."""


class StoredRules:
    """Finds the rules of one ledger.

    ``tenants`` says what the rules of namespaces see, by the settings of today. Of these rules,
    those that may see a sync count; for a token that is bound, its own alone.

    Raises:
        LedgerUnavailable: (every method) the ledger cannot be read.
    """

    def __init__(self, ledger: Ledger, tenants: Tenants) -> None:
        self._ledger = ledger
        self.tenants = tenants
        self.binding = UNBOUND
        self._expressions = Expressions()
        self._of_files = lru_cache(maxsize=MATCHERS)(self._load)

    def within(self, binding: Binding) -> StoredRules:
        """Return who finds the same for a token of this binding."""
        bound = copy(self)
        bound.binding = binding
        return bound

    def planned_by(self, sync: str, digest: str) -> Matcher:
        """Return those of this set of rule files, and those of tenants that a sync has plans of."""
        with self._ledger.read() as connection:
            sets = _files(connection, sets_of_plans(connection, sync, self.binding))
        return self._matcher(digest, sets)

    def in_force(self, sync: Sync, wanted: str = "") -> Matcher:
        """Return those of rule files, and those of tenants that may see a sync or are ``wanted``.

        Raises:
            Unexplained: none are in force.
        """
        with self._ledger.read() as connection:
            digest = (get_value(connection, RULES) or {}).get("digest") or ""
            sets = _files(connection, self._of_tenants(connection, sync, wanted))
        if not (digest or self.binding.bound):
            raise Unexplained("no rules are in force")
        return self._matcher(digest, sets)

    def only(self, rules: Iterable[Rule]) -> Matcher:
        """Return what applies these alone."""
        return Matcher(rules, self._expressions, self.tenants)

    def _of_tenants(self, connection: Connection, sync: Sync, wanted: str) -> list[str]:
        """Return the sets in force of tenants that may see a sync, or the one that is wanted."""
        known = ((one, full_name(*one.key)) for one in read_custom_rules(connection) if one.digest)
        own = [(one, name) for one, name in known if self.binding.owns(name)]
        near = {
            namespace: not self.tenants.refusal(namespace, sync)
            for namespace in {one.namespace for one, _ in own}
        }
        return [one.digest or "" for one, name in own if near[one.namespace] or name == wanted]

    def _matcher(self, digest: str, sets: Sequence[Files]) -> Matcher:
        """Return what applies a set of rule files, unless the token is bound, and further sets."""
        matcher = self._of_files("" if self.binding.bound else digest)
        if not sets:
            return matcher
        more = [rule for files in sets for rule in rule_set_from(files).rules]
        compiled = RuleCompiler(self._expressions, self.tenants).compile(more)
        return Matcher((), self._expressions, compiled=[*matcher.compiled, *compiled])

    def _load(self, digest: str) -> Matcher:
        """Return what applies a set of rule files; "" is none."""
        with self._ledger.read() as connection:
            files = get_rule_set(connection, digest) or ()
        return self.only(rule_set_from(files).rules if files else ())


def _files(connection: Connection, digests: Iterable[str]) -> list[Files]:
    return [get_rule_set(connection, one) or () for one in digests]
