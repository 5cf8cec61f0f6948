"""A time limit on a request's arrival, from the connection to the end of its body."""

from __future__ import annotations

import heapq
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from gunicorn.workers.gthread import TConn

from receiver.threads import Supervised


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
        Supervised("slow-senders", self._watch).start()

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


class Arriving:
    """Reads a body for gunicorn, and tells when it is there to its end."""

    def __init__(self, reader: Any, arrived: Callable[[], None]) -> None:
        self._reader = reader
        self._arrived = arrived
        self._left: int | None = getattr(reader, "length", None)  # None: it comes in chunks
        if self._left == 0:
            arrived()

    def read(self, size: int) -> bytes:
        """Return at most ``size`` bytes, none at the end."""
        data: bytes = self._reader.read(size)
        if self._left is not None:
            self._left -= len(data)
        if not data or self._left == 0:
            self._arrived()
        return data
