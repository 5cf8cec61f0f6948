"""Senders that send as Argo CD's notification controller does, with distinct notifications.

It opens a connection for each request, has no time limit, tries four times with 1, 2 and 4
seconds between, or as long as Retry-After says, upon a connection's error, 429 and any 5xx but
501, and takes every other answer as the last word (notifications-engine, pkg/util/http).
"""

from __future__ import annotations

import heapq
import http.client
import json
import random
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit

from notifications import notification, resource

WAITS = (1.0, 2.0, 4.0)
"""Seconds before the second, third and fourth try."""

Make = Callable[[str], bytes]
"""Makes the notification with this name."""


def config_map(name: str) -> bytes:
    """A sync of an Application of its own that changed one ConfigMap."""
    return notification(resource(name), application=name)


@dataclass(frozen=True, slots=True)
class Answered:
    """What one try came to; the status is 0 if there was no answer.

    ``detail`` is why it was not taken.
    """

    status: int
    retry_after: str = ""
    sync: str = ""
    detail: str = ""


@dataclass(slots=True)
class Sent:
    """One notification and its tries; ``at`` is when it was first sent (seconds since 1970)."""

    name: str
    body: bytes
    at: float = field(default_factory=time.time)
    tries: list[Answered] = field(default_factory=list)

    @property
    def accepted(self) -> bool:
        """Whether its sender was told so."""
        return any(one.status == 202 for one in self.tries)


class Way:
    """The way to the receivers: one of the addresses that take connections."""

    def __init__(self, urls: Sequence[str], token: str) -> None:
        self._places = [urlsplit(url).netloc for url in urls]
        self._token = token

    def once(self, body: bytes) -> Answered:
        """Send to one of the addresses that take connections, as a Service before them would."""
        for place in random.sample(self._places, len(self._places)):
            connection = http.client.HTTPConnection(place, timeout=60)
            try:
                connection.connect()
            except OSError:
                continue
            with closing(connection):
                return self._ask(connection, body)
        return Answered(0)

    def _ask(self, connection: http.client.HTTPConnection, body: bytes) -> Answered:
        headers = {"Authorization": f"Bearer {self._token}", "Connection": "close"}
        try:
            connection.request("POST", "/v1/notifications", body, headers)
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException):
            return Answered(0)
        told = json.loads(text) if answer.status in {202, 503} else {}
        return Answered(
            answer.status, answer.headers.get("Retry-After", ""),
            str(told.get("sync", "")), str(told.get("detail", "")),
        )  # fmt: skip


class Load(Way):
    """Sends while its block lasts, at most ``rate`` new notifications a second.

    Each is of an Application of its own and is tried four times, as the first entry of the
    trigger has it; `controller.Controller` knows the others. What is to be tried again waits for
    its time and holds up no other. At the block's end what is under way is brought to its end.
    """

    def __init__(
        self,
        urls: Sequence[str],
        token: str,
        *,
        rate: float,
        threads: int = 16,
        make: Make = config_map,
        label: str = "n",
    ) -> None:
        super().__init__(urls, token)
        self._gap = 1 / rate
        self._make = make
        self._label = label
        self._turn = threading.Lock()
        self._next = 0.0
        self._again: list[tuple[float, int, Sent]] = []
        self._open = 0
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(threads)]
        self.sent: list[Sent] = []

    @property
    def accepted(self) -> set[str]:
        """The names of what was accepted."""
        return {one.name for one in self.sent if one.accepted}

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join(120)
            assert not thread.is_alive(), "a notification was never answered"

    def _work(self) -> None:
        while not (self._stopped.is_set() and self._open == 0):
            one, wait = self._take()
            if one is None:
                threading.Event().wait(wait)
            else:
                self._try(one)

    def _take(self) -> tuple[Sent | None, float]:
        """Return what is to be sent now, or how many seconds nothing is."""
        with self._turn:
            now = time.monotonic()
            if self._again and self._again[0][0] <= now:
                return heapq.heappop(self._again)[2], 0.0
            if self._stopped.is_set() or self._next > now:
                return None, min(0.05, max(self._next - now, 0.005))
            self._next = max(now - 1.0, self._next) + self._gap
            one = Sent(
                f"{self._label}{len(self.sent)}", self._make(f"{self._label}{len(self.sent)}")
            )
            self.sent.append(one)
            self._open += 1
            return one, 0.0

    def _try(self, one: Sent) -> None:
        answered = self.once(one.body)
        one.tries.append(answered)
        with self._turn:
            if tried_again(answered.status) and len(one.tries) <= len(WAITS):
                wait = float(answered.retry_after or WAITS[len(one.tries) - 1])
                heapq.heappush(self._again, (time.monotonic() + wait, id(one), one))
            else:
                self._open -= 1


def tried_again(status: int) -> bool:
    """Whether Argo CD sends again after this answer; 0 is none."""
    return status in {0, 429} or (500 <= status < 600 and status != 501)
