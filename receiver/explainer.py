"""Explains a sync afterwards: each rule's verdict on each resource, as it was when it was planned.

Worked out when somebody asks: the notification and the rule set lie in the ledger, and matching
is pure. What was recalled of syncs before it, the ledger keeps as it was at the planning.
"""

from __future__ import annotations

from functools import lru_cache

from receiver.errors import LedgerUnavailable
from receiver.expressions import Expressions
from receiver.ledger.ledger import Ledger
from receiver.ledger.marks import get_rule_set
from receiver.ledger.stored import planned_with, stored_sync
from receiver.matching import Matcher, RuleExplanation
from receiver.memory import judged
from receiver.model import Json, Sync
from receiver.planner import read_sync
from receiver.rulebook import rule_set_from

MATCHERS = 4
"""Rule sets whose matcher is kept: people ask for what happened lately."""


class Explainer:
    """Explains syncs of one ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._expressions = Expressions()
        self._matcher = lru_cache(maxsize=MATCHERS)(self._make_matcher)

    def explain(self, sync: str) -> list[Json] | None:
        """Return a row for each rule; None for a sync that was not matched with any.

        None too where what is stored cannot be read or matched again: the rest of the sync's
        story is worth telling without it.

        Raises:
            LedgerUnavailable: the ledger cannot be read.
        """
        try:
            return self._explained(sync)
        except LedgerUnavailable:
            raise
        except Exception:  # noqa: BLE001 whatever is wrong with what is stored of one sync
            return None

    def _explained(self, sync: str) -> list[Json] | None:
        with self._ledger.read() as connection:
            digest, recalled = planned_with(connection, sync)
            if digest is None:
                return None
            stored = stored_sync(connection, sync)
        told = judged(read_sync(stored), recalled)
        return [_row(told, item) for item in self._matcher(digest).explain(told)]

    def _make_matcher(self, digest: str) -> Matcher:
        with self._ledger.read() as connection:
            files = get_rule_set(connection, digest) or ()
        return Matcher(rule_set_from(files).rules, self._expressions)


def _row(sync: Sync, item: RuleExplanation) -> Json:
    return {
        "rule": item.rule.name,
        "verdict": item.finding.verdict.value,
        "reason": item.finding.reason,
        "resources": [
            {"resource": resource.key, "verdict": cell.verdict.value, "reason": cell.reason}
            for resource, cell in zip(sync.resources, item.resources, strict=False)
        ],
    }
