"""Prometheus metrics: what this process counts, and what the ledger counts for the dispatcher."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import cache

import prometheus_client
from flask import Blueprint, Response
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from receiver.core.errors import LedgerUnavailable
from receiver.core.logs import lost_lines
from receiver.core.threads import deaths
from receiver.ledger.inbox.deliveries import Receipt
from receiver.ledger.queries.metrics import Number
from receiver.ledger.queries.reader import Reader
from receiver.web.operation import Operation, Who
from receiver.web.tls import Tls

PREFIX = "postsync_"

LATENCIES = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds from the end of the headers to the commit; the issue's aim is a p99 under 0.1."""

Pid = Callable[[], int]
"""Tells the pid of another process of this instance."""

HISTOGRAM_PARTS = ("_bucket", "_sum", "_count")


class Metrics:
    """The metrics of the process that answers, in a registry of their own.

    Args:
        reader: of the ledger.
        process: what this one is: the ``intake``, or the ``probes`` of a dispatcher.
        tls: what it is served with.
        dispatcher: tells the pid of the dispatcher beside it, if there is one.
    """

    def __init__(
        self, reader: Reader, process: str, tls: Tls | None = None, dispatcher: Pid | None = None
    ) -> None:
        # They double the page, and nobody uses them.
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # theirs
        self.registry = registry = CollectorRegistry()
        self._notifications = Counter(
            "postsync_notifications", "Notifications of known senders, by what became of them.",
            ["sender", "channel", "verdict"], registry=registry,
        )  # fmt: skip
        self._refused = Counter(
            "postsync_refused", "Requests to the intake that were not accepted, by reason.",
            ["reason"], registry=registry,
        )  # fmt: skip
        self._last = Gauge(
            "postsync_last_accepted_timestamp_seconds",
            "When the sender's last notification was accepted, duplicates included.",
            ["sender"], registry=registry,
        )  # fmt: skip
        self._latency = Histogram(
            "postsync_intake_seconds", "Time from a notification's headers to its commit.",
            buckets=LATENCIES, registry=registry,
        )  # fmt: skip
        self._slow = Counter(
            "postsync_slow_senders",
            "Connections shut because a request did not arrive within the requestTimeout.",
            registry=registry,
        )
        # Kept: to find one of a metric's children takes longer than to count.
        self._counted, self._last_of = cache(self._notifications.labels), cache(self._last.labels)
        ProcessCollector(registry=registry)
        if dispatcher is not None:
            ProcessCollector("postsync_dispatcher", dispatcher, registry=registry)
        registry.register(Scraped(reader, process, tls))

    def stored(self, sender: str, channel: str, receipt: Receipt, seconds: float) -> None:
        """Count a notification that is on disk."""
        self._counted(sender, channel, receipt.verdict.value).inc()
        self._last_of(sender).set(time.time())
        self._latency.observe(seconds)

    def refused(self, reason: str) -> None:
        """Count a request that was not accepted."""
        self._refused.labels(reason).inc()

    def slow(self) -> None:
        """Count a connection that was shut."""
        self._slow.inc()


class Scraped(Collector):
    """Yields the numbers that are kept elsewhere, as they are at the scrape."""

    def __init__(self, reader: Reader, process: str, tls: Tls | None) -> None:
        self._reader = reader
        self._process = process
        self._tls = tls

    def describe(self) -> Iterable[Metric]:
        """Return nothing at registration: the ledger is read at a scrape alone."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Make a metric of each name; without the ledger, `postsync_ledger_up 0` and our own.

        Without TLS, that of the certificate has no sample.
        """
        # Of this process; the dispatcher's are in the ledger.
        own = {"process": self._process}
        numbers: list[Number] = [
            *(("thread_deaths_total", own | {"thread": name}, n) for name, n in deaths().items()),
            ("log_lines_lost_total", own, lost_lines()),
        ]
        up = Metric(f"{PREFIX}ledger_up", "1 if the ledger can be read.", "gauge")
        try:
            numbers += self._reader.counters()
            up.add_sample(up.name, {}, 1)
        except LedgerUnavailable:
            up.add_sample(up.name, {}, 0)
        ends = f"{PREFIX}tls_not_after_timestamp_seconds"
        certificate = Metric(ends, "When the served certificate expires.", "gauge")
        if self._tls is not None:
            certificate.add_sample(ends, {}, self._tls.current.not_after.timestamp())
        return [up, *_metrics(numbers), certificate]


def _metrics(numbers: Iterable[Number]) -> list[Metric]:
    ordered = sorted(numbers, key=lambda item: (item[0], float(item[1].get("le", "0"))))
    histograms = {name.removesuffix("_bucket") for name, _, _ in ordered if name[-7:] == "_bucket"}
    metrics: dict[str, Metric] = {}
    for name, labels, value in ordered:
        family, kind = _family(name, histograms)
        empty = Metric(PREFIX + family, "Kept in the ledger; see docs/metrics.md.", kind)
        metrics.setdefault(family, empty).add_sample(PREFIX + name, labels, value)
    return list(metrics.values())


def _family(name: str, histograms: set[str]) -> tuple[str, str]:
    """Tell the metric that a sample belongs to, and its type, from the sample's name."""
    for part in HISTOGRAM_PARTS:
        if name.endswith(part) and name.removesuffix(part) in histograms:
            return name.removesuffix(part), "histogram"
    if name.endswith("_total"):
        return name.removesuffix("_total"), "counter"
    return name, "gauge"


METRICS = Operation(
    "get", "/metrics", "metrics", "Metrics for Prometheus, as text.", Who.NOBODY, {200: None},
    errors=(503,),
)  # fmt: skip


def metrics_blueprint(metrics: Metrics) -> Blueprint:
    """Make `/metrics`; it needs no token."""
    routes = Blueprint("metrics", __name__)

    @routes.get(METRICS.url_rule)
    def show() -> Response:
        text = prometheus_client.generate_latest(metrics.registry)
        return Response(text, content_type=prometheus_client.CONTENT_TYPE_LATEST)

    return routes
