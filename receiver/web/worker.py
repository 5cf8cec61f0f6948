"""gunicorn's threaded worker, in which no connection holds a thread before its request is whole.

One thread accepts, shakes hands, reads, and sends what is left of answers; it waits for nobody.
The threads of the lanes get requests that are whole, and write answers into memory.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from functools import partial
from selectors import EVENT_READ, EVENT_WRITE
from typing import Any

from gunicorn.http.errors import ParseException

from receiver.web.admission import ADMISSION, Admission, Lane
from receiver.web.connection import Connection
from receiver.web.holding import Holding
from receiver.web.lanes import Work
from receiver.web.unreadable import BUSY, answer_to
from receiver.web.waiting import Stage

LINGER = 2.0
"""Seconds that a peer has to close after its last answer, as in gunicorn."""

AT_ONCE = 16
"""Connections accepted before the others are looked after again."""

LARGEST_AT_ONCE = 8
"""Bodies of the largest size that are held at one time, whole or not."""

ON_UNREADABLE = "postsync.on_unreadable"
"""Among the app's extensions: what to call with an address and a reason when a connection brought
no request that could be read."""

AGAIN = object()
"""A token became known while its request was refused for want of one: its body is to be read."""


class Worker(Holding):
    """Reads what arrives, and hands over what is whole."""

    def run(self) -> None:
        """Serve until the end."""
        self.admission: Admission | None = self.wsgi.extensions.get(ADMISSION)
        super().run()

    # What the poller finds.

    def accept(self, listener: Any) -> None:
        """Take in who has come; where there is no room, who is least known goes first."""
        for _ in range(AT_ONCE):
            try:
                peer, client = listener.accept()
            except BlockingIOError:
                return
            except OSError:  # it has gone already, or there are no more files, and some are needed
                self._make_room(AT_ONCE)
                return
            try:
                connection = Connection(self.cfg, peer, client, listener.getsockname())
            except OSError:
                peer.close()
                continue
            self.nr_conns += 1
            if len(self.waiting) >= self.most:
                self._make_room(1)
            self._await(connection, Stage.HEAD, self.limit)
            self._ready(connection)

    def _ready(self, connection: Connection, _peer: Any = None) -> None:
        """Do what a connection waited for."""
        if not connection.closed:  # it may have had to make room a moment ago
            self._guarded(connection, self._go_on)

    def _guarded(self, connection: Connection, step: Callable[[Connection], None]) -> None:
        """Take a step; whatever a connection brings, it ends no other one."""
        try:
            step(connection)
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            self._drop(connection)
        except ssl.SSLError as error:
            connection.failure = error
            self._hand_over(connection, Lane.STRANGERS)
        except OSError:
            self._drop(connection)
        except Exception:
            self.log.exception("a connection is given up")
            self._drop(connection)

    def _go_on(self, connection: Connection) -> None:
        match connection.stage:
            case Stage.LEAVING:
                if connection.discard(self.max_body):
                    self._drop(connection)
            case Stage.ANSWER:
                if connection.send():
                    self._sent(connection)
            case _ if not connection.shake():
                self._look_for(connection, connection.wants)
            case _:
                data = connection.receive()
                if data is None:
                    self._look_for(connection, EVENT_READ)
                elif connection.stage is Stage.BODY:
                    self._read_body(connection, data)
                elif data:
                    self._read_head(connection, data)
                else:
                    self._drop(connection)

    def _read_head(self, connection: Connection, data: bytes) -> None:
        if connection.stage is Stage.IDLE:
            self._await(connection, Stage.HEAD, self.limit)
        if not connection.take_head(data):
            self._look_for(connection, EVENT_READ)
        elif connection.failure is not None:
            self._hand_over(connection, Lane.STRANGERS)
        else:
            self._judge(connection)

    def _judge(self, connection: Connection) -> None:
        """Look at a head: only a body that a known token announces is read, if it is no larger."""
        lane, length = self._lane(connection), connection.announced()
        if length != 0 and lane is not Lane.KNOWN:
            connection.unread = True
        elif length is not None and length > self.max_body:
            connection.forget_body()
        elif length != 0:
            self._begin_body(connection)
            return
        self._hand_over(connection, lane)

    def _lane(self, connection: Connection) -> Lane:
        if self.admission is None:
            return Lane.KNOWN
        return self.admission.lane(connection.request.path, connection.authorization)

    def _begin_body(self, connection: Connection) -> None:
        self.waiting.add(connection, Stage.BODY)
        connection.go_ahead()
        self._read_body(connection, b"", begins=True)

    def _read_body(self, connection: Connection, data: bytes, *, begins: bool = False) -> None:
        if not data and not begins:
            self._hand_over_cut(connection)
            return
        whole = connection.take_body(data, self.max_body)
        self.waiting.count(connection)
        if whole:
            self._hand_over(connection, Lane.KNOWN)
            return
        self._look_for(connection, EVENT_READ)
        while self.waiting.bytes > LARGEST_AT_ONCE * self.max_body and self._shut(Stage.BODY):
            pass

    # Between the poller and the lanes.

    def _hand_over(self, connection: Connection, lane: Lane) -> None:
        """Have a request answered that is whole, or of which no more is wanted."""
        self._leave_poller(connection)

        def then(came: Any) -> None:
            self.method_queue.defer(self._left, connection, lane, came)

        if not self.lanes.submit(lane, Work(partial(self.handle, connection), then)):
            self._refuse(connection)

    def _hand_over_cut(self, connection: Connection) -> None:
        """Have the app say what is missing."""
        connection.request.force_close()
        self._hand_over(connection, Lane.KNOWN)

    def _refuse(self, connection: Connection) -> None:
        self._leave_poller(connection)
        connection.forget_body()
        self.waiting.count(connection)
        connection.sock.sendall(BUSY)
        connection.keep = False
        self._answer(connection)

    def handle(self, conn: Connection) -> Any:
        """Answer a request, in a thread of a lane; tell whether its connection is kept."""
        if conn.failure is not None:
            self.handle_error(None, conn, conn.client, conn.failure)
            return False
        if conn.unread:
            if self.admission is not None and self.admission.known_by_now(conn.authorization):
                return AGAIN
            conn.forget_body()
        try:
            return self.handle_request(conn.request, conn) and conn.drained()
        except (Exception, SystemExit) as error:  # noqa: BLE001 the app's; gunicorn takes it so
            self.handle_error(conn.request, conn, conn.client, error)
            return False
        finally:
            conn.send()

    def handle_error(self, req: Any, client: Connection, addr: Any, exc: BaseException) -> None:
        """Answer what could not be read as a request, and tell of it."""
        client.sock.data.clear()
        client.sock.sendall(answer_to(exc))
        if not isinstance(exc, ParseException | ssl.SSLError):
            self.log.error("%s failed", req.path if req else "a request", exc_info=exc)
        elif tell := self.wsgi.extensions.get(ON_UNREADABLE):
            tell(addr[0] if addr else "", str(exc))

    def _left(self, connection: Connection, lane: Lane, came: Any) -> None:
        """Go on with a connection whose work is done, in the thread that accepts."""
        self.lanes.leave(lane)
        if came is AGAIN:
            connection.unread = False
            self._await(connection, Stage.BODY, self.limit)
            self._guarded(connection, self._begin_body)
            return
        connection.keep = bool(came)
        self.waiting.count(connection)
        self._guarded(connection, self._answer)

    def _answer(self, connection: Connection) -> None:
        if connection.send():
            self._sent(connection)
        else:
            self._await(connection, Stage.ANSWER, self.limit, EVENT_WRITE)

    def _sent(self, connection: Connection) -> None:
        """Wait for the next request, or for the peer to close."""
        if connection.broken:
            self._drop(connection)
        elif not connection.keep:
            connection.say_goodbye()
            self._await(connection, Stage.LEAVING, LINGER, EVENT_READ)
        else:
            connection.begin()
            if connection.begun:  # requests in one go
                self._await(connection, Stage.HEAD, self.limit)
                self._read_head(connection, b"")
            else:
                self._await(connection, Stage.IDLE, self.cfg.keepalive, EVENT_READ)
