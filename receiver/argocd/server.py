"""One server that is asked: within the deadline, at its pace, with errors that a person can use."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from receiver.argocd.connection import ConnectionFailed
from receiver.argocd.nesting import without_depths
from receiver.argocd.pace import Pace
from receiver.contract import Answer, Stream, is_temporary, object_of
from receiver.core.errors import AttemptError
from receiver.kubernetes.access import Access
from receiver.outbound import Outbound
from receiver.outbound.client import HttpClient
from receiver.outbound.secret_masking import Masker

LARGEST = 64 << 20
"""Bytes of an answer: the managed resources of an Application of some thousand objects, or a page
of a list of Applications, each of which etcd bounds to 1.5 MiB."""
JSON = "application/json"
MERGE = "application/merge-patch+json"
SECONDS_EACH = 30.0
"""The longest that one request may take, so that a server that hangs is asked again in time."""


class AnswerFailed(ConnectionFailed):
    """One path was answered 5xx, or with too much; what else is asked for may be answered well.

    So are the kinds of an aggregated API that is away, and of a conversion webhook that fails.
    """


class TooLarge(AnswerFailed):
    """An answer has more bytes than are read."""


@dataclass(frozen=True, slots=True)
class Server:
    """An API server, or that of Argo CD.

    Attributes:
        name: for messages.
        access: finds its address and our token, anew for each request: both may be rotated.
        outbound: the way out.
        pace: shared by all who ask it.
        page: which of ours says what rights it has to grant.
    """

    name: str
    access: Callable[[], Access]
    outbound: Outbound = field(repr=False)
    pace: Pace = field(default_factory=Pace, repr=False)
    page: str = "docs/argocd-connection.md"

    def get(
        self, path: str, deadline: float, query: Mapping[str, str] | None = None,
        accept: str = JSON, largest: int | None = None,
    ) -> Answer:  # fmt: skip
        """Return the answer to a GET, whatever its status, unless the server itself fails.

        Raises:
            ConnectionFailed: nobody answers in time, 401, 429; `AnswerFailed` upon 5xx, and
                `TooLarge` where it has more than ``largest`` bytes, or `LARGEST`.
        """
        return self._send("GET", path, deadline, query, accept, None, largest or LARGEST)

    def post(self, path: str, deadline: float, body: Mapping[str, Any]) -> Answer:
        """Return the answer to a question that has a body; as `get`."""
        return self._send("POST", path, deadline, None, JSON, json.dumps(body).encode(), LARGEST)

    def merge(self, path: str, deadline: float, body: Mapping[str, Any]) -> Answer:
        """Return the answer to a change of what is there, by its fields (RFC 7386); as `get`."""
        written = json.dumps(body).encode()
        return self._send("PATCH", path, deadline, None, JSON, written, LARGEST, MERGE)

    def json(self, answer: Answer) -> dict[str, Any]:
        """Return the JSON object that an answer is.

        Raises:
            ConnectionFailed: it is none: something on the way has answered.
        """
        try:
            return object_of(answer)
        except AttemptError as error:
            raise self.failed(error.message, "is this its address?") from None

    def objects(self, answer: Answer) -> dict[str, Any]:
        """Return what objects are in an answer, without what is nested too deep; as `json`."""
        try:
            return self.json(answer)
        except ConnectionFailed:
            return self.json(replace(answer, body=without_depths(answer.body)))

    @contextmanager
    def stream(
        self,
        path: str,
        deadline: float,
        query: Mapping[str, str],
        *,
        passing: Container[int] = (),
    ) -> Iterator[Stream]:
        """Open a watch until the deadline; its lines end also where it is cut.

        Args:
            path: of what is watched.
            deadline: see `get`.
            query: says how.
            passing: statuses that the caller knows what to do with.

        Raises:
            ConnectionFailed: it cannot be opened.
        """
        http, access = self._way(deadline)
        try:
            with http.stream(
                _url(access, path, query),
                headers=_headers(access, JSON),
                tls=access.tls,
                proxy=access.proxy,
            ) as stream:
                if stream.answer.status not in passing:
                    self._check(f"GET {path}", stream.answer)
                yield Stream(stream.answer, _until_cut(stream.lines))
        except AttemptError as error:
            raise self.failed(error.message, error.hint) from None

    def failed(self, what: str, hint: str = "") -> ConnectionFailed:
        """Return the error that names this server."""
        return ConnectionFailed(f"{self.name}: {what}", hint=hint)

    def _send(
        self, method: str, path: str, deadline: float, query: Mapping[str, str] | None,
        accept: str, body: bytes | None, largest: int, kind: str = JSON,
    ) -> Answer:  # fmt: skip
        http, access = self._way(deadline, SECONDS_EACH)
        headers = _headers(access, accept) | ({} if body is None else {"Content-Type": kind})
        try:
            answer = http.send(
                method,
                _url(access, path, query),
                headers=headers,
                body=body,
                max_answer=largest,
                tls=access.tls,
                proxy=access.proxy,
            )
        except AttemptError as error:
            raise self.failed(error.message, error.hint) from None
        self._check(f"{method} {path}", answer)
        if answer.truncated:
            raise TooLarge(f"{self.name}: {method} {path} has more than {largest >> 20} MiB")
        return answer

    def _way(self, deadline: float, longest: float = float("inf")) -> tuple[HttpClient, Access]:
        """Wait for a turn, and return what the request is sent by, and where to."""
        if not self.pace.wait(deadline):
            raise self.failed("no time is left to ask it")
        try:
            access = self.access()
        except AttemptError as error:
            raise self.failed(error.message, error.hint) from None
        until = min(deadline, time.monotonic() + longest)
        return self.outbound.http(until, Masker(filter(None, access.secrets))), access

    def _check(self, what: str, answer: Answer) -> None:
        """Refuse what says that the server as a whole, or this path of it, does not work now."""
        status = answer.status
        lasting = status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.PROXY_AUTHENTICATION_REQUIRED}
        if lasting or is_temporary(status) or 300 <= status < 400:  # noqa: PLR2004 the range of redirects
            hint = "its token is not, or no longer, valid" if lasting else ""
            told = f"{what} was answered {status}"
            why = message_of(answer)
            told += f": {why}" if why else ""
            if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                raise AnswerFailed(f"{self.name}: {told}")
            raise self.failed(told, hint)


def _until_cut(lines: Iterator[bytes]) -> Iterator[bytes]:
    with suppress(AttemptError):
        yield from lines


def message_of(answer: Answer) -> str:
    """Return what a refusal says, masked and on one line; Kubernetes and Argo CD word it alike."""
    try:
        body = answer.json()
    except ValueError:
        body = None
    message = body.get("message") if isinstance(body, dict) else None
    if not isinstance(message, str):
        return answer.excerpt()
    return " ".join(answer.mask(message).split())[:500]


def clock_of(answer: Answer) -> datetime | None:
    """Return what the server's clock said when it answered, in whole seconds; None if unknown."""
    try:
        moment = parsedate_to_datetime(answer.headers.get("date", ""))
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, TypeError, IndexError, OverflowError):  # the parser's words for no date
        return None


def _url(access: Access, path: str, query: Mapping[str, str] | None) -> str:
    return f"{access.server}{path}" + (f"?{urlencode(query)}" if query else "")


def _headers(access: Access, accept: str) -> dict[str, str]:
    token = {"Authorization": f"Bearer {access.token}"} if access.token else {}
    return {"Accept": accept, **token}
