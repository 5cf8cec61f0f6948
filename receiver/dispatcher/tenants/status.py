"""Writes into each PostSyncRule whether it is in force, and how its plans do."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence

from sqlalchemy import Connection

from receiver.argocd.server import Server
from receiver.contract import Answer
from receiver.core.logs import Log
from receiver.core.model import Json, from_ms, rfc3339
from receiver.core.states import PlanState
from receiver.dispatcher.tenants.telling import EVERY, RuleTeller
from receiver.kubernetes.paths import path_of
from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.plans.custom_rule_status import RuleNews, Told, matched_since, read_news
from receiver.ledger.plans.custom_rules import CustomRule
from receiver.rules.tenants.names import API_VERSION, PLURAL, cron_job_of, full_name

DAY_MS = 86_400_000
"""What has matched longer ago has been told."""
OVERLAP_MS = 60_000
"""Milliseconds by which what is counted overlaps: ids are of the clocks of several processes."""
SHOWN = (PlanState.SUCCEEDED, PlanState.FAILED)
"""Counts that a list of the rules shows, none too."""


class RuleStatus(RuleTeller[Json]):
    """Writes what has changed, and counts plans as often as it looks without being told to."""

    def __init__(self, server: Server, ledger: Ledger, wake: Callable[[], None], log: Log) -> None:
        use = "write the status of PostSyncRules"
        super().__init__("custom-rules-status", use, server, ledger, wake, log)
        self._news: dict[str, RuleNews] = {}
        self._counted_at = -math.inf
        self._since = 0

    def _changed(
        self, connection: Connection, told: Sequence[Told]
    ) -> Iterator[tuple[CustomRule, Json, str]]:
        if time.monotonic() - self._counted_at >= EVERY:
            self._count(connection)
        known = {full_name(*one.rule.key) for one in told}
        self._news = {name: one for name, one in self._news.items() if name in known}
        for one in told:
            if cron_job_of(one.rule.name):
                continue
            status = _status(one.rule, self._news.get(full_name(*one.rule.key)), one.left_out)
            digest = hashlib.sha256(json.dumps(status, sort_keys=True).encode()).hexdigest()
            if digest != one.told:
                yield one.rule, status, digest

    def _send(self, rule: CustomRule, news: Json, until: float) -> Answer:
        path = path_of(API_VERSION, PLURAL, *rule.key, "status")
        return self._server.merge(path, until, {"metadata": {"uid": rule.uid}, "status": news})

    def _count(self, connection: Connection) -> None:
        """Count the plans of rules that have new ones, or had some under way."""
        now = self._ledger.now(connection)
        matched = matched_since(connection, self._since or now - DAY_MS)
        under_way = [name for name, one in self._news.items() if one.open]
        for name in {*matched, *under_way}:
            self._news[name] = read_news(connection, name)
        self._since, self._counted_at = now - OVERLAP_MS, time.monotonic()


def _status(rule: CustomRule, news: RuleNews | None, left_out: Json) -> dict[str, Json]:
    ready: dict[str, Json] = {
        "type": "Ready", "status": "True" if rule.ready else "False", "reason": rule.reason,
        "message": rule.message, "observedGeneration": rule.generation,
        "lastTransitionTime": _time(rule.since),
    }  # fmt: skip
    status: dict[str, Json] = {
        "observedGeneration": rule.generation,
        "rule": full_name(*rule.key),
        "conditions": [ready],
        "lastLeftOut": left_out,
    }
    if news and news.sync:
        last: dict[str, Json] = {
            "time": _time(news.at), "sync": news.sync, "application": news.application,
        }  # fmt: skip
        # By a merge, a state that no plan has any more would stay.
        counts: dict[str, Json] = {state.value: news.counts.get(state) for state in PlanState}
        counts |= {state: news.counts.get(state, 0) for state in SHOWN}
        status |= {"lastMatched": last, "counts": counts}
    return status


def _time(ms: int) -> str:
    return rfc3339(from_ms(ms - ms % 1000))
