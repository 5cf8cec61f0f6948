"""Writes how attempts ended. An attempt that was taken over meanwhile cannot write."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, bindparam, update

from receiver.ledger import tables
from receiver.ledger.claim import Claimed
from receiver.ledger.events import Counts, add_counts, append_events, count_seconds, labels
from receiver.model import Event, Json, Outcome, OutcomeKind, RunState, rfc3339


@dataclass(frozen=True, slots=True)
class Settlement:
    """What an attempt's outcome makes of its run.

    ``due_at`` (milliseconds) is the next attempt's time while the run has not ended;
    ``failures`` counts the temporary errors since the other side last answered well.
    """

    run: Claimed
    outcome: Outcome
    state: RunState
    reason: str
    failures: int
    due_at: int | None = None


def store_settlements(
    connection: Connection, now: int, owner: str, settlements: Sequence[Settlement]
) -> list[Event]:
    """Store outcomes, attempts, events and counts; return the events as stored."""
    events: list[Event] = []
    counts: Counts = Counts()
    kept = []
    for item in settlements:
        if not _update_run(connection, now, owner, item):
            data: dict[str, Json] = {"reason": "taken over before its outcome was written"}
            events.append(_event("attempt.superseded", item, data))
            continue
        kept.append(item)
        events += _events(item)
        _count(counts, item)
    if kept:
        _update_attempts(connection, now, kept)
        _stir(connection, {item.run.plan for item in kept if item.state.ended})
    append_events(connection, now, events)
    add_counts(connection, counts)
    return events


def _update_run(connection: Connection, now: int, owner: str, item: Settlement) -> bool:
    r, ended = tables.runs, item.state.ended
    state = item.outcome.state if item.outcome.state is not None else item.run.state
    won = connection.execute(
        update(r)
        .where(
            r.c.id == item.run.id,
            r.c.state == RunState.RUNNING.value,
            r.c.attempts == item.run.attempt,
            r.c.owner == owner,
        )
        .values(
            state=item.state.value,
            reason=item.reason,
            failures=item.failures,
            owner=None,
            lease_until=None,
            ready=False,
            due_at=item.due_at,
            handler_state=None if state is None else json.dumps(state),
            output=json.dumps(item.outcome.output) if ended else None,
            ended_at=now if ended else None,
        )
    )
    return won.rowcount == 1


_ATTEMPT = (
    update(tables.attempts)
    .where(
        tables.attempts.c.run_id == bindparam("run"),
        tables.attempts.c.number == bindparam("attempt"),
    )
    .values(ended_at=bindparam("now"), outcome=bindparam("how"), reason=bindparam("why"))
)


def _update_attempts(connection: Connection, now: int, kept: Sequence[Settlement]) -> None:
    connection.execute(
        _ATTEMPT,
        [
            {
                "run": item.run.id,
                "attempt": item.run.attempt,
                "now": now,
                "how": item.outcome.kind.value,
                "why": item.outcome.reason,
            }
            for item in kept
        ],
    )


_STIR = (
    update(tables.plans)
    .where(tables.plans.c.id == bindparam("plan"))
    .values(stirred=tables.plans.c.stirred + 1)
)


def _stir(connection: Connection, plans: set[str]) -> None:
    if plans:
        connection.execute(
            _STIR,
            [{"plan": plan} for plan in sorted(plans)],
        )


def _events(item: Settlement) -> list[Event]:
    run, outcome = item.run, item.outcome
    events = [_event("action.message", item, {"text": note}) for note in outcome.notes]
    data: dict[str, Json] = {"seconds": round(outcome.seconds, 3)}
    if outcome.kind is OutcomeKind.SUCCEEDED:
        events.append(_event("attempt.succeeded", item, data))
    elif outcome.kind is OutcomeKind.PENDING:
        data["askAgainIn"] = outcome.delay
        events.append(_event("attempt.pending", item, data))
    else:
        data |= {"reason": outcome.reason, "temporary": outcome.kind is OutcomeKind.TEMPORARY}
        if item.due_at is not None:
            due = datetime.fromtimestamp(item.due_at / 1000, UTC)
            data |= {"nextAttempt": run.attempt + 1, "nextAt": rfc3339(due)}
        events.append(_event("attempt.failed", item, data))
    if item.state is RunState.FAILED:
        events.append(_event("run.failed", item, {"reason": item.reason, "attempts": run.attempt}))
    return events


def _event(name: str, item: Settlement, data: dict[str, Json]) -> Event:
    run = item.run
    about = {"rule": run.rule, "action": run.action, "handler": run.handler, "target": run.target}
    return Event(
        name,
        {**about, **data},
        sync=run.sync,
        plan=run.plan,
        run=run.id,
        attempt=run.attempt,
    )


def _count(counts: Counts, item: Settlement) -> None:
    handler = item.run.handler
    counts["attempts_total", labels(handler=handler, outcome=item.outcome.kind.value)] += 1
    count_seconds(counts, "attempt_seconds", item.outcome.seconds, handler=handler)
    if item.state.ended:
        counts["runs_ended_total", labels(handler=handler, state=item.state.value)] += 1
