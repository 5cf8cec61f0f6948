"""Targets that are slow, hang, reset, or do not do what they say, each at an address of its own."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress

Behaviour = Callable[[socket.socket], None]

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
SILENCE = threading.Event()
"""Never set: who waits for it hangs."""


def slow(peer: socket.socket) -> None:
    """Answer well, but late."""
    time.sleep(1.5)
    peer.sendall(HEAD + b"Content-Length: 2\r\nConnection: close\r\n\r\n{}")


def hanging(_peer: socket.socket) -> None:
    """Say nothing."""
    SILENCE.wait(60)


def dripping(peer: socket.socket) -> None:
    """Send a byte of the head now and then, so that no read of the other side lasts long."""
    for byte in HEAD * 10:
        peer.sendall(bytes([byte]))
        time.sleep(0.3)


def resetting(peer: socket.socket) -> None:
    """Close the connection by a reset."""
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def promising(peer: socket.socket) -> None:
    """Send less than the Content-Length says."""
    peer.sendall(HEAD + b"Content-Length: 1000\r\n\r\n{}")


def endless(peer: socket.socket) -> None:
    """Send a body without an end."""
    peer.sendall(HEAD + b"Connection: close\r\n\r\n")
    while True:
        peer.sendall(b"x" * 1000)
        time.sleep(0.02)


def babbling(peer: socket.socket) -> None:
    """Send what is no HTTP."""
    peer.sendall(b"\x15\x03\x01\x00\x02\x02\x46" * 100)


LIARS: dict[str, tuple[str, Behaviour]] = {
    "slow": ("http", slow),
    "hanging": ("http", hanging),
    "dripping": ("http", dripping),
    "resetting": ("http", resetting),
    "promising": ("http", promising),
    "endless": ("http", endless),
    "babbling": ("http", babbling),
    "plain": ("https", babbling),
    "handshake": ("https", hanging),
}
"""Each with the scheme by which it is called; those of https fail in TLS."""


class Liar:
    """One of them, listening on a loopback address that it has for itself."""

    def __init__(self, number: int, scheme: str, behave: Behaviour) -> None:
        self._behave = behave
        self._door = socket.create_server((f"127.0.9.{number}", 0), backlog=512)
        host, port = self._door.getsockname()
        self.url = f"{scheme}://{host}:{port}/"
        self.asked = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no further connection."""
        self._door.close()

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self._door.accept()
            except OSError:
                return
            self.asked += 1
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        with peer, suppress(OSError):
            peer.recv(65536)
            self._behave(peer)
