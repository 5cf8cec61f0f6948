"""A hint between the processes of several hosts that there is work: NOTIFY and LISTEN.

The ledger alone is the truth: a hint that is lost costs the time until the next poll, nothing
else. So nothing here raises because the database is away.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress

import psycopg
from psycopg.abc import Query
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from receiver.ledger.postgres import ServerLedger
from receiver.ledger.server_url import connect_arguments

CHANNEL = "postsync"

AGAIN_AFTER = 1.0
"""Seconds between a connection that broke and the next try."""

_NOTIFY = text(f"NOTIFY {CHANNEL}")
_LISTEN: Query = f"LISTEN {CHANNEL}"


def notify(ledger: ServerLedger) -> None:
    """Wake all who listen."""
    with suppress(DBAPIError), ledger.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(_NOTIFY)


class Listener:
    """Calls ``ring`` whenever somebody notifies; a daemon thread, since it waits in the driver."""

    def __init__(self, url: str, ring: Callable[[], None]) -> None:
        self._arguments = connect_arguments(url, busy_timeout=5.0)
        self._ring = ring
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, name="listener", daemon=True)

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
