"""The door for hooks' messages, and the story that they become part of."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from doors import AS_OPERATOR, AS_SENDER, Doors, doors, token_file
from notifications import notification, resource
from sqlalchemy import insert, select, update

from receiver.ledger import tables
from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.inbox.hook_messages import message_events

MESSENGER = "token-of-the-hooks-012345"
AS_MESSENGER = {"Authorization": f"Bearer {MESSENGER}"}


@pytest.fixture
def web(ledger: Ledger, tmp_path: Path) -> Iterator[Doors]:
    token_file(tmp_path, "messengers/shop-hooks", MESSENGER)
    with doors(ledger, tmp_path) as made:
        yield made


def say(web: Doors, text: str | bytes = "migrated", **query: Any) -> Any:
    query = {"application": "shop", "hook": "PreSync", "wave": 1} | query
    return web.client.post("/v1/messages", query_string=query, data=text, headers=AS_MESSENGER)


def said(web: Doors, text: str = "migrated", *, at: datetime | None = None, **query: Any) -> str:
    """Have a message stored, at another time if one is given."""
    answer = say(web, text, **query)
    assert answer.status_code == 202, answer.text
    if at:
        with web.ledger.write() as connection:
            newest = select(tables.messages.c.seq).order_by(tables.messages.c.seq.desc()).limit(1)
            connection.execute(
                update(tables.messages)
                .where(tables.messages.c.seq == newest.scalar_subquery())
                .values(at=int(at.timestamp() * 1000))
            )
    return str(answer.json["message"])


def synced(web: Doors, finished: datetime, **options: Any) -> str:
    """Post the notification of a sync that took 30 seconds."""
    body = notification(resource("a"), finished=finished, **options)
    answer = web.client.post("/v1/notifications", data=body, headers=AS_SENDER)
    assert answer.json
    return str(answer.json["sync"])


def told(web: Doors, sync: str) -> list[str]:
    """Return the texts of a sync's messages, and the names of its other events, in order."""
    story = web.client.get(f"/v1/syncs/{sync}", headers=AS_OPERATOR).json
    assert story
    return [event.get("text", event["event"]) for event in story["events"]]


def trail(web: Doors) -> list[dict[str, Any]]:
    with web.ledger.read() as connection:
        rows = connection.execute(select(tables.audit_events).order_by(tables.audit_events.c.seq))
        return [{"event": row.name, **json.loads(row.data)} for row in rows]


def test_a_message_is_on_the_trail_before_it_is_answered(web: Doors) -> None:
    """With all that the hook said of itself, though no notification may ever come."""
    number = said(web, "line 1\nline 2\n", namespace="shop", name="shop-migrate-x7k2p")
    assert trail(web) == [
        {
            "event": "message.received", "message": number, "sender": "shop-hooks",
            "application": "shop", "hook": "PreSync", "wave": 1, "namespace": "shop",
            "name": "shop-migrate-x7k2p", "text": "line 1\nline 2",
        }
    ]  # fmt: skip


def test_messages_stand_in_the_story_of_their_sync_in_order_of_time(web: Doors) -> None:
    """Those that came before its notification, and one that comes after it."""
    said(web, "migrating", hook="PreSync")
    said(web, "tested", hook="PostSync", application="argocd/shop")
    sync = synced(web, datetime.now(UTC) + timedelta(seconds=2))
    said(web, "late", hook="SyncFail")
    assert told(web, sync) == ["migrating", "tested", "notification.accepted", "late"]


@pytest.mark.parametrize(
    ("seconds", "belongs"),
    [(-61, False), (-59, True), (-15, True), (0, True), (59, True), (61, False)],
)
def test_a_message_belongs_to_the_span_of_the_sync_and_a_little_more(
    web: Doors, seconds: int, *, belongs: bool
) -> None:
    """30 s before its start for the clocks, 60 s after its end for what is late."""
    finished = datetime.now(UTC)
    said(web, "hello", at=finished + timedelta(seconds=seconds))
    assert ("hello" in told(web, synced(web, finished))) is belongs


def test_between_two_syncs_the_nearer_one_has_it(web: Doors) -> None:
    """One that is under way wins over one that has just ended or is about to begin."""
    first = datetime.now(UTC) - timedelta(minutes=5)
    second = first + timedelta(seconds=70)  # it starts 40 s after the end of the first
    for name, seconds in (("within", -1), ("after", 10), ("before", 35), ("under way", 41)):
        said(web, name, at=first + timedelta(seconds=seconds))
    one, other = synced(web, first), synced(web, second)
    assert told(web, one) == ["within", "after", "notification.accepted"]
    assert told(web, other) == ["before", "under way", "notification.accepted"]


def test_an_operation_on_two_channels_has_its_messages_on_both(web: Doors) -> None:
    """They are two syncs of ours, and one of Argo CD's."""
    finished = datetime.now(UTC)
    body = notification(resource("a"), finished=finished)
    said(web, "hello")
    for channel in ("sync", "deployed"):
        answer = web.client.post(f"/v1/notifications/{channel}", data=body, headers=AS_SENDER)
        assert answer.json
        assert "hello" in told(web, answer.json["sync"])


@pytest.mark.parametrize("application", ["blog", "team-b/shop", "shop-eu"])
def test_another_applications_message_is_not_told(web: Doors, application: str) -> None:
    """Neither one of another name nor one of another namespace."""
    said(web, "hello", application=application)
    assert told(web, synced(web, datetime.now(UTC))) == ["notification.accepted"]


def test_a_hook_that_speaks_in_a_loop_does_not_burst_the_story(web: Doors) -> None:
    """The first thousand are told."""
    finished = datetime.now(UTC)
    sync = synced(web, finished)
    at, rows = int(finished.timestamp() * 1000), range(10_000, 50_000)
    with web.ledger.write() as connection:
        every = [{"seq": seq, "at": at, "application": "shop"} for seq in rows]
        connection.execute(insert(tables.messages), every)
        assert message_events(connection, sync) == list(rows[:1000])
    assert told(web, sync) == ["notification.accepted"]


def test_what_would_steer_a_terminal_is_replaced(web: Doors) -> None:
    """Newline and tab stay; a line end of Windows becomes a newline."""
    said(web, "a\tb\r\nc\x1b[31mred\x00\u202etxt\x85")
    assert trail(web)[0]["text"] == "a\tb\nc\ufffd[31mred\ufffd\ufffdtxt"


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b"x" * 4096, 202, None),
        (b"x" * 4097, 413, "too_large"),
        (b"caf\xe9", 400, "not_utf8"),
        (b" \r\n", 400, "empty_message"),
    ],
)
def test_a_message_is_short_text(web: Doors, body: bytes, status: int, reason: str | None) -> None:
    """4 KiB of UTF-8; what is refused says so and leaves nothing."""
    answer = say(web, body)
    assert (answer.status_code, answer.json.get("reason")) == (status, reason)
    assert len(trail(web)) == (status == 202)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"application": ""}, "application"),
        ({"application": "a/b/c"}, "application"),
        ({"application": "Shop"}, "application"),
        ({"hook": "presync"}, "did you mean PreSync?"),
        ({"wave": "first"}, "wave: must be a whole number"),
        ({"wawe": "1"}, "did you mean wave?"),
        ({"name": "x\ny"}, "name"),
    ],
)
def test_a_parameter_that_cannot_be_is_named(web: Doors, query: dict[str, str], words: str) -> None:
    """A hook's author reads it in the Job's log."""
    answer = say(web, **query)
    assert (answer.status_code, answer.json["reason"]) == (400, "bad_parameter")
    assert words in answer.json["detail"]


def test_an_operator_may_speak_and_a_sender_may_not(web: Doors) -> None:
    """A messenger's token in turn is for messages alone."""
    for headers, status in ((AS_OPERATOR, 202), (AS_SENDER, 403), ({}, 401)):
        answer = web.client.post("/v1/messages?application=shop", data="x", headers=headers)
        assert answer.status_code == status, headers
    for path in ("/v1/syncs", "/v1/syncs/last"):
        assert web.client.get(path, headers=AS_MESSENGER).status_code == 403
