"""A wire to a port of loopback that can be cut: all of its connections break off at once."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Relay:
    """Passes bytes on; ``port`` is its own, ``joined`` counts its connections."""

    def __init__(self, listener: socket.socket) -> None:
        self.port: int = listener.getsockname()[1]
        self._listener = listener
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self.joined = 0

    def cut(self) -> None:
        """Break all connections off."""
        with self._lock:
            ends, self._open = self._open, []
        for end in ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Break all off, and take no other."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def join(self, here: socket.socket, there: socket.socket) -> None:
        """Pass on what either side sends."""
        with self._lock:
            self._open += [here, there]
            self.joined += 1
        for ends in ((here, there), (there, here)):
            threading.Thread(target=_pass, args=ends, daemon=True).start()


def _pass(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    for end in (source, target):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
    source.close()


@contextmanager
def relay(target: int) -> Iterator[Relay]:
    """Lead to this port while the block lasts."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        made = Relay(listener)

        def accept() -> None:
            with suppress(OSError):
                while True:
                    here, _ = listener.accept()
                    made.join(here, socket.create_connection(("127.0.0.1", target)))

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield made
        finally:
            made.close()
            thread.join(5)
