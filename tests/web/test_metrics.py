"""What Prometheus sees."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from doors import AS_SENDER, Doors, build, doors
from notifications import notification, resource
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import insert

from receiver.ledger import tables
from receiver.ledger.audit.key_values import RULES, put_value
from receiver.ledger.audit.trail import Counts, add_counts, count_seconds, labels
from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.engine.open import open_ledger
from receiver.ledger.inbox.group_commit import IntakeWriter
from receiver.ledger.queue.heartbeats import DispatcherHeartbeat, write_heartbeat

ROOT = Path(__file__).parents[2]
PATH = "/v1/notifications"


@pytest.fixture
def web(ledger: Ledger, tmp_path: Path) -> Iterator[Doors]:
    with doors(ledger, tmp_path, max_body=64 << 10) as made:
        yield made


def samples(web: Doors) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Read the page as Prometheus does."""
    text = web.client.get("/metrics").text
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_what_became_of_notifications_is_counted_by_sender_and_channel(web: Doors) -> None:
    """An accepted one and its duplicate, with the time that their commits took."""
    body = notification(resource("a"))
    for _ in range(2):
        web.client.post(PATH, data=body, headers=AS_SENDER)
    seen = samples(web)
    for verdict in ("accepted", "duplicate"):
        key = (("channel", "sync"), ("sender", "argocd"), ("verdict", verdict))
        assert seen["postsync_notifications_total", key] == 1
    assert seen["postsync_last_accepted_timestamp_seconds", (("sender", "argocd"),)] > 1.7e9
    assert seen["postsync_intake_seconds_count", ()] == 2


@pytest.mark.parametrize(
    ("path", "body", "headers", "reason"),
    [
        (PATH, b"", {}, "unauthenticated"),
        (PATH, b"x" * (65 << 10), AS_SENDER, "too_large"),
        (PATH, b"{", AS_SENDER, "not_json"),
        (f"{PATH}/Bad", b"{}", AS_SENDER, "bad_channel"),
        (f"{PATH}/postsync", b"{}", AS_SENDER, "reserved_channel"),
    ],
)
def test_what_was_refused_is_counted_by_its_reason(
    web: Doors, path: str, body: bytes, headers: dict[str, str], reason: str
) -> None:
    """The reason is a stable word, the same as in the answer."""
    answer = web.client.post(path, data=body, headers=headers)
    assert answer.json
    assert answer.json["reason"] == reason
    assert samples(web)["postsync_refused_total", (("reason", reason),)] == 1


def fill(ledger: Ledger) -> None:
    """Put something behind every number that the ledger keeps."""
    counts = Counts()
    counts["attempts_total", labels(handler="http.request", outcome="succeeded")] += 1
    counts["asked_total", labels(handler="http.request", outcome="succeeded")] += 1
    counts["runs_ended_total", labels(handler="http.request", state="succeeded")] += 1
    counts["attempts_hung_total", labels(handler="http.request")] += 1
    counts["pruned_total", labels(table="syncs")] += 1
    counts["resources_total", labels(verdict="unknown")] += 1
    counts["connection_failures_total", labels(sender="argocd")] += 1
    for seconds in (0.02, 2.0):
        count_seconds(counts, "attempt_seconds", seconds, handler="http.request")
    with ledger.write() as connection:
        add_counts(connection, counts)
        write_heartbeat(connection, "w-1", DispatcherHeartbeat(0))
        put_value(connection, RULES, {"ok": True, "error": "", "digest": "d" * 64, "rules": 3})
        row = dict.fromkeys((c.name for c in tables.runs.c if not (c.nullable or c.default)), "")
        counted = ("step", "wave", "virtual_time", "attempts", "claims", "failures", "key_number")
        numbers = dict.fromkeys(counted, 0)
        flags = {"state": "due", "ready": True, "due_at": 0, "handler": "http.request"}
        connection.execute(insert(tables.runs).values({**row, **numbers, **flags}))


def test_the_numbers_of_the_ledger_are_shown_as_prometheus_wants_them(web: Doors) -> None:
    """A histogram that is kept in the ledger has cumulative buckets in their order."""
    fill(web.ledger)
    seen = samples(web)
    handler = ("handler", "http.request")
    assert seen["postsync_runs", (handler, ("state", "due"))] == 1
    assert seen["postsync_rules", ()] == 3
    assert seen["postsync_attempt_seconds_bucket", (handler, ("le", "0.05"))] == 1
    assert seen["postsync_attempt_seconds_bucket", (handler, ("le", "+Inf"))] == 2
    bounds = re.findall(r'attempt_seconds_bucket\{.*le="([^"]+)"', web.client.get("/metrics").text)
    assert [float(bound) for bound in bounds] == sorted(map(float, bounds))


def test_every_metric_is_in_the_documents_table_and_no_other(web: Doors) -> None:
    """Whoever adds a metric documents it there."""
    fill(web.ledger)
    web.client.post(PATH, data=notification(resource("a")), headers=AS_SENDER)
    web.client.post(PATH, headers=AS_SENDER)
    text = web.client.get("/metrics").text
    shown = set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))
    table = set(
        re.findall(r"^\| `([a-z_]+)` \|", (ROOT / "docs/metrics.md").read_text(), re.MULTILINE)
    )
    assert {name for name in shown if not name.startswith("process_")} == table


def test_without_the_ledger_the_page_still_shows_the_intakes_own(tmp_path: Path) -> None:
    """A scrape that fails would hide the very trouble that it is for."""
    ledger = open_ledger(tmp_path / "ledger.db")
    web = build(ledger, tmp_path, IntakeWriter(ledger, lambda _at, _events: None))
    web.client.post(PATH)
    for path in tmp_path.glob("ledger.db*"):
        path.unlink()
    seen = samples(web)
    ledger.close()
    assert seen["postsync_ledger_up", ()] == 0
    assert seen["postsync_refused_total", (("reason", "unauthenticated"),)] == 1
