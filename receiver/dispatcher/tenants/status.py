"""Writes into each PostSyncRule whether it is in force, and how its plans do.

One of several dispatchers does it; what was told last is in the ledger, so that nothing is written
twice, also after a restart.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from http import HTTPStatus
from typing import TypeAlias

from sqlalchemy import Connection

from receiver.argocd.connection import ConnectionFailed
from receiver.argocd.kubernetes_answers import refused
from receiver.argocd.server import Server
from receiver.core.logs import Log
from receiver.core.model import Json, from_ms, rfc3339
from receiver.core.states import PlanState
from receiver.dispatcher.companion import CompanionThread
from receiver.dispatcher.outage import ConnectionUse, Outage
from receiver.kubernetes.paths import path_of
from receiver.ledger.audit.connection_states import TENANTS
from receiver.ledger.engine.ledger import Ledger, LockMode
from receiver.ledger.engine.unit_of_work import UnitOfWork
from receiver.ledger.plans.custom_rule_status import (
    RuleNews,
    Told,
    matched_since,
    read_news,
    read_told,
    store_told,
)
from receiver.ledger.plans.custom_rules import CustomRule, Key
from receiver.rules.tenants.names import API_VERSION, PLURAL, full_name

EVERY = 30.0
"""Seconds after which counts are written again at the earliest."""
PAUSE = 1.0
"""Seconds between two rounds at least."""
BATCH = 100
"""Rules of one round: a minute at the pace of the server would be too long for others to wait."""
LONGEST = 30.0
"""Seconds that a round may ask the server."""
DAY_MS = 86_400_000
"""What has matched longer ago has been told."""
OVERLAP_MS = 60_000
"""Milliseconds by which what is counted overlaps: ids are of the clocks of several processes."""
SHOWN = (PlanState.SUCCEEDED, PlanState.FAILED)
"""Counts that a list of the rules shows, none too."""
Written: TypeAlias = tuple[Key, str, str]
GONE = {HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT}
"""It was removed, or is another object of the same name by now: the watch tells."""


class RuleStatus(CompanionThread):
    """Writes what has changed, in a thread of its own.

    Args:
        server: the API server, with a pace for writing.
        ledger: has what is to be told, and what was.
        wake: that of the loop; nothing here is news to it.
        log: gets the lines of the trail.
    """

    def __init__(self, server: Server, ledger: Ledger, wake: Callable[[], None], log: Log) -> None:
        super().__init__("custom-rules-status", ledger, wake, log, pause=PAUSE)
        self._server = server
        use = ConnectionUse(TENANTS, server.name, "write the status of PostSyncRules")
        self._outage = Outage.of_use(use, ledger, log)
        self._news: dict[str, RuleNews] = {}
        self._counted_at = -math.inf
        self._since = 0

    def notify(self) -> None:
        """Do nothing: plans are counted now and then."""

    def tell(self) -> None:
        """Look at once: what is known of a rule has changed."""
        self._woken.set()

    def _round(self) -> float:
        with self._ledger.exclusive_task("custom-rules status", lasts=2 * LONGEST) as mine:
            return self._write_some() if mine else EVERY

    def _write_some(self) -> float:
        """Write what has changed; return the seconds until the next round."""
        with self._ledger.read() as connection:
            told = read_told(connection)
            if time.monotonic() - self._counted_at >= EVERY:
                self._count(connection)
        todo = [*self._changed(told)]
        until, written, wait = time.monotonic() + LONGEST, list[Written](), 0.0
        for rule, status, digest in todo[:BATCH]:
            if self._stopping or (wait := self._write(rule, status, until)):
                break
            written.append((rule.key, rule.uid, digest))
        if written:
            with self._ledger.write(LockMode.SHARED) as connection:
                store_told(uow := UnitOfWork(connection, self._ledger.now(connection)), written)
                uow.finish()
        return wait or (0.0 if len(todo) > BATCH else EVERY)

    def _count(self, connection: Connection) -> None:
        """Count the plans of rules that have new ones, or had some under way."""
        now = self._ledger.now(connection)
        matched = matched_since(connection, self._since or now - DAY_MS)
        under_way = [name for name, one in self._news.items() if one.open]
        for name in {*matched, *under_way}:
            self._news[name] = read_news(connection, name)
        self._since, self._counted_at = now - OVERLAP_MS, time.monotonic()

    def _changed(self, told: Sequence[Told]) -> Iterator[tuple[CustomRule, Json, str]]:
        """Yield each rule of which another status was told last, with the one of now."""
        for one in told:
            status = _status(one.rule, self._news.get(full_name(*one.rule.key)))
            digest = hashlib.sha256(json.dumps(status, sort_keys=True).encode()).hexdigest()
            if digest != one.told:
                yield one.rule, status, digest

    def _write(self, rule: CustomRule, status: Json, until: float) -> float:
        """Write one; return the seconds to wait where that fails, 0 where it does not."""
        path = path_of(API_VERSION, PLURAL, *rule.key, "status")
        body = {"metadata": {"uid": rule.uid}, "status": status}
        try:
            answer = self._server.merge(path, until, body)
        except ConnectionFailed as error:
            return self._outage.failed(str(error))
        why = refused(answer)
        if why and answer.status not in GONE:
            return self._outage.failed(why.reason)
        self._outage.over()
        return 0.0


def _status(rule: CustomRule, news: RuleNews | None) -> dict[str, Json]:
    ready: dict[str, Json] = {
        "type": "Ready", "status": "True" if rule.ready else "False", "reason": rule.reason,
        "message": rule.message, "observedGeneration": rule.generation,
        "lastTransitionTime": _time(rule.since),
    }  # fmt: skip
    status: dict[str, Json] = {
        "observedGeneration": rule.generation,
        "rule": full_name(*rule.key),
        "conditions": [ready],
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
