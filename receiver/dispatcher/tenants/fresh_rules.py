"""Has the rules that a sync brings in force before the sync is planned.

A sync that lists PostSyncRules, or CronJobs that may be annotated, waits, still `new` in the
ledger, until these very objects have been read from the API server and taken up; no other sync
waits for it. What waits is in memory alone: whoever plans the sync after a restart, or in another
process, reads them anew.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from receiver.argocd.connection import ConnectionFailed
from receiver.argocd.kubernetes_answers import refused
from receiver.argocd.server import Server
from receiver.contract import PermanentError
from receiver.core.logs import Log
from receiver.core.model import Sync
from receiver.dispatcher.companion import IDLE, CompanionThread
from receiver.dispatcher.tenants.custom_rules import CustomRules
from receiver.dispatcher.tenants.inbox import News
from receiver.dispatcher.tenants.seen_rule import SeenRule
from receiver.kubernetes.paths import path_of
from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.plans.custom_rules import Key
from receiver.rules.tenants.names import (
    API_VERSION,
    CRON_JOB,
    CRON_JOB_VERSION,
    CRON_JOBS,
    GROUP,
    KIND,
    PLURAL,
    cron_job_of,
    cron_job_rule,
)

LONGEST = 10.0
"""Seconds that a sync waits at most; then it is planned by what is known, and the trail says so."""
MOST_RULES = 100
"""PostSyncRules of one sync that are read: more take longer than it may wait."""
MOST_SYNCS = 1_000
"""Syncs that wait at once; the statement that leaves them out names each."""
FORGOTTEN = 60.0
"""Seconds after its time until a sync is forgotten: another process has planned it."""
TOO_MANY = (
    f"more than {MOST_RULES} rules, or beside {MOST_SYNCS} syncs that wait, are not read first"
)
AGAIN = 0.5
"""Seconds until what could not be read is asked for again."""


@dataclass(slots=True)
class _Waiting:
    """A sync that waits.

    Attributes:
        brought: its rules.
        left: those that are not read yet.
        until: the time of the process at which it waits no longer.
        reason: why something could not be read.
        told: whether the loop was told that its time is over.
    """

    brought: frozenset[Key]
    left: set[Key]
    until: float
    reason: str = "there was no time to read them"
    told: bool = False


class FreshRules(CompanionThread):
    """Reads what new syncs bring, in a thread of its own.

    Args:
        server: the API server that has the rules.
        clusters: how Applications name its cluster.
        may_follow: says of a namespace whether its CronJobs may make rules.
        custom: takes up what was read.
        ledger: that of the loop.
        wake: called when a sync waits no longer.
        log: gets the lines of the trail.
    """

    def __init__(
        self, server: Server, clusters: Collection[str], custom: CustomRules, ledger: Ledger,
        wake: Callable[[], None], log: Log, *, may_follow: Callable[[str], bool] = lambda _: False,
    ) -> None:  # fmt: skip
        super().__init__("custom-rules-of-syncs", ledger, wake, log)
        self._server = server
        self._clusters = clusters
        self._may_follow = may_follow
        self._custom = custom
        self._lock = threading.Lock()
        self._waiting: dict[str, _Waiting] = {}

    def notify(self) -> None:
        """Do nothing: whoever has to wait asks for it."""

    def waiting(self, number: int) -> set[str]:
        """Return the syncs that still wait, where the rules in force have this number."""
        with self._lock:
            return {sync for sync, one in self._waiting.items() if not self._over(one, number)}

    def ask(self, sync: Sync, number: int) -> str | None:
        """Return "" where the rules that a sync brings are in force, None where it has to wait.

        A text is why they could not be read in time; it is asked for each sync until it is planned.
        """
        with self._lock:
            one = self._waiting.get(sync.id)
            if one is not None and self._over(one, number):
                del self._waiting[sync.id]
                return "" if self._is_settled(one, number) else one.reason
            if one is not None:
                return None
            brought = frozenset(self._brought(sync))
            if not brought:
                return ""
            if len(brought) > MOST_RULES or len(self._waiting) >= MOST_SYNCS:
                return TOO_MANY
            self._waiting[sync.id] = _Waiting(brought, {*brought}, time.monotonic() + LONGEST)
        self._woken.set()
        return None

    def _brought(self, sync: Sync) -> Iterator[Key]:
        destination = sync.application.destination
        cluster = destination.server or destination.name
        if cluster and cluster.rstrip("/") not in self._clusters:
            return
        for one in sync.resources:
            namespace = one.namespace or destination.namespace
            if one.group == GROUP and one.kind == KIND:
                yield namespace, one.name
            elif one.group == "batch" and one.kind == CRON_JOB and self._may_follow(namespace):
                yield namespace, cron_job_rule(one.name)

    def _is_settled(self, one: _Waiting, number: int) -> bool:
        settled = self._custom.settled(one.brought) if not one.left else None
        return settled is not None and settled <= number

    def _over(self, one: _Waiting, number: int) -> bool:
        return self._is_settled(one, number) or time.monotonic() >= one.until

    def _round(self) -> float:
        """Read what is asked for; return the seconds until the next round."""
        self._tell()
        with self._lock:
            asked = [one for one in self._waiting.values() if not one.told]
        wanted: dict[Key, list[_Waiting]] = {}
        for waiting in asked:
            for key in waiting.left:
                wanted.setdefault(key, []).append(waiting)
        read = [self._read(key, ones) for key, ones in wanted.items() if not self._stopping]
        if wanted:
            return 0.0 if all(read) else AGAIN
        until = min((one.until for one in asked), default=math.inf)
        return max(0.0, min(IDLE, until - time.monotonic()))

    def _tell(self) -> None:
        """Tell the loop whose time is over, and forget those that it does not ask for."""
        now = time.monotonic()
        with self._lock:
            over = [one for one in self._waiting.values() if one.until <= now and not one.told]
            for one in over:
                one.told = True
            self._waiting = {
                sync: one for sync, one in self._waiting.items() if one.until > now - FORGOTTEN
            }
        if over:
            self._wake()

    def _read(self, key: Key, ones: Collection[_Waiting]) -> bool:
        """Read one rule for all who have asked for it by now; return whether that went well."""
        deadline = max(one.until for one in ones)
        reason = self._note(key, deadline)
        with self._lock:
            for one in ones:
                if reason:
                    one.reason = reason
                else:
                    one.left.discard(key)
        return not reason

    def _note(self, key: Key, deadline: float) -> str:
        """Note a rule as it is now; return why it cannot be read, "" if it was."""
        try:
            path, read = _place(*key)
            answer = self._server.get(path, min(deadline, time.monotonic() + LONGEST))
            why = refused(self._server, answer)
            if why is None:
                seen = read(self._server.objects(answer))
                self._custom.note([News(seen, gone=False)], awaited=True)
                return ""
        except PermanentError:  # no such name can be
            self._custom.note_absence(key)
            return ""
        except ConnectionFailed as error:
            return str(error)
        if why.gone:
            self._custom.note_absence(key)
            return ""
        if answer.status == HTTPStatus.FORBIDDEN and cron_job_of(key[1]):
            return ""  # nobody asked for that right; the watch tells that it is missing
        return why.reason


def _place(namespace: str, name: str) -> tuple[str, Callable[[Mapping[str, Any]], SeenRule]]:
    """Return where what makes a rule is read, and how."""
    if cron_job := cron_job_of(name):
        path = path_of(CRON_JOB_VERSION, CRON_JOBS, namespace, cron_job)
        return path, SeenRule.of_cron_job
    return path_of(API_VERSION, PLURAL, namespace, name), SeenRule.of
