"""Shuts sockets down at their deadline.

A socket's own timeout counts from each read: a peer that sends a byte now and then is never
late. A thread that is blocked in a read cannot check the clock, so one thread does it for all.
"""

from __future__ import annotations

import heapq
import itertools
import socket
import threading
import time
from contextlib import suppress

from receiver.core.threads import SupervisedThread

SPARE = 64
"""Entries of released sockets that are left in the heap before it is swept."""


class Watchdog:
    """One thread, started with the first socket (and so after a fork)."""

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self._heap: list[tuple[float, int]] = []
        self._watched: dict[int, tuple[float, socket.socket]] = {}
        self._changed = threading.Condition()
        self._thread: SupervisedThread | None = None
        self._stopped = False

    def watch(self, sock: socket.socket, deadline: float) -> int:
        """Shut the socket down at ``deadline`` (monotonic), unless released; return a ticket."""
        with self._changed:
            if self._thread is None:
                self._thread = SupervisedThread("watchdog", self._work)
                self._thread.start()
            ticket = next(self._numbers)
            self._watched[ticket] = (deadline, sock)
            earliest = self._heap[0][0] if self._heap else float("inf")
            heapq.heappush(self._heap, (deadline, ticket))
            if deadline < earliest:
                self._changed.notify()
            return ticket

    def release(self, ticket: int) -> None:
        """Watch the socket no longer."""
        with self._changed:
            self._watched.pop(ticket, None)
            if len(self._heap) > SPARE + 2 * len(self._watched):
                self._heap = [(deadline, one) for one, (deadline, _) in self._watched.items()]
                heapq.heapify(self._heap)

    def stop(self) -> None:
        """End the thread; what it watched is watched no longer."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def _work(self) -> None:
        with self._changed:
            while not self._stopped:
                left = self._heap[0][0] - time.monotonic() if self._heap else None
                if left is None or left > 0:
                    self._changed.wait(left)
                    continue
                _, ticket = heapq.heappop(self._heap)
                if ticket in self._watched:
                    _shut_down(self._watched.pop(ticket)[1])


def _shut_down(sock: socket.socket) -> None:
    """Shut down the connection itself.

    An `SSLSocket` would drop its TLS as well, and the thread that reads from it would get the rest,
    still encrypted, as if it were plain text.
    """
    with suppress(OSError):  # it was closed by its owner just now
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
