"""The span of a notification, or of a sync that none came of: the first of our part of a trace."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer

from receiver.core.model import Sync
from receiver.ledger.inbox.deliveries import Receipt
from receiver.tracing.contexts import below, read_headers, stored_text
from receiver.tracing.harmless import harmless


class NotificationSpan:
    """A span that has begun.

    Attributes:
        stored: its context, as it is stored with the sync.
    """

    def __init__(self, span: Span) -> None:
        self._span = span
        self.stored = stored_text(span.get_span_context())

    @classmethod
    def of_request(cls, tracer: Tracer, environ: Mapping[str, Any], route: str) -> NotificationSpan:
        """Begin that of a request with a valid token; it continues its caller's trace."""
        caller = read_headers(
            environ.get("HTTP_TRACEPARENT", ""), environ.get("HTTP_TRACESTATE", "")
        )
        attributes = {
            "http.request.method": environ["REQUEST_METHOD"],
            "http.route": route,
            "url.path": environ["PATH_INFO"],
            "url.scheme": environ["wsgi.url_scheme"],
        }
        name = f"{environ['REQUEST_METHOD']} {route}"
        return cls(tracer.start_span(name, below(caller), SpanKind.SERVER, attributes))

    @classmethod
    def of_recovery(cls, tracer: Tracer) -> NotificationSpan:
        """Begin that of a sync that was read from its Application."""
        return cls(tracer.start_span("recover sync", below(None)))

    @harmless
    def received(self, receipt: Receipt, sync: Sync) -> None:
        """Add what was stored."""
        self._span.set_attributes({
            "postsync.sync": receipt.sync,
            "postsync.application": sync.application.key,
            "postsync.delivery": receipt.delivery,
            "postsync.verdict": receipt.verdict.value,
            "postsync.sender": sync.sender,
            "postsync.channel": sync.channel,
            "postsync.phase": sync.phase,
            "postsync.revision": sync.revision or ",".join(sync.revisions),
        })  # fmt: skip

    @harmless
    def answered(self, status: int) -> None:
        """End it with the status of the answer."""
        self._span.set_attribute("http.response.status_code", status)
        if status >= HTTPStatus.BAD_REQUEST:
            self._span.set_attribute("error.type", str(status))
        # What a sender did wrong is no error of ours.
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            self._span.set_status(StatusCode.ERROR)
        self.end()

    @harmless
    def end(self) -> None:
        """End it."""
        self._span.end()
