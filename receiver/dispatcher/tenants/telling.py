"""Tells the owners of rules in namespaces what has changed about each, where they look.

One of several dispatchers does it; what was told last is in the ledger, so that nothing is written
twice, also after a restart.
"""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from http import HTTPStatus
from typing import Generic, TypeAlias, TypeVar

from sqlalchemy import Connection

from receiver.argocd.connection import ConnectionFailed
from receiver.argocd.kubernetes_answers import refused
from receiver.argocd.server import Server
from receiver.contract import Answer
from receiver.core.logs import Log
from receiver.dispatcher.companion import CompanionThread
from receiver.dispatcher.outage import ConnectionUse, Outage
from receiver.dispatcher.tenants.in_turn import in_turn
from receiver.ledger.audit.connection_states import TENANTS
from receiver.ledger.engine.ledger import Ledger, LockMode
from receiver.ledger.engine.unit_of_work import UnitOfWork
from receiver.ledger.plans.custom_rule_status import Told, read_told, store_told
from receiver.ledger.plans.custom_rules import CustomRule, Key

EVERY = 30.0
"""Seconds after which it is looked again at the latest."""
PAUSE = 1.0
"""Seconds between two rounds at least."""
BATCH = 100
"""Rules of one round: a minute at the pace of the server would be too long for others to wait."""
LONGEST = 30.0
"""Seconds that a round may ask the server."""
GONE = {HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT}
"""It was removed, or is another object of the same name by now: the watch tells."""

Written: TypeAlias = tuple[Key, str, str]
T = TypeVar("T")


class RuleTeller(CompanionThread, Generic[T]):
    """Writes what has changed, in a thread of its own.

    Args:
        name: of the thread.
        use: what the server is used for, in words.
        server: the API server, with a pace for writing.
        ledger: has what is to be told, and what was.
        wake: that of the loop; nothing here is news to it.
        log: gets the lines of the trail.
    """

    def __init__(
        self, name: str, use: str, server: Server, ledger: Ledger, wake: Callable[[], None],
        log: Log,
    ) -> None:  # fmt: skip
        super().__init__(name, ledger, wake, log, pause=PAUSE)
        self._name = name
        self._server = server
        used = ConnectionUse(TENANTS, server.name, use)
        self._outage = Outage.of_use(used, ledger, log)

    def notify(self) -> None:
        """Do nothing: it is looked at now and then."""

    def tell(self) -> None:
        """Look at once: what is known of a rule has changed."""
        self._woken.set()

    @abstractmethod
    def _changed(
        self, connection: Connection, told: Sequence[Told]
    ) -> Iterator[tuple[CustomRule, T, str]]:
        """Yield each rule of which something else was told last, what is to be, and its digest."""

    @abstractmethod
    def _send(self, rule: CustomRule, news: T, until: float) -> Answer:
        """Write one; see `Server.get` for what is raised."""

    def _round(self) -> float:
        with self._ledger.exclusive_task(self._name, lasts=2 * LONGEST) as mine:
            return self._write_some() if mine else EVERY

    def _write_some(self) -> float:
        """Write what has changed; return the seconds until the next round."""
        with self._ledger.read() as connection:
            changed = self._changed(connection, read_told(connection))
            todo = in_turn(changed, lambda one: one[0].namespace)
        until, written, wait = time.monotonic() + LONGEST, list[Written](), 0.0
        for rule, news, digest in todo[:BATCH]:
            if self._stopping or (wait := self._write(rule, news, until)):
                break
            written.append((rule.key, rule.uid, digest))
        if written:
            with self._ledger.write(LockMode.SHARED) as connection:
                store_told(uow := UnitOfWork(connection, self._ledger.now(connection)), written)
                uow.finish()
        return wait or (0.0 if len(todo) > BATCH else EVERY)

    def _write(self, rule: CustomRule, news: T, until: float) -> float:
        """Write one; return the seconds to wait where that fails, 0 where it does not."""
        try:
            answer = self._send(rule, news, until)
        except ConnectionFailed as error:
            return self._outage.failed(str(error))
        why = refused(self._server, answer)
        if why and answer.status not in GONE and not self._may_not(rule, answer):
            return self._outage.failed(why.reason)
        self._outage.over()
        return 0.0

    def _may_not(self, _rule: CustomRule, _answer: Answer) -> bool:
        """Whether what was refused is left out, as what an operator need not grant."""
        return False
