"""Finds the ledger for the commands that work on it without a server."""

from __future__ import annotations

from pathlib import Path

from receiver.errors import LedgerError
from receiver.ledger.connect import open_ledger
from receiver.ledger.ledger import Ledger
from receiver.settings import Settings


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
    return open_ledger(place)
