"""Connections that go only where the policy allows, and only as long as their attempt lasts."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import NewConnectionError

from receiver.errors import PermanentError
from receiver.outbound.policy import Policy
from receiver.outbound.watchdog import Watchdog


class Late(OSError):
    """The attempt's time was over before the answer was there."""


class Guard:
    """What the connections of one door share; each thread has the deadline of its attempt."""

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

    def left(self) -> float:
        """Return the seconds that are left.

        Raises:
            Late: there are none.
        """
        left: float = self._local.deadline - time.monotonic()
        if left <= 0:
            raise Late
        return left

    def watch(self, sock: socket.socket) -> None:
        """Have the socket shut down at this thread's deadline."""
        self.unwatch()
        self._local.ticket = self._watchdog.watch(sock, self._local.deadline)

    def unwatch(self) -> None:
        """Let the socket of this thread be."""
        if self._local.ticket is not None:
            self._watchdog.release(self._local.ticket)
            self._local.ticket = None

    def connect(self, host: str, port: int, options: Any) -> socket.socket:
        """Connect to the first address of the host that is allowed and answers.

        What was judged is what is connected to: the name is not looked up a second time.

        Raises:
            PermanentError: no address of it is allowed.
            OSError: none of the allowed ones answered, or the name is not known.
        """
        found = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)
        refusals, failure = [], None
        for family, kind, protocol, _, address in found:
            refusal = self.policy.refuse_address(str(address[0]))
            if refusal:
                refusals.append(refusal)
                continue
            sock = socket.socket(family, kind, protocol)
            try:
                for option in options or ():
                    sock.setsockopt(*option)
                sock.settimeout(self.left())
                sock.connect(address)
            except OSError as error:
                sock.close()
                failure = error
                continue
            return sock
        if failure is None:
            raise PermanentError(f"{host} may not be called: {'; '.join(dict.fromkeys(refusals))}")
        raise failure


class _Guarded(HTTPConnection):
    guard: Guard

    def _new_conn(self) -> socket.socket:
        try:
            return self.guard.connect(self._dns_host, self.port, self.socket_options)
        except OSError as error:
            raise NewConnectionError(self, str(error)) from error

    def request(self, *args: Any, **options: Any) -> None:
        """Send a request on a watched socket, be it new or kept from an earlier one."""
        if self.sock is None:
            self.connect()
        self.sock.settimeout(self.guard.left())
        self.guard.watch(self.sock)
        super().request(*args, **options)


class _GuardedTls(_Guarded, HTTPSConnection):
    def connect(self) -> None:
        """Connect, the handshake watched as well."""
        HTTPSConnection.connect(self)


class GuardedAdapter(HTTPAdapter):
    """requests' adapter over guarded connections, without any retry of its own."""

    def __init__(self, guard: Guard, pool_size: int) -> None:
        self._guard = guard
        super().__init__(pool_connections=pool_size, pool_maxsize=pool_size, max_retries=0)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Make the pools of guarded connections."""
        super().init_poolmanager(*args, **options)
        _use(self.poolmanager, self._guard)

    def proxy_manager_for(self, *args: Any, **options: Any) -> Any:
        """Likewise behind a proxy: then it is the proxy's address that is judged."""
        manager = super().proxy_manager_for(*args, **options)
        _use(manager, self._guard)
        return manager


def _use(manager: PoolManager, guard: Guard) -> None:
    own = {"guard": guard}
    plain = type("Connection", (_Guarded,), own)
    secure = type("SecureConnection", (_GuardedTls,), own)
    manager.pool_classes_by_scheme = {
        "http": type("Pool", (HTTPConnectionPool,), {"ConnectionCls": plain}),
        "https": type("SecurePool", (HTTPSConnectionPool,), {"ConnectionCls": secure}),
    }
