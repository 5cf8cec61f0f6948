from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from peers import Reply, Seen, call, door, peer
from pydantic import ValidationError
from standardwebhooks.webhooks import Webhook

from handlers.http_request import handler
from handlers.http_request.parameters import HttpRequest
from receiver.contract import Call, Outcome, PermanentError, Succeeded, TemporaryError
from receiver.outbound import Outbound
from receiver.testkit import Case, Fault, Subject, usual

SUBJECTS = [
    Subject(
        handler,
        parameters={
            "url": "https://ci.example.com/api/pipelines",
            "headers": {"Authorization": {"env": "POSTSYNC_SECRET_CI", "format": "Bearer {}"}},
            "json": {"ref": "9f1c2ab"},
        },
        cases=[
            *(Case(Reply(status), Succeeded) for status in (200, 201, 202, 204)),
            *(Case(Reply(status), PermanentError) for status in (302, 304)),
            Case(Fault.GARBLED, Succeeded),
            *usual(),
        ],
    )
]


@pytest.fixture
def attempt() -> Iterator[Call]:
    outbound = Outbound()
    yield call(door(outbound))
    outbound.close()


def _run(attempt: Call, **given: Any) -> Outcome:
    return handler.run(HttpRequest.model_validate(given), attempt)


def _json(value: Any, status: int = 200) -> Reply:
    return Reply(status, json.dumps(value).encode(), {"Content-Type": "application/json"})


def test_the_answer_is_the_output(attempt: Call) -> None:
    """Status, headers, text and JSON can be used by later actions."""
    with peer(lambda _: _json({"id": 7}, 201)) as there:
        outcome = _run(attempt, url=there.url)
    assert isinstance(outcome, Succeeded)
    output: Any = outcome.output
    assert output["status"] == 201
    assert output["headers"]["content-type"] == "application/json"
    assert output["body"] == '{"id": 7}'
    assert output["json"] == {"id": 7}
    assert output["truncated"] is False


@pytest.mark.parametrize(
    ("kind", "body", "parsed"),
    [
        ("application/json", b"[1]", [1]),
        ("application/problem+json; charset=utf-8", b'{"a": 1}', {"a": 1}),
        ("Application/JSON", b"[1]", [1]),
        ("application/json", b"<html>", None),
        ("application/json", b"[" * 60_000, None),
        ("text/plain", b"[1]", None),
        ("", b"[1]", None),
    ],
)
def test_json_is_what_says_so_and_parses(
    attempt: Call, kind: str, body: bytes, parsed: Any
) -> None:
    """Anything else is null; the text is there in any case."""
    with peer(lambda _: Reply(200, body, {"Content-Type": kind})) as there:
        outcome: Any = _run(attempt, url=there.url)
    assert outcome.output["json"] == parsed
    assert outcome.output["body"] == body.decode()


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        (b"[18446744073709551615, -9223372036854775808]", [2**64 - 1, -(2**63)]),
        (b"[18446744073709551616]", [2.0**64]),
        (b"[1e999]", None),
        (b"1" + b"0" * 400, None),
        (rb'"\ud800"', None),
        (rb'{"\udfff": 1}', None),
        (b"[" * 64 + b"]" * 64, "deep"),
        (b"[" * 65 + b"]" * 65, None),
    ],
)
def test_json_that_cannot_be_kept_is_null(attempt: Call, body: bytes, kept: Any) -> None:
    """What breaks the ledger or an expression is not passed on; the text still is."""
    with peer(lambda _: Reply(200, body, {"Content-Type": "application/json"})) as there:
        outcome: Any = _run(attempt, url=there.url)
    assert outcome.output["json"] == (json.loads(body) if kept == "deep" else kept)
    json.dumps(outcome.output, allow_nan=False)
    attempt.evaluate("answer.status", {"answer": outcome.output})


def test_a_session_there_is_not_kept(attempt: Call) -> None:
    """A cookie is a key, and an output can be read by many."""
    with peer(lambda _: Reply(200, b"", {"Set-Cookie": "session=1", "X-A": "b"})) as there:
        outcome: Any = _run(attempt, url=there.url)
    assert "set-cookie" not in outcome.output["headers"]
    assert outcome.output["headers"]["x-a"] == "b"


def test_a_tree_is_sent_as_json(attempt: Call) -> None:
    """With its content type, and whatever its shape, null included."""
    with peer() as there:
        for tree in ({"a": ["ü", 1.5, None]}, [1], "text", None, "\ud800"):
            _run(attempt, url=there.url, json=tree)
    assert [json.loads(seen.body) for seen in there.seen] == [
        {"a": ["ü", 1.5, None]},
        [1],
        "text",
        None,
        "\ud800",
    ]
    assert {seen.headers["content-type"] for seen in there.seen} == {"application/json"}


def test_a_body_is_sent_as_it_is(attempt: Call) -> None:
    """Without any content type of ours."""
    with peer() as there:
        _run(attempt, url=there.url, body="ä=1", method="PUT")
    seen = there.seen[0]
    assert (seen.method, seen.body) == ("PUT", "ä=1".encode())
    assert "content-type" not in seen.headers


@pytest.mark.parametrize("given", [{"json": float("nan")}, {"body": "\ud800"}])
def test_a_body_that_cannot_be_written_is_permanent(
    attempt: Call, given: Mapping[str, Any]
) -> None:
    """It is no bug of ours, and another try would not help."""
    with pytest.raises(PermanentError, match="the body cannot be sent"):
        _run(attempt, url="http://127.0.0.1:1/", **given)


def test_the_idempotency_key_goes_along(attempt: Call) -> None:
    """Unless the user sets one, however it is spelt; likewise our other headers."""
    with peer() as there:
        _run(attempt, url=there.url)
        _run(
            attempt,
            url=there.url,
            json=1,
            headers={
                "idempotency-key": "mine",
                "user-agent": "me/1",
                "content-type": "application/vnd.api+json",
            },
        )
    first, second = there.seen
    assert first.headers["idempotency-key"] == "run-1.1"
    assert first.headers["user-agent"].startswith("postsync/")
    assert second.headers["idempotency-key"] == "mine"
    assert second.headers["user-agent"] == "me/1"
    assert second.headers["content-type"] == "application/vnd.api+json"


def test_a_signature_is_verified_by_the_standards_own_library() -> None:
    """The id is the idempotency key, the time that of the attempt; no header replaces them."""
    from datetime import UTC, datetime

    secret = "whsec_" + base64.b64encode(b"0123456789abcdef").decode()
    outbound = Outbound()
    attempt = call(door(outbound), now=datetime.now(UTC))
    with peer() as there:
        _run(
            attempt,
            url=there.url,
            json={"ü": 1},
            signingSecret=secret,
            headers={"Webhook-Id": "forged"},
        )
        outbound.close()
    seen = there.seen[0]
    assert Webhook(secret).verify(seen.body, dict(seen.headers)) == {"ü": 1}
    assert seen.headers["webhook-id"] == "run-1.1"


@pytest.mark.parametrize("secret", ["whsec_", "a"])
def test_a_secret_that_signs_nothing_is_permanent(attempt: Call, secret: str) -> None:
    """And is not told."""
    with pytest.raises(PermanentError) as caught:
        _run(attempt, url="http://127.0.0.1:1/", signingSecret=secret)
    assert str(caught.value) == "signingSecret is no base 64, as Standard Webhooks has it"


TEMPORARY = {408, 425, 429, 500, 502, 503, 504, 507, 520, 529, 599}
STATUSES = [200, 201, 202, 204, 206, 301, 302, 304, 307, 400, 401, 403, 404, 405, 409, 410, 422]


@pytest.mark.parametrize("status", [*STATUSES, *sorted(TEMPORARY), 501, 505])
def test_every_class_of_status_has_its_outcome(attempt: Call, status: int) -> None:
    """2xx succeeds; 408, 425, 429 and 5xx but 501 and 505 are tried again; others fail at once."""
    with peer(lambda _: Reply(status, b"" if status in {204, 304} else b"why")) as there:
        if 200 <= status < 300:
            assert isinstance(_run(attempt, url=there.url), Succeeded)
            return
        kind = TemporaryError if status in TEMPORARY else PermanentError
        with pytest.raises(kind, match=f"^answered {status}"):
            _run(attempt, url=there.url)


def test_the_delay_that_is_asked_for_is_kept(attempt: Call) -> None:
    """The retry policy never tries earlier."""
    busy = Reply(429, b"", {"Retry-After": "17"})
    with peer(lambda _: busy) as there, pytest.raises(TemporaryError) as caught:
        _run(attempt, url=there.url)
    assert caught.value.delay == 17


@pytest.mark.parametrize(
    ("expect", "status", "fine"),
    [
        ([404], 404, True),
        (["2xx", 404], 404, True),
        (["2xx", 404], 201, True),
        (["3xx"], 302, True),
        ([500], 500, True),
        (["201"], 201, True),
        ([201], 200, False),
        (["3xx"], 200, False),
    ],
)
def test_expect_says_what_counts_as_success(
    attempt: Call, expect: list[int | str], status: int, fine: bool
) -> None:
    """Statuses and classes of them, instead of 2xx."""
    with peer(lambda _: Reply(status)) as there:
        if fine:
            assert isinstance(_run(attempt, url=there.url, expect=expect), Succeeded)
        else:
            with pytest.raises(PermanentError):
                _run(attempt, url=there.url, expect=expect)


def test_the_capture_has_a_limit(attempt: Call) -> None:
    """What is longer is cut, and says so; half a JSON is none."""
    with peer(lambda _: _json(["x" * 100])) as there:
        outcome: Any = _run(attempt, url=there.url, captureLimit=10)
    assert outcome.output["body"] == '["xxxxxxxx'
    assert outcome.output["truncated"] is True
    assert outcome.output["json"] is None


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"url": "ftp://x"}, "must begin with http:// or https://"),
        ({"method": "get"}, "String should match pattern"),
        ({"body": "a", "json": None}, "give body or json, not both"),
        ({"expect": []}, "at least 1 item"),
        ({"expect": ["2x"]}, "neither a status like 201 nor a class like 2xx"),
        ({"expect": [99]}, "neither a status like 201 nor a class like 2xx"),
        ({"captureLimit": 2_000_000}, "less than or equal to 1048576"),
        ({"poll": {"url": "answer.json.url"}}, "until"),
        ({"poll": {"url": "a", "until": "true", "every": "500ms"}}, "equal to 1"),
    ],
)
def test_what_cannot_work_is_refused(given: dict[str, Any], words: str) -> None:
    """Before anything is sent, with the reason."""
    with pytest.raises(ValidationError, match=words):
        HttpRequest.model_validate({"url": "http://example.com/"} | given)


@pytest.mark.parametrize(
    ("url", "lane"),
    [
        ("https://API.example.com:8443/a", "api.example.com"),
        (None, ""),
        ("http://[::1", ""),
        ("nonsense", ""),
    ],
)
def test_the_lane_is_the_host(url: str | None, lane: str) -> None:
    """A URL that is a secret has none."""
    assert handler.lane({"url": url}) == lane


def test_an_echo_of_a_secret_is_in_no_reason() -> None:
    """A server that repeats our header in its 500 tells nothing."""
    secret = "hush-hush-1"
    outbound = Outbound()
    attempt = call(door(outbound, 10, secret, f"Bearer {secret}"))

    def echo(seen: Seen) -> Reply:
        return Reply(500, b"x" * 185 + seen.headers["authorization"].encode())

    with peer(echo) as there, pytest.raises(TemporaryError) as caught:
        _run(attempt, url=there.url, headers={"Authorization": f"Bearer {secret}"})
    outbound.close()
    assert "hush" not in str(caught.value)
