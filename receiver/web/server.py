"""gunicorn, set up for the intake: one process, threads, and a time limit on each sender."""

from __future__ import annotations

import heapq
import os
import runpy
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.config import Config
from gunicorn.workers.gthread import TConn, ThreadWorker

from receiver.errors import SettingsError
from receiver.settings import Settings

GRACE = 20
"""Seconds that requests under way have to finish after SIGTERM."""

MEMORY = "/dev/shm"  # noqa: S108 gunicorn makes its file there safely
"""Where the worker's heartbeat file is best: on a busy disk, or a read-only one, it blocks or fails
(https://docs.gunicorn.org/en/stable/faq.html, "How do I avoid Gunicorn excessively blocking")."""

ON_CUT = "postsync.on_cut"
"""Among the app's extensions: what to call when a slow sender was cut off."""

Factory = Callable[[], tuple[Flask, Callable[[], None]]]
"""Makes the app and what stops its parts; called in the worker, after the fork."""


class Cutter:
    """Shuts down connections whose request is not there in time.

    A thread blocked in a read cannot look at the clock, so one watcher does it for all.
    """

    def __init__(self, limit: float, on_cut: Callable[[], None]) -> None:
        self._limit = limit
        self._on_cut = on_cut
        self._heap: list[tuple[float, int]] = []
        self._open: dict[int, TConn] = {}
        self._number = 0
        self._changed = threading.Condition()
        threading.Thread(target=self._watch, name="slow-senders", daemon=True).start()

    def watch(self, connection: TConn) -> int:
        """Begin the time of a request; return its ticket."""
        with self._changed:
            self._number += 1
            self._open[self._number] = connection
            heapq.heappush(self._heap, (time.monotonic() + self._limit, self._number))
            if len(self._heap) == 1:
                self._changed.notify()
            return self._number

    def release(self, ticket: int) -> None:
        """End the watch: the request is there, or its connection is done with."""
        with self._changed:
            self._open.pop(ticket, None)

    def _watch(self) -> None:
        while True:
            with self._changed:
                while not self._heap:
                    self._changed.wait()
                deadline, ticket = self._heap[0]
                left = deadline - time.monotonic()
                if left <= 0:
                    heapq.heappop(self._heap)
                    late = self._open.pop(ticket, None)
                    if late is not None:
                        _stop_reading(late)
                        self._on_cut()
            if left > 0:
                time.sleep(min(left, 0.5))


def _stop_reading(connection: TConn) -> None:
    """End a blocked read; an answer can still be written.

    The socket is looked up now, since TLS has replaced it meanwhile; and an SSLSocket's own
    shutdown would drop its encryption under the thread that reads.
    """
    with suppress(OSError):
        socket.socket.shutdown(connection.sock, socket.SHUT_RD)


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
        """Handle one request, its arrival bounded; what the app does meanwhile is not cut."""
        ticket = self.cutter.watch(conn)
        try:
            result = super().handle(conn)
        finally:
            self.cutter.release(ticket)
        if result:
            return result
        with suppress(OSError):  # closed already, after an error of TLS
            conn.close(graceful=True)
        return GONE

    def finish_request(self, conn: TConn, fs: Future[Any]) -> None:
        """Account for a finished request, in the thread that accepts."""
        if not fs.cancelled() and fs.exception() is None and fs.result() is GONE:
            self.nr_conns -= 1
        else:
            super().finish_request(conn, fs)


class Server(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn without its command line."""

    def __init__(self, settings: Settings, factory: Factory) -> None:
        self._settings = settings
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
            "loglevel": "warning",
            "control_socket_disable": True,
            "worker_tmp_dir": MEMORY if os.access(MEMORY, os.W_OK) else None,
            "worker_exit": self._leave,
        }
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
