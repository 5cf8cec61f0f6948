"""How much of what changes in the rules of one namespace is taken up at once, and within an hour.

Each version is judged and indexed, tells of itself on the trail, and is kept for an hour where it
was in force. A namespace that changes its rules without end has the newest of each taken up as
there is room again; what is in force meanwhile stays.
"""

from __future__ import annotations

import time
from collections.abc import Callable

ROOM = 8 << 20
"""Characters that the versions of a namespace may have within the time: 500 of small rules."""
EACH = 16 << 10
"""What each counts beside its text: it is judged, and all rules are indexed anew."""
WITHIN = 3600.0
"""Seconds in which all of the room comes back, and in which an older version is kept."""


class VersionQuota:
    """What each namespace has used of its room.

    Args:
        most_rules: how many rules a namespace may have; all of them may change twice at once.
    """

    def __init__(self, most_rules: Callable[[str], int]) -> None:
        self._most_rules = most_rules
        self._used: dict[str, tuple[float, float]] = {}

    def left(self, namespace: str) -> float:
        """Return the room that it has now; less than none if it had to have more."""
        return self._room(namespace) - self._used_by(namespace)

    def take(self, namespace: str, size: int) -> None:
        """Count a version of so many characters."""
        used = self._used_by(namespace) + size
        # So that there is some again within the time, whatever had to be taken up.
        self._used[namespace] = min(used, 2 * self._room(namespace)), time.monotonic()

    def _room(self, namespace: str) -> float:
        return max(ROOM, 2 * EACH * self._most_rules(namespace))

    def _used_by(self, namespace: str) -> float:
        used, at = self._used.get(namespace, (0.0, 0.0))
        used -= (time.monotonic() - at) * self._room(namespace) / WITHIN
        if used > 0:
            return used
        self._used.pop(namespace, None)
        return 0.0
