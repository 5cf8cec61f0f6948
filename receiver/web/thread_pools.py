"""The thread pools that answer requests, and which request is answered by which."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from queue import SimpleQueue
from typing import Any, TypeAlias

from receiver.core.threads import SupervisedThread
from receiver.web.prefix import without

ADMISSION = "postsync.admission"
"""Among the app's extensions: its `Admission`. Without one, all requests count as authenticated."""

TOKENLESS = frozenset({"/metrics"})
"""Paths that need no token, and are served by the pool for requests without one."""


class Pool(StrEnum):
    """The thread pools: one for each kind of request, so that none waits behind another kind."""

    AUTHENTICATED = "known"
    """Requests with a valid token; these may wait for the ledger."""
    UNAUTHENTICATED = "strangers"
    """Requests without one; they are refused, or need none."""
    HEALTH = "health"
    """The liveness probe, whatever else is requested."""
    READINESS = "readiness"
    """The readiness probe, which may wait for the ledger."""


LARGEST_FORM = 4096
"""Bytes of a form that is read before its token is known: a token, and room for long ones."""

PROBES = {"/healthz": Pool.HEALTH, "/readyz": Pool.READINESS}

Work: TypeAlias = tuple[Callable[[], Any], Callable[[Any], None]] | None
"""Something to do, and what takes its result (None if it raised); None ends a thread."""

THREADS = {Pool.UNAUTHENTICATED: 2, Pool.HEALTH: 2, Pool.READINESS: 2}
"""The other pool has those of the settings. Little waits for a commit here, so few will do."""

QUEUE = {Pool.AUTHENTICATED: 1000, Pool.UNAUTHENTICATED: 200, Pool.HEALTH: 200, Pool.READINESS: 200}
"""Whole requests that wait for a thread of their pool; the next one is answered with 503."""


@dataclass(frozen=True, slots=True)
class Head:
    """What a request's head says of who sends it.

    ``authorization`` and ``cookie`` are these headers, empty without one; ``length`` is in bytes
    of the body, None if it comes in chunks; ``headers`` are all, by their names in capitals, and
    ``remote`` is the address of the peer.
    """

    path: str
    authorization: str = ""
    cookie: str = ""
    length: int | None = 0
    headers: Sequence[tuple[str, str]] = ()
    remote: str = ""

    def header(self, wanted: str) -> str:
        """Return a header, its values joined as WSGI does, "" without one."""
        return ",".join(value for name, value in self.headers if name == wanted.upper())


class Admission:
    """Chooses the pool of a request, and whether its body is read, by its head alone.

    Args:
        is_known: whether the token or session in a head is known; called with False where
            nothing may wait for a disk, with True where the token files may be read again.
        form: path of the form that brings a token; its body is read from anybody, if it is small.
        prefix: what a path may begin with, the setting `urlPrefix`.
    """

    def __init__(
        self, is_known: Callable[[Head, bool], bool], form: str = "", prefix: str = ""
    ) -> None:
        self._is_known = is_known
        self._form = form
        self._prefix = prefix

    def pool(self, head: Head) -> Pool:
        """Return the pool, without touching a disk."""
        path = without(self._prefix, head.path)
        if path in PROBES:
            return PROBES[path]
        known = path not in TOKENLESS and self._is_known(head, False)
        return Pool.AUTHENTICATED if known else Pool.UNAUTHENTICATED

    def is_known_now(self, head: Head) -> bool:
        """Return whether a token is known after its files were read again."""
        return self._is_known(head, True)

    def takes_form(self, head: Head) -> bool:
        """Return whether the body is the form that brings a token."""
        is_form = without(self._prefix, head.path) == self._form
        return is_form and head.length is not None and head.length <= LARGEST_FORM


class ThreadPools:
    """A queue and its threads for each pool; one thread submits the work."""

    def __init__(self, threads: int) -> None:
        self._threads = {pool: THREADS.get(pool, threads) for pool in Pool}
        self._inside = dict.fromkeys(Pool, 0)
        self._queues: dict[Pool, SimpleQueue[Work]] = {pool: SimpleQueue() for pool in Pool}

    def start(self) -> None:
        """Start the threads; call it after the fork."""
        for pool, count in self._threads.items():
            for number in range(count):
                SupervisedThread(f"{pool}-{number}", partial(_run, self._queues[pool])).start()

    def submit(self, pool: Pool, do: Callable[[], Any], then: Callable[[Any], None]) -> bool:
        """Have a thread of the pool do it, and then take the result; False if the pool is full."""
        if self._inside[pool] >= QUEUE[pool] + self._threads[pool]:
            return False
        self._inside[pool] += 1
        self._queues[pool].put((do, then))
        return True

    def finish(self, pool: Pool) -> None:
        """Count a request whose work is done."""
        self._inside[pool] -= 1

    def shutdown(self, wait: bool = True) -> None:  # noqa: ARG002 gunicorn's signature of a pool
        """Have the threads end when their queues are empty, without waiting for them."""
        for pool, count in self._threads.items():
            for _ in range(count):
                self._queues[pool].put(None)


def _run(queue: SimpleQueue[Work]) -> None:
    while (work := queue.get()) is not None:
        do, then = work
        result = None
        try:
            result = do()
        finally:
            then(result)
