"""What `postsync serve` and `postsync work` have in common: options, waiting, the dispatcher."""

from __future__ import annotations

import functools
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from receiver.app.composition import build_dispatcher, build_retention_thread, build_tracing
from receiver.cli import options
from receiver.core.errors import HandlersHang, LedgerDamaged, LedgerUnavailable, SettingsError
from receiver.core.logs import Log, configure_logs
from receiver.ledger.engine.open import prepare
from receiver.ledger.engine.wakeup import Wakeup
from receiver.settings.loading import load_settings, unknown_variables
from receiver.settings.model import Settings


def process_options(address: str, port: str) -> Callable[[options.Command], options.Command]:
    """Give a command the options of a process that listens, and hand it the ``settings``."""

    def decorate(function: options.Command) -> options.Command:
        @options.settings
        @click.option("--host", help=f"{address} (default 127.0.0.1).")
        @click.option("--port", type=int, help=f"{port} (default 8080).")
        @options.rules
        @options.database
        @functools.wraps(function)
        def call(*, settings_file: Path | None, paths: tuple[Path, ...], **given: Any) -> Any:
            return function(load_settings(settings_file, rules=list(paths) or None, **given))

        return call

    return decorate


def start_log(settings: Settings) -> Log:
    """Set up the log, and warn in it of variables that are no settings."""
    log = configure_logs(settings.log_format)
    for variable, hint in unknown_variables(os.environ).items():
        log.warning("settings.unknown", variable=variable, hint=hint or "it is no setting")
    return log


def wait_for_ledger(settings: Settings, log: Log) -> None:
    """Wait until the ledger can be used: a database may come up after us.

    Raises:
        LedgerError: it is there and cannot be used as it is.
    """
    while True:
        try:
            prepare(settings.ledger)
        except LedgerUnavailable as error:
            log.warning("ledger.unavailable", reason=str(error))
            time.sleep(1)
        else:
            return


def dispatch(settings: Settings, wakeup: Wakeup, log: Log, owner: str) -> None:
    """Plan, run and delete what is old, until SIGTERM; ``owner`` is its name in the ledger.

    A damaged ledger ends the process, and so the instance: the next start checks the file first.
    So do handlers that hang in all threads: the next start has new ones.
    """
    tracing = build_tracing(settings, log)
    dispatcher = build_dispatcher(settings, wakeup, log, owner, tracing)
    signal.signal(signal.SIGTERM, lambda *_: dispatcher.stop())
    signal.signal(signal.SIGHUP, lambda *_: dispatcher.reload())
    retention = build_retention_thread(settings, log)
    retention.start()
    try:
        dispatcher.run()
    except LedgerDamaged as error:
        log.error("ledger.damaged", reason=error.message, hint=error.hint)  # noqa: TRY400 a traceback helps nobody here
        sys.exit(1)
    except HandlersHang as error:
        log.error("dispatcher.exhausted", reason=error.message)  # noqa: TRY400 likewise
        sys.exit(1)
    finally:
        if tracing:
            tracing.stop()
    retention.stop()


def check_address(settings: Settings) -> None:
    """Check, before anything starts, that the address can be listened on.

    Raises:
        SettingsError: it cannot.
    """
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
