"""gunicorn, set up for the intake: one process, threads, and a time limit on each sender."""

from __future__ import annotations

import os
import runpy
import socket
import ssl
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.config import Config
from gunicorn.http.errors import ParseException
from gunicorn.workers.gthread import TConn, ThreadWorker

from receiver.errors import SettingsError
from receiver.settings import Settings
from receiver.web.cutter import Arriving, Cutter
from receiver.web.tls import Tls

GRACE = 20
"""Seconds that requests under way have to finish after SIGTERM."""

MEMORY = "/dev/shm"  # noqa: S108 gunicorn makes its file there safely
"""Where the worker's heartbeat file is best: on a busy disk, or a read-only one, it blocks or fails
(https://docs.gunicorn.org/en/stable/faq.html, "How do I avoid Gunicorn excessively blocking")."""

ON_CUT = "postsync.on_cut"
"""Among the app's extensions: what to call when a slow sender was cut off."""

ON_UNREADABLE = "postsync.on_unreadable"
"""Among the app's extensions: what to call with an address and a reason when a connection brought
no request that could be read."""

NOT_TLS = (
    b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n"
    b"Content-Type: application/problem+json\r\n\r\n"
    b'{"type": "urn:postsync:problem:not_tls", "title": "Bad Request", "status": 400, '
    b'"detail": "this port speaks HTTPS", "reason": "not_tls", '
    b'"hint": "begin the URL with https://"}\n'
)
"""The answer to plain HTTP on a port with TLS, which went without one otherwise."""

Factory = Callable[[], tuple[Flask, Callable[[], None]]]
"""Makes the app and what stops its parts; called in the worker, after the fork."""


GONE = object()
"""A connection that its own thread has closed."""


class Worker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """gthread, with the cutter around each request's arrival, and closing in its thread.

    gunicorn waits up to 2 s for the peer to close as well, and does so in the thread that
    accepts: one peer that does not close would stop the intake for all.
    """

    limit: float

    def init_process(self) -> None:
        """Start the cutter in this process."""
        self.cutter = Cutter(self.limit, self._count_cut)
        super().init_process()

    def _count_cut(self) -> None:
        count = self.wsgi.extensions.get(ON_CUT)
        if count is not None:
            count()

    def handle(self, conn: TConn) -> Any:
        """Handle one request, its arrival bounded."""
        conn.ticket = ticket = self.cutter.watch(conn)
        try:
            result = super().handle(conn)
        finally:
            self.cutter.release(ticket)
        if result:
            return result
        with suppress(OSError):  # closed already, after an error of TLS
            conn.close(graceful=True)
        return GONE

    def handle_request(self, req: Any, conn: TConn) -> Any:
        """Call the app; from the end of the body on, its time is not the sender's."""
        ticket = conn.ticket
        req.body.reader = Arriving(req.body.reader, lambda: self.cutter.release(ticket))
        return super().handle_request(req, conn)

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answer what could not be read as a request, and tell of it."""
        if isinstance(exc, ssl.SSLError) and exc.reason == "HTTP_REQUEST":
            with suppress(OSError):
                socket.socket.sendall(client, NOT_TLS)  # below the TLS that never came to be
        super().handle_error(req, client, addr, exc)
        tell = self.wsgi.extensions.get(ON_UNREADABLE)
        if tell is not None and isinstance(exc, ParseException | ssl.SSLError):
            tell(addr[0] if addr else "", str(exc))

    def finish_request(self, conn: TConn, fs: Future[Any]) -> None:
        """Account for a finished request, in the thread that accepts."""
        if not fs.cancelled() and fs.exception() is None and fs.result() is GONE:
            self.nr_conns -= 1
        else:
            super().finish_request(conn, fs)


class Server(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn without its command line."""

    def __init__(self, settings: Settings, factory: Factory, tls: Tls | None = None) -> None:
        self._settings = settings
        self._tls = tls
        self._factory = factory
        self._stop: Callable[[], None] | None = None
        super().__init__()

    def load_config(self) -> None:
        """Set gunicorn up; the operator's own file, if there is one, has the last word."""
        settings = self._settings
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        own: dict[str, Any] = {
            "bind": f"{host}:{settings.port}",
            "workers": 1,
            "threads": settings.threads,
            "worker_class": type("Worker", (Worker,), {"limit": settings.request_timeout}),
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
        if self._tls is not None:
            own |= _tls_settings(self._tls)
        if settings.gunicorn_config is not None:
            own |= _read_config(settings.gunicorn_config)
        for name, value in own.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """Make the app; gunicorn calls this in the worker."""
        app, self._stop = self._factory()
        return app

    def _leave(self, _server: Any, _worker: Any) -> None:
        if self._stop is not None:
            self._stop()


def _tls_settings(tls: Tls) -> dict[str, Any]:
    """Have gunicorn ask for the context of each new connection."""
    return {
        "certfile": str(tls.certificate),
        "keyfile": str(tls.key),
        "ssl_context": lambda _config, _default: tls.current.context,
    }


def _read_config(path: Path) -> dict[str, Any]:
    """Run a gunicorn configuration file, and take the settings of its top level.

    Raises:
        SettingsError: it is not there, it breaks off, or it sets what gunicorn does not know.
    """
    try:
        found = runpy.run_path(str(path))
    except Exception as error:
        raise SettingsError(f"gunicorn's configuration {path}: {error}") from error
    known = Config().settings
    given = {name: value for name, value in found.items() if not name.startswith("_")}
    plain = {name: value for name, value in given.items() if not isinstance(value, ModuleType)}
    for name in plain:
        if name not in known:
            raise SettingsError(f"gunicorn's configuration {path}: there is no setting {name}")
    return plain
