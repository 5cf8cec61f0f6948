"""Logs requests without a known token, at a rate that a flood cannot raise."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock

from receiver.core.logs import Log

WINDOW = 60.0
"""Seconds in which an address has one line for each event."""

MOST = 10
"""Lines in that time: enough to see who it is, too few to fill a disk."""


class RejectedRequestLog:
    """Writes the lines; ``notLogged`` says how many were left out since the last one."""

    def __init__(self, log: Log, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._monotonic = monotonic
        self._lock = Lock()
        self._until = 0.0
        self._logged: set[tuple[str, str]] = set()
        self._left_out = 0

    def write(self, event: str, remote: str, **keys: str) -> None:
        """Write a line about an address, or count it."""
        with self._lock:
            if self._monotonic() >= self._until:
                self._until = self._monotonic() + WINDOW
                self._logged.clear()
            if (event, remote) in self._logged or len(self._logged) >= MOST:
                self._left_out += 1
                return
            self._logged.add((event, remote))
            left_out, self._left_out = self._left_out, 0
        more = {"notLogged": left_out} if left_out else {}
        self._log.warning(event, remote=remote, **keys, **more)
