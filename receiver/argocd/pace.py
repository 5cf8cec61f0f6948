"""Bounds how often one server is asked, over all threads."""

from __future__ import annotations

import threading
import time

PER_SECOND = 20.0
"""Requests a second: less than half of what one argocd-application-controller allows itself
(ARGOCD_K8S_CLIENT_QPS, 50)."""
BURST = 40
"""Requests at once: the kinds and namespaces of a large Application."""


class Pace:
    """A token bucket: each request waits for its turn, in order of arrival.

    Args:
        per_second: requests.
        burst: as many go at once after a quiet time.
    """

    def __init__(self, per_second: float = PER_SECOND, burst: int = BURST) -> None:
        self._interval = 1 / per_second
        self._ahead = (burst - 1) * self._interval
        self._lock = threading.Lock()
        self._next = 0.0

    def wait(self, deadline: float) -> bool:
        """Wait for a turn; False at once if it would come after the deadline (monotonic)."""
        with self._lock:
            now = time.monotonic()
            turn = max(self._next, now - self._ahead)
            if max(turn, now) > deadline:
                return False
            self._next = turn + self._interval
        time.sleep(max(0.0, turn - now))
        return True
