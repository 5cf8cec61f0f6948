"""Spans: what a collector gets of a notification and all that comes of it, and who is told."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from collector import Collector, Seen, collecting
from doors import AS_SENDER, doors
from flask.testing import FlaskClient
from notifications import notification, resource
from service import ROOT, Target, wait_for
from sqlalchemy import text
from toy_argocd import ToyArgoCd, application

from receiver.app.composition import dispatcher_over
from receiver.core.logs import configure_logs
from receiver.dispatcher.gap_repair import GapRepair
from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.engine.wakeup import Wakeup
from receiver.outbound import Outbound
from receiver.settings.model import Settings
from receiver.tracing.switch import start_tracing
from receiver.tracing.tracing import Tracing
from receiver.web.app import create_app

RULES = """
version: 1
defaults: {retry: {initialDelay: 100ms, maxDelay: 100ms}}
rules:
- name: call
  match: {application: {name: shop}}
  actions:
  - {name: purge, uses: http.request, target: application, with: {url: "URLpurge?page=1"}}
  - {name: tell, uses: log.message, target: application, wave: 1, with: {text: told}}
- name: own
  match: {application: {name: own}}
  actions:
  - name: call
    uses: http.request
    target: application
    with: {url: "URL", headers: {TraceParent: "OWN"}}
- name: secret
  match: {application: {name: secret}}
  actions:
  - name: address
    uses: http.request
    target: application
    with: {url: {env: POSTSYNC_SECRET_ADDRESS}}
- name: polled
  match: {application: {name: polled}}
  actions:
  - name: start
    uses: http.request
    target: application
    with:
      url: URL
      poll: {url: "'/asked'", method: POST, every: 1s, until: "answer.body.contains('true')"}
- name: many
  match: {application: {name: many}, resources: [{kind: ConfigMap}]}
  limits: {maxTargets: 1}
  actions: [{uses: log.message, with: {text: many}}]
- name: ask
  match: {channel: postsync, application: {name: many}}
  actions: [{uses: log.message, target: application, with: {text: "${{ sync.held.reason }}"}}]
- name: refused
  match: {application: {name: refused}}
  actions:
  - {name: call, uses: http.request, target: application, with: {url: "URL"}}
"""
TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = f"00-{TRACE}-b7ad6b7169203331-01"
OWN = "00-11111111111111111111111111111111-2222222222222222-00"
SECRET = "hush-hush/4711"
REQUEST = "POST /v1/notifications/{channel}"

pytestmark = pytest.mark.usefixtures("exporting")


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as one:
        yield one


@pytest.fixture
def exporting(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have spans sent at once."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-key=very%20private")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")


def process() -> Tracing:
    """What one process has."""
    tracing = start_tracing(Outbound(), configure_logs("json"))
    assert tracing
    return tracing


@dataclass
class Running:
    """An intake and a dispatcher, which have nothing in common but the ledger."""

    client: FlaskClient
    ledger: Ledger
    collector: Collector
    target: Target

    def send(
        self, application: str, headers: dict[str, str] | None = None, body: bytes = b""
    ) -> dict[str, Any]:
        """Post a notification; the answer."""
        body = body or notification(resource("a"), application=application)
        answer = self.client.post(
            "/v1/notifications", data=body, headers=AS_SENDER | (headers or {})
        )
        return dict(answer.get_json())

    def spans(self, application: str, *names: str, headers: dict[str, str] | None = None) -> Spans:
        """Send a notification, and wait for these spans of what came of it."""
        sync = self.send(application, headers)["sync"]
        return Spans(self.collector.wait_for(names, sync))


class Spans(list[Seen]):
    """The spans of a trace, in the order of their starts."""

    def named(self, name: str) -> list[Seen]:
        return [one for one in self if one.name == name]

    def parent(self, span: Seen) -> str:
        return next((one.name for one in self if one.span == span.parent), "")


@contextmanager
def running(
    ledger: Ledger, home: Path, collector: Collector, target: Target, *, traced: bool = True
) -> Iterator[Running]:
    rules = home / "rules.yaml"
    rules.write_text(RULES.replace("URL", target.url).replace("OWN", OWN))
    settings = Settings(home=home, rules=[rules])
    intake, work = (process(), process()) if traced else (None, None)
    log = configure_logs("json")
    dispatcher = dispatcher_over(ledger, settings, Wakeup(), log, "w-1", work)
    life = threading.Thread(target=dispatcher.run)
    with doors(ledger, home) as made:
        app = create_app(replace(made.intake, tracing=intake))
        life.start()
        try:
            yield Running(app.test_client(), ledger, collector, target)
        finally:
            dispatcher.stop()
            life.join(20)
            for one in filter(None, (intake, work)):
                one.stop()
            assert not life.is_alive()


@pytest.fixture
def house(
    file_ledger: Ledger, tmp_path: Path, collector: Collector, target: Target
) -> Iterator[Running]:
    with running(file_ledger, tmp_path, collector, target) as made:
        yield made


def test_one_trace_leads_from_the_notification_to_the_last_attempt(
    ledger: Ledger, tmp_path: Path, collector: Collector, target: Target
) -> None:
    """Its intake and its worker know of each other by the ledger alone; the retry is in it."""
    target.statuses = [503]
    with running(ledger, tmp_path, collector, target) as house:
        spans = house.spans("shop", "rule call ended", "attempt tell", REQUEST)
    assert len({one.trace for one in spans}) == 1
    tree = sorted((one.name, spans.parent(one)) for one in spans)
    assert tree == [
        ("POST", "attempt purge"), ("POST", "attempt purge"), (REQUEST, ""),
        ("attempt purge", "rule call"), ("attempt purge", "rule call"),
        ("attempt tell", "rule call"), ("plan sync", REQUEST), ("rule call", REQUEST),
        ("rule call ended", "rule call"),
    ]  # fmt: skip
    first, second = spans.named("attempt purge")
    assert (first.error, second.error) == ("answered 503: {}", None)
    assert (first.of_us["attempt"], second.of_us["attempt"]) == (1, 2)
    assert first.of_us["run"] == second.of_us["run"]
    assert (first.of_us["outcome"], second.of_us["outcome"]) == ("temporary", "succeeded")
    assert all(one.start <= one.end for one in spans)
    assert spans.named("attempt tell")[0].events == [("action.message", {"text": "told"})]


def test_spans_have_the_names_of_the_conventions(house: Running) -> None:
    """HTTP's own beside ours; the address of a request has no query."""
    spans = house.spans("shop", "rule call ended", "POST", REQUEST)
    (request,) = spans.named(REQUEST)
    ours = request.of_us
    assert (request.kind, ours["verdict"], ours["application"]) == (2, "accepted", "argocd/shop")
    attributes = request.attributes.items()
    assert {name: value for name, value in attributes if not name.startswith("postsync.")} == {
        "http.request.method": "POST", "http.route": "/v1/notifications/{channel}",
        "http.response.status_code": 202, "url.path": "/v1/notifications", "url.scheme": "http",
    }  # fmt: skip
    (call,) = spans.named("POST")
    host, port = house.target.url.strip("/").removeprefix("http://").split(":")
    assert (call.kind, call.error) == (3, None)
    assert call.attributes == {
        "http.request.method": "POST", "http.response.status_code": 200, "server.address": host,
        "server.port": int(port), "url.full": f"{house.target.url}purge",
    }  # fmt: skip
    assert request.resource["service.name"] == "postsync"
    assert house.collector.headers[-1]["x-key"] == "very private"


def test_a_caller_s_trace_is_continued_and_passed_on(house: Running) -> None:
    """The request that is called has the span of the call as its parent; the trail names both."""
    state = {"traceparent": CALLER, "tracestate": "vendor=7"}
    spans = house.spans("shop", "rule call ended", "POST", REQUEST, headers=state)
    assert {one.trace for one in spans} == {TRACE}
    assert spans.named(REQUEST)[0].parent == CALLER.split("-")[2]
    headers = house.target.seen[-1]["headers"]
    assert headers["traceparent"].split("-")[1:3] == [TRACE, spans.named("POST")[0].span]
    assert headers["tracestate"] == "vendor=7"
    with house.ledger.read() as connection:
        told = connection.execute(text("SELECT data FROM audit_events WHERE name LIKE '%accepted'"))
        assert [json.loads(row.data)["trace"] for row in told] == [TRACE]


@pytest.mark.parametrize(
    "header", ["", "no", f"{CALLER}, {CALLER}", CALLER.replace("0af7", "XXXX"), CALLER * 1_000]
)
def test_what_is_no_traceparent_is_ignored(header: str) -> None:
    """A trace begins, as without; nothing is said of it."""
    with closing(Stopping(process())) as one:
        span = one.tracing.notification(environ(HTTP_TRACEPARENT=header), "/")
        assert span
        assert TRACE not in span.stored


def test_a_tracestate_that_is_too_long_is_left_out() -> None:
    """The trace is continued all the same."""
    given = environ(HTTP_TRACEPARENT=CALLER, HTTP_TRACESTATE=f"a={'x' * 600}")
    with closing(Stopping(process())) as one:
        span = one.tracing.notification(given, "/")
        assert span
        assert TRACE in span.stored
        assert " " not in span.stored


def test_who_has_no_token_has_no_span(house: Running) -> None:
    """Neither is the header read."""
    headers = {"Authorization": "Bearer wrong", "traceparent": CALLER.replace("0af7", "0bad")}
    assert house.client.post("/v1/notifications", data=b"{}", headers=headers).status_code == 401
    house.spans("refused", REQUEST)
    assert not [one for one in house.collector.spans() if one.trace.startswith("0bad")]


def test_a_header_of_the_rule_s_own_is_left_alone(house: Running) -> None:
    """It gets neither of ours, however it is spelt; the call has a span all the same."""
    house.spans(
        "own", "rule own ended", "POST", headers={"traceparent": CALLER, "tracestate": "a=1"}
    )
    sent = {name.lower(): value for name, value in house.target.seen[-1]["headers"].items()}
    assert sent["traceparent"] == OWN
    assert "tracestate" not in sent


def test_what_the_caller_does_not_sample_is_not_written(house: Running) -> None:
    """That is passed on, too."""
    sync = house.send("shop", {"traceparent": CALLER.replace("-01", "-00").replace("0af7", "0000")})
    wait_for(lambda: len(house.target.seen) == 1, 20, "the call")
    parent = house.target.seen[0]["headers"]["traceparent"].split("-")
    assert (parent[1][:4], int(parent[3], 16) & 1) == ("0000", 0)
    house.spans("refused", "rule refused ended")
    assert house.collector.of_sync(sync["sync"]) == []


def test_a_long_text_is_cut(house: Running) -> None:
    """What waits to be sent is bounded; a variable of the SDK says otherwise."""
    result = {"revision": "x" * 5_000, "resources": [resource("a")]}
    body = notification(application="refused", syncResult=result)
    (request, *_) = house.collector.wait_for([REQUEST], house.send("refused", body=body)["sync"])
    assert request.of_us["revision"] == "x" * 4_096


def test_a_duplicate_names_the_sync_that_was_there(house: Running) -> None:
    """And is no part of its trace."""
    body = notification(resource("a"), application="refused")
    first = house.send("refused", body=body)["sync"]
    house.collector.wait_for(["rule refused ended"], first)
    assert house.send("refused", body=body)["sync"] == first
    spans = Spans(house.collector.wait_for([REQUEST, REQUEST], first))
    one, other = spans.named(REQUEST)
    assert one.trace != other.trace
    assert other.of_us["verdict"] == "duplicate"


def test_what_cannot_be_understood_is_no_error_of_ours(house: Running) -> None:
    """The caller sees in its trace what was answered."""
    trace = TRACE.replace("0af7", "0400")
    headers = {"traceparent": CALLER.replace("0af7", "0400")}
    assert house.send("", headers, b"{")["status"] == 400

    def found() -> list[Seen]:
        return [one for one in house.collector.spans() if one.trace == trace]

    wait_for(lambda: bool(found()), 20, "the span")
    (span,) = found()
    assert (span.error, span.attributes["error.type"]) == (None, "400")


def test_no_spelling_of_a_secret_leaves(house: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an address with one there are host and port alone; the other side's echo is masked."""
    monkeypatch.setenv("POSTSYNC_SECRET_ADDRESS", f"{house.target.url}{SECRET}?key={SECRET}")
    house.target.answer = json.dumps({"error": f"no {SECRET} here"}).encode()
    house.target.statuses = [400]
    spans = house.spans("secret", "rule secret ended", "POST")
    (call,) = spans.named("POST")
    assert call.attributes["http.response.status_code"] == 400
    assert "url.full" not in call.attributes
    assert spans.named("attempt address")[0].error
    sent = b"".join(house.collector.bodies)
    for spelt in (SECRET, quote(SECRET, ""), base64.b64encode(SECRET.encode()).decode()):
        assert spelt.encode() not in sent


def test_asking_again_has_a_span_where_it_brings_news(house: Running) -> None:
    """Its requests do not pass the trace on: they are no part of the work."""
    house.target.answer = b'{"done": false}'
    sync = house.send("polled")["sync"]
    wait_for(lambda: len(house.target.seen) >= 3, 30, "two askings")
    house.target.answer = b'{"done": true}'
    spans = Spans(house.collector.wait_for(["rule polled ended"], sync))
    first, last = spans.named("attempt start")
    assert (first.of_us["outcome"], last.of_us["outcome"]) == ("pending", "succeeded")
    assert last.of_us["asked_again"] is True
    assert len(spans.named("POST")) == 2
    assert ["traceparent" in one["headers"] for one in house.target.seen][:2] == [True, False]


def test_what_is_told_of_a_hold_is_in_the_trace_of_what_is_held(house: Running) -> None:
    """Below the notification that the held plan came of."""
    body = notification(resource("a"), resource("b"), application="many")
    sync = house.send("many", body=body)["sync"]
    spans = Spans(house.collector.wait_for(["rule many", "rule ask ended", REQUEST], sync))
    assert len({one.trace for one in spans}) == 1
    assert [spans.parent(one) for one in spans.named("rule ask")] == [REQUEST]
    assert len({one.of_us["sync"] for one in spans.named("plan sync")}) == 2


def test_a_sync_that_was_not_notified_begins_a_trace(
    file_ledger: Ledger, collector: Collector
) -> None:
    """With its recovery, in place of a request; the trail names it."""
    argocd, end, tracing = ToyArgoCd(), datetime.now(UTC), process()
    own = {"kubernetes": {"inCluster": True}, "intake": "watch"}
    settings = Settings(argocd={"argocd": own}, act_since=end - timedelta(hours=1))
    argocd.put(application("lost", started=end - timedelta(seconds=9), finished=end))
    stored = threading.Event()
    repair = GapRepair(
        "argocd", argocd, file_ledger, settings, stored.set, configure_logs("json"), tracing
    )
    repair.start()
    assert stored.wait(60)
    argocd.over = True
    repair.stop()
    tracing.stop()
    (span,) = [one for one in collector.spans() if one.name == "recover sync"]
    assert (span.parent, span.of_us["application"]) == ("", "argocd/lost")
    with file_ledger.read() as connection:
        trail = "SELECT data FROM audit_events WHERE name = 'sync.recovered'"
        assert json.loads(str(connection.scalar(text(trail))))["trace"] == span.trace
        assert span.trace in str(connection.scalar(text("SELECT trace FROM syncs")))


def test_where_it_is_off_nobody_is_told_and_nothing_stored(
    file_ledger: Ledger, tmp_path: Path, collector: Collector, target: Target
) -> None:
    """As it is by default."""
    assert Settings().tracing is False
    with running(file_ledger, tmp_path, collector, target, traced=False) as house:
        house.send("shop", {"traceparent": CALLER})
        wait_for(lambda: len(target.seen) == 1, 20, "the call")
    assert not {"traceparent", "tracestate"} & set(target.seen[0]["headers"])
    with file_ledger.read() as connection:
        assert connection.scalar(text("SELECT trace FROM syncs")) is None


def test_where_it_is_off_nothing_of_the_sdk_is_imported() -> None:
    """By whatever `serve` and `work` import."""
    code = (
        "import sys, receiver.cli.serve, receiver.cli.work, receiver.dispatcher, handlers\n"
        "print([name for name in sys.modules if name.startswith(('opentelemetry', "
        "'receiver.tracing'))])"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True)
    assert found.stdout.decode().strip() == "['receiver.tracing', 'receiver.tracing.switch']"


def environ(**headers: str) -> dict[str, str]:
    return {
        "REQUEST_METHOD": "POST", "PATH_INFO": "/v1/notifications", "wsgi.url_scheme": "http",
        **headers,
    }  # fmt: skip


@dataclass
class Stopping:
    """Stops what one process has."""

    tracing: Tracing

    def close(self) -> None:
        self.tracing.stop()
