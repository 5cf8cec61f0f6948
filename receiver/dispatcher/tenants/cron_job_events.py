"""Tells by an Event on each annotated CronJob whether its rule is in force: it has no status of it.

An API server keeps Events for an hour by default (`--event-ttl`), so what keeps a rule from being
in force is told again each hour.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from http import HTTPStatus
from typing import Any, TypeAlias

from sqlalchemy import Connection

from receiver.argocd.kubernetes_answers import refused
from receiver.argocd.server import Server
from receiver.contract import Answer, cut_bytes
from receiver.core.logs import Log
from receiver.core.model import from_ms
from receiver.dispatcher.tenants.telling import RuleTeller
from receiver.kubernetes.paths import path_of
from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.plans.custom_rule_status import Told
from receiver.ledger.plans.custom_rules import CustomRule
from receiver.rules.tenants.names import CRON_JOB, CRON_JOB_VERSION, cron_job_of, full_name

HOUR_MS = 3_600_000
LONGEST_NOTE = 1024
"""Bytes: https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/."""
CONTROLLER = "postsync"
Event: TypeAlias = dict[str, Any]


class CronJobEvents(RuleTeller[Event]):
    """Writes one Event for what has become of a rule, and one for each hour in which it is refused.

    Where Events may not be written, nothing else changes: `GET /v1/rules` says the same.
    """

    def __init__(self, server: Server, ledger: Ledger, wake: Callable[[], None], log: Log) -> None:
        use = "write Events on CronJobs"
        super().__init__("cron-jobs-events", use, server, ledger, wake, log)
        self._without: set[str] = set()

    def _changed(
        self, connection: Connection, told: Sequence[Told]
    ) -> Iterator[tuple[CustomRule, Event, str]]:
        now = self._ledger.now(connection)
        for one in told:
            rule = one.rule
            if not cron_job_of(rule.name):
                continue
            again = 0 if rule.ready else now // HOUR_MS
            said = json.dumps([rule.uid, rule.reason, rule.message, again])
            digest = hashlib.sha256(said.encode()).hexdigest()
            if digest != one.told:
                yield rule, _event(rule, digest, now), digest

    def _send(self, rule: CustomRule, news: Event, until: float) -> Answer:
        return self._server.post(path_of("v1", "events", rule.namespace), until, news)

    def _may_not(self, rule: CustomRule, answer: Answer) -> bool:
        if answer.status != HTTPStatus.FORBIDDEN:
            return False
        if (why := refused(self._server, answer)) and rule.namespace not in self._without:
            self._without.add(rule.namespace)
            self._log.warning(
                "cronjobs.noEvents", rule=full_name(*rule.key), reason=why.reason
            )  # fmt: skip
        return True


def _event(rule: CustomRule, digest: str, now: int) -> Event:
    """Return the Event; one of the same name is the same, so it is written once."""
    name = cron_job_of(rule.name)
    moment = from_ms(now)
    doubtful = not rule.ready or "\n" in rule.message
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{name}.{digest[:16]}", "namespace": rule.namespace},
        "involvedObject": {
            "apiVersion": CRON_JOB_VERSION, "kind": CRON_JOB, "namespace": rule.namespace,
            "name": name, "uid": rule.uid,
        },
        "type": "Warning" if doubtful else "Normal",
        "reason": f"PostSync{rule.reason}",
        "message": cut_bytes(f"rule {full_name(*rule.key)}: {rule.message}", LONGEST_NOTE),
        "count": 1,
        "firstTimestamp": f"{moment:%Y-%m-%dT%H:%M:%SZ}",
        "lastTimestamp": f"{moment:%Y-%m-%dT%H:%M:%SZ}",
        "reportingComponent": CONTROLLER,
        "reportingInstance": CONTROLLER,
        "source": {"component": CONTROLLER},
    }  # fmt: skip
