"""Applies the address policy and the attempt's deadline to every connection."""

from __future__ import annotations

import heapq
import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, TypeAlias

from receiver.core.errors import PermanentError
from receiver.core.threads import SupervisedThread, call_with_timeout
from receiver.outbound.address_policy import Policy

Found: TypeAlias = list[tuple[Any, Any, int, str, tuple[Any, ...]]]

SPARE = 64
"""Entries of released sockets that are left in the watchdog's heap before it is swept."""


class DeadlineExceeded(OSError):
    """The attempt's deadline passed before the answer was there."""


class Guard:
    """Shared by all connections; each thread has the deadline of its own attempt."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self._watchdog = Watchdog()
        self._local = threading.local()

    @contextmanager
    def until(self, deadline: float) -> Iterator[None]:
        """Bound everything that this thread sends and reads within the block."""
        self._local.deadline = deadline
        self._local.ticket = None
        try:
            yield
        finally:
            self.unwatch()

    def seconds_left(self) -> float:
        """Return the seconds that are left.

        Raises:
            DeadlineExceeded: there are none.
        """
        left: float = self._local.deadline - time.monotonic()
        if left <= 0:
            raise DeadlineExceeded
        return left

    def watch(self, sock: socket.socket) -> None:
        """Have the socket shut down at this thread's deadline."""
        self.unwatch()
        self._local.ticket = self._watchdog.watch(sock, self._local.deadline)

    def unwatch(self) -> None:
        """Watch this thread's socket no longer."""
        if self._local.ticket is not None:
            self._watchdog.release(self._local.ticket)
            self._local.ticket = None

    def keep_watching(self) -> Callable[[], None]:
        """Watch this thread's socket beyond the block; what is returned ends that."""
        ticket, self._local.ticket = self._local.ticket, None
        return partial(self._watchdog.release, ticket)

    def close(self) -> None:
        """End the watchdog."""
        self._watchdog.stop()

    def connect(self, host: str, port: int, options: Any) -> socket.socket:
        """Connect to the first address of the host that is allowed and answers.

        The name is looked up once, so that the address that was checked is the one that is
        connected to. Each is tried for an equal share of the time, so that none takes all.

        Raises:
            PermanentError: no address of it is allowed, or it can be no host's name.
            OSError: none of the allowed ones answered in time, or the name is not known.
        """
        allowed = self._allowed(host, port)
        failure = OSError("no address was found")
        for index, one in enumerate(allowed):
            share = self.seconds_left() / (len(allowed) - index)
            try:
                return _connect_one(one, share, options)
            except OSError as error:
                failure = error
        raise failure

    def addresses(self, host: str) -> list[str]:
        """Return the addresses of a host that are allowed; raises as `connect` does."""
        return list(dict.fromkeys(str(one[4][0]) for one in self._allowed(host, 0)))

    def _allowed(self, host: str, port: int) -> Found:
        try:
            found = look_up(host, port, self.seconds_left())
        except UnicodeError:
            raise PermanentError(f"{host} can be no host's name") from None
        refusals = [self.policy.refuse_address(str(one[4][0])) for one in found]
        allowed = [one for one, refusal in zip(found, refusals, strict=True) if not refusal]
        if not allowed:
            reasons = "; ".join(dict.fromkeys(refusals))
            raise PermanentError(f"host {host} may not be called: {reasons}")
        return allowed


def _connect_one(one: Any, patience: float, options: Any) -> socket.socket:
    family, kind, protocol, _, address = one
    sock = socket.socket(family, kind, protocol)
    try:
        for option in options or ():
            sock.setsockopt(*option)
        sock.settimeout(patience)
        sock.connect(address)
    except OSError:
        sock.close()
        raise
    return sock


def look_up(host: str, port: int, timeout: float) -> Found:
    """Return what `socket.getaddrinfo` finds.

    The system's resolver cannot be interrupted and may take minutes where its servers are
    silent, so it is called in a thread of its own that is abandoned when it is late, after
    ``timeout`` seconds. An address needs no resolver and no thread.

    Raises:
        TimeoutError: nothing was found in time.
        OSError: the name is not known.
        UnicodeError: it can be no host's name.
    """
    try:
        return socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM, 0, socket.AI_NUMERICHOST)
    except socket.gaierror:
        pass
    call = partial(socket.getaddrinfo, host, port, 0, socket.SOCK_STREAM)
    return call_with_timeout("lookup", call, timeout)


class Watchdog:
    """Shuts sockets down at their deadline, by one thread for all of them.

    A socket's own timeout counts from each read: a peer that sends a byte now and then is never
    late. And a thread that is blocked in a read cannot check the clock. The watchdog's thread is
    started with the first socket, and so after a fork.
    """

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
