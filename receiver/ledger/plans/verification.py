"""Syncs that wait for what their live objects tell, and what becomes of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, Update, case, select, text, update

from receiver.core.model import Event, from_ms, rfc3339
from receiver.core.states import SyncState
from receiver.ledger import tables
from receiver.ledger.engine.unit_of_work import UnitOfWork
from receiver.ledger.plans.application_memory import write_recalled
from receiver.notification.recalled import Recalled

_S = tables.syncs.c


@dataclass(frozen=True, slots=True)
class VerifyingSync:
    """A sync that waits; ``until`` is in milliseconds. ``planned``: it is read for a replay."""

    id: str
    application: str
    until: int
    reason: str
    planned: bool


def verifying_syncs(
    connection: Connection, sender: str, limit: int, last: Sequence[str] = (),
    without: Collection[str] = (), only: Collection[str] | None = None,
) -> list[VerifyingSync]:  # fmt: skip
    """Return the oldest syncs of a sender that wait.

    Args:
        connection: sees them.
        sender: whose.
        limit: as many at most.
        last: Applications whose syncs come after the others.
        without: ids of those that are left out.
        only: the only ids, where it is given.
    """
    which = (_S.sender == sender) & _S.id.not_in(without)
    return _verifying(connection, which if only is None else which & _S.id.in_(only), limit, last)


def overdue_syncs(
    connection: Connection, senders: Collection[str], before: int, limit: int
) -> list[VerifyingSync]:
    """Return syncs of other senders than these that were to wait until then at most, by sender."""
    others = _S.sender.not_in(senders) & (_S.verify_until < before)
    return _verifying(connection, others, limit)


def _verifying(
    connection: Connection, which: ColumnElement[bool], limit: int, last: Sequence[str] = ()
) -> list[VerifyingSync]:
    turns = {application: number for number, application in enumerate(last, 1)}
    turn = [case(turns, value=_S.application, else_=0)] if turns else []
    query = (
        select(_S.id, _S.application, _S.verify_until, _S.reason, _S.planned_at.is_not(None))
        .where(text(f"syncs.{tables.VERIFYING_SYNC}"), which)
        # By sender first, as their index is: else SQLite would walk all syncs by their ids.
        .order_by(*turn, _S.sender, _S.id)
        .limit(limit)
    )
    return [VerifyingSync(*row) for row in connection.execute(query)]


def store_observed(uow: UnitOfWork, sync: str, recalled: Recalled, event: Event) -> bool:
    """Have a sync planned with what was observed; False if another dispatcher has done so.

    One that was planned before is asked about for a replay.
    """
    state = case((_S.planned_at.is_(None), SyncState.NEW.value), else_=SyncState.PLANNED.value)
    values = {
        "state": state, "reason": "", "verify_until": None,
        "recalled": write_recalled(recalled),
    }  # fmt: skip
    mine = uow.connection.execute(_waiting(sync).values(values)).rowcount > 0
    if mine:
        uow.events.append(event)
    return mine


def store_waits(connection: Connection, syncs: Sequence[VerifyingSync], why: str) -> None:
    """Store why syncs wait longer."""
    for one in syncs:
        reason = f"{waiting_reason(one.until)}; {why}"
        connection.execute(_waiting(one.id).values(reason=reason))


def waiting_reason(until: int) -> str:
    """Return why a sync waits, "until" in milliseconds."""
    return f"its live objects are read, until {rfc3339(from_ms(until))} at the latest"


def _waiting(sync: str) -> Update:
    return update(tables.syncs).where(_S.id == sync, _S.state == SyncState.VERIFYING.value)
