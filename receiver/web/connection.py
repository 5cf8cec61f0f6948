"""One peer's non-blocking socket: the request that is read, and the answer that is sent."""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from enum import IntEnum
from selectors import EVENT_READ, EVENT_WRITE
from typing import Any

from gunicorn import sock as gunicorn_sock
from gunicorn.http.body import LengthReader
from gunicorn.http.errors import LimitRequestHeaders, NoMoreData, ParseException
from gunicorn.http.parser import RequestParser

from receiver.web.framing import Chunks, Length
from receiver.web.thread_pools import Head, Pool

PIECE = 1 << 16
"""Bytes that are read at a time, so that no peer delays the others."""

HEAD = 1 << 15
"""Bytes of a request's head, as in nginx (large_client_header_buffers, 4 of 8 KiB). Each of its
lines has a narrower limit of gunicorn's."""

MANY = 1 << 20
"""Bytes that are passed over in one step; each step copies what is left."""

END = b"\r\n\r\n"

WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Stage(IntEnum):
    """What a connection waits for; where there are too many, the first stages are closed first."""

    LEAVING = 0
    """Its last answer was sent, and its peer has not closed yet."""
    IDLE = 1
    """It was answered, and may send a further request."""
    FORM = 2
    """It may have no token: its body is the form that brings one."""
    HEAD = 3
    """Its handshake, or the head of its request, is not complete, and so its token not known."""
    ANSWER = 4
    """Its peer does not read the answer."""
    BODY = 5
    """It has a valid token, and its body is not complete."""


class Outgoing:
    """Buffers the answer that gunicorn writes, so that no thread waits for a peer."""

    def __init__(self) -> None:
        self.data = bytearray()

    def sendall(self, data: bytes) -> None:
        """Take bytes of the answer."""
        self.data += data

    def shutdown(self, _how: int) -> None:
        """Refuse: gunicorn would cut off an answer that can still be replaced.

        Raises:
            OSError: always; gunicorn takes it for a connection that has ended.
        """
        raise OSError

    def close(self) -> None:
        """Do nothing: `Connection` closes the socket."""


class Connection:
    """Belongs to the thread that accepts, or to the one that answers; never to both.

    Attributes:
        sock: what an answer is written to, under gunicorn's name for it.
        request: the one that is being received or answered.
        failure: why there is none.
        unread: whether a body was announced that is not read.
        pool: the threads that answer it.
        events: what the poller watches it for now; 0 if it does not.
        wants: what its handshake waits for.
        counted: how many of its bytes are in `ConnectionTable.bytes`.
    """

    def __init__(self, config: Any, peer: socket.socket, client: Any, server: Any) -> None:
        peer.setblocking(False)
        self.client, self.server = client, server
        self.stage = Stage.HEAD
        self.deadline = 0.0
        self.events, self.wants = 0, EVENT_READ
        self.counted = 0
        self.keep = self.broken = self.closed = False
        self.sock = Outgoing()
        self.handshake_done = not config.is_ssl
        self.peer = peer if self.handshake_done else _with_tls(config, peer)
        self._config = config
        self._parser = RequestParser(config, (), client)
        self._head = bytearray()
        self._body: Length | Chunks | None = None
        self._discarded = 0
        self.reset()

    def reset(self) -> None:
        """Get ready for the next request; bytes of it may be here already."""
        self.request: Any = None
        self.failure: Exception | None = None
        self.unread = False
        self.pool = Pool.UNAUTHENTICATED
        self._body = None
        self._searched = 0
        self._head += self._parser.unreader.take_buffered()

    @property
    def held(self) -> int:
        """Bytes that are kept of its body, and of what stands behind it."""
        return int(self._parser.unreader.buf.getbuffer().nbytes)

    @property
    def begun(self) -> bool:
        """Whether anything of a request is here."""
        return bool(self._head)

    def continue_handshake(self) -> bool:
        """Continue the handshake; return True when it has ended.

        Raises:
            ssl.SSLError, OSError: it failed.
        """
        if isinstance(self.peer, ssl.SSLSocket) and not self.handshake_done:
            try:
                self.peer.do_handshake()
                self.handshake_done = True
            except ssl.SSLWantReadError:
                self.wants = EVENT_READ
            except ssl.SSLWantWriteError:
                self.wants = EVENT_WRITE
        return self.handshake_done

    def receive(self) -> bytes | None:
        """Return what has come, nothing if the peer has ended, None if there is nothing yet.

        Raises:
            OSError: the connection is broken.
        """
        try:
            data = self.peer.recv(PIECE)
            while isinstance(self.peer, ssl.SSLSocket) and (more := self.peer.pending()):
                data += self.peer.recv(more)  # decrypted already: the poller reports no event
        except WOULD_BLOCK:
            return None
        return data

    def feed_head(self, data: bytes) -> bool:
        """Add bytes of a head; return True when `request` or `failure` is set."""
        self._head += data
        end = self._head.find(END, self._searched)
        self._searched = max(0, len(self._head) - len(END))
        if end >= 0:
            return self._parse(whole=True)
        # Parsed early only if it has an error or is too long: the parser raises, or wants more.
        bare = self._head.count(b"\n") != self._head.count(b"\r\n")
        line = self._config.limit_request_line + len(END)
        endless = len(self._head) > line and b"\r\n" not in self._head
        full = len(self._head) > HEAD
        return self._parse(whole=full) if bare or endless or full else False

    def _parse(self, *, whole: bool) -> bool:
        self._parser.unreader.unread(bytes(self._head))
        try:
            self.request = next(self._parser)
        except NoMoreData:
            self._parser.req_count -= 1
            if whole and len(self._head) > HEAD:
                self.failure = LimitRequestHeaders(f"the head is larger than {HEAD} bytes")
        except Exception as error:  # noqa: BLE001 whatever it is, it is answered to this peer
            self.failure = error
        else:
            self._head.clear()
        return self.request is not None or self.failure is not None

    @property
    def head(self) -> Head:
        """What the request's head says of who sends it."""
        path, length = self.request.path, self.announced_length()
        return Head(
            path, self._header("AUTHORIZATION", ","), self._header("COOKIE", ";"), length,
            self.request.headers, self._remote,
        )  # fmt: skip

    @property
    def _remote(self) -> str:
        return str(self.client[0]) if isinstance(self.client, tuple) else ""

    def _header(self, wanted: str, separator: str) -> str:
        return separator.join(value for name, value in self.request.headers if name == wanted)

    def send_continue(self) -> None:
        """Ask the peer for its body, if it waits for that (RFC 9110, section 10.1.1)."""
        if self.request._expected_100_continue:  # noqa: SLF001 gunicorn asks it the same way
            self.request._expected_100_continue = False  # noqa: SLF001
            self.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.send()

    def announced_length(self) -> int | None:
        """Return the length of the request's body, None if it comes in chunks."""
        reader = self.request.body.reader
        return reader.length if isinstance(reader, LengthReader) else None

    def feed_body(self, data: bytes, limit: int) -> bool:
        """Add bytes of the body; return True when no more are needed."""
        buffer = self._parser.unreader.buf
        if self._body is None:
            length = self.announced_length()
            self._body = Chunks(limit) if length is None else Length(length)
            data = buffer.getvalue() + data
            buffer.seek(0)
            buffer.truncate()
        buffer.seek(0, 2)
        buffer.write(data)
        return self._body.feed(data)

    def discard_body(self) -> None:
        """Drop the body; the connection closes, since no request can be found behind it."""
        self._parser.unreader.take_buffered()
        if self.request is None:
            return
        self.request._expected_100_continue = False  # noqa: SLF001 it is not to be sent
        self.request.force_close()

    def skip_body(self) -> bool:
        """Skip what the app left of the body; return False if the next request cannot be found."""
        try:
            while self.request.body.read(MANY):
                pass
        except (OSError, ParseException):
            return False
        return not self.request.body.failed

    def send(self) -> bool:
        """Send what the socket takes now; return True when nothing is left, or the peer is gone."""
        try:
            while self.sock.data and not self.broken:
                sent = self._write(bytes(self.sock.data[:PIECE]))
                del self.sock.data[:sent]
        except WOULD_BLOCK:
            return False
        except OSError:
            self.broken = True
        return True

    def _write(self, data: bytes) -> int:
        if self.handshake_done:
            return self.peer.send(data)
        return socket.socket.send(self.peer, data)  # without TLS, since the handshake failed

    def shut_down_sending(self) -> None:
        """End the sending side; what still comes is to be discarded.

        A connection that is closed with unread bytes is reset, and its peer may lose the answer.
        """
        with suppress(OSError, ValueError):
            if isinstance(self.peer, ssl.SSLSocket) and self.handshake_done:
                self.peer.unwrap()
        with suppress(OSError):
            socket.socket.shutdown(self.peer, socket.SHUT_WR)

    def discard(self, limit: int) -> bool:
        """Drop what still comes; return True when the peer has closed, or sends too much."""
        try:
            data = socket.socket.recv(self.peer, PIECE)
        except BlockingIOError:
            return False
        except OSError:
            return True
        self._discarded += len(data)
        return not data or self._discarded > limit

    def close(self) -> None:
        """Close the socket."""
        self.closed = True
        with suppress(OSError):
            self.peer.close()


def _with_tls(config: Any, peer: socket.socket) -> ssl.SSLSocket:
    context: ssl.SSLContext = gunicorn_sock.ssl_context(config)
    return context.wrap_socket(peer, server_side=True, do_handshake_on_connect=False)
