"""Writes how attempts ended, and lets their plans go on; who lost the lease cannot write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import and_, bindparam, select

from receiver.core.model import Event, Json, Outcome, OutcomeKind, from_ms, rfc3339
from receiver.core.states import PlanState, RunState, Trait
from receiver.core.storable import dumps
from receiver.ledger import tables
from receiver.ledger.audit.trail import Counts, count_seconds, labels
from receiver.ledger.engine.unit_of_work import Row, UnitOfWork
from receiver.ledger.plans.concurrency import end_plan
from receiver.ledger.plans.signals import signal
from receiver.ledger.plans.supersede import mark_superseded, newer_plans_of, superseded_reason
from receiver.ledger.prepared import Prepared, any_of
from receiver.ledger.queue.attempts import update_attempt
from receiver.ledger.queue.claim import ClaimedRun, attempt_event
from receiver.ledger.queue.leases import claims_held
from receiver.ledger.queue.rate_limits import block_lane


@dataclass(frozen=True, slots=True)
class Settlement:
    """What an attempt's outcome makes of its run.

    ``due_at`` (milliseconds) is the next attempt's time while the run has not ended;
    ``failures`` counts the temporary errors since the other side last answered well.
    """

    run: ClaimedRun
    outcome: Outcome
    state: RunState
    reason: str
    failures: int
    due_at: int | None = None


def store_settlements(uow: UnitOfWork, owner: str, settlements: Sequence[Settlement]) -> None:
    """Store outcomes, attempts, events and counts, but for runs that were taken over meanwhile."""
    ours = claims_held(uow.connection, owner, [item.run.id for item in settlements])
    ended, left = set(), dict[str, tuple[str, str]]()
    again = [item.run.id for item in settlements if item.state is RunState.DUE]
    newer = newer_plans_of(uow, again) if again else {}
    for given in settlements:
        item = _or_superseded(given, newer.get(given.run.id))
        if ours.get(item.run.id) != item.run.claim:
            uow.events.append(
                attempt_event("attempt.superseded", item.run, _why_dropped(uow, item))
            )
            continue
        _store(uow, item)
        if item.state.ended:
            ended.add(item.run.plan)
        if item.state is RunState.SUPERSEDED:
            left[item.run.plan] = newer[item.run.id]
    for plan in _without_open_targets(uow, sorted(ended)):
        if plan.done:
            end_plan(uow, plan.id, PlanState.SUCCEEDED)
            about = {"rule": plan.rule}
            uow.events.append(Event("plan.succeeded", about, sync=plan.sync_id, plan=plan.id))
        else:
            signal(uow, plan.id)
    for plan, by in sorted(left.items()):
        mark_superseded(uow, plan, by)


def _store(uow: UnitOfWork, item: Settlement) -> None:
    ended = item.state.ended
    state = item.outcome.state if item.outcome.state is not None else item.run.state
    uow.change(
        tables.runs, item.run.id, state=item.state.value, reason=item.reason, ready=False,
        failures=item.failures, due_at=item.due_at, owner=None, lease_until=None,
        handler_state=None if state is None else dumps(state),
        output=dumps(item.outcome.output) if ended else None, ended_at=uow.now if ended else None,
    )  # fmt: skip
    uow.add(_ATTEMPT, _attempt_row(uow.now, item))
    uow.events += _events(item)
    if item.outcome.limited and item.due_at is not None:
        _block(uow, item)
    _count(uow.counts, item)


def _or_superseded(item: Settlement, newer: tuple[str, str] | None) -> Settlement:
    """Return the settlement, or that of a superseded run if a newer plan does its work."""
    if newer is None:
        return item
    return replace(item, state=RunState.SUPERSEDED, reason=superseded_reason(newer), due_at=None)


def _without_open_targets(uow: UnitOfWork, plans: Sequence[str]) -> list[Any]:
    """Return those of the plans in which no run for a target is open any more.

    As long as one is, no next step can be taken, and working one out costs as much as the plan has
    runs. The transaction that ends the last of them must see that the others have ended: so the
    plans are locked before the query.

    Most plans are ``done`` then: all of their runs have ended well, so whatever their rule says,
    their next step could only end them. Where another plan may wait for the place, that is left to
    a step, during which nobody else starts plans.
    """
    if not plans:
        return []
    uow.flush()
    _LOCK_PLANS.all(uow.connection, plans=plans)
    return _WITHOUT_OPEN_TARGETS.all(uow.connection, plans=plans)


_P, _R = tables.plans.c, tables.runs.c
_LOCK_PLANS = Prepared(
    select(_P.id).where(any_of(_P.id, "plans")).order_by(_P.id).with_for_update()
)
_OPEN_TARGET = select(_R.plan_id).where(
    _R.plan_id == _P.id, _R.state.in_(RunState.where(Trait.RELEASED)), _R.target_index.is_not(None)
)
_NOT_WELL = select(_R.plan_id).where(
    _R.plan_id == _P.id, _R.state.not_in(RunState.where(Trait.SUCCESS))
)
_DONE = and_(
    _P.state == PlanState.ACTIVE.value, _P.signals == 0, _P.newer_plan.is_(None),
    _P.failure.is_(None), _P.concurrency_key.is_(None), ~_NOT_WELL.exists(),
)  # fmt: skip
_WITHOUT_OPEN_TARGETS = Prepared(
    select(_P.id, _P.sync_id, _P.rule, _DONE.label("done"))
    .where(any_of(_P.id, "plans"), ~_OPEN_TARGET.exists())
    .order_by(_P.id)
)


def _block(uow: UnitOfWork, item: Settlement) -> None:
    """Block the lane until this run may be tried again."""
    until = uow.now + int((item.outcome.delay or LIMITED_FOR) * 1000)
    block_lane(uow, item.run.lane, until)
    data: dict[str, Json] = {"lane": item.run.lane, "until": rfc3339(from_ms(until))}
    uow.events.append(attempt_event("lane.blocked", item.run, data))


LIMITED_FOR = 5.0
"""Seconds that a lane is blocked where the limit's answer names no time."""


def _why_dropped(uow: UnitOfWork, item: Settlement) -> dict[str, Json]:
    """Return why an outcome is not written: its run was taken over or cancelled by an operator."""
    a = tables.attempts
    mine = a.c.run_id == item.run.id, a.c.number == item.run.attempt
    row = uow.connection.execute(select(a.c.outcome, a.c.reason).where(*mine)).one_or_none()
    how = row.reason if row and row.outcome == RunState.CANCELLED.value else "taken over"
    return {"reason": f"{how} before its outcome was written", "outcome": item.outcome.kind.value}


def _attempt_row(now: int, item: Settlement) -> Row:
    """Return how an attempt ended: it has not while its run is pending, whatever the answer was."""
    pending = item.state is RunState.PENDING
    return {
        "run": item.run.id,
        "attempt": item.run.attempt,
        "ended": None if pending else now,
        "how": (OutcomeKind.PENDING if pending else item.outcome.kind).value,
        "why": item.outcome.reason,
        "still": int(item.outcome.kind is OutcomeKind.PENDING),
    }


_ATTEMPT = update_attempt(
    ended_at=bindparam("ended"),
    outcome=bindparam("how"),
    reason=bindparam("why"),
    pending=tables.attempts.c.pending + bindparam("still"),
)


def _events(item: Settlement) -> list[Event]:
    run, outcome = item.run, item.outcome
    events = [attempt_event("action.message", item.run, {"text": note}) for note in outcome.notes]
    data: dict[str, Json] = {"seconds": round(outcome.seconds, 3)}
    next_at = rfc3339(from_ms(item.due_at)) if item.due_at is not None else ""
    if outcome.kind is OutcomeKind.SUCCEEDED:
        events.append(attempt_event("attempt.succeeded", item.run, data))
    elif item.state is RunState.PENDING:
        if not run.pending or item.reason != run.reason:  # the same again is no news
            data |= {"reason": item.reason, "nextAt": next_at}
            events.append(attempt_event("attempt.pending", item.run, data))
    elif outcome.kind is not OutcomeKind.PENDING:
        data |= {"reason": outcome.reason, "temporary": outcome.kind is OutcomeKind.TEMPORARY}
        if next_at:
            data |= {"nextAttempt": run.attempt + 1, "nextAt": next_at}
        events.append(attempt_event("attempt.failed", item.run, data))
    if item.state is RunState.SUPERSEDED:
        events.append(attempt_event("run.superseded", item.run, {"reason": item.reason}))
    if item.state is RunState.FAILED:
        events.append(
            attempt_event("run.failed", item.run, {"reason": item.reason, "attempts": run.attempt})
        )
    return events


def _count(counts: Counts, item: Settlement) -> None:
    """Count an attempt when it has ended, and each time that the other side was asked."""
    handler = item.run.handler
    key = labels(handler=handler, outcome=item.outcome.kind.value)
    if item.state is not RunState.PENDING:
        counts["attempts_total", key] += 1
    if item.run.pending:
        counts["asked_total", key] += 1
    count_seconds(counts, "attempt_seconds", item.outcome.seconds, handler=handler)
    if item.state.ended:
        counts["runs_ended_total", labels(handler=handler, state=item.state.value)] += 1
