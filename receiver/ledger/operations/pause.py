"""An operator pauses all, a rule or a handler, and resumes it.

Resuming gives back the time: the deadline of a run counts from its first attempt, which is moved
by as long as the run was held back. Pauses may overlap; no moment is given back twice.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, ColumnElement, bindparam, case, delete, insert, text, update

from receiver.core.model import Event, Json
from receiver.ledger import tables
from receiver.ledger.binding import Binding
from receiver.ledger.engine.unit_of_work import UnitOfWork
from receiver.ledger.operations.common import Act
from receiver.ledger.queue.pauses import PAUSED_AT, Scope, all_paused_since, find_pause


def pause(uow: UnitOfWork, act: Act, scope: Scope, name: str) -> bool:
    """Let no attempt be claimed of all (``name`` is empty), a rule or a handler.

    Returns:
        Whether it was not paused before; a pause that is there stays as it was set.

    Raises:
        BeyondBinding: it is not the rule of who acts.
    """
    check_own(act.binding, scope, name)
    if find_pause(uow.connection, scope, name) is not None:
        return False
    row = {"scope": scope.value, "name": name, "operator": act.by, "reason": act.reason}
    uow.connection.execute(insert(tables.pauses), row | {"at": uow.now})
    held = _hold_back(uow, scope, name)
    data: dict[str, Json] = {"scope": scope.value, "name": name, **act.event_data, "runs": held}
    uow.events.append(Event("pause.set", data))
    return True


def resume(uow: UnitOfWork, act: Act, scope: Scope, name: str) -> bool:
    """Lift a pause; whether there was one. Raises as `pause`."""
    check_own(act.binding, scope, name)
    there = find_pause(uow.connection, scope, name)
    if there is None:
        return False
    p = tables.pauses.c
    uow.connection.execute(delete(tables.pauses).where(p.scope == scope.value, p.name == name))
    if scope is Scope.ALL:
        uow.connection.execute(_RESUME_ALL, {"since": there.at, "now": uow.now})
    else:
        until = all_paused_since(uow.connection)
        moments = {"until": uow.now if until is None else until, "now": uow.now}
        uow.connection.execute(_RESUME[scope], {"pause": name, **moments})
    seconds = round((uow.now - there.at) / 1000, 3)
    data: dict[str, Json] = {
        "scope": scope.value,
        "name": name,
        **act.event_data,
        "seconds": seconds,
    }
    uow.events.append(Event("pause.lifted", data))
    return True


def check_own(binding: Binding, scope: Scope, name: str) -> None:
    """Check that a token of this binding may pause it.

    Raises:
        BeyondBinding: it may not.
    """
    if binding.bound and not (scope is Scope.RULE and binding.owns(name)):
        raise binding.refusal("pauses the rules of that alone")


def _hold_back(uow: UnitOfWork, scope: Scope, name: str) -> int:
    if scope is Scope.ALL:
        return int(uow.connection.scalar(_OPEN) or 0)
    done = uow.connection.execute(_PAUSE[scope], {"pause": name, "now": uow.now})
    return done.rowcount


_OPEN = text(f"SELECT COUNT(*) FROM runs WHERE {tables.QUEUED_RUN} AND flow >= ''")
"""Every flow is: by that SQLite takes the index of open runs, not a larger one of all."""

_COLUMN: dict[Scope, ColumnElement[str]] = {
    Scope.RULE: tables.runs.c.rule.concat(""),
    Scope.HANDLER: tables.runs.c.handler.concat(""),
}
"""As an expression, which no index has: else the whole history of a rule is read through the index
of rules, instead of what is open now."""
_PAUSED = tables.runs.c.paused_at
_FIRST = tables.runs.c.first_attempt_at

_PAUSE = {
    scope: update(tables.runs)
    .where(text(tables.QUEUED_RUN), column == bindparam("pause"), _PAUSED.is_(None))
    .values(paused_at=bindparam("now"))
    for scope, column in _COLUMN.items()
}

_NOW_IF_READY = case((tables.runs.c.ready, bindparam("now")), else_=tables.runs.c.due_at)
"""What was held back could start only now: for the metric it has not waited before."""

_UNTIL = bindparam("until", type_=BigInteger())
_RESUME = {
    scope: update(tables.runs)
    .where(text(tables.QUEUED_RUN), column == bindparam("pause"), _PAUSED.is_not(None))
    .where(PAUSED_AT.is_(None))
    .values(
        first_attempt_at=_FIRST + case((_UNTIL > _PAUSED, _UNTIL - _PAUSED), else_=0),
        due_at=_NOW_IF_READY,
        paused_at=None,
    )
    for scope, column in _COLUMN.items()
}
"""The time from ``until`` on, when all was paused too, is given back when all is resumed."""

_SINCE = bindparam("since", type_=BigInteger())
_RESUME_ALL = (
    update(tables.runs)
    .where(text(tables.QUEUED_RUN))
    .values(
        first_attempt_at=_FIRST
        + case(
            (_PAUSED.is_(None), bindparam("now") - _SINCE),
            (_PAUSED > _SINCE, _PAUSED - _SINCE),
            else_=0,
        ),
        due_at=_NOW_IF_READY,
    )
)
"""The time from ``paused_at`` on is given back when that pause is lifted."""
