"""Watches what makes rules in a cluster, or in the namespaces that are granted to us.

These are PostSyncRules, and CronJobs where some may run Jobs.

With the right to watch all of the cluster's there is one watch. Without it, and where the bounds
name each namespace whole, each has a watch of its own: an operator may grant Roles alone.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from receiver.argocd.connection import ConnectionFailed
from receiver.argocd.object_watch import ObjectWatch
from receiver.argocd.pages import ListRefused
from receiver.argocd.server import Server
from receiver.core.errors import LedgerUnavailable
from receiver.core.logs import Log
from receiver.core.threads import SupervisedThread
from receiver.dispatcher.outage import ConnectionUse, Outage
from receiver.dispatcher.tenants.custom_rules import CustomRules
from receiver.dispatcher.tenants.inbox import News
from receiver.dispatcher.tenants.seen_rule import SeenRule
from receiver.kubernetes.paths import path_of
from receiver.ledger.audit.connection_states import TENANTS
from receiver.ledger.engine.ledger import Ledger
from receiver.rules.matching.predicates import SPECIAL
from receiver.rules.tenants.bounds import Tenants
from receiver.rules.tenants.cron_job import HANDLER
from receiver.rules.tenants.names import API_VERSION, CRON_JOB_VERSION, CRON_JOBS, PLURAL

ANEW = 3600.0
"""Seconds after which a watch is taken up anew, from where it was."""
UNASKED = 60.0
"""Seconds until a right is looked for again that an operator need not grant."""
PAGE = 500
"""Rules of a page of a list: some 2 KB each."""
NO_KIND = "the API server does not know PostSyncRules: apply their CustomResourceDefinition"
GLOBS = (
    "this is asked of the whole cluster because tenants.bounds has globs; name each namespace, "
    "and a Role in each is enough"
)


@dataclass(frozen=True, slots=True)
class Watched:
    """What is watched.

    Attributes:
        kind: of the objects, for messages.
        path: of the collection, of one namespace or of all.
        read: makes of an object what is told of it.
        namespaces: those that may have some, as globs.
        absent: what is told where the server does not know the kind.
        thread: begins the names of its threads.
        cron_jobs: whether these are CronJobs, which an operator need not let us watch.
    """

    kind: str
    path: Callable[[str | None], str]
    read: Callable[[Mapping[str, Any]], SeenRule]
    namespaces: Sequence[str]
    absent: str
    thread: str
    cron_jobs: bool = False

    @property
    def whole(self) -> bool:
        """Whether each namespace is named whole, so that a right in each of them is enough."""
        return not any(map(SPECIAL.search, self.namespaces))


def post_sync_rules(tenants: Tenants) -> Watched:
    """Return how PostSyncRules are watched."""
    path = partial(path_of, API_VERSION, PLURAL)
    namespaces = [name for one in tenants.bounds for name in one.namespaces]
    return Watched("PostSyncRules", path, SeenRule.of, namespaces, NO_KIND, "custom-rules-watch")


def cron_jobs(tenants: Tenants) -> Watched:
    """Return how CronJobs are watched; none where no tenant may run Jobs."""
    path = partial(path_of, CRON_JOB_VERSION, CRON_JOBS)
    namespaces = [
        name for one in tenants.bounds if HANDLER in one.handlers for name in one.namespaces
    ]
    return Watched(
        "CronJobs", path, SeenRule.of_cron_job, namespaces, "the API server has no CronJobs",
        "cron-jobs-watch", cron_jobs=True,
    )  # fmt: skip


class RuleWatch:
    """Notes what the API server tells of one kind; a companion of the loop.

    Args:
        server: the API server that has them.
        watched: which these are.
        custom: what is known of them.
        ledger: has how the connection does.
        log: gets the lines of the trail.
    """

    def __init__(
        self, server: Server, watched: Watched, custom: CustomRules, ledger: Ledger, log: Log
    ) -> None:
        self._server = server
        self._watched = watched
        self._custom = custom
        self._ledger = ledger
        self._log = log
        self._stopped = threading.Event()

    def start(self) -> None:
        """Start with one watch for all; what was known of a kind that nobody may have is gone."""
        if not self._watched.namespaces:
            known = self._custom.known(cron_jobs=self._watched.cron_jobs)
            self._custom.note([News(one, gone=True) for one in known.values()])
            return
        SupervisedThread(self._watched.thread, self._watch_all).start()

    def notify(self) -> None:
        """Do nothing: what was planned is no news here."""

    def stop(self) -> None:
        """End with the process."""
        self._stopped.set()

    def _watch_all(self) -> None:
        if self._follow(None, until_refused=self._watched.whole):
            return
        for namespace in dict.fromkeys(self._watched.namespaces):
            thread = f"{self._watched.thread}-{namespace}"
            SupervisedThread(thread, lambda name=namespace: self._watch_one(name)).start()  # type: ignore[misc] # its own

    def _watch_one(self, namespace: str) -> None:
        self._follow(namespace)

    def _follow(self, namespace: str | None, *, until_refused: bool = False) -> bool:
        """Follow one watch until the end; return False where it is refused."""
        use = f"watch {self._watched.kind}" + (f" in namespace {namespace}" if namespace else "")
        used = ConnectionUse(TENANTS, self._server.name, use)
        outage = Outage.of_use(used, self._ledger, self._log)
        watch, told = self._watch(namespace, outage), False
        while not self._stopped.is_set():
            try:
                for seen, gone in watch.follow(time.monotonic() + ANEW):
                    self._custom.note([News(seen, gone)])
            except LedgerUnavailable as error:
                self._log.error("ledger.unavailable", reason=str(error))
                self._stopped.wait(1.0)
            except ListRefused as error:
                if until_refused and not error.why.gone:
                    return False
                if not self._watched.cron_jobs:
                    self._failed(outage, self._why(error))
                    continue
                if not told:
                    self._log.warning("cronjobs.notWatched", use=use, reason=self._why(error))
                told = True
                self._stopped.wait(UNASKED)
            except ConnectionFailed as error:
                self._failed(outage, str(error))
        return True

    def _why(self, error: ListRefused) -> str:
        if error.why.gone:
            return self._watched.absent
        return error.why.reason if self._watched.whole else f"{error.why.reason}; {GLOBS}"

    def _failed(self, outage: Outage, reason: str) -> None:
        """Tell it, and wait until the next try."""
        try:
            wait = outage.failed(reason)
        except LedgerUnavailable as unavailable:
            self._log.error("ledger.unavailable", reason=str(unavailable))
            wait = 1.0
        self._stopped.wait(wait)

    def _watch(self, namespace: str | None, outage: Outage) -> ObjectWatch[SeenRule]:
        known = self._custom.known(cron_jobs=self._watched.cron_jobs)
        if namespace is not None:
            known = {key: one for key, one in known.items() if one.namespace == namespace}
        return ObjectWatch(
            self._server, self._watched.path(namespace), self._watched.kind, self._watched.read,
            limit=PAGE, known=known, answered=outage.over,
        )  # fmt: skip
