"""What a sender is answered, and what the ledger has then."""

from __future__ import annotations

import base64
import gzip
import io
import json
import secrets
import sqlite3
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from doors import AS_OPERATOR, AS_SENDER, AS_VIEWER, SENDER, Doors, build, doors
from notifications import notification, resource
from sqlalchemy import select

from receiver.ledger import tables
from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.engine.open import open_ledger
from receiver.ledger.inbox.group_commit import IntakeWriter

PATH = "/v1/notifications"
LIMIT = 64 << 10
BOMB_IN_BOMB = gzip.compress(gzip.compress(b"x" * (LIMIT << 10), 1, mtime=0), mtime=0)
"""The same in each worker of pytest-xdist, without the time: it stands in a test's id."""


@pytest.fixture
def web(ledger: Ledger, tmp_path: Path) -> Iterator[Doors]:
    with doors(ledger, tmp_path, max_body=LIMIT) as made:
        yield made


def deliveries(ledger: Ledger) -> list[Any]:
    with ledger.read() as connection:
        return list(connection.execute(select(tables.deliveries)).all())


def test_a_notification_is_answered_with_its_delivery_and_sync(web: Doors) -> None:
    """202 with both ids, and the ledger has them."""
    answer = web.client.post(PATH, data=notification(resource("a")), headers=AS_SENDER)
    assert answer.status_code == 202
    [row] = deliveries(web.ledger)
    assert answer.json == {
        "delivery": row.id, "sync": row.sync_id, "verdict": "accepted", "reason": "",
    }  # fmt: skip
    assert (row.sender, row.channel) == ("argocd", "sync")


def test_the_same_sync_again_is_a_duplicate_and_no_error(web: Doors) -> None:
    """The sender needs a 202, or it would send a third time."""
    body = notification(resource("a"))
    first = web.client.post(PATH, data=body, headers=AS_SENDER)
    second = web.client.post(PATH, data=body, headers=AS_SENDER)
    assert first.json
    assert second.json
    assert (second.status_code, second.json["verdict"]) == (202, "duplicate")
    assert second.json["sync"] == first.json["sync"]


def test_the_path_names_the_channel(web: Doors) -> None:
    """A channel other than `sync` is for further triggers."""
    answer = web.client.post(f"{PATH}/deployed", data=notification(), headers=AS_SENDER)
    assert answer.status_code == 202
    assert [row.channel for row in deliveries(web.ledger)] == ["deployed"]


def test_a_query_is_stored_with_its_body(web: Doors) -> None:
    """A bare list is understood by its query alone, so whoever plans it needs that too."""
    query = {"application": "shop", "phase": "Succeeded"}
    body = json.dumps([resource("a")])
    answer = web.client.post(PATH, query_string=query, data=body, headers=AS_SENDER)
    assert answer.status_code == 202, answer.text
    assert [json.loads(row.query) for row in deliveries(web.ledger)] == [query]


@pytest.mark.parametrize("channel", ["Deployed", "-x", "a.b", "a" * 64])
def test_a_path_that_names_no_channel_says_what_one_is(web: Doors, channel: str) -> None:
    """Its letters are those of metrics' labels and of rules."""
    answer = web.client.post(f"{PATH}/{channel}", data=notification(), headers=AS_SENDER)
    assert answer.status_code == 404
    assert answer.json
    assert "[a-z0-9]" in answer.json["hint"]


@pytest.mark.parametrize("query", [{}, {"eventKey": "x"}])
def test_our_own_channel_is_closed_to_senders(web: Doors, query: dict[str, str]) -> None:
    """What rules take for Postsync's word is nobody else's; nothing of it is kept."""
    body = json.dumps({"application": {"name": "shop"}, "held": {"command": "rm -rf /"}})
    answer = web.client.post(f"{PATH}/postsync", query_string=query, data=body, headers=AS_SENDER)
    assert answer.status_code == 403
    assert answer.json
    assert answer.json["type"] == "urn:postsync:problem:reserved_channel"
    assert "another channel" in answer.json["hint"]
    assert deliveries(web.ledger) == []


def basic(name: str, token: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{token}".encode()).decode()}


def test_basic_auth_has_the_name_and_the_token(web: Doors) -> None:
    """Argo CD's webhook service offers it beside headers."""
    answer = web.client.post(PATH, data=notification(), headers=basic("argocd", SENDER))
    assert answer.status_code == 202


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong-wrong-wrong-wrong"},
        {"Authorization": "Bearer "},
        {"Authorization": "Digest x"},
        {"Authorization": "Basic !!"},
        {"Authorization": "Bearer token-\xe4\xf6"},
        basic("somebody", SENDER),
        basic("", SENDER),
    ],
)
def test_nothing_is_stored_of_a_stranger(web: Doors, headers: dict[str, str]) -> None:
    """401 in the form of a problem, with the challenge that HTTP demands."""
    answer = web.client.post(PATH, data=notification(), headers=headers)
    assert answer.status_code == 401
    assert answer.content_type == "application/problem+json"
    assert "Bearer" in answer.headers["WWW-Authenticate"]
    assert SENDER not in answer.text
    assert deliveries(web.ledger) == []


@pytest.mark.parametrize("headers", [AS_OPERATOR, AS_VIEWER])
def test_a_token_for_something_else_is_told_as_that(
    web: Doors, headers: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """403 names the folder that it is of and the one that is needed; the log names who asked."""
    answer = web.client.post(PATH, data=notification(), headers=headers)
    assert (answer.status_code, answer.json and answer.json["reason"]) == (403, "forbidden")
    problem = answer.json or {}
    assert "`operators`" in problem["detail"] or "`viewers`" in problem["detail"]
    assert problem["hint"] == "this needs a token of the server's folder `senders`"
    assert deliveries(web.ledger) == []
    assert "request.forbidden" in capsys.readouterr().out


@pytest.mark.parametrize(
    "headers",
    [{"Authorization": "Bearer $postsync-token"}, basic("argocd", "$postsync-token")],
)
def test_a_literal_placeholder_is_told_as_what_it_is(web: Doors, headers: dict[str, str]) -> None:
    """Argo CD leaves `$name` in the header where its Secret lacks the key."""
    answer = web.client.post(PATH, data=notification(), headers=headers)
    assert answer.status_code == 401
    assert answer.json
    assert "'postsync-token' is missing" in answer.json["hint"]
    assert "argocd-notifications-secret" in answer.json["hint"]


def test_everybody_is_welcome_where_the_operator_said_so(ledger: Ledger, tmp_path: Path) -> None:
    """A known token still tells its name."""
    with doors(ledger, tmp_path, allow_anonymous=True) as web:
        for headers in ({}, {"Authorization": "Bearer nobody-knows-this-one"}, AS_SENDER):
            assert web.client.post(PATH, data=notification(), headers=headers).status_code == 202
    assert {row.sender for row in deliveries(ledger)} == {"anonymous", "argocd"}


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD", "OPTIONS"])
@pytest.mark.parametrize("path", [PATH, f"{PATH}/deployed"])
def test_another_method_is_told_what_the_template_lacks(web: Doors, method: str, path: str) -> None:
    """Argo CD falls back to GET, with the plain message as body."""
    answer = web.client.open(path, method=method, data=b"Application shop synced")
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "POST"
    if method != "HEAD":
        assert answer.json
        assert "lacks `method: POST`" in answer.json["hint"]


def test_an_unknown_path_names_the_right_one(web: Doors) -> None:
    """Whoever mistyped it reads the answer in Argo CD's log."""
    answer = web.client.post("/notifications", data=notification(), headers=AS_SENDER)
    assert answer.status_code == 404
    assert answer.json
    assert "/v1/notifications" in answer.json["hint"]


def test_a_large_body_is_refused_by_its_announced_length(web: Doors) -> None:
    """413, and nothing of it is kept."""
    answer = web.client.post(PATH, data=b"x" * (LIMIT + 1), headers=AS_SENDER)
    assert (answer.status_code, answer.json and answer.json["reason"]) == (413, "too_large")
    assert deliveries(web.ledger) == []


def test_a_large_body_in_chunks_is_counted_while_it_is_read(web: Doors) -> None:
    """Without a Content-Length the count alone can tell."""
    stream = io.BytesIO(b"x" * (LIMIT * 3))
    answer = web.client.post(
        PATH, input_stream=stream, headers=AS_SENDER | {"Transfer-Encoding": "chunked"}
    )
    assert answer.status_code == 413
    assert stream.tell() <= 2 * LIMIT + 1


@pytest.mark.parametrize("more", [0, 1])
def test_the_limit_is_the_largest_size_accepted(web: Doors, more: int) -> None:
    """A body of exactly the limit is read; what is wrong with it then is not its size."""
    answer = web.client.post(PATH, data=b"x" * (LIMIT + more), headers=AS_SENDER)
    assert answer.status_code == (413 if more else 400)


def raw_deflate(body: bytes) -> bytes:
    made = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return made.compress(body) + made.flush()


@pytest.mark.parametrize(
    ("encoding", "encode"),
    [
        ("gzip", gzip.compress),
        ("x-GZIP", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", raw_deflate),
        ("identity", bytes),
        ("deflate, gzip", lambda body: gzip.compress(zlib.compress(body), mtime=0)),
    ],
)
def test_an_encoded_body_is_decoded(
    web: Doors, encoding: str, encode: Callable[[bytes], bytes]
) -> None:
    """A proxy or an event bus on the way may compress; what is kept is the body itself."""
    body = notification(resource("a"))
    headers = AS_SENDER | {"Content-Encoding": encoding}
    answer = web.client.post(PATH, data=encode(body), headers=headers)
    assert answer.status_code == 202, answer.text
    [row] = deliveries(web.ledger)
    assert (zlib.decompress(row.body), row.size) == (body, len(body))


@pytest.mark.parametrize(
    ("encoding", "body", "status", "reason"),
    [
        ("br", b"x", 415, "unsupported_encoding"),
        ("gzip, br", b"x", 415, "unsupported_encoding"),
        ("gzip", b"{}", 400, "bad_encoding"),
        ("gzip", gzip.compress(b"{}", mtime=0)[:-4], 400, "bad_encoding"),
        ("gzip", gzip.compress(b"{}", mtime=0) + b"more", 400, "bad_encoding"),
        ("gzip", b"", 400, "empty"),
        ("gzip", gzip.compress(b"x" * (LIMIT + 1), mtime=0), 413, "too_large"),
        ("gzip, gzip", BOMB_IN_BOMB, 413, "too_large"),
    ],
)
def test_an_encoding_that_cannot_be_taken_off_is_told(
    web: Doors, encoding: str, body: bytes, status: int, reason: str
) -> None:
    """By its word; and what is small only on its way is not decoded beyond the limit."""
    headers = AS_SENDER | {"Content-Encoding": encoding}
    answer = web.client.post(PATH, data=body, headers=headers)
    assert answer.json
    assert (answer.status_code, answer.json["reason"]) == (status, reason)
    assert ("'br'" in answer.json["detail"]) == (status == 415)


def test_a_small_body_that_grows_without_end_costs_no_memory(web: Doors) -> None:
    """A bomb is inflated to the limit and one byte."""
    bomb = gzip.compress(bytes(32 << 20), mtime=0)
    assert len(bomb) < LIMIT
    tracemalloc.start()
    answer = web.client.post(PATH, data=bomb, headers=AS_SENDER | {"Content-Encoding": "gzip"})
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert answer.status_code == 413
    assert most < 4 << 20


def test_a_project_that_no_index_could_hold_is_the_sender_s_mistake(web: Doors) -> None:
    """A 503 would have Argo CD send it again, and again to no avail."""
    body = notification(project=secrets.token_hex(10_000))
    answer = web.client.post(PATH, data=body, headers=AS_SENDER)
    assert (answer.status_code, answer.json and answer.json["reason"]) == (400, "bad_name")
    assert answer.json
    assert answer.json["detail"].startswith("the application's project ")
    [row] = deliveries(web.ledger)
    assert row.verdict == "refused"


def test_what_cannot_be_understood_is_a_400_that_is_kept(web: Doors) -> None:
    """The reason is in the answer and in the ledger, for whoever looks first."""
    answer = web.client.post(PATH, data=b'{"application": ', headers=AS_SENDER)
    assert answer.status_code == 400
    assert answer.json
    assert {"type", "title", "status", "detail", "reason", "hint"} <= answer.json.keys()
    [row] = deliveries(web.ledger)
    assert (row.id, row.verdict) == (answer.json["delivery"], "refused")
    assert row.reason.startswith(answer.json["reason"])


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[Doors]:
    """The app over a ledger that another process writes to, and never ends."""
    ledger = open_ledger(tmp_path / "ledger.db", busy_timeout=0.05)
    writer = IntakeWriter(ledger, lambda _at, _events: None)
    writer.start()
    with closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield build(ledger, tmp_path, writer)
        other.execute("ROLLBACK")
    writer.stop()
    ledger.close()


def test_a_locked_ledger_is_a_503_with_a_small_retry_after(locked: Doors) -> None:
    """The sender obeys Retry-After without a cap, so it is small; a later try succeeds."""
    answer = locked.client.post(PATH, data=notification(), headers=AS_SENDER)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "2"
    assert answer.json
    assert answer.json["reason"] == "ledger_unavailable"
    assert deliveries(locked.ledger) == []


def test_a_mistake_is_told_even_while_the_ledger_is_locked(locked: Doors) -> None:
    """A 503 would make the sender repeat what can never be understood."""
    answer = locked.client.post(PATH, data=b"nonsense", headers=AS_SENDER)
    assert answer.status_code == 400
    assert answer.json
    assert "delivery" not in answer.json


def test_a_fault_of_ours_shows_no_traceback(web: Doors) -> None:
    """A problem body says that it is ours; the log has the rest."""

    def fault() -> str:
        raise RuntimeError("a secret of the inside")

    web.app.add_url_rule("/fault", "fault", fault)
    answer = web.client.get("/fault")
    assert (answer.status_code, answer.content_type) == (500, "application/problem+json")
    assert "inside" not in answer.text


def test_while_tokens_cannot_be_read_an_unknown_one_is_to_come_again(web: Doors) -> None:
    """Argo CD tries a 503 again and takes a 401 for the last word; a known one is served."""
    (web.home / "senders" / "second").mkdir()
    await_look(web)
    answer = web.client.post(PATH, data=notification(), headers={"Authorization": "Bearer other"})
    assert (answer.status_code, answer.json and answer.json["reason"]) == (503, "tokens_away")
    assert answer.headers["Retry-After"]
    assert str(web.home) not in answer.text
    assert web.client.post(PATH, data=notification(), headers=AS_SENDER).status_code == 202


@pytest.mark.parametrize(
    "header",
    ["Bearer pass-w\xc3\xb6rd-0123456789", "Bearer \xff", "Basic \xff",
     "Basic " + base64.b64encode("argocd:w\xf6rt".encode()).decode()],
)  # fmt: skip
def test_a_token_outside_ascii_is_refused_with_a_hint(web: Doors, header: str) -> None:
    """It is a mistake of copying, and no fault of the server."""
    answer = web.client.post(PATH, headers={"Authorization": header})
    assert (answer.status_code, bool(answer.json and answer.json["hint"])) == (401, True)


def await_look(web: Doors) -> None:
    """Wait for the next look at the folders, a second later."""
    until = time.monotonic() + 10
    while not web.intake.keys.unreadable and time.monotonic() < until:
        time.sleep(0.05)
        web.intake.keys.current()
    assert web.intake.keys.unreadable


def test_a_sync_that_lists_too_much_is_taken_and_told_as_failed(
    ledger: Ledger, tmp_path: Path
) -> None:
    """202, so that it is not sent again; it is stored whole, for a replay with a higher limit."""
    with doors(ledger, tmp_path, max_resources=3) as made:
        body = notification(*(resource(f"r{n}") for n in range(4)))
        answer = made.client.post(PATH, data=body, headers=AS_SENDER)
        assert answer.status_code == 202
        assert answer.json
        again = made.client.post(PATH, data=body, headers=AS_SENDER)
        assert again.json
        assert again.json["verdict"] == "duplicate"
        story = made.client.get(f"/v1/syncs/{answer.json['sync']}", headers=AS_VIEWER).json
        assert story
        reason = "too large: it lists 4 resources, more than maxResources (3)"
        assert (story["state"], story["reason"]) == ("failed", reason)
        told = [one for one in story["events"] if one["event"] == "sync.failed"]
        assert [one["reason"] for one in told] == [reason]
        metrics = made.client.get("/metrics").text
        assert 'postsync_events_total{event="sync.failed"} 1.0' in metrics
