"""Hears from other hosts that there is work: LISTEN, to what `ServerLedger.ring` notifies.

Nothing here raises because the database is away: what was not heard is found by the next poll.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress

import psycopg
from psycopg.abc import Query

from receiver.core.threads import Supervised
from receiver.ledger.engine.dsn import connect_arguments
from receiver.ledger.engine.postgres import CHANNEL

AGAIN_AFTER = 1.0
"""Seconds between a connection that broke and the next try."""

_LISTEN: Query = f"LISTEN {CHANNEL}"


class Listener:
    """Calls ``ring`` whenever somebody notifies; a daemon thread, since it waits in the driver."""

    def __init__(self, url: str, ring: Callable[[], None]) -> None:
        self._arguments = connect_arguments(url, busy_timeout=5.0)
        self._ring = ring
        self._stopped = threading.Event()
        self._thread = Supervised("listener", self._work)

    def start(self) -> None:
        """Start to listen."""
        self._thread.start()

    def stop(self) -> None:
        """Ring no more."""
        self._stopped.set()

    def _work(self) -> None:
        while not self._stopped.is_set():
            with suppress(psycopg.Error):
                self._listen()
            self._stopped.wait(AGAIN_AFTER)

    def _listen(self) -> None:
        with psycopg.connect(autocommit=True, **self._arguments) as connection:
            connection.execute(_LISTEN)
            self._ring()  # for what was not heard meanwhile
            while not self._stopped.is_set():
                for _ in connection.notifies(timeout=1.0):
                    self._ring()
