"""`postsync work`: a dispatcher on a ledger that several hosts share."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from functools import partial

import click
from flask import Flask

from receiver.app.composition import check_tracing
from receiver.app.supervisor import Supervisor
from receiver.cli.processes import (
    check_address,
    dispatch,
    process_options,
    start_log,
    wait_for_ledger,
)
from receiver.core.errors import SettingsError
from receiver.core.model import new_id
from receiver.ledger.engine.open import open_ledger
from receiver.ledger.engine.wakeup import Wakeup
from receiver.ledger.queries.reader import Reader
from receiver.settings.model import Settings
from receiver.web.app import create_worker_app
from receiver.web.gunicorn_server import Server
from receiver.web.metrics import Pid


@click.command()
@process_options("Address of its probes and metrics", "Port of its probes and metrics")
def work(settings: Settings) -> None:
    """Run the rules' actions on a ledger in PostgreSQL.

    Any number of them share the work, on any host, beside any number of `postsync serve` that
    take notifications; any of them may die for good. Each answers /healthz, /readyz and /metrics.
    All have the same rules and secrets.

    \b
      export POSTSYNC_DATABASE=postgresql://postsync@db/postsync
      postsync migrate
      postsync serve &
      postsync work --port 8081
    """  # noqa: D301 click's \b keeps the lines
    if settings.database is None:
        raise SettingsError(
            "postsync work needs a ledger that it can share",
            hint="set POSTSYNC_DATABASE to a PostgreSQL database; on one host, `postsync serve` "
            "works by itself",
        )
    log = start_log(settings)
    check_address(settings)
    check_tracing(settings, log)
    wait_for_ledger(settings, log)
    wakeup, owner = Wakeup(), new_id("w")
    supervisor: Supervisor
    bodies = {
        "dispatcher": lambda: dispatch(settings, wakeup, log, owner),
        "probes": lambda: _answer(settings, owner, partial(supervisor.pid_of, "dispatcher")),
    }
    supervisor = Supervisor(bodies, grace=settings.drain + 5)
    gc.freeze()  # what is imported now stays shared between the processes
    sys.exit(supervisor.run(lambda: None))


def _answer(settings: Settings, owner: str, dispatcher: Pid) -> None:
    def build() -> tuple[Flask, Callable[[], None]]:
        ledger = open_ledger(settings.ledger)
        return create_worker_app(Reader(ledger), owner, dispatcher), ledger.close

    Server(settings, build).run()
