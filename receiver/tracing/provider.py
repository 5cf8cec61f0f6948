"""The SDK, set up by its own variables: a tracer, and the exporter behind it.

The exporter has a thread of its own and waits for nobody; what cannot be sent is counted and told.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from urllib.parse import unquote

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Tracer

from receiver.core.logs import Log
from receiver.core.threads import call_with_timeout
from receiver.outbound import Outbound
from receiver.outbound.export_session import ExportSession
from receiver.outbound.secret_masking import Masker
from receiver.tracing.contexts import PlanIds

FLUSH = 2.0
"""Seconds that a stop waits at most for what is not sent yet."""

LONGEST = 4_096
"""Characters of an attribute."""

NAME = "postsync"
FULL = "Queue full"
"""How the SDK begins to say that its queue has no room."""
UNTOLD = ("opentelemetry.exporter", "opentelemetry.trace.")
"""Loggers of the SDK, or those above them."""
UNNAMED = "unknown_service"
"""What the SDK calls a service that has no name."""


@dataclass(frozen=True, slots=True)
class Provider:
    """What makes spans; ``ids`` gives the next one the id of a plan's."""

    tracer: Tracer
    ids: PlanIds
    _provider: TracerProvider
    _batches: Batches
    _exporter: ToldExporter
    _outbound: Outbound

    def stop(self) -> None:
        """Send what is not sent yet, in the time that there is for it; tell what is lost."""
        try:
            call_with_timeout("tracing", self._provider.shutdown, FLUSH)
        except TimeoutError:
            self._exporter.tell_lost(self._batches.waiting)
        else:
            self._exporter.tell_lost(0)
        self._outbound.close()


def start(outbound: Outbound, endpoint: str, log: Log) -> Provider:
    """Set the SDK up; ``endpoint`` is what the address is called on the log.

    Raises:
        ValueError: a variable has a value that the SDK refuses.
    """
    secrets = [*_secrets()]
    _take_over_its_log(Masker(secrets), log)
    session = ExportSession(outbound, secrets)
    exporter = ToldExporter(OTLPSpanExporter(session=session), session, endpoint, log)
    ids = PlanIds()
    provider = TracerProvider(
        id_generator=ids, resource=_resource(), span_limits=_limits(), shutdown_on_exit=False
    )
    batches = exporter.batches = Batches(exporter)
    provider.add_span_processor(batches)
    return Provider(provider.get_tracer(NAME), ids, provider, batches, exporter, outbound)


def _resource() -> Resource:
    own = {SERVICE_VERSION: version("postsync-receiver")}
    if str(Resource.create().attributes[SERVICE_NAME]).startswith(UNNAMED):
        own[SERVICE_NAME] = NAME
    return Resource.create(own)


def _limits() -> SpanLimits:
    """Return the SDK's limits, and one where it has none: a notification may have long texts."""
    names = ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT")
    given = any(map(os.environ.get, names))
    return SpanLimits() if given else SpanLimits(max_attribute_length=LONGEST)


class Batches(BatchSpanProcessor):
    """The SDK's queue and thread; counts the spans that the queue has no room for."""

    overflowed = 0

    def on_end(self, span: ReadableSpan) -> None:
        """Take a span that has ended."""
        queue = self._batch_processor
        if span.context and span.context.trace_flags.sampled:
            self.overflowed += len(queue._queue) >= queue._max_queue_size  # noqa: SLF001 nothing tells
        super().on_end(span)

    @property
    def waiting(self) -> int:
        """How many spans are not given to the exporter yet."""
        return len(self._batch_processor._queue)  # noqa: SLF001 likewise


class ToldExporter(SpanExporter):
    """Exports, and tells on the log when that does not work, and when it does again."""

    batches: Batches

    def __init__(
        self, exporter: SpanExporter, session: ExportSession, endpoint: str, log: Log
    ) -> None:
        self._exporter = exporter
        self._session = session
        self._endpoint = endpoint
        self._log = log
        self._failing = False
        self._lost = 0
        self._overflowed = 0
        self._sending = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send a batch; the exporter's own thread calls it."""
        self._sending = len(spans)
        result = self._exporter.export(spans)
        self._sending = 0
        overflowed, self._overflowed = self._overflowed, self.batches.overflowed
        overflowed = self._overflowed - overflowed
        failed = result is not SpanExportResult.SUCCESS
        self._lost += overflowed + len(spans) * failed
        if failed or overflowed:
            self._tell_failed(self._session.problem or "more spans end than can be sent")
        elif self._failing:
            self._log.info("tracing.restored", endpoint=self._endpoint, lost=self._lost)
            self._failing, self._lost = False, 0
        return result

    def _tell_failed(self, reason: str) -> None:
        if not self._failing:
            self._failing = True
            self._log.warning("tracing.failed", endpoint=self._endpoint, reason=reason)

    def tell_lost(self, waiting: int) -> None:
        """Tell, at the end, of what was not sent: what waits still, and all since it failed."""
        lost = self._lost + self.batches.overflowed - self._overflowed + self._sending + waiting
        if lost:
            self._log.warning("tracing.lost", endpoint=self._endpoint, lost=lost)

    def shutdown(self) -> None:
        """End the exporter."""
        self._exporter.shutdown()


def _secrets() -> Iterator[str]:
    """Yield what the variables may have of secrets: headers, and the address they are sent to."""
    for name in ("OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"):
        text = os.environ.get(name, "")
        for part in (text, *(one.partition("=")[2].strip() for one in text.split(","))):
            yield from filter(None, {part, unquote(part)})


class _Relay(logging.Handler):
    """Writes the SDK's own warnings on our log.

    But for those of exports, which are told of, and of headers, which anybody writes as he likes.
    """

    def __init__(self, masker: Masker, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._masker = masker
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        text = self._masker.mask(record.getMessage())
        if not (record.name.startswith(UNTOLD) or text.startswith(FULL)):
            self._log.warning("tracing.warning", reason=text, logger=record.name)


def _take_over_its_log(masker: Masker, log: Log) -> None:
    logger = logging.getLogger("opentelemetry")
    logger.handlers[:] = [_Relay(masker, log)]
    logger.propagate = False
