"""Asks a connection that nobody used for a while whether its server still answers.

Asked each time that it is used, a server would be asked once more for every transaction.
"""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.exc import DisconnectionError

QUIET = 1.0
"""Seconds; within them, a server that went away is noticed by the transaction itself."""


def ping_idle_connections(engine: Engine) -> None:
    """Have the pool ask so, and open the connection anew where there is no answer."""
    error = engine.dialect.loaded_dbapi.Error

    def returned(_connection: Any, record: Any) -> None:
        record.info["returned"] = time.monotonic()

    def taken(connection: Any, record: Any, _proxy: Any) -> None:
        now = time.monotonic()
        if now - record.info.get("returned", now) < QUIET:
            return
        try:
            engine.dialect.do_ping(connection)
        except error as broken:
            raise DisconnectionError from broken

    event.listen(engine, "checkin", returned)
    event.listen(engine, "checkout", taken)
