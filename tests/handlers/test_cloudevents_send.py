"""cloudevents.send; what arrives is read by the vendor's own library.

The statuses are those of https://github.com/cloudevents/spec, HTTP 1.1 Web Hooks, 2.2.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from pydantic import ValidationError

from handlers.cloudevents_send import CloudEventsSend, handler
from receiver.contract import PermanentError, Succeeded
from receiver.core.model import OutcomeKind
from receiver.testkit import Case, Fault, Reply, Subject, attempt, usual

RESOURCE = {"kind": "ConfigMap", "name": "assets", "change": "changed", "images": []}
SYNC = {"phase": "Succeeded", "revision": "9f1c2ab", "finishedAt": "2026-11-21T05:33:27Z"}
GIVEN: dict[str, Any] = {
    "url": "http://broker.example.com/shop/default",
    "subject": "ConfigMap/assets",
    "time": SYNC["finishedAt"],
    "data": {"application": "shop"},
    "headers": {"Authorization": {"env": "POSTSYNC_SECRET_BROKER"}},
}
SUBJECTS = [
    Subject(
        handler,
        parameters=GIVEN,
        cases=[
            *(Case(Reply(status), Succeeded) for status in (200, 201, 202, 204)),
            Case(Reply(413), PermanentError),
            Case(Reply(415), PermanentError),
            Case(Fault.GARBLED, Succeeded),
            *usual(),
        ],
    )
]


def received(**given: Any) -> tuple[Any, Any]:
    """The event as a receiver reads it, and the request that it came in."""
    (seen,) = attempt(SUBJECTS[0], [Reply(202)], parameters=GIVEN | given).seen
    return from_http_event(HTTPMessage(dict(seen.headers), seen.body)), seen


@pytest.mark.parametrize("mode", ["binary", "structured"])
@pytest.mark.parametrize(
    ("type_", "data"),
    [
        ("io.postsync.resource.synced.v1", RESOURCE),
        ("io.postsync.sync.finished.v1", SYNC),
        ("io.postsync.resource.synced.v1", {"resource": RESOURCE, "sync": SYNC}),
    ],
)
def test_the_event_arrives_whole(mode: str, type_: str, data: Any) -> None:
    """Of a resource or of a sync; its id is the idempotency key, so that it is known again."""
    event, seen = received(mode=mode, type=type_, data=data, extensions={"tenant": "a"})
    assert event.get_id() == "r-kit.1"
    assert event.get_type() == type_
    assert event.get_source() == "/postsync"
    assert event.get_subject() == "ConfigMap/assets"
    assert event.get_time() == datetime(2026, 11, 21, 5, 33, 27, tzinfo=UTC)
    assert event.get_extension("tenant") == "a"
    assert event.get_data() == data
    assert seen.headers["authorization"].startswith("hush")


def test_binary_has_the_attributes_in_headers_and_structured_in_the_body() -> None:
    """As the HTTP binding has them; a subject may have any letters."""
    _, seen = received(subject="ConfigMap/ä ö")
    assert (seen.headers["ce-id"], seen.headers["ce-specversion"]) == ("r-kit.1", "1.0")
    assert seen.headers["ce-subject"] == "ConfigMap/%C3%A4%20%C3%B6"
    assert (seen.headers["content-type"], seen.body) == (
        "application/json",
        b'{"application": "shop"}',
    )
    _, seen = received(mode="structured")
    assert seen.headers["content-type"] == "application/cloudevents+json"
    assert json.loads(seen.body)["data"] == {"application": "shop"}
    assert "ce-id" not in seen.headers


@pytest.mark.parametrize("mode", ["binary", "structured"])
def test_an_event_without_data_says_nothing_of_its_type(mode: str) -> None:
    """An empty body is no JSON."""
    event, seen = received(mode=mode, data=None)
    assert event.get_datacontenttype() is None
    assert (seen.body == b"") is (mode == "binary")


def test_without_a_time_it_is_that_of_the_attempt() -> None:
    """The moment when we tell of it."""
    event, _ = received(time=None)
    assert abs((datetime.now(UTC) - event.get_time()).total_seconds()) < 60


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"extensions": {"Not-A-Name": "x"}}, "extensions"),
        ({"extensions": {"x" * 21: "x"}}, "extensions"),
        ({"time": "2026-11-21T05:33:27"}, "timezone"),
        ({"data": "text"}, "data"),
        ({"subject": ""}, "subject"),
    ],
)
def test_what_is_no_event_is_refused_before(given: dict[str, Any], words: str) -> None:
    """By `postsync check`, where it is written so."""
    with pytest.raises(ValidationError, match=words):
        CloudEventsSend.model_validate({"url": "http://x", **given})


def test_what_only_the_library_knows_to_be_wrong_is_permanent() -> None:
    """Nothing is sent."""
    made = attempt(SUBJECTS[0], [Reply(202)], parameters=GIVEN | {"extensions": {"data": "x"}})
    assert (made.outcome.kind, made.seen) == (OutcomeKind.PERMANENT, ())
    assert "no CloudEvent" in made.outcome.reason
