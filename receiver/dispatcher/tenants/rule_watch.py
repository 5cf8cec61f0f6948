"""Watches the PostSyncRules of a cluster, or those of the namespaces that are granted to us.

With the right to watch all of the cluster's there is one watch. Without it, and where the bounds
name each namespace whole, each has a watch of its own: an operator may grant Roles alone.
"""

from __future__ import annotations

import threading
import time

from receiver.argocd.connection import ConnectionFailed
from receiver.argocd.object_watch import ObjectWatch
from receiver.argocd.pages import ListRefused
from receiver.argocd.server import Server
from receiver.core.errors import LedgerUnavailable
from receiver.core.logs import Log
from receiver.core.threads import SupervisedThread
from receiver.dispatcher.outage import ConnectionUse, Outage
from receiver.dispatcher.tenants.custom_rules import CustomRules, News
from receiver.dispatcher.tenants.seen_rule import SeenRule
from receiver.kubernetes.paths import path_of
from receiver.ledger.audit.connection_states import TENANTS
from receiver.ledger.engine.ledger import Ledger
from receiver.rules.matching.predicates import SPECIAL
from receiver.rules.tenants.bounds import Tenants
from receiver.rules.tenants.names import API_VERSION, PLURAL

ANEW = 3600.0
"""Seconds after which a watch is taken up anew, from where it was."""
PAGE = 500
"""Rules of a page of a list: some 2 KB each."""
KIND = "PostSyncRules"
NO_KIND = "the API server does not know PostSyncRules: apply their CustomResourceDefinition"
GLOBS = (
    "this is asked of the whole cluster because tenants.bounds has globs; name each namespace, "
    "and a Role in each is enough"
)


class RuleWatch:
    """Notes what the API server tells of PostSyncRules; a companion of the loop.

    Args:
        server: the API server that has them.
        tenants: which namespaces may have some.
        custom: what is known of them.
        ledger: has how the connection does.
        log: gets the lines of the trail.
    """

    def __init__(
        self, server: Server, tenants: Tenants, custom: CustomRules, ledger: Ledger, log: Log
    ) -> None:
        self._server = server
        self._namespaces = [name for one in tenants.bounds for name in one.namespaces]
        self._custom = custom
        self._ledger = ledger
        self._log = log
        self._stopped = threading.Event()

    def start(self) -> None:
        """Start with one watch for all."""
        SupervisedThread("custom-rules-watch", self._watch_all).start()

    def notify(self) -> None:
        """Do nothing: what was planned is no news here."""

    def stop(self) -> None:
        """End with the process."""
        self._stopped.set()

    @property
    def _whole(self) -> bool:
        return not any(map(SPECIAL.search, self._namespaces))

    def _watch_all(self) -> None:
        if self._follow(None, until_refused=self._whole):
            return
        for namespace in dict.fromkeys(self._namespaces):
            thread = f"custom-rules-watch-{namespace}"
            SupervisedThread(thread, lambda name=namespace: self._watch_one(name)).start()  # type: ignore[misc] # its own

    def _watch_one(self, namespace: str) -> None:
        self._follow(namespace)

    def _follow(self, namespace: str | None, *, until_refused: bool = False) -> bool:
        """Follow one watch until the end; return False where it is refused."""
        use = f"watch {KIND}" + (f" in namespace {namespace}" if namespace else "")
        used = ConnectionUse(TENANTS, self._server.name, use)
        outage = Outage.of_use(used, self._ledger, self._log)
        watch = self._watch(namespace, outage)
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
                self._failed(outage, self._why(error))
            except ConnectionFailed as error:
                self._failed(outage, str(error))
        return True

    def _why(self, error: ListRefused) -> str:
        if error.why.gone:
            return NO_KIND
        return error.why.reason if self._whole else f"{error.why.reason}; {GLOBS}"

    def _failed(self, outage: Outage, reason: str) -> None:
        """Tell it, and wait until the next try."""
        try:
            wait = outage.failed(reason)
        except LedgerUnavailable as unavailable:
            self._log.error("ledger.unavailable", reason=str(unavailable))
            wait = 1.0
        self._stopped.wait(wait)

    def _watch(self, namespace: str | None, outage: Outage) -> ObjectWatch[SeenRule]:
        known = self._custom.known()
        if namespace is not None:
            known = {key: one for key, one in known.items() if one.namespace == namespace}
        path = path_of(API_VERSION, PLURAL, namespace)
        return ObjectWatch(
            self._server, path, KIND, SeenRule.of, limit=PAGE, known=known, answered=outage.over
        )
