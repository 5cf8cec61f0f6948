"""What was claimed and not begun goes back: it is no attempt, and anybody may claim it."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select, text
from test_claim import add_plan, outcome, take, write

from receiver.core.model import OutcomeKind
from receiver.ledger import tables
from receiver.ledger.engine.ledger import Ledger, LockMode
from receiver.ledger.engine.unit_of_work import UnitOfWork
from receiver.ledger.queue.claim import ClaimedRun
from receiver.ledger.queue.leases import give_back
from receiver.planning.retry import settle

_R = tables.runs.c


def given_back(ledger: Ledger, *runs: ClaimedRun, owner: str = "w-1") -> list[str]:
    with ledger.write(LockMode.SHARED) as connection:
        uow = UnitOfWork(connection, ledger.now(connection))
        give_back(uow, owner, runs, "why")
        uow.finish()
    return [f"{event.name} {event.attempt} {event.data['reason']}" for event in uow.events]


def attempts(ledger: Ledger) -> Sequence[object]:
    a = tables.attempts.c
    with ledger.read() as connection:
        rows = connection.execute(select(a.number, a.outcome, a.pending).order_by(a.number)).all()
    return [tuple(row) for row in rows]


def test_a_run_that_was_not_begun_has_its_attempt_still_before_it(ledger: Ledger) -> None:
    """Its deadline counts from when it is begun, however much later that is."""
    add_plan(ledger)
    (run,) = take(ledger)
    assert given_back(ledger, run) == ["attempt.returned 1 why"]
    assert attempts(ledger) == []
    with ledger.read() as connection:
        row = connection.execute(select(_R.state, _R.owner, _R.attempts, _R.first_attempt_at)).one()
    assert tuple(row) == ("due", None, 0, None)
    (again,) = take(ledger, owner="w-2")
    assert (again.id, again.attempt, again.key_number) == (run.id, 1, run.key_number)
    assert again.claim == run.claim + 1


def test_a_later_attempt_that_was_not_begun_leaves_the_earlier_ones(ledger: Ledger) -> None:
    """The time that they have used up stays used."""
    add_plan(ledger)
    (first,) = take(ledger)
    write(ledger, [settle(first, outcome(OutcomeKind.TEMPORARY), 0, lambda: 0.0)])
    (second,) = take(ledger)
    given_back(ledger, second)
    assert attempts(ledger) == [(1, "temporary", 0)]
    (again,) = take(ledger)
    assert (again.attempt, again.first_attempt_at) == (2, first.first_attempt_at)


def test_a_deadline_that_was_shifted_meanwhile_stays_shifted(ledger: Ledger) -> None:
    """The clock was set, or a pause has ended, while the run was claimed."""
    add_plan(ledger)
    (first,) = take(ledger)
    write(ledger, [settle(first, outcome(OutcomeKind.TEMPORARY), 0, lambda: 0.0)])
    (second,) = take(ledger)
    with ledger.write() as connection:
        connection.execute(text("UPDATE runs SET first_attempt_at = first_attempt_at + 3600000"))
    given_back(ledger, second)
    (again,) = take(ledger)
    assert again.first_attempt_at == first.first_attempt_at + 3_600_000


def test_a_pending_run_that_was_not_asked_stays_pending(ledger: Ledger) -> None:
    """What was started there goes on; that nobody has asked is no news."""
    add_plan(ledger)
    (run,) = take(ledger)
    write(ledger, [settle(run, outcome(OutcomeKind.PENDING, state=7, delay=0), 0)])
    (asked,) = take(ledger)
    assert given_back(ledger, asked) == []
    assert attempts(ledger) == [(1, "pending", 1)]
    (again,) = take(ledger)
    assert (again.pending, again.attempt, again.state) == (True, 1, 7)


def test_only_what_is_still_held_is_given_back(ledger: Ledger) -> None:
    """It may have been cancelled, or taken over, meanwhile."""
    add_plan(ledger, runs=2)
    cancelled, taken_over = take(ledger)
    with ledger.write() as connection:
        connection.execute(
            text("UPDATE runs SET state = 'cancelled', owner = NULL WHERE id = :id"),
            {"id": cancelled.id},
        )
        connection.execute(
            text("UPDATE runs SET owner = 'w-2' WHERE id = :id"), {"id": taken_over.id}
        )
    assert given_back(ledger, cancelled, taken_over) == []
    assert len(attempts(ledger)) == 2
