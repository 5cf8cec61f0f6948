"""`postsync work`: a dispatcher on a ledger that others share."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable
from pathlib import Path

import click
from flask import Flask

from receiver.app.supervisor import Supervisor
from receiver.cli.ledgers import wait_for_ledger
from receiver.cli.options import database_option
from receiver.cli.processes import check_address, dispatch
from receiver.core.errors import SettingsError
from receiver.core.logs import configure_logs
from receiver.core.model import new_id
from receiver.ledger.engine.open import open_ledger
from receiver.ledger.engine.wakeup import Wakeup
from receiver.ledger.queries.reader import Reader
from receiver.settings.loading import load_settings, unknown_variables
from receiver.settings.model import Settings
from receiver.web.app import create_worker_app
from receiver.web.gunicorn_server import Server


@click.command()
@click.option("--settings", "file", type=click.Path(path_type=Path), help="YAML file of settings.")
@click.option("--host", help="Address of its probes and metrics (default 127.0.0.1).")
@click.option("--port", type=int, help="Port of its probes and metrics (default 8080).")
@click.option(
    "--rules", multiple=True, type=click.Path(path_type=Path), help="Rules, file or folder."
)
@database_option
def work(
    file: Path | None,
    host: str | None,
    port: int | None,
    rules: tuple[Path, ...],
    database: str | None,
) -> None:
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
    settings = load_settings(
        file, host=host, port=port, rules=list(rules) or None, database=database
    )
    if settings.database is None:
        raise SettingsError(
            "postsync work needs a ledger that it can share",
            hint="set POSTSYNC_DATABASE to a PostgreSQL database; on one host, `postsync serve` "
            "works by itself",
        )
    log = configure_logs(settings.log_format)
    for variable, hint in unknown_variables(os.environ).items():
        log.warning("settings.unknown", variable=variable, hint=hint or "it is no setting")
    check_address(settings)
    wait_for_ledger(settings, log)
    wakeup, owner = Wakeup(), new_id("w")
    bodies = {
        "dispatcher": lambda: dispatch(settings, wakeup, log, owner),
        "probes": lambda: _answer(settings, owner),
    }
    gc.freeze()  # what is imported now stays shared between the processes
    sys.exit(Supervisor(bodies, grace=settings.drain + 5).run(lambda: None))


def _answer(settings: Settings, owner: str) -> None:
    def build() -> tuple[Flask, Callable[[], None]]:
        ledger = open_ledger(settings.ledger)
        return create_worker_app(Reader(ledger), owner), ledger.close

    Server(settings, build).run()
