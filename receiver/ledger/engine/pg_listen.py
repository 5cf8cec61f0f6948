"""Wakes this host's dispatcher when another host has work for it: LISTEN and NOTIFY.

Nothing here raises because the database is away: the next poll finds what was missed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress

import psycopg
from psycopg.abc import Query

from receiver.core.threads import SupervisedThread
from receiver.ledger.engine.dsn import connect_arguments
from receiver.ledger.engine.postgres import CHANNEL

AGAIN_AFTER = 1.0
"""Seconds between a connection that broke and the next try."""

_LISTEN: Query = f"LISTEN {CHANNEL}"


class Listener:
    """Calls ``notify`` for each notification; a daemon thread, since it waits in the driver."""

    def __init__(self, url: str, notify: Callable[[], None]) -> None:
        self._arguments = connect_arguments(url, busy_timeout=5.0)
        self._notify = notify
        self._stopped = threading.Event()
        self._thread = SupervisedThread("listener", self._work)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def stop(self) -> None:
        """Listen no more."""
        self._stopped.set()

    def _work(self) -> None:
        while not self._stopped.is_set():
            with suppress(psycopg.Error):
                self._listen()
            self._stopped.wait(AGAIN_AFTER)

    def _listen(self) -> None:
        with psycopg.connect(autocommit=True, **self._arguments) as connection:
            connection.execute(_LISTEN)
            self._notify()  # for what was missed meanwhile
            while not self._stopped.is_set():
                for _ in connection.notifies(timeout=1.0):
                    self._notify()
