"""Spans on their way out: what is said at the start, and of a collector that is away or hangs."""

from __future__ import annotations

import json
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from certificates import make, needs_openssl
from collector import Collector, collecting
from peers import closed_port
from service import wait_for

from receiver.core.errors import SettingsError
from receiver.core.logs import configure_logs
from receiver.outbound import Outbound
from receiver.tracing.switch import start_tracing
from receiver.tracing.tracing import Tracing

ENVIRON = {
    "REQUEST_METHOD": "POST", "PATH_INFO": "/v1/notifications", "wsgi.url_scheme": "http",
}  # fmt: skip


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as one:
        yield one


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have spans sent at once, and given up after a moment."""
    for name, value in {"BSP_SCHEDULE_DELAY": "20", "EXPORTER_OTLP_TIMEOUT": "0.5"}.items():
        monkeypatch.setenv(f"OTEL_{name}", value)


def started(**allowed: Any) -> Tracing:
    tracing = start_tracing(Outbound(**allowed), configure_logs("json"))
    assert tracing
    return tracing


def write(tracing: Tracing, count: int = 1) -> None:
    for _ in range(count):
        span = tracing.notification(ENVIRON, "/")
        assert span
        span.answered(202)


class Told:
    """What is on the log."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.lines: list[dict[str, Any]] = []

    def named(self, name: str) -> list[dict[str, Any]]:
        out = self._capsys.readouterr().out.splitlines()
        self.lines += [json.loads(line) for line in out]
        return [line for line in self.lines if line["event"] == f"tracing.{name}"]


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Told:
    return Told(capsys)


@pytest.mark.usefixtures("quick")
def test_a_collector_that_refuses_is_told_of_once_and_what_was_lost_when_it_is_back(
    collector: Collector, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many batches fail meanwhile."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    collector.status = 400
    tracing = started()
    for batches in (1, 2, 3):
        write(tracing, 2)
        wait_for(lambda least=batches: collector.asked >= least, 20, "a batch")  # type: ignore[misc]  # its default
    collector.status = 200
    write(tracing)
    wait_for(lambda: bool(told.named("restored")), 20, "its return")
    (failed,) = told.named("failed")
    assert failed["endpoint"] == collector.url
    assert failed["reason"] == "it answered 400"
    assert told.named("restored")[0]["lost"] == 6
    tracing.stop()
    assert not told.named("lost")


@pytest.mark.usefixtures("quick")
def test_a_redirect_is_told_of_and_not_followed(
    collector: Collector, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else what somebody before the collector sends elsewhere would be lost unseen."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    collector.status = 308
    tracing = started()
    write(tracing)
    wait_for(lambda: bool(told.named("failed")), 20, "the failure")
    assert told.named("failed")[0]["reason"] == "it answered 308, which is not followed"
    tracing.stop()
    assert [line["lost"] for line in told.named("lost")] == [1]


def test_of_headers_that_the_sdk_does_not_understand_nothing_is_said(
    collector: Collector, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sender writes them; who looks at the log can do nothing about them."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    tracing = started()
    parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    for given in ({"HTTP_TRACESTATE": "NO,a=b"}, {"HTTP_TRACEPARENT": f"{parent}{'-' * 600}"}):
        assert tracing.notification(ENVIRON | {"HTTP_TRACEPARENT": parent} | given, "/")
    tracing.stop()
    assert not told.named("warning")


@pytest.mark.usefixtures("quick")
def test_where_nobody_listens_that_is_the_reason(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the words of all outgoing calls; at the end the rest is told, too."""
    port = closed_port()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}/")
    tracing = started()
    write(tracing, 3)
    wait_for(lambda: bool(told.named("failed")), 20, "the failure")
    assert told.named("failed")[0]["reason"] == f"127.0.0.1:{port}: connection refused"
    tracing.stop()
    assert [line["lost"] for line in told.named("lost")] == [3]


def test_a_collector_that_hangs_delays_neither_a_span_nor_the_end(
    collector: Collector, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the queue cannot hold is lost, and counted with what waits."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "8")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4")
    collector.gate.clear()
    others = set(threading.enumerate())
    tracing = started()
    write(tracing)
    wait_for(lambda: collector.asked == 1, 20, "the first batch")
    write(tracing, 20)  # it returns, while the collector holds the first one
    assert collector.asked == 1
    tracing.stop()
    assert [line["lost"] for line in told.named("lost")] == [21]
    collector.gate.set()
    wait_for(lambda: set(threading.enumerate()) <= others, 20, "what was left behind to end")


@pytest.mark.usefixtures("quick")
def test_the_exporter_goes_the_way_of_all_calls(
    collector: Collector, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What may not be called is not called."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    tracing = started(allow_hosts=["other.example"])
    write(tracing)
    wait_for(lambda: bool(told.named("failed")), 20, "the failure")
    assert "127.0.0.1" in told.named("failed")[0]["reason"]
    tracing.stop()
    assert collector.asked == 0


@needs_openssl
@pytest.mark.usefixtures("quick")
def test_the_certificate_of_the_sdk_s_variable_is_trusted(
    tmp_path: Any, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And without it the collector's is not."""
    certificate, key = make(tmp_path)
    with collecting(certificate, key) as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        tracing = started()
        write(tracing)
        wait_for(lambda: bool(told.named("failed")), 20, "the failure")
        tracing.stop()
        assert "certificate" in told.named("failed")[0]["reason"]
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", str(certificate))
        tracing = started()
        write(tracing)
        wait_for(lambda: len(collector.spans()) == 1, 20, "the span")
        tracing.stop()


def test_a_header_that_cannot_be_read_is_told_of_without_its_secret(
    collector: Collector, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK would write it on the log."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization Bearer hush-4711")
    started().stop()
    told.named("warning")
    assert "hush-4711" not in json.dumps(told.lines)


REFUSED = {
    ("TRACES_EXPORTER", "console"): "is 'console', not otlp",
    ("EXPORTER_OTLP_PROTOCOL", "grpc"): "is 'grpc', not http/protobuf",
    ("EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"): "is 'http/json', not http/protobuf",
    ("EXPORTER_OTLP_ENDPOINT", "collector:4317"): "is no URL of http or https",
    ("BSP_MAX_EXPORT_BATCH_SIZE", "5000"): "max_export_batch_size must be less than or equal",
}


@pytest.mark.parametrize(("variable", "reason"), REFUSED.items())
def test_what_cannot_be_done_is_refused(
    variable: tuple[str, str], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is served."""
    name, value = variable
    monkeypatch.setenv(f"OTEL_{name}", value)
    with closing(Outbound()) as outbound, pytest.raises(SettingsError, match=re.escape(reason)):
        start_tracing(outbound, configure_logs("json"))


def test_without_the_extra_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """And what needs it."""
    for name in [one for one in sys.modules if one.startswith("receiver.tracing.")]:
        if name != "receiver.tracing.switch":
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with closing(Outbound()) as outbound, pytest.raises(SettingsError) as refused:
        start_tracing(outbound, configure_logs("json"))
    assert "tracing (POSTSYNC_TRACING) needs the OpenTelemetry SDK" in str(refused.value)
    assert "pip install '.[otel]'" in str(refused.value)


def test_the_sdk_s_own_switch_turns_it_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """As everywhere else."""
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    with closing(Outbound()) as outbound:
        assert start_tracing(outbound, configure_logs("json")) is None
