"""Spans of a whole service: its processes, a power failure, a stop, a collector that is away."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest
from collector import Collector, collecting
from notifications import notification, resource
from peers import closed_port
from service import Service, Target, group_alive, wait_for

RULES = """
version: 1
defaults: {{timeout: 5s, retry: {{initialDelay: 100ms, maxDelay: 100ms}}}}
rules:
- name: call
  match: {{resources: [{{kind: ConfigMap}}]}}
  actions:
  - {{name: purge, uses: http.request, with: {{url: "{url}"}}}}
"""


Traced: TypeAlias = Callable[[str, str], Service]


@pytest.fixture
def traced(tmp_path: Path, target: Target) -> Iterator[Traced]:
    """Make services that write spans, by a name and an endpoint; none is left running."""
    made: list[Service] = []

    def make(name: str, endpoint: str) -> Service:
        made.append(of(tmp_path / name, target, endpoint))
        return made[-1]

    yield make
    for service in made:
        if service.process and group_alive(service.process.pid):
            service.kill()


def of(home: Path, target: Target, endpoint: str) -> Service:
    service = Service(home, RULES.format(url=target.url), tracing="true")
    service.environ |= {
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_BSP_SCHEDULE_DELAY": "50",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "1", "OTEL_SERVICE_NAME": "shop-postsync",
    }  # fmt: skip
    return service


def sent(service: Service) -> str:
    """Send a notification; its sync."""
    body = notification(resource("a"))
    return str(service.request("POST", "/v1/notifications", body)[1]["sync"])


def test_a_trace_goes_on_after_a_power_failure(traced: Traced, target: Target) -> None:
    """The attempt that was lost is in it; a stop sends what no timer has sent."""
    held = threading.Event()
    target.gates.append(held)
    with collecting() as collector:
        service = traced("home", collector.url)
        service.start()
        sync = sent(service)
        wait_for(lambda: len(target.seen) == 1, 20, "the first attempt")
        collector.wait_for(["POST /v1/notifications/{channel}", "plan sync", "rule call"], sync)
        service.kill()
        held.set()
        service.environ["OTEL_BSP_SCHEDULE_DELAY"] = "3600000"
        service.start()
        service.ended(sync)
        assert service.stop() == 0
        spans = collector.of_sync(sync)
    assert len({one.trace for one in spans}) == 1
    (begun,) = [one for one in spans if one.name == "rule call"]
    below = [one for one in spans if one.parent == begun.span]
    assert sorted(one.name for one in below) == ["attempt lost", "attempt purge", "rule call ended"]
    lost, again, _ = sorted(below, key=lambda one: one.name)
    assert (lost.of_us["attempt"], again.of_us["attempt"]) == (1, 2)
    assert lost.error == "its process ended or fell silent"
    assert {one.resource["service.name"] for one in spans} == {"shop-postsync"}
    assert_header(target, 1, again.trace)


def assert_header(target: Target, index: int, trace: str) -> None:
    assert target.seen[index]["headers"]["traceparent"].split("-")[1] == trace


def test_where_nobody_collects_all_else_is_as_ever(traced: Traced) -> None:
    """Be the collector away or hanging, each process tells it once, and ends as it should."""
    away(traced("away", f"http://127.0.0.1:{closed_port()}"))
    with collecting() as collector:
        collector.gate.clear()
        away(traced("hangs", collector.url))


def away(service: Service) -> None:
    service.start()
    sync = sent(service)
    assert service.ended(sync)["plans"][0]["state"] == "succeeded"
    wait_for(lambda: len(service.events("tracing.failed")) == 2, 30, "both processes")
    assert service.stop() == 0
    assert len(service.events("tracing.failed")) == 2
    assert [line["lost"] > 0 for line in service.events("tracing.lost")] == [True, True]


def test_the_trail_leads_to_the_trace(traced: Traced, target: Target) -> None:
    """By the command that shows a sync; and what an operator ends, ends in the trace."""
    target.gates.append(threading.Event())
    with collecting() as collector:
        service = traced("home", collector.url)
        service.start()
        sync = sent(service)
        wait_for(lambda: len(target.seen) == 1, 20, "the attempt")
        cancel(service, collector, sync)
        story = json.dumps(service.story(sync)["events"])
        assert f'"trace": "{collector.of_sync(sync)[0].trace}"' in story


def cancel(service: Service, collector: Collector, sync: str) -> None:
    status, answer = service.request("POST", f"/v1/syncs/{sync}/cancel", b"{}", role="operators")
    assert status == 200, answer
    spans = collector.wait_for(["rule call ended"], sync)
    (ended,) = [one for one in spans if one.name == "rule call ended"]
    assert ended.of_us["outcome"] == "cancelled"
