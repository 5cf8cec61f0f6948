"""What a ledger in PostgreSQL has beside what every ledger has: many who write at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from notifications import notification, resource
from postgres import Databases
from service import wait_for
from sqlalchemy import text
from test_claim import add_plan, ended_plan, outcome, take, write
from test_intake import arrival, count, writing

from receiver.contract import Rate
from receiver.core.errors import LedgerError, LedgerUnavailable
from receiver.core.model import Event, OutcomeKind
from receiver.ledger import tables
from receiver.ledger.audit.trail import append_events
from receiver.ledger.engine.backup import back_up
from receiver.ledger.engine.dsn import SILENCE_MS
from receiver.ledger.engine.folder import lock_ledger
from receiver.ledger.engine.ledger import LockMode
from receiver.ledger.engine.open import open_ledger, prepare
from receiver.ledger.engine.pg_listen import Listener
from receiver.ledger.engine.postgres import PostgresLedger, migrate_postgres, open_postgres
from receiver.ledger.engine.sqlite import SqliteLedger
from receiver.ledger.engine.transfer import copy_to_postgres
from receiver.ledger.engine.unit_of_work import UnitOfWork
from receiver.ledger.inbox.deliveries import Arrival
from receiver.ledger.plans.outcomes import store_settlements
from receiver.ledger.queries.trail import EventFilters, read_trail
from receiver.ledger.queue.leases import release_lost
from receiver.ledger.queue.rate_limits import Buckets
from receiver.planning.retry import settle


@pytest.fixture
def url(ledgers: Databases) -> Iterator[str]:
    with ledgers.database() as made:
        yield made


def test_a_database_without_tables_is_refused_with_the_command_that_makes_them(
    ledgers: Databases,
) -> None:
    """Nothing is made of itself where others may be at work."""
    with ledgers.database(blank=False) as url:
        with pytest.raises(LedgerError, match="has no tables yet, this postsync needs") as refused:
            prepare(url)
        assert "postsync migrate" in refused.value.hint
        assert migrate_postgres(url) is None
        prepare(url)


def test_migrating_again_does_nothing_and_several_at_once_do_it_once(ledgers: Databases) -> None:
    """Two pods may start their migration at the same moment."""
    with ledgers.database(blank=False) as url:
        with ThreadPoolExecutor(4) as crew:
            found = list(crew.map(lambda _: migrate_postgres(url), range(4)))
        assert sorted(found, key=str) == [tables.REVISION] * 3 + [None]
        prepare(url)


def test_each_text_has_the_collation_c(server_ledger: PostgresLedger) -> None:
    """A database's own order of letters would not be that of the ids' time."""
    texts = text(
        "SELECT relname, attname, collname FROM pg_class JOIN pg_attribute ON attrelid = "
        "pg_class.oid JOIN pg_collation ON attcollation = pg_collation.oid WHERE relkind = 'r' "
        "AND relnamespace = to_regnamespace(current_schema()) AND relname <> 'alembic_version'"
    )
    with server_ledger.read() as connection:
        found = {tuple(row) for row in connection.execute(texts)}
    assert found == {
        (table.name, column.name, "C")
        for table in tables.metadata.sorted_tables
        for column in table.columns
        if column.type.python_type is str
    }


def test_a_database_of_a_newer_postsync_is_refused(url: str) -> None:
    """Before anything is read or written."""
    with closing(open_postgres(url)) as ledger, ledger.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(LedgerError, match="revision 9999, this postsync knows up to"):
        prepare(url)


def test_a_database_of_before_the_first_release_is_refused(url: str) -> None:
    """Its tables have the same revision, and not the same columns."""
    with closing(open_postgres(url)) as ledger, ledger.write() as connection:
        connection.execute(text("ALTER TABLE runs DROP COLUMN claims"))
    with pytest.raises(LedgerError, match=r"earlier postsync: it has no runs\.claims"):
        prepare(url)


@pytest.mark.parametrize("wrong", ["mysql://db/postsync", "db:5432", "postgresql+asyncpg://db/x"])
def test_a_url_of_something_else_is_refused_without_being_shown(wrong: str) -> None:
    """It may have a password."""
    with pytest.raises(LedgerError, match="URL is not understood") as refused:
        open_ledger(wrong)
    assert "postgresql://USER@HOST" in refused.value.hint
    assert wrong not in str(refused.value)


def test_a_server_that_is_away_is_an_error_that_may_pass() -> None:
    """Not one that ends the process."""
    nobody = "postgresql://me@127.0.0.1:1/postsync"
    with pytest.raises(LedgerUnavailable, match="Connection refused"):
        prepare(nobody)


def test_who_plans_keeps_out_who_plans_and_who_claims_but_not_who_only_adds(
    server_ledger: PostgresLedger,
) -> None:
    """The intake answers, whatever is done with what it took."""
    other = PostgresLedger(server_ledger.engine, server_ledger.lasting)
    impatient = open_postgres(url_of(server_ledger), busy_timeout=0.05)
    with server_ledger.write():
        for hold in (LockMode.EXCLUSIVE, LockMode.SHARED):
            with pytest.raises(LedgerUnavailable, match="lock timeout"), impatient.write(hold):
                pass
        with writing(other) as writer:
            assert writer.submit(arrival(notification(resource("a")))).verdict == "accepted"
    with server_ledger.write(LockMode.SHARED), other.write(LockMode.SHARED):
        pass
    impatient.close()


def test_two_who_claim_at_once_take_different_runs(server_ledger: PostgresLedger) -> None:
    """What one is about to take, the other passes over."""
    add_plan(server_ledger, runs=20)
    taken: list[str] = []
    together = threading.Barrier(2)

    def claim_some(owner: str) -> None:
        together.wait()
        while runs := take(server_ledger, free=3, owner=owner, hold=LockMode.SHARED):
            taken.extend(run.id for run in runs)

    with ThreadPoolExecutor(2) as crew:
        list(crew.map(claim_some, ["w-1", "w-2"]))
    assert len(taken) == len(set(taken)) == 20


def test_an_outcome_and_a_takeover_of_one_run_exclude_each_other(
    server_ledger: PostgresLedger,
) -> None:
    """Whoever comes first locks its row: a frozen worker cannot write when it wakes."""
    add_plan(server_ledger)
    (run,) = take(server_ledger)
    with server_ledger.write(LockMode.SHARED) as connection:
        later = server_ledger.now(connection) + 3_600_000
        uow = UnitOfWork(connection, later)
        release_lost(uow)
        assert [event.name for event in uow.events] == ["attempt.lost"]
        with ThreadPoolExecutor(1) as crew:
            done = settle(run, outcome(OutcomeKind.SUCCEEDED), later)
            settled = crew.submit(write, server_ledger, [done], hold=LockMode.SHARED)
            wait_for(lambda: waits(server_ledger), 5, "the frozen one to wait for the row")
            connection.commit()
            assert settled.result(60) == ["attempt.superseded"]
    with server_ledger.read() as connection:
        state, owner = connection.execute(text("SELECT state, owner FROM runs")).one()
    assert (state, owner) == ("due", None)


def url_of(ledger: PostgresLedger) -> str:
    with ledger.engine.connect() as connection:
        known: Any = connection.connection.driver_connection
        assert known is not None
        return f"postgresql://{known.info.user}@{known.info.host}:{known.info.port}/{known.info.dbname}"


def test_two_who_end_the_last_runs_of_a_plan_at_once_do_not_both_leave_it(
    server_ledger: PostgresLedger,
) -> None:
    """Neither sees that the other's has ended, unless they line up for the plan."""
    add_plan(server_ledger, 2, targets=True)
    first, second = take(server_ledger)
    done = [settle(run, outcome(OutcomeKind.SUCCEEDED), 0) for run in (first, second)]
    with server_ledger.write(LockMode.SHARED) as connection:
        uow = UnitOfWork(connection, 0)
        store_settlements(uow, "w-1", done[:1])
        uow.flush()
        with ThreadPoolExecutor(1) as crew:
            other = crew.submit(write, server_ledger, done[1:], hold=LockMode.SHARED)
            wait_for(lambda: waits(server_ledger), 5, "the second to wait for the plan")
            connection.commit()
            assert other.result(60) == ["attempt.succeeded", "plan.succeeded"]
    assert ended_plan(server_ledger) == ("succeeded", True, 0)


def waits(ledger: PostgresLedger) -> bool:
    query = "SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    with ledger.engine.connect() as connection:
        return bool(connection.scalar(text(query)))


def test_the_trails_numbers_follow_the_commits(server_ledger: PostgresLedger) -> None:
    """Whoever follows it would miss a line with a lower number that is committed later."""
    first = server_ledger.write(LockMode.APPEND)
    with first as connection:
        append_events(connection, 1, [Event("first", {})])
        with ThreadPoolExecutor(1) as crew:
            second = crew.submit(add_line, server_ledger, "second")
            wait_for(lambda: waits(server_ledger), 5, "the second one to wait")
            with server_ledger.read() as reading:
                assert read_trail(reading, EventFilters(), 0, 10).events == []
            connection.commit()
            second.result(60)
    with server_ledger.read() as reading:
        assert [one["event"] for one in read_trail(reading, EventFilters(), 0, 10).events] == [
            "first",
            "second",
        ]


def add_line(ledger: PostgresLedger, name: str) -> None:
    with ledger.write(LockMode.APPEND) as connection:
        append_events(connection, 1, [Event(name, {})])


def test_one_sync_that_comes_to_two_intakes_at_once_is_accepted_once(
    server_ledger: PostgresLedger,
) -> None:
    """The one that comes second to the ledger is a duplicate."""
    body = notification(resource("a"))
    with (
        writing(server_ledger) as one,
        writing(server_ledger) as two,
        ThreadPoolExecutor(8) as crew,
    ):
        receipts = list(crew.map(lambda n: (one, two)[n % 2].submit(arrival(body)), range(16)))
    assert sorted(receipt.verdict for receipt in receipts) == ["accepted"] + ["duplicate"] * 15
    assert (count(server_ledger, "syncs"), count(server_ledger, "deliveries")) == (1, 16)


def test_a_text_with_a_nul_is_stored(server_ledger: PostgresLedger) -> None:
    """PostgreSQL's text has none; a sender that writes one is not refused for ever."""
    with writing(server_ledger) as writer:
        writer.submit(
            Arrival("argocd", "sync", b"\0{", datetime.now(UTC), None, "not_json: \0 is no JSON")
        )
    with server_ledger.read() as connection:
        reason = connection.scalar(text("SELECT reason FROM deliveries"))
    assert reason == "not_json: \ufffd is no JSON"


def test_dispatchers_share_what_a_service_takes(server_ledger: PostgresLedger) -> None:
    """Three at once in all, not three for each of them."""
    rates = {"log.message": Rate(per_second=0.001, burst=3)}
    add_plan(server_ledger, runs=10)
    taken = [
        len(take(server_ledger, pace=Buckets(rates, shared=True), owner=owner))
        for owner in ("w-1", "w-2", "w-3")
    ]
    assert taken == [3, 0, 0]


def test_dispatchers_share_what_a_tenant_may(server_ledger: PostgresLedger) -> None:
    """Also where its lanes have no limit of a service."""
    rates = {"team-a": Rate(per_second=0.001, burst=3)}
    for lane in ("a.example of team-a", "b.example of team-a"):
        add_plan(server_ledger, runs=5, lane=lane, flow=f"{lane} shop")
    taken = [
        len(take(server_ledger, pace=Buckets({}, shared=True, of_tenant=rates.get), owner=owner))
        for owner in ("w-1", "w-2", "w-3")
    ]
    assert taken == [3, 0, 0]


def test_of_claims_in_one_moment_one_takes_from_a_tenants_bucket(
    server_ledger: PostgresLedger,
) -> None:
    """The other does not wait for it, and asks again soon: no two claims wait for each other."""
    rates = {"team-a": Rate(per_second=1, burst=3)}
    one, two = (Buckets({}, shared=True, of_tenant=rates.get) for _ in range(2))
    lane = "a.example of team-a"
    with server_ledger.write(LockMode.SHARED) as connection:
        one.load_tenant(connection, lane, server_ledger.now(connection))  # which makes it
    with server_ledger.write(LockMode.SHARED) as first:
        now = server_ledger.now(first)
        one.load_tenant(first, lane, now)
        with server_ledger.write(LockMode.SHARED) as second:
            two.load_tenant(second, lane, now)
        assert (one.tenant_waits(lane, now), two.tenant_waits(lane, now)) == (0, now + 50)


def test_a_task_is_done_by_one_at_a_time(server_ledger: PostgresLedger) -> None:
    """Two that plan the same would work for nothing."""
    with (
        server_ledger.exclusive_task("planning") as mine,
        server_ledger.exclusive_task("planning") as others,
    ):
        assert (mine, others) == (True, False)
        with server_ledger.exclusive_task("something else") as other_task:
            assert other_task
    with server_ledger.exclusive_task("planning") as again:
        assert again


@pytest.mark.slow
def test_a_task_that_lasts_longer_than_a_transaction_may_be_idle_stays_whose_it_is(
    server_ledger: PostgresLedger,
) -> None:
    """The server ends who is idle for longer than that, and whose lock it is with them."""
    with server_ledger.exclusive_task("watching", lasts=30) as mine:
        assert mine
        threading.Event().wait(SILENCE_MS / 1000 + 2)
        with server_ledger.exclusive_task("watching") as others:
            assert not others


def test_who_listens_hears_of_work(server_ledger: PostgresLedger) -> None:
    """And once when it begins to listen, for what it did not hear."""
    heard = threading.Semaphore(0)
    listener = Listener(url_of(server_ledger), heard.release)
    listener.start()
    assert heard.acquire(timeout=60)
    with server_ledger.write(LockMode.APPEND) as connection:
        server_ledger.notify(connection)
    assert heard.acquire(timeout=60)
    listener.stop()


def test_a_backup_is_a_file_that_one_host_can_go_on_with(
    server_ledger: PostgresLedger, tmp_path: Path
) -> None:
    """Every row is in it, the moment of its creation too."""
    add_plan(server_ledger, runs=3)
    with writing(server_ledger) as writer:
        writer.submit(arrival(notification(resource("a"))))
    seen: list[tuple[int, int]] = []
    back_up(url_of(server_ledger), tmp_path / "copy.db", lambda done, of: seen.append((done, of)))
    with closing(open_ledger(tmp_path / "copy.db")) as copy:
        for table in tables.metadata.tables:
            assert count(copy, table) == count(server_ledger, table), table
        assert len(take(copy)) == 3
    assert seen[-1][0] == seen[-1][1]


def test_a_database_goes_on_where_a_file_ended(
    file_ledger: SqliteLedger, server_ledger: PostgresLedger
) -> None:
    """Every row is there, open runs can be taken, and the trail's numbers go on."""
    add_plan(file_ledger, runs=3)
    with writing(file_ledger) as writer:
        writer.submit(arrival(notification(resource("a"))))
    seen: list[tuple[int, int]] = []
    copy_to_postgres(url_of(server_ledger), file_ledger.path, lambda *rows: seen.append(rows))
    assert seen[-1][0] == seen[-1][1] > 0
    for table in tables.metadata.tables:
        assert count(server_ledger, table) == count(file_ledger, table), table
    assert len(take(server_ledger)) == 3
    with writing(server_ledger) as writer:
        assert writer.submit(arrival(notification(resource("b")))).verdict == "accepted"


def test_a_ledger_that_has_something_is_not_filled(
    file_ledger: SqliteLedger, server_ledger: PostgresLedger
) -> None:
    """Two histories do not become one; nothing is changed."""
    for ledger in (file_ledger, server_ledger):
        with writing(ledger) as writer:
            writer.submit(arrival(notification(resource("a"))))
    with pytest.raises(LedgerError, match="has a trail already"):
        copy_to_postgres(url_of(server_ledger), file_ledger.path, lambda *_: None)
    assert count(server_ledger, "deliveries") == 1


def test_a_file_in_use_is_not_copied_from(
    file_ledger: SqliteLedger, server_ledger: PostgresLedger
) -> None:
    """What its instance takes meanwhile would be missing."""
    with (
        lock_ledger(file_ledger.path),
        pytest.raises(LedgerError, match="in use by another instance"),
    ):
        copy_to_postgres(url_of(server_ledger), file_ledger.path, lambda *_: None)


def test_tasks_that_last_leave_the_pool_to_the_rest(server_ledger: PostgresLedger) -> None:
    """As many senders may have an Argo CD that is slow."""
    with ExitStack() as held:
        for number in range(60):
            assert held.enter_context(server_ledger.exclusive_task(f"slow {number}", lasts=60))
        with server_ledger.read() as connection:
            assert server_ledger.now(connection) > 0


def test_a_pool_that_is_used_up_is_a_ledger_that_cannot_be_used(
    server_ledger: PostgresLedger,
) -> None:
    """Whoever waits for one is told, and tries again."""
    with ExitStack() as held:
        for _ in range(48):
            held.enter_context(server_ledger.read())
        for use in (server_ledger.read, server_ledger.write):
            with pytest.raises(LedgerUnavailable, match="in use"), use():
                pass
        with pytest.raises(LedgerUnavailable, match="in use"), server_ledger.exclusive_task("a"):
            pass
    with server_ledger.read() as connection:
        assert server_ledger.now(connection) > 0
