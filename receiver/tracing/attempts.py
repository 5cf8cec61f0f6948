"""The span of an attempt, and those of its requests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from time import time_ns
from urllib.parse import urlsplit, urlunsplit

from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer

from receiver.core.errors import AttemptError
from receiver.core.model import Outcome, OutcomeKind
from receiver.ledger.queue.claim import ClaimedRun
from receiver.outbound.client import FAILED
from receiver.outbound.transport import Request
from receiver.tracing.contexts import Traced, below, headers_of, of_plan
from receiver.tracing.harmless import harmless

FAILURES = frozenset({OutcomeKind.TEMPORARY, OutcomeKind.PERMANENT})


class AttemptSpan:
    """An attempt under way; one thread makes it.

    Attributes:
        headers: those that pass its context on.
    """

    def __init__(self, tracer: Tracer, traced: Traced, run: ClaimedRun) -> None:
        self._tracer = tracer
        self._run = run
        attributes: dict[str, str | int] = {
            "postsync.application": traced.application,
            "postsync.sync": run.sync,
            "postsync.plan": run.plan,
            "postsync.rule": run.rule,
            "postsync.action": run.action,
            "postsync.handler": run.handler,
            "postsync.target": run.target,
            "postsync.run": run.id,
            "postsync.attempt": run.attempt,
        }
        if run.pending:
            attributes["postsync.asked_again"] = True
        parent = below(of_plan(traced.context, run.plan))
        self._span = tracer.start_span(f"attempt {run.action}", parent, attributes=attributes)
        self.headers: Mapping[str, str] = headers_of(self._span.get_span_context())
        self._requests: list[RequestSpan] = []

    @harmless
    def request(
        self, request: Request, mask: Callable[[str], str], *, private: bool
    ) -> RequestSpan:
        """Begin the span of a request.

        Where the request passes the attempt's context on, it passes its own on instead.

        Args:
            request: the request as it would be sent.
            mask: masks a text's secrets.
            private: whether a secret is in its address.
        """
        place, _, port = request.destination.place.rpartition(":")
        attributes: dict[str, str | int] = {
            "http.request.method": request.method,
            "server.address": mask(place.strip("[]")),
            "server.port": int(port),
        }
        if not private:
            attributes["url.full"] = _without_query(request.destination.url)
        span = self._tracer.start_span(
            request.method, below(self._span.get_span_context()), SpanKind.CLIENT, attributes
        )
        if request.headers.get("traceparent") == self.headers.get("traceparent"):
            headers = {**request.headers, **headers_of(span.get_span_context())}
            request = replace(request, headers=headers)
        self._requests.append(RequestSpan(span, request))
        return self._requests[-1]

    @harmless
    def end(self, outcome: Outcome) -> None:
        """End it with an outcome that has no secret in it.

        If it was asked how something is getting on, and that is as before, it is not written.
        """
        run, span = self._run, self._span
        as_before = run.pending and outcome.kind is OutcomeKind.PENDING
        if as_before and outcome.reason == run.reason:
            return
        for request in self._requests:
            request.write()
        for note in outcome.notes:
            span.add_event("action.message", {"text": note})
        span.set_attribute("postsync.outcome", outcome.kind.value)
        if outcome.kind in FAILURES:
            span.set_status(StatusCode.ERROR, outcome.reason)
        span.end()


class RequestSpan:
    """A request under way, to be sent as ``request`` says."""

    def __init__(self, span: Span, request: Request) -> None:
        self._span = span
        self.request = request
        self._ended = 0

    @harmless
    def answered(self, status: int) -> None:
        """Take the status of its answer."""
        self._span.set_attribute("http.response.status_code", status)
        if status >= FAILED:
            self._span.set_attribute("error.type", str(status))
            self._span.set_status(StatusCode.ERROR)
        self._ended = time_ns()

    @harmless
    def failed(self, error: AttemptError) -> None:
        """Take why there was no answer, with no secret in it."""
        self._span.set_attribute("error.type", type(error).__name__)
        self._span.set_status(StatusCode.ERROR, error.message)
        self._ended = time_ns()

    def write(self) -> None:
        """Write it as it was when it ended."""
        self._span.end(self._ended or None)


def _without_query(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
