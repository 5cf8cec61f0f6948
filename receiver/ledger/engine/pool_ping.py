"""Pings a pooled connection before its use if it was idle for a while.

SQLAlchemy's `pool_pre_ping` would ping before every transaction.
"""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.exc import DisconnectionError

QUIET = 1.0
"""Idle seconds; before that, a server that went away is noticed by the transaction itself."""


def ping_idle_connections(engine: Engine) -> None:
    """Have the engine's pool do so, and open the connection anew where there is no answer."""
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
