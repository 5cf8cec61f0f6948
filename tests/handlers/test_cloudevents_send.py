"""cloudevents.send; what arrives is read by the vendor's own library."""

from __future__ import annotations

from typing import Any

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_http_event

from handlers.cloudevents_send import handler
from receiver.contract import PermanentError, Succeeded
from receiver.testkit import Case, Fault, Reply, Subject, attempt, usual

GIVEN: dict[str, Any] = {
    "url": "http://broker.example.com/shop/default",
    "subject": "ConfigMap/assets",
    "data": {"application": "shop"},
    "headers": {"Authorization": {"env": "POSTSYNC_SECRET_BROKER"}},
}
SUBJECTS = [
    Subject(
        handler,
        parameters=GIVEN,
        cases=[
            *(Case(Reply(status), Succeeded) for status in (200, 202, 204)),
            Case(Fault.GARBLED, Succeeded),
            *usual(),
        ],
    )
]


@pytest.mark.parametrize("mode", ["binary", "structured"])
def test_the_event_arrives_whole(mode: str) -> None:
    """Its id is the idempotency key, so that a receiver knows what it has had."""
    made = attempt(
        SUBJECTS[0], [Reply(202)], parameters=GIVEN | {"mode": mode, "extensions": {"tenant": "a"}}
    )
    (seen,) = made.seen
    event = from_http_event(HTTPMessage(dict(seen.headers), seen.body))
    assert event.get_id() == "r-kit.1"
    assert event.get_type() == "io.postsync.resource.synced.v1"
    assert event.get_subject() == "ConfigMap/assets"
    assert event.get_extension("tenant") == "a"
    assert event.get_data() == {"application": "shop"}
    assert seen.headers["authorization"].startswith("hush")


def test_what_is_no_event_is_told_before_it_is_sent() -> None:
    """An extension's name has lower case letters and digits."""
    given = GIVEN | {"extensions": {"Not-A-Name": "x"}}
    made = attempt(SUBJECTS[0], [Reply(202)], parameters=given)
    assert made.seen == ()
    assert made.outcome.kind.value == PermanentError.__name__.removesuffix("Error").lower()
    assert "no CloudEvent" in made.outcome.reason
