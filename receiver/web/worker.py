"""gunicorn's threaded worker, in which no connection holds a thread before its request is whole.

One thread accepts, does handshakes, reads, and sends what is left of answers, without blocking.
The threads of the pools get requests that are whole, and write answers into memory.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from functools import partial
from selectors import EVENT_READ, EVENT_WRITE
from typing import Any

from gunicorn.http.errors import ParseException

from receiver.web.connection import Connection, Stage
from receiver.web.connection_manager import ConnectionManager
from receiver.web.server_errors import BUSY, error_response
from receiver.web.thread_pools import ADMISSION, Admission, Pool

LINGER = 2.0
"""Seconds that a peer has to close after its last answer, as in gunicorn."""

AT_ONCE = 16
"""Connections that are accepted before the others are handled again."""

LARGEST_AT_ONCE = 8
"""Bodies of the largest size that are held at one time, whole or not."""

ON_UNREADABLE = "postsync.on_unreadable"
"""Key of the app's extension that is called with an address and a reason when a connection sent no
request that could be read."""

READ_BODY = object()
"""The result of a request whose token has become known: its body is to be read."""


class KeptSettings:
    """gunicorn's settings, each looked up once: a request asks for some thirty of them."""

    def __init__(self, config: Any) -> None:
        self._config = config

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._config, name)
        setattr(self, name, value)
        return value


class Worker(ConnectionManager):
    """Reads requests, and submits whole ones to the thread pools."""

    cfg: Any

    def run(self) -> None:
        """Serve until the end."""
        self.cfg = KeptSettings(self.cfg)
        self.admission: Admission | None = self.wsgi.extensions.get(ADMISSION)
        super().run()

    # Events of the poller.

    def accept(self, listener: Any) -> None:
        """Accept new connections; of too many, those of the first stages are closed."""
        for _ in range(AT_ONCE):
            try:
                peer, client = listener.accept()
            except BlockingIOError:
                return
            except OSError:  # the peer has gone already, or there are too many open files
                self._make_room(AT_ONCE)
                return
            try:
                connection = Connection(self.cfg, peer, client, listener.getsockname())
            except OSError:
                peer.close()
                continue
            self.nr_conns += 1
            if len(self.connections) >= self.most:
                self._make_room(1)
            self._hold(connection, Stage.HEAD, self.limit)
            self._ready(connection)

    def _ready(self, connection: Connection, _peer: Any = None) -> None:
        """Handle a connection that has an event."""
        if not connection.closed:  # it may have been closed a moment ago to make room
            self._guarded(connection, self._proceed)

    def _guarded(self, connection: Connection, step: Callable[[Connection], None]) -> None:
        """Handle a connection; an error in it affects no other one."""
        try:
            step(connection)
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            self._drop(connection)
        except ssl.SSLError as error:
            connection.failure = error
            self._submit(connection, Pool.UNAUTHENTICATED)
        except OSError:
            self._drop(connection)
        except Exception:
            self.log.exception("a connection is given up")
            self._drop(connection)

    def _proceed(self, connection: Connection) -> None:
        match connection.stage:
            case Stage.LEAVING:
                if connection.discard(self.max_body):
                    self._drop(connection)
            case Stage.ANSWER:
                if connection.send():
                    self._sent(connection)
            case _ if not connection.continue_handshake():
                self._poll_for(connection, connection.wants)
            case _:
                data = connection.receive()
                if data is None:
                    self._poll_for(connection, EVENT_READ)
                elif connection.stage in (Stage.BODY, Stage.FORM):
                    self._read_body(connection, data)
                elif data:
                    self._read_head(connection, data)
                else:
                    self._drop(connection)

    def _read_head(self, connection: Connection, data: bytes) -> None:
        if connection.stage is Stage.IDLE:
            self._hold(connection, Stage.HEAD, self.limit)
        if not connection.feed_head(data):
            self._poll_for(connection, EVENT_READ)
        elif connection.failure is not None:
            self._submit(connection, Pool.UNAUTHENTICATED)
        else:
            self._route(connection)

    def _route(self, connection: Connection) -> None:
        """Route a request by its head: only an authenticated one's body is read, up to a limit.

        And the form that brings a token.
        """
        head, admission = connection.head, self.admission
        connection.pool = Pool.AUTHENTICATED if admission is None else admission.pool(head)
        known = connection.pool is Pool.AUTHENTICATED
        if head.length != 0 and not known and not (admission and admission.takes_form(head)):
            connection.unread = True
        elif head.length is not None and head.length > self.max_body:
            connection.discard_body()
        elif head.length != 0:
            self._begin_body(connection)
            return
        self._submit(connection, connection.pool)

    def _begin_body(self, connection: Connection) -> None:
        known = connection.pool is Pool.AUTHENTICATED
        self.connections.add(connection, Stage.BODY if known else Stage.FORM)
        connection.send_continue()
        self._read_body(connection, b"", begins=True)

    def _read_body(self, connection: Connection, data: bytes, *, begins: bool = False) -> None:
        if not data and not begins:
            self._submit_incomplete(connection)
            return
        whole = connection.feed_body(data, self.max_body)
        self.connections.count(connection)
        if whole:
            self._submit(connection, connection.pool)
            return
        self._poll_for(connection, EVENT_READ)
        while self.connections.bytes > LARGEST_AT_ONCE * self.max_body:
            if not self._close_oldest(Stage.BODY):
                break

    # Between the poller and the thread pools.

    def _submit(self, connection: Connection, pool: Pool) -> None:
        """Have a request answered that is whole, or of which no more is read."""
        self._leave_poller(connection)

        def then(result: Any) -> None:
            self.method_queue.defer(self._finish, connection, pool, result)

        if not self.pools.submit(pool, partial(self.handle, connection), then):
            self._refuse(connection)

    def _submit_incomplete(self, connection: Connection) -> None:
        """Have the app answer a request whose body is incomplete."""
        connection.request.force_close()
        self._submit(connection, connection.pool)

    def _refuse(self, connection: Connection) -> None:
        self._leave_poller(connection)
        connection.discard_body()
        self.connections.count(connection)
        connection.sock.sendall(BUSY)
        connection.keep = False
        self._answer(connection)

    def handle(self, conn: Connection) -> Any:
        """Answer a request, in a thread of a pool; return whether its connection is kept."""
        if conn.failure is not None:
            self.handle_error(None, conn, conn.client, conn.failure)
            return False
        if conn.unread:
            if self.admission is not None and self.admission.is_known_now(conn.head):
                return READ_BODY
            conn.discard_body()
        try:
            return self.handle_request(conn.request, conn) and conn.skip_body()
        except (Exception, SystemExit) as error:  # noqa: BLE001 the app's; gunicorn takes it so
            self.handle_error(conn.request, conn, conn.client, error)
            return False
        finally:
            conn.send()

    def handle_error(self, req: Any, client: Connection, addr: Any, exc: BaseException) -> None:
        """Answer what could not be read as a request, and log it."""
        client.sock.data.clear()
        client.sock.sendall(error_response(exc))
        if not isinstance(exc, ParseException | ssl.SSLError):
            self.log.error("%s failed", req.path if req else "a request", exc_info=exc)
        elif report := self.wsgi.extensions.get(ON_UNREADABLE):
            report(addr[0] if addr else "", str(exc))

    def _finish(self, connection: Connection, pool: Pool, result: Any) -> None:
        """Continue with a connection whose request is answered, in the thread that accepts."""
        self.pools.finish(pool)
        if result is READ_BODY:
            connection.unread, connection.pool = False, Pool.AUTHENTICATED
            self._hold(connection, Stage.BODY, self.limit)
            self._guarded(connection, self._begin_body)
            return
        connection.keep = bool(result)
        self.connections.count(connection)
        self._guarded(connection, self._answer)

    def _answer(self, connection: Connection) -> None:
        if connection.send():
            self._sent(connection)
        else:
            self._hold(connection, Stage.ANSWER, self.limit, EVENT_WRITE)

    def _sent(self, connection: Connection) -> None:
        """Wait for the next request, or for the peer to close."""
        if connection.broken:
            self._drop(connection)
        elif not connection.keep:
            connection.shut_down_sending()
            self._hold(connection, Stage.LEAVING, LINGER, EVENT_READ)
        else:
            connection.reset()
            if connection.begun:  # requests in one go
                self._hold(connection, Stage.HEAD, self.limit)
                self._read_head(connection, b"")
            else:
                self._hold(connection, Stage.IDLE, self.cfg.keepalive, EVENT_READ)
