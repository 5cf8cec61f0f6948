"""requests' and urllib3's connections, under the guard, and strict about what HTTP is."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from email.errors import FirstHeaderLineIsContinuationDefect, MissingHeaderBodySeparatorDefect
from functools import lru_cache
from http.client import HTTPException, HTTPResponse
from tempfile import NamedTemporaryFile
from typing import Any

from requests import PreparedRequest
from requests.adapters import HTTPAdapter
from urllib3 import BaseHTTPResponse, PoolManager, Timeout
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import NewConnectionError

from receiver.contract import Tls
from receiver.core.errors import PermanentError
from receiver.outbound.destinations import Destination
from receiver.outbound.guard import Guard

ORIGINS = 256
"""Origins whose way is kept: which pool they have, and what to trust there."""
AUTHORITIES = 32
"""Contexts that are kept: one for each server with an authority of its own."""

NO_HEADER = (FirstHeaderLineIsContinuationDefect, MissingHeaderBodySeparatorDefect)
BLANK = (b"\r\n", b"\n")


@dataclass(frozen=True, slots=True)
class Request:
    """A request that may be sent; ``proxy`` is the URL of the one on its way, "" for none.

    ``headers`` has the length of the body.
    """

    method: str
    destination: Destination
    proxy: str
    headers: Mapping[str, str]
    body: bytes | None


class InvalidHttp(HTTPException):
    """The answer is no valid HTTP; the message quotes nothing of it."""


class StrictResponse(HTTPResponse):
    """A response whose head is read as strictly as RFC 9112 asks.

    `http.client` is lenient: a head that broke off counts as whole, an invalid Content-Length as
    missing, and half an answer could be read as a success.
    """

    def begin(self) -> None:
        """Read the head.

        Raises:
            InvalidHttp: it breaks off, has a line that is no header, or no usable length.
        """
        stream: Any = self.fp
        lines = _LastLineReader(stream)
        self.fp = lines  # type: ignore[assignment]  # it has all that reading the head needs
        try:
            super().begin()
        finally:
            if self.fp is not None:
                self.fp = stream
        if lines.last not in BLANK:
            raise InvalidHttp("its head breaks off")
        if any(isinstance(one, NO_HEADER) for one in self.msg.defects):
            raise InvalidHttp("a line of its head is no header")
        lengths = {one.strip() for value in self.msg.get_all("content-length", ())
                   for one in value.split(",")}  # fmt: skip
        if len(lengths) > 1:
            raise InvalidHttp("it has two lengths")
        if any(not (one.isascii() and one.isdecimal()) for one in lengths):
            raise InvalidHttp("its length is no number")


class _LastLineReader:
    """Reads a stream line by line and keeps the last line."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.last = b""

    def readline(self, limit: int) -> bytes:
        self.last = self._stream.readline(limit)
        return self.last

    def close(self) -> None:
        self._stream.close()


class _Guarded(HTTPConnection):
    guard: Guard
    response_class = StrictResponse

    def _new_conn(self) -> socket.socket:
        try:
            return self.guard.connect(self._dns_host, self.port, self.socket_options)
        except OSError as error:
            raise NewConnectionError(self, str(error)) from error

    def request(self, *args: Any, **options: Any) -> None:
        """Send a request on a watched socket, be it new or kept from an earlier one."""
        if self.sock is None:
            self.connect()
        self.sock.settimeout(self.guard.seconds_left())
        self.guard.watch(self.sock)
        super().request(*args, **options)


class _GuardedTls(_Guarded, HTTPSConnection):
    _duplicate: socket.socket | None = None

    def _new_conn(self) -> socket.socket:
        """Watch a duplicate of the socket: the handshake detaches the socket itself."""
        sock = super()._new_conn()
        self._duplicate = sock.dup()
        self.guard.watch(self._duplicate)
        sock.settimeout(self.guard.seconds_left())
        return sock

    def connect(self) -> None:
        """Connect, the proxy's answer and the handshake watched as well."""
        try:
            super().connect()
        finally:
            self.guard.unwatch()
            if self._duplicate is not None:
                self._duplicate.close()
                self._duplicate = None


class GuardedAdapter(HTTPAdapter):
    """requests' adapter over guarded connections, without any retry of its own.

    Its ``verify`` may be a `Tls` as well: connections are then kept apart from others. ``trust``
    is what is trusted else: a file of certificates, or True for the usual ones.
    """

    def __init__(self, guard: Guard, pool_size: int, trust: str | bool) -> None:
        self._guard = guard
        self._trust = trust
        self._trusting = lru_cache(AUTHORITIES)(tls_context)
        self._ways = lru_cache(ORIGINS)(self._way)
        super().__init__(pool_connections=pool_size, pool_maxsize=pool_size, max_retries=0)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Make the pools of guarded connections."""
        super().init_poolmanager(*args, **options)
        _use_guarded_connections(self.poolmanager, self._guard)

    def proxy_manager_for(self, *args: Any, **options: Any) -> Any:
        """Likewise behind a proxy: then the proxy's address is the one that is checked."""
        manager = super().proxy_manager_for(*args, **options)
        _use_guarded_connections(manager, self._guard)
        return manager

    def open(self, request: Request, *, timeout: float, tls: Tls | None) -> BaseHTTPResponse:
        """Send a request, and return its answer when the head is read.

        As `send` does it, without what is for sessions: redirects, cookies, hooks. With these, a
        small request costs twice as much.
        """
        to, proxy, trust = request.destination, request.proxy, tls or self._trust
        pool: Any
        if tls is not None or proxy:
            proxies = {"http": proxy, "https": proxy} if proxy else {}
            plain = _to(to.url)
            pool = self.get_connection_with_tls_context(plain, trust, proxies)  # type: ignore[arg-type]  # a `Tls` too
            target = self.request_url(plain, proxies)
        else:
            host, options = self._ways(to.origin)
            pool = self.poolmanager.connection_from_host(**host, pool_kwargs=options)
            target = to.target
        self.cert_verify(pool, to.url, trust, None)
        response: BaseHTTPResponse = pool.urlopen(
            request.method, target, body=request.body, headers=request.headers,
            timeout=Timeout(connect=timeout, read=timeout), retries=self.max_retries,
            redirect=False, assert_same_host=False, preload_content=False, decode_content=False,
        )  # fmt: skip
        return response

    def _way(self, origin: str) -> tuple[Any, Any]:
        return self.build_connection_pool_key_attributes(_to(origin), self._trust)

    def build_connection_pool_key_attributes(
        self, request: PreparedRequest, verify: Any, cert: Any = None
    ) -> tuple[Any, Any]:
        """Name the pool of a server, with the context of its `Tls`."""
        if not isinstance(verify, Tls):
            return super().build_connection_pool_key_attributes(request, verify, cert)
        host, _ = super().build_connection_pool_key_attributes(request, verify=True, cert=None)
        return host, {"ssl_context": self._trusting(verify)}

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Set what to trust, unless the pool's context has it."""
        if not isinstance(verify, Tls):
            super().cert_verify(conn, url, verify, cert)  # type: ignore[no-untyped-call] # in the stubs


def _to(url: str) -> PreparedRequest:
    request = PreparedRequest()
    request.url = url
    return request


def _use_guarded_connections(manager: PoolManager, guard: Guard) -> None:
    own = {"guard": guard}
    plain = type("Connection", (_Guarded,), own)
    secure = type("SecureConnection", (_GuardedTls,), own)
    manager.pool_classes_by_scheme = {
        "http": type("Pool", (HTTPConnectionPool,), {"ConnectionCls": plain}),
        "https": type("SecurePool", (HTTPSConnectionPool,), {"ConnectionCls": secure}),
    }


def tls_context(tls: Tls) -> ssl.SSLContext:
    """Return a context that trusts what is given, and presents our certificate if there is one.

    Raises:
        PermanentError: what is given is no certificate or no key; the message does not quote it.
    """
    try:
        context = ssl.create_default_context(cadata=tls.authority or None)
    except (ssl.SSLError, ValueError):
        raise PermanentError("the authority to trust is no certificate in PEM") from None
    if tls.certificate:
        try:
            with NamedTemporaryFile() as file:  # OpenSSL reads it from a file only
                file.write(f"{tls.certificate}\n{tls.key}\n".encode())
                file.flush()
                context.load_cert_chain(file.name, password="")
        except (ssl.SSLError, ValueError):
            raise PermanentError("the client's certificate or key is none in PEM") from None
    return context
