"""gunicorn, set up for the intake: one process with threads."""

from __future__ import annotations

import os
import runpy
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.config import Config

from receiver.core.errors import SettingsError
from receiver.settings.model import Settings
from receiver.web.tls import Tls
from receiver.web.worker import Worker

GRACE = 20
"""Seconds that requests under way have to finish after SIGTERM."""

MEMORY = "/dev/shm"  # noqa: S108 gunicorn makes its file there safely
"""Where the worker's heartbeat file is best: on a busy disk, or a read-only one, it blocks or fails
(https://docs.gunicorn.org/en/stable/faq.html, "How do I avoid Gunicorn excessively blocking")."""

OURS = ("workers", "worker_class", "preload_app")
"""Settings that no file changes: of several workers each would count for itself alone, and a scrape
of /metrics would meet now one, now another."""

ENDLESS = 1_000_000
"""Connections at which gunicorn would accept no more, probes among them; the worker has bounds of
its own, and shuts instead those who keep it waiting."""


class Server(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn without its command line.

    ``factory`` makes the app and what stops its parts; it is called in the worker, after the fork.
    """

    def __init__(
        self, settings: Settings, factory: Callable[[], tuple[Flask, Callable[[], None]]],
        tls: Tls | None = None,
    ) -> None:  # fmt: skip
        self._settings = settings
        self._tls = tls
        self._factory = factory
        self._stop: Callable[[], None] | None = None
        super().__init__()

    def load_config(self) -> None:
        """Set gunicorn up; the operator's own file, if there is one, has the last word."""
        settings = self._settings
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        bounds = {"limit": settings.request_timeout, "max_body": settings.max_body}
        own: dict[str, Any] = {
            "bind": f"{host}:{settings.port}",
            "workers": 1,
            "preload_app": False,
            "threads": settings.threads,
            "worker_class": type("Worker", (Worker,), bounds),
            "worker_connections": ENDLESS,
            "keepalive": 2,
            "graceful_timeout": GRACE,
            "accesslog": None,
            "errorlog": "-",
            "loglevel": "error",  # a warning is a line for each stranger; ours are counted
            "forwarded_allow_ips": "",  # else it believes whoever connects from this host
            "control_socket_disable": True,
            "worker_tmp_dir": MEMORY if os.access(MEMORY, os.W_OK) else None,
            "worker_exit": self._leave,
        }
        if (tls := self._tls) is not None:
            own |= {"certfile": str(tls.certificate), "keyfile": str(tls.key)}
            # gunicorn asks it for each new connection.
            own["ssl_context"] = lambda _config, _default: tls.current.context
        if settings.gunicorn_config is not None:
            own |= _read_config(settings.gunicorn_config, own)
        for name, value in own.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """Make the app; gunicorn calls this in the worker."""
        app, self._stop = self._factory()
        return app

    def _leave(self, _server: Any, _worker: Any) -> None:
        if self._stop is not None:
            self._stop()


def _read_config(path: Path, own: Mapping[str, Any]) -> dict[str, Any]:
    """Run a gunicorn configuration file, and take the settings of its top level.

    Raises:
        SettingsError: it is not there, it breaks off, it sets what gunicorn does not know, or
            what has to be as in ``own``.
    """
    try:
        found = runpy.run_path(str(path))
    except Exception as error:
        raise SettingsError(f"gunicorn's configuration {path}: {error}") from error
    known = Config().settings
    plain = {
        name: value for name, value in found.items()
        if not (name.startswith("_") or isinstance(value, ModuleType))
    }  # fmt: skip
    for name in plain:
        if name not in known:
            raise SettingsError(f"gunicorn's configuration {path}: there is no setting {name}")
    for name in OURS:
        if plain.get(name, own[name]) != own[name]:
            raise SettingsError(
                f"gunicorn's configuration {path}: {name} is not to be set",
                hint="one process with threads takes all notifications; `threads` in the settings "
                "gives it more, and over PostgreSQL several `postsync serve` share the work",
            )
    return plain
