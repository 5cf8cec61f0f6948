"""What makes two notifications the same, and what does not."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest

from receiver.core.errors import PayloadError
from receiver.notification.parse import Notification, read_notification

APPLICATION = {"name": "shop", "namespace": "argocd", "uid": "1"}
OPERATION = {
    "phase": "Succeeded",
    "startedAt": "2026-06-10T08:20:03Z",
    "finishedAt": "2026-06-10T08:21:17Z",
}


IDENTITY = "019eb09f18482c74fcc266e8a0687c58cd767f0433bc548ca86fa0448f391878"
"""`printf %012x` of the milliseconds at which it finished, and as much as has room there of the
sha256sum of the JSON list that the docstring of `_identity` describes."""


def read(
    application: dict[str, Any] | None = None,
    operation: dict[str, Any] | None = None,
    *,
    sender: str = "argocd",
    channel: str = "sync",
    query: dict[str, str] | None = None,
    **more: Any,
) -> Notification:
    body = {
        "application": APPLICATION | (application or {}),
        "operationState": OPERATION | (operation or {}),
    }
    raw = json.dumps(body | more).encode()
    return read_notification(raw, sender=sender, channel=channel, query=query or {})


def test_the_identity_is_stable() -> None:
    """It is stored and compared over releases, so its value must never change."""
    assert read().identity == IDENTITY


def test_identities_are_in_the_order_in_which_syncs_finished() -> None:
    """So that what is new is written at one end of their index, however many there are."""
    moments = ["2026-06-10T08:21:17Z", "2026-06-10T08:21:18Z", "2027-01-01T00:00:00Z"]
    found = [read(operation={"finishedAt": moment}).identity for moment in moments]
    assert found == sorted(found)


@pytest.mark.parametrize(
    "other",
    [
        {"sender": "argocd-2"},
        {"channel": "deployed"},
        {"application": {"name": "shop2"}},
        {"application": {"namespace": "argocd-2"}},
        {"operation": {"startedAt": "2026-06-10T08:20:04Z"}},
        {"operation": {"startedAt": None}},
        {"operation": {"finishedAt": "2026-06-10T08:21:18Z"}},
        {"operation": {"phase": "Failed"}},
    ],
)
def test_what_makes_another_sync(other: dict[str, Any]) -> None:
    """Sender, channel, Application, both times and the phase are the identity."""
    assert read(**other).identity != read().identity


@pytest.mark.parametrize(
    "same",
    [
        {"application": {"uid": "2"}},
        {"application": {"labels": {"a": "b"}}},
        {"operation": {"message": "other", "syncResult": {"revision": "77aa"}}},
        {"operation": {"startedAt": "2026-06-10T10:20:03+02:00"}},
        {"operation": {"finishedAt": "2026-06-10T08:21:17.000000Z"}},
        {"operation": {"finishedAt": "2026-06-10T08:21:17"}},
        {"eventKey": "ignored on the channel sync"},
    ],
)
def test_what_makes_no_other_sync(same: dict[str, Any]) -> None:
    """Neither the uid nor the spelling of a time, nor anything else in the body, counts."""
    assert read(**same).identity == read().identity


def test_names_cannot_be_shifted_into_one_another() -> None:
    """The namespace ends where it ends: a.b/c is not a/b.c."""
    one = read({"namespace": "a.b", "name": "c"})
    other = read({"namespace": "a", "name": "b.c"})
    assert one.identity != other.identity


@pytest.mark.parametrize("key", ["degraded-7", 7])
def test_an_event_key_joins_the_identity_of_other_channels(key: str | int) -> None:
    """Two events of one operation differ by their key, in the body or in the query."""
    plain = read(channel="degraded")
    keyed = read(channel="degraded", eventKey=key)
    assert keyed.identity != plain.identity
    assert keyed.sync.event_key == str(key)
    assert read(channel="degraded", query={"eventKey": str(key)}).identity == keyed.identity


@pytest.mark.parametrize("key", [True, ["a"], {"a": 1}, "x" * 1001])
def test_an_event_key_is_a_short_string(key: object) -> None:
    """Anything else is refused by name."""
    with pytest.raises(PayloadError, match="eventKey") as caught:
        read(channel="degraded", eventKey=key)
    assert caught.value.reason == "wrong_type"


def test_an_event_key_alone_is_a_whole_identity() -> None:
    """Without an operation, the key makes the event; without a key, only the body can."""
    body = b'{"application": "shop"%s}'
    read_one = partial(read_notification, sender="argocd", channel="degraded", query={})
    keyed = read_one(body % b', "eventKey": "1"')
    again = read_one(body % b', "eventKey": "1", "more": 1')
    plain = read_one(body % b"")
    assert (keyed.weak, plain.weak) == (False, True)
    assert keyed.identity == again.identity != plain.identity


def test_a_weak_identity_is_of_the_body_and_what_the_query_names() -> None:
    """Equal lists of two applications, phases or revisions are two syncs."""
    query = {"application": "shop", "phase": "Succeeded"}
    others = [
        {"application": "shop2"},
        {"phase": "Failed"},
        {"revision": "77aa"},
        {"namespace": "argocd"},
    ]
    identities = {
        read_notification(body, sender="argocd", channel="sync", query=query | other).identity
        for body in (b"[]", b"[ ]")
        for other in ({}, *others)
    }
    assert len(identities) == 10
