"""Watches the objects of one collection: the Applications of a namespace, all of some kind.

https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from math import ceil
from typing import Any, Generic, Protocol, TypeVar

from receiver.argocd.application_json import (
    json_object,
    mapping,
    text,
)
from receiver.argocd.kubernetes_answers import refused
from receiver.argocd.nesting import without_depths
from receiver.argocd.pages import LIMIT, pages
from receiver.argocd.server import Server
from receiver.contract import Answer

PAUSE = 0.2
"""Seconds before a watch that was cut goes on."""
SHORTEST = 0.5
"""Seconds that a new beginning has at least: it would fail for lack of time, not of a server."""
LONGEST = 300
"""Seconds after which a watch is opened anew: a connection that died in silence is no loss then."""
LATE = 10.0
"""Seconds that a server may take to end a watch by itself."""

PATIENCE = 20
"""How often in a row a watch goes on that the server ends with an error, as 504 "Too large resource
version": its cache does not have yet what it has just listed."""


class Keyed(Protocol):
    """What is told of an object."""

    @property
    def key(self) -> str:
        """Its identity within the collection."""


T = TypeVar("T", bound=Keyed)


class ObjectWatch(Generic[T]):
    """Knows what it has told, and where to go on: at the same version, or with a new list.

    Args:
        server: the API server.
        path: of the collection.
        kind: of its objects, for messages: ``Applications``.
        read: makes of an object what is told of it; what is equal is not told again.
        limit: objects of a page of its list.
        known: what was told before, in another process.
        answered: called when the server has answered.
    """

    def __init__(
        self, server: Server, path: str, kind: str, read: Callable[[Mapping[str, Any]], T], *,
        limit: int = LIMIT, known: Mapping[str, T] | None = None,
        answered: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        self._server = server
        self._path = path
        self._kind = kind
        self._read = read
        self._limit = limit
        self._answered = answered
        self._version = ""
        self._in_vain = 0
        self._known: dict[str, T] = {**(known or {})}

    def follow(self, until: float) -> Iterator[tuple[T, bool]]:
        """Yield what has changed since the last call, and what changes, until then (monotonic).

        With each comes whether it is gone.

        Raises:
            ConnectionFailed: the list cannot be read, or the watch not be opened.
        """
        while until - time.monotonic() > SHORTEST:
            if not self._version:
                yield from self._list(until)
            yield from self._watch(until)
            if (left := until - time.monotonic()) > 0:
                time.sleep(min(left, PAUSE))
        time.sleep(max(0.0, until - time.monotonic()))

    def _list(self, until: float) -> Iterator[tuple[T, bool]]:
        gone = dict(self._known)
        version = ""
        for page in pages(self._server, self._path, until, limit=self._limit):
            self._answered()
            version = page.version
            for found in map(self._read, page.items):
                gone.pop(found.key, None)
                yield from self._news(found)
        for found in gone.values():
            yield from self._news(found, gone=True)
        self._version = version

    def _watch(self, until: float) -> Iterator[tuple[T, bool]]:
        seconds = min(LONGEST, max(1, ceil(until - time.monotonic())))
        query = {
            "timeoutSeconds": str(seconds),
            "watch": "true",
            "resourceVersion": self._version,
            "allowWatchBookmarks": "true",
        }
        late = min(until, time.monotonic() + seconds + LATE)
        passing = {HTTPStatus.GATEWAY_TIMEOUT} if self._in_vain < PATIENCE else set[int]()
        with self._server.stream(self._path, late, query, passing=passing) as told:
            if told.answer.status in passing:
                self._in_vain += 1
                return
            if told.answer.status == HTTPStatus.GONE:
                self._version = ""
                return
            if why := refused(self._server, told.answer):
                raise self._server.failed(f"{self._kind} cannot be watched: {why.reason}")
            self._answered()
            for line in told.lines:
                event = json_object(line) or json_object(without_depths(line)) or {}
                kind, found = text(event, "type"), mapping(event, "object")
                if kind == "ERROR":
                    self._ended_by(found, told.answer)
                    return
                self._version = text(mapping(found, "metadata"), "resourceVersion") or self._version
                if kind in {"ADDED", "MODIFIED", "DELETED"}:
                    yield from self._news(self._read(found), gone=kind == "DELETED")
            self._in_vain = 0

    def _ended_by(self, status: Mapping[str, Any], answer: Answer) -> None:
        """Begin anew where the server no longer has the version; else go on from it, for a while.

        Raises:
            ConnectionFailed: it ends each watch so.
        """
        if status.get("code") == HTTPStatus.GONE:
            self._version = ""
            return
        self._in_vain += 1
        if self._in_vain > PATIENCE:
            why = answer.mask(text(status, "message"))
            raise self._server.failed(f"each watch of {self._kind} is ended: {why}")

    def _news(self, found: T, *, gone: bool = False) -> Iterator[tuple[T, bool]]:
        before = self._known.pop(found.key, None)
        if not gone:
            self._known[found.key] = found
        if gone or found != before:
            yield found, gone
