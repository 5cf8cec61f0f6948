"""`postsync serve`: the intake and the dispatcher, each a process, on the embedded ledger."""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import click
from flask import Flask

from receiver.errors import LedgerUnavailable, SettingsError
from receiver.ledger.connect import lock_ledger, open_ledger
from receiver.ledger.doorbell import Doorbell
from receiver.ledger.reader import Reader, Row
from receiver.logs import Log, configure_logs
from receiver.service import build_dispatcher, build_housekeeping, build_intake, read_keys
from receiver.settings import Settings, load_settings
from receiver.supervisor import Supervisor
from receiver.web.app import create_app
from receiver.web.server import Server
from receiver.web.tls import Tls, load_tls

PATIENCE = 20.0
"""Seconds in which the server has to become ready before the banner gives up on it."""


@click.command()
@click.option("--settings", "file", type=click.Path(path_type=Path), help="YAML file of settings.")
@click.option("--host", help="Address to listen on (default 127.0.0.1).")
@click.option("--port", type=int, help="Port to listen on (default 8080).")
@click.option(
    "--rules", multiple=True, type=click.Path(path_type=Path), help="Rules, file or folder."
)
@click.option("--allow-anonymous", is_flag=True, default=None, help="Start without any token.")
def serve(
    file: Path | None,
    host: str | None,
    port: int | None,
    rules: tuple[Path, ...],
    *,
    allow_anonymous: bool | None,
) -> None:
    """Take notifications and run the rules' actions.

    Runs two processes on this host: the intake, which stores what Argo CD sends, and the
    dispatcher, which plans and runs. SIGHUP loads the rules again (a change of their files is
    noticed by itself); SIGTERM ends the attempts under way, and leaves the rest to the next start.

    \b
      postsync serve
      postsync serve --rules rules/ --port 9000
    """  # noqa: D301 click's \b keeps the lines
    settings = load_settings(
        file, host=host, port=port, rules=list(rules) or None, allow_anonymous=allow_anonymous
    )
    log = configure_logs(settings.log_format)
    read_keys(settings, log)
    tls = load_tls(settings, log)
    _check_address(settings)
    lock = lock_ledger(settings.ledger)
    open_ledger(settings.ledger).close()
    doorbell = Doorbell()
    supervisor = Supervisor(
        {
            "intake": lambda: _serve_intake(settings, tls, doorbell, log),
            "dispatcher": lambda: _dispatch(settings, doorbell, log),
        },
        grace=settings.drain + 5,
    )
    gc.freeze()  # what is imported now stays shared between the processes
    code = supervisor.run(lambda: _announce(settings))
    lock.close()
    sys.exit(code)


def _serve_intake(settings: Settings, tls: Tls | None, doorbell: Doorbell, log: Log) -> None:
    def build() -> tuple[Flask, Callable[[], None]]:
        intake = build_intake(settings, doorbell, log)
        if tls is not None:
            tls.start()
        return create_app(intake, tls), intake.writer.stop

    Server(settings, build, tls).run()


def _dispatch(settings: Settings, doorbell: Doorbell, log: Log) -> None:
    dispatcher = build_dispatcher(settings, doorbell, log)
    signal.signal(signal.SIGTERM, lambda *_: dispatcher.stop())
    signal.signal(signal.SIGHUP, lambda *_: dispatcher.reload())
    housekeeping = build_housekeeping(settings, log)
    housekeeping.start()
    dispatcher.run()
    housekeeping.stop()


def _check_address(settings: Settings) -> None:
    """Find out before anything starts whether the address can be listened on."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise SettingsError(
                f"cannot listen on {settings.host}:{settings.port}: {error.strerror}",
                hint="choose another with --port or POSTSYNC_PORT",
            ) from None


def _announce(settings: Settings) -> None:
    """Tell a person where it listens, once it does; the supervisor does not wait for that."""
    if sys.stderr.isatty() or os.environ.get("POSTSYNC_BANNER"):
        threading.Thread(target=_banner, args=(settings,), daemon=True).start()


def _banner(settings: Settings) -> None:
    tls = settings.tls_certificate is not None
    url = f"{'https' if tls else 'http'}://{settings.host}:{settings.port}"
    rules = _rules_in_force(settings)
    if rules is None:
        return
    where = ", ".join(map(str, settings.rules))
    lines = [
        f"postsync listens on {url} and keeps its ledger in {settings.home}",
        f"rules: {rules.get('rules', 0)} in force, from {where}",
        *([f"rules refused:\n{rules['error']}"] if rules.get("error") else []),
        "next, in another terminal:",
        *(["  export POSTSYNC_URL=https://NAME:PORT POSTSYNC_CA=AUTHORITY.pem"] if tls else []),
        "  postsync send config/examples/notification.json --now",
        "  postsync show last",
        "",
    ]
    click.echo("\n".join(lines), err=True)


def _rules_in_force(settings: Settings) -> Row | None:
    """Wait until the server listens and the rules are loaded or refused.

    Asked of the ledger: the server's certificate need not be for the address it listens on.
    """
    until = time.monotonic() + PATIENCE
    reader = Reader(open_ledger(settings.ledger))
    while time.monotonic() < until:
        with suppress(OSError, LedgerUnavailable):
            socket.create_connection((settings.host, settings.port), 2).close()
            rules = reader.readiness().rules
            if "loadedAt" in rules or rules.get("ok"):
                return rules
        time.sleep(0.1)
    return None
