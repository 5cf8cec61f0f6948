"""How the reading of Applications goes: by the connection, and of those that it does not show."""

from __future__ import annotations

from collections.abc import Callable, Collection

from receiver.dispatcher import outage
from receiver.dispatcher.outage import Outage


class Reading:
    """Tells once when Applications cannot be read, and once when all can be again."""

    def __init__(self, trouble: Outage) -> None:
        self._outage = trouble
        self._unread: dict[str, int] = {}

    def failed(self, reason: str) -> float:
        """Note that the connection fails; return the seconds until the next try."""
        return self._outage.failed(reason)

    def refused(self, application: str, reason: str) -> float:
        """Note that one Application is not shown; return the seconds until its next try."""
        tries = self._unread.get(application, 0)
        self._unread[application] = tries + 1
        self._outage.failed(f"{application}: {reason}")
        return outage.BACKOFF[min(tries, len(outage.BACKOFF) - 1)]

    def worked(self, application: str) -> None:
        """Note that one was read: the trouble is over unless others still are not."""
        self._unread.pop(application, None)
        if not self._unread:
            self._outage.over()

    def forget(self, wanted: Callable[[], Collection[str]]) -> None:
        """Forget those that are not wanted any more: deleted, or notified of meanwhile."""
        if not self._unread:
            return
        there = wanted()
        self._unread = {one: tries for one, tries in self._unread.items() if one in there}
        if not self._unread:
            self._outage.over()
