"""Wakes the dispatcher from another process or thread of its host.

It is a hint: one that is lost costs the time until the next poll, nothing else.
"""

from __future__ import annotations

import select
import socket


class Wakeup:
    """A socket pair. Create it before the fork, so that both processes have it."""

    def __init__(self) -> None:
        self._receiver, self._sender = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._receiver.setblocking(False)
        self._sender.setblocking(False)

    def notify(self) -> None:
        """Wake whoever waits. If the socket is full, it is woken already."""
        try:
            self._sender.send(b"!")
        except OSError:
            return

    def wait(self, timeout: float) -> bool:
        """Wait at most ``timeout`` seconds; return whether somebody notified."""
        ready, _, _ = select.select([self._receiver], [], [], timeout)
        if not ready:
            return False
        try:
            while self._receiver.recv(16):
                pass
        except BlockingIOError:
            pass
        return True
