"""A model of Argo CD's notification controller, with the trigger that we ship.

One worker looks at one Application after another: at each of its changes, and each minute. For
each entry of the trigger it keeps a mark that it has sent (notifications-engine, pkg/controller). A
send that fails four times takes the mark back, but not that of an entry with oncePer; so does a
look at which the entry is false. An Application has one operation: the next one overwrites it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

from senders import WAITS, Sent, Way, config_map, tried_again


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a trigger: true from so many minutes on, and whether it has oncePer."""

    minutes: float
    once: bool


OURS = (Entry(0, once=True), Entry(1, once=False), Entry(10, once=True))
"""The trigger of `postsync argocd-config`, which test_argocd_trigger.py asks the real engine."""

TWO_ENTRIES = (Entry(0, once=True), Entry(0, once=False))
"""What loses, although it looks as if it came again."""


@dataclass(slots=True)
class Application:
    """An Application: its last operation, since when that has ended, and what was sent."""

    name: str
    operation: Sent
    ended: float
    due: float
    marks: set[tuple[int, str]] = field(default_factory=set)


class Controller(Way):
    """Looks at its Applications while its block lasts.

    Args:
        urls: of the receivers.
        token: with which it sends.
        minute: seconds that a minute lasts here; all its times are of that scale.
        trigger: what it sends when.
    """

    def __init__(
        self, urls: Sequence[str], token: str, *, minute: float, trigger: Sequence[Entry] = OURS
    ) -> None:
        super().__init__(urls, token)
        self._minute = minute
        self._trigger = trigger
        self._applications: dict[str, Application] = {}
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._worker = threading.Thread(target=self._work, daemon=True)
        self.sent: list[Sent] = []

    @property
    def accepted(self) -> set[str]:
        """The names of what was accepted."""
        return {one.name for one in self.sent if one.accepted}

    def __enter__(self) -> Self:
        self._worker.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._worker.join(120)
        assert not self._worker.is_alive(), "a notification was never answered"

    def end(self, application: str, name: str) -> None:
        """Let an operation of this name end, whose beginning nobody has seen."""
        now, operation = time.monotonic(), Sent(name, config_map(name))
        with self._lock:
            self.sent.append(operation)
            found = self._applications.get(application)
            if found is None:
                self._applications[application] = Application(application, operation, now, now)
            else:
                found.operation, found.ended, found.due = operation, now, min(now, found.due)

    def _work(self) -> None:
        while not self._stopped.wait(0.01):
            with self._lock:
                due = min(self._applications.values(), key=lambda one: one.due, default=None)
                if due is None or due.due > time.monotonic():
                    continue
                due.due = time.monotonic() + self._minute
                operation, age = due.operation, (time.monotonic() - due.ended) / self._minute
            self._look(due, operation, age)

    def _look(self, application: Application, operation: Sent, age: float) -> None:
        marks = application.marks
        for number, entry in enumerate(self._trigger):
            if age < entry.minutes:
                marks.discard((number, ""))
                continue
            mark = number, operation.name if entry.once else ""
            if mark in marks:
                continue
            marks.add(mark)
            if not self._send(operation) and not entry.once:
                marks.discard(mark)

    def _send(self, operation: Sent) -> bool:
        for wait in (*WAITS, 0):
            operation.tries.append(self.once(operation.body))
            if not tried_again(operation.tries[-1].status):
                break
            self._stopped.wait(wait * self._minute / 60)
        return operation.tries[-1].status == 202
