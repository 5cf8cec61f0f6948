"""Opens the ledger for the commands that work on it without a server."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

from receiver.core.errors import LedgerError, LedgerUnavailable
from receiver.core.logs import Log
from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.engine.open import open_ledger, prepare
from receiver.settings.model import Settings

AGAIN_AFTER = 1.0
"""Seconds between two tries to reach a database that is away."""


def wait_for_ledger(settings: Settings, log: Log) -> None:
    """Wait until the ledger can be used: a database may come up after us.

    Raises:
        LedgerError: it is there and cannot be used as it is.
    """
    while True:
        try:
            prepare(settings.ledger)
        except LedgerUnavailable as error:
            log.warning("ledger.unavailable", reason=str(error))
            time.sleep(AGAIN_AFTER)
        else:
            return


def wait_for_server(url: str, patience: float) -> None:
    """Wait until a database answers, whatever is in it.

    Args:
        url: of the database.
        patience: how long, in seconds.

    Raises:
        LedgerUnavailable: it did not.
        LedgerError: the URL is none of PostgreSQL, or psycopg is not installed.
    """
    until = time.monotonic() + patience
    with closing(open_ledger(url)) as ledger:
        while True:
            try:
                with ledger.read():
                    return
            except LedgerUnavailable:
                if time.monotonic() >= until:
                    raise
                time.sleep(min(AGAIN_AFTER, patience))


def open_existing(settings: Settings) -> Ledger:
    """Open the ledger that the settings name.

    Raises:
        LedgerError: there is none, or it cannot be used.
        LedgerUnavailable: the database is away.
    """
    place = settings.ledger
    if isinstance(place, Path) and not place.is_file():
        raise LedgerError(
            f"there is no ledger {place}", hint="set POSTSYNC_HOME to the home of the instance"
        )
    prepare(place)
    return open_ledger(place)
