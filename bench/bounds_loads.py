"""Everything that `bounds.py` loads, one after another in turns, by its name in the tables."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial

import delivery
import floors
import intake
from budget import Seen, loaded
from hosts import Postgres, new_ledger, replicas
from stage import ours, parts

BARE, WEBHOOK, CURL = "bare Flask view", "webhook", "webhook running curl"
INTAKE, FROZEN = "intake, SQLite", "intake, SQLite, its dispatcher frozen"
INTAKE_FLOOR, BARE_ON_ONE = "floor of the intake, SQLite", "bare Flask view, kept to one core"
SHARED, SHARED_FLOOR = "two intakes, PostgreSQL", "floor of two intakes, PostgreSQL"
WHOLE, WHOLE_FLOOR = "the whole way, SQLite", "floor of the whole way, SQLite"
WORKERS, WORKERS_FLOOR = "the whole way, PostgreSQL", "floor of the whole way, PostgreSQL"


def subjects(server: Postgres, seconds: int) -> dict[str, Callable[[], Seen]]:
    """Everything that is loaded, in its turns."""
    pg = partial(floors.in_postgresql, server, seconds)
    return {
        BARE: lambda: Seen(intake.bare(seconds).rate),
        BARE_ON_ONE: partial(floors.bare, seconds),
        INTAKE: partial(stored, seconds),
        FROZEN: partial(stored, seconds, frozen=True),
        INTAKE_FLOOR: partial(floors.on_sqlite, seconds, calls=False),
        WEBHOOK: lambda: Seen(intake.webhook(seconds).rate),
        SHARED: partial(shared, server, seconds),
        SHARED_FLOOR: partial(pg, intakes=2, dispatchers=0),
        CURL: partial(curl, seconds),
        WHOLE: lambda: whole(delivery.on_sqlite(), seconds),
        WHOLE_FLOOR: partial(floors.on_sqlite, seconds, calls=True),
        WORKERS: lambda: whole(delivery.on_postgresql(server, 2), seconds),
        WORKERS_FLOOR: partial(pg, intakes=1, dispatchers=2),
    }


def stored(seconds: int, *, frozen: bool = False) -> Seen:
    """The intake on SQLite; its dispatcher waits, and holds no lock, when it is frozen."""
    with ours(intake.NOTHING) as (port, _, process):
        own, dispatcher = parts(process.pid)
        if frozen:
            os.kill(dispatcher, signal.SIGSTOP)
        try:
            return loaded([port], {"intake": [own], "dispatcher": [dispatcher]}, seconds)
        finally:
            os.kill(dispatcher, signal.SIGCONT)


def shared(server: Postgres, seconds: int) -> Seen:
    assert server.process
    with (
        new_ledger(server) as database,
        replicas(database, intake.NOTHING, intakes=2, workers=0) as started,
    ):
        pids = {"intake": [one.pid for one in started.intakes], "server": [server.process.pid]}
        return loaded(started.ports, pids, seconds)


def curl(seconds: int) -> Seen:
    seen = delivery.webhook(seconds)
    return Seen(seen.accepted, seen.delivered)


def whole(started: AbstractContextManager[delivery.Subject], seconds: int) -> Seen:
    with started as subject:
        return loaded([subject.port], subject.pids, seconds, subject.log)
