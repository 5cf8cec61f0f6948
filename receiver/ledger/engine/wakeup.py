"""A hint between the processes of one host that there is work.

The ledger alone is the truth: a ring that is lost costs the time until the next poll,
nothing else.
"""

from __future__ import annotations

import select
import socket


class Wakeup:
    """Made before the fork, so that both sides have it."""

    def __init__(self) -> None:
        self._receiver, self._sender = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._receiver.setblocking(False)
        self._sender.setblocking(False)

    def notify(self) -> None:
        """Wake the one who waits; a bell that still rings needs no second press."""
        try:
            self._sender.send(b"!")
        except OSError:
            return

    def wait(self, timeout: float) -> bool:
        """Wait at most ``timeout`` seconds for a ring; whether there was one."""
        heard, _, _ = select.select([self._receiver], [], [], timeout)
        if not heard:
            return False
        try:
            while self._receiver.recv(16):
                pass
        except BlockingIOError:
            pass
        return True
