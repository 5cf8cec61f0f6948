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
from http import HTTPStatus
from pathlib import Path
from typing import Any

import click
from flask import Flask

from receiver.errors import AttemptError, SettingsError
from receiver.ledger.connect import lock_ledger, open_ledger
from receiver.ledger.doorbell import Doorbell
from receiver.logs import Log, configure_logs
from receiver.masking import Masker
from receiver.outbound import Outbound
from receiver.service import build_dispatcher, build_housekeeping, build_intake, read_keys
from receiver.settings import Settings, load_settings
from receiver.supervisor import Supervisor
from receiver.web.app import create_app
from receiver.web.server import Server

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
    _check_address(settings)
    lock = lock_ledger(settings.ledger)
    open_ledger(settings.ledger).close()
    doorbell = Doorbell()
    supervisor = Supervisor(
        {
            "intake": lambda: _serve_intake(settings, doorbell, log),
            "dispatcher": lambda: _dispatch(settings, doorbell, log),
        },
        grace=settings.drain + 5,
    )
    gc.freeze()  # what is imported now stays shared between the processes
    code = supervisor.run(lambda: _announce(settings))
    lock.close()
    sys.exit(code)


def _serve_intake(settings: Settings, doorbell: Doorbell, log: Log) -> None:
    def build() -> tuple[Flask, Callable[[], None]]:
        intake = build_intake(settings, doorbell, log)
        return create_app(intake), intake.writer.stop

    Server(settings, build).run()


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
    url = f"http://{settings.host}:{settings.port}"
    rules = _rules_in_force(f"{url}/readyz")
    if rules is None:
        return
    where = ", ".join(map(str, settings.rules))
    lines = [
        f"postsync listens on {url} and keeps its ledger in {settings.home}",
        f"rules: {rules.get('rules', 0)} in force, from {where}",
        *([f"rules refused:\n{rules['error']}"] if rules.get("error") else []),
        "next, in another terminal:",
        "  postsync send config/examples/notification.json --now",
        "  postsync show last",
        "",
    ]
    click.echo("\n".join(lines), err=True)


def _rules_in_force(url: str) -> dict[str, Any] | None:
    """Wait until the server is ready and the rules are loaded or refused."""
    until = time.monotonic() + PATIENCE
    door = Outbound()
    while time.monotonic() < until:
        try:
            answer = door.http(time.monotonic() + 2, Masker(())).send("GET", url)
            rules = answer.json().get("rules", {})
            if answer.status == HTTPStatus.OK and ("loadedAt" in rules or rules.get("ok")):
                return dict(rules)
        except (AttemptError, ValueError):
            pass
        time.sleep(0.1)
    return None
