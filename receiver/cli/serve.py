"""`postsync serve`: the intake, and on the embedded ledger the dispatcher, each a process."""

from __future__ import annotations

import gc
import os
import socket
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

import click
from flask import Flask

from receiver.app.composition import build_intake, check_tracing, read_keys
from receiver.app.connections import warn_of_unknown_senders
from receiver.app.supervisor import Supervisor
from receiver.cli.client import DEFAULT_URL
from receiver.cli.processes import (
    check_address,
    dispatch,
    process_options,
    start_log,
    wait_for_ledger,
)
from receiver.cli.screen import write_text
from receiver.core.errors import LedgerUnavailable
from receiver.core.logs import Log
from receiver.core.model import new_id
from receiver.core.threads import start_daemon
from receiver.ledger.engine.folder import lock_ledger
from receiver.ledger.engine.open import open_ledger
from receiver.ledger.engine.wakeup import Wakeup
from receiver.ledger.queries.reader import Reader
from receiver.ledger.queries.rows import RulesStatus
from receiver.settings.model import Settings
from receiver.web.app import create_app
from receiver.web.gunicorn_server import Server
from receiver.web.metrics import Pid
from receiver.web.tls import Tls, load_tls

PATIENCE = 20.0
"""Seconds in which the server has to become ready before the banner gives up on it."""


@click.command()
@process_options("Address to listen on", "Port to listen on")
@click.option("--allow-anonymous", is_flag=True, default=None, help="Start without any token.")
def serve(settings: Settings) -> None:
    """Take notifications and run the rules' actions.

    Runs two processes on this host: the intake, which stores what Argo CD sends, and the
    dispatcher, which plans and runs. SIGHUP loads the rules again (a change of their files is
    noticed by itself); SIGTERM ends the attempts under way, and leaves the rest to the next start.

    With --database the ledger is in PostgreSQL: any number of `postsync serve`, on any host, take
    notifications, and any number of `postsync work` do the work.

    \b
      postsync serve
      postsync serve --rules rules/ --port 9000
      postsync serve --database postgresql://postsync@db/postsync
    """  # noqa: D301 click's \b keeps the lines
    log = start_log(settings)
    warn_of_unknown_senders(settings, read_keys(settings, log).senders.names, log)
    tls = load_tls(settings, log)
    check_address(settings)
    check_tracing(settings, log)
    wakeup = Wakeup()
    dispatcher: Pid | None = None
    bodies = {"intake": lambda: _serve_intake(settings, tls, wakeup, log, dispatcher)}
    with ExitStack() as held:
        if isinstance(settings.ledger, Path):
            held.enter_context(lock_ledger(settings.ledger))
            bodies["dispatcher"] = lambda: dispatch(settings, wakeup, log, new_id("w"))
        wait_for_ledger(settings, log)
        supervisor = Supervisor(bodies, grace=settings.drain + 5)
        if "dispatcher" in bodies:
            dispatcher = partial(supervisor.pid_of, "dispatcher")
        gc.freeze()  # what is imported now stays shared between the processes
        sys.exit(supervisor.run(lambda: _announce(settings)))


def _serve_intake(
    settings: Settings, tls: Tls | None, wakeup: Wakeup, log: Log, dispatcher: Pid | None
) -> None:
    def build() -> tuple[Flask, Callable[[], None]]:
        intake = build_intake(settings, wakeup, log)
        if tls is not None:
            tls.start()
        return create_app(intake, tls, dispatcher), intake.stop

    Server(settings, build, tls).run()


def _announce(settings: Settings) -> None:
    """Print where it listens, once it does; the supervisor does not wait for that."""
    if sys.stderr.isatty() or os.environ.get("POSTSYNC_BANNER"):
        start_daemon("banner", partial(_banner, settings))


def _banner(settings: Settings) -> None:
    tls = settings.tls_certificate is not None
    url = f"{'https' if tls else 'http'}://{settings.host}:{settings.port}"
    rules = _rules_in_force(settings)
    if rules is None:
        return
    where = ", ".join(map(str, settings.rules))
    lines = [
        f"postsync listens on {url} and keeps its ledger in {settings.home}",
        f"rules: {rules['rules']} in force, from {where}",
        *([f"rules refused:\n{rules['error']}"] if rules["error"] else []),
        "next, in another terminal:",
        *_address_for_commands(url, tls=tls),
        "  postsync send --example",
        "  postsync show last",
        "",
    ]
    write_text("\n".join(lines), err=True)


def _address_for_commands(url: str, *, tls: bool) -> list[str]:
    """Return what a shell has to set so that the commands find a server that is not the usual."""
    if tls:
        return ["  export POSTSYNC_URL=https://NAME:PORT POSTSYNC_CA=AUTHORITY.pem"]
    return [] if url == DEFAULT_URL else [f"  export POSTSYNC_URL={url}"]


def _rules_in_force(settings: Settings) -> RulesStatus | None:
    """Wait until the server listens and the rules are loaded or refused.

    The ledger is asked, since the server's certificate need not be for the address it listens on.
    """
    until = time.monotonic() + PATIENCE
    reader = Reader(open_ledger(settings.ledger))
    while time.monotonic() < until:
        with suppress(OSError, LedgerUnavailable):
            socket.create_connection((settings.host, settings.port), 2).close()
            rules = reader.readiness().rules
            if rules is not None and "loadedAt" in rules:
                return rules
        time.sleep(0.1)
    return None
