"""When the next plan of a key may begin (`throttle`); a window is one row, whoever dispatches."""

from __future__ import annotations

from sqlalchemy import text

from receiver.ledger.engine.unit_of_work import UnitOfWork

_OPEN = text(
    "INSERT INTO throttle_windows (collect_key, every, ends_at) VALUES (:key, :every, :now) "
    "ON CONFLICT (collect_key) DO NOTHING"
)
_END = text("SELECT ends_at FROM throttle_windows WHERE collect_key = :key")
_RESTART = text("UPDATE throttle_windows SET ends_at = :now + every WHERE collect_key = :key")


def next_begin(uow: UnitOfWork, key: str, every: int) -> int:
    """Return when a plan of this key may begin, at the earliest now; ``every`` in milliseconds."""
    uow.connection.execute(_OPEN, {"key": key, "every": every, "now": uow.now})
    end: int = uow.connection.execute(_END, {"key": key}).scalar_one()
    return max(end, uow.now)


def restart_window(uow: UnitOfWork, key: str | None) -> None:
    """Let the next plan of this key begin no sooner than its time from now; else do nothing."""
    uow.add(_RESTART, {"key": key, "now": uow.now})
