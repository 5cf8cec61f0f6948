from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from peers import Reply, Seen, call, door, peer

from handlers.http_request import handler
from handlers.http_request.parameters import HttpRequest
from receiver.contract import (
    Call,
    Json,
    Outcome,
    Pending,
    PermanentError,
    Succeeded,
    TemporaryError,
)
from receiver.outbound import Outbound
from receiver.testkit import Case, Fault, Subject, usual

POLL = {
    "url": "answer.json.url",
    "every": "5s",
    "until": "answer.json.state == 'done'",
    "failed": "answer.json.state == 'broken'",
}


def _state(word: str) -> Reply:
    return Reply(200, json.dumps({"state": word}).encode(), {"Content-Type": "application/json"})


STARTED = Reply(201, b'{"url": "/pipelines/7"}', {"Content-Type": "application/json"})
ASKED: Json = {"url": "/pipelines/7"}
SUBJECTS = [
    Subject(
        handler,
        cases=[
            Case(STARTED, Pending),
            Case(_state("running"), Pending, state=ASKED, name="still running"),
            Case(_state("success"), Succeeded, state=ASKED, name="success"),
            Case(_state("failed"), PermanentError, state=ASKED, name="failed there"),
            Case(Reply(200), PermanentError, name="a status that is not expected"),
            Case(Fault.GARBLED, PermanentError),
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


def _accepted(headers: dict[str, str], _: Seen) -> Reply:
    return Reply(202, b"", headers)


def _service(*states: str) -> Callable[[Seen], Reply]:
    """Answer a POST with where to ask, and each GET with the next state."""
    left = iter(states)

    def answering(seen: Seen) -> Reply:
        if seen.method == "POST":
            return _json({"url": "/jobs/7"}, 202)
        return _json({"state": next(left)})

    return answering


def test_a_start_is_asked_about_until_it_has_ended(attempt: Call) -> None:
    """The start is pending with the address to ask; the last answer is the output."""
    with peer(_service("queued", "running", "done")) as there:
        outcome = _run(attempt, url=there.url + "/jobs", poll=POLL)
        assert outcome == Pending({"url": "/jobs/7"}, 5.0)
        for _ in range(2):
            attempt = replace(attempt, state={"url": "/jobs/7"})
            outcome = _run(attempt, url=there.url + "/jobs", poll=POLL)
            assert outcome == Pending({"url": "/jobs/7"}, 5.0)
        ended = _run(attempt, url=there.url + "/jobs", poll=POLL)
    assert isinstance(ended, Succeeded)
    output: Any = ended.output
    assert output["json"] == {"state": "done"}
    assert [(seen.method, seen.path) for seen in there.seen] == [
        ("POST", "/jobs"),
        *[("GET", "/jobs/7")] * 3,
    ]
    assert "idempotency-key" not in there.seen[1].headers


def test_a_failure_there_is_permanent(attempt: Call) -> None:
    """And names the condition that told it, with what was answered."""
    with peer(_service("broken")) as there:
        attempt = replace(attempt, state={"url": there.url + "/jobs/7"})
        with pytest.raises(PermanentError) as caught:
            _run(attempt, url=there.url, poll=POLL)
    told = """it has failed there: answer.json.state == 'broken' ({"state": "broken"})"""
    assert str(caught.value) == told


@pytest.mark.parametrize("status", [429, 503])
def test_a_temporary_failure_while_asking_keeps_the_state(attempt: Call, status: int) -> None:
    """The start is not repeated."""
    with peer(lambda _: Reply(status, b"", {"Retry-After": "3"})) as there:
        state = {"url": there.url + "/jobs/7"}
        with pytest.raises(TemporaryError) as caught:
            _run(replace(attempt, state=state), url=there.url, poll=POLL)
    assert (caught.value.state, caught.value.delay) == (state, 3)


def test_an_address_that_does_not_answer_keeps_the_state_too(attempt: Call) -> None:
    """As every other temporary failure."""
    state = {"url": "http://127.0.0.1:1/jobs/7"}
    with pytest.raises(TemporaryError) as caught:
        _run(replace(attempt, state=state), url="http://127.0.0.1:1/", poll=POLL)
    assert caught.value.state == state


def test_expect_of_asking_is_its_own(attempt: Call) -> None:
    """Where 404 means not yet, it can be said."""
    poll = POLL | {"expect": ["2xx", 404], "until": "answer.status == 200", "failed": None}
    with peer(lambda _: Reply(404)) as there:
        attempt = replace(attempt, state={"url": there.url + "/jobs/7"})
        assert isinstance(_run(attempt, url=there.url, poll=poll), Pending)
        with pytest.raises(PermanentError, match="answered 404"):
            _run(attempt, url=there.url, poll=POLL)


def test_headers_go_to_the_host_that_was_called_alone(attempt: Call) -> None:
    """The other side names the address, and may not lead our secrets away."""
    poll = POLL | {"headers": {"Authorization": "Bearer x"}}
    with peer(_service("done")) as there, peer() as other:
        state = {"url": there.url + "/jobs/7"}
        assert isinstance(_run(replace(attempt, state=state), url=there.url, poll=poll), Succeeded)
        assert there.seen[0].headers["authorization"] == "Bearer x"
        for url in (other.url, there.url.replace("http:", "https:"), "//evil.example/jobs"):
            with pytest.raises(PermanentError, match=r"where poll\.headers are not sent \("):
                _run(replace(attempt, state={"url": url}), url=there.url, poll=poll)
        assert other.seen == []


def test_a_url_that_is_read_in_two_ways_leads_no_header_away(attempt: Call) -> None:
    """To `urlsplit` the called host, to the connection another: the connection counts."""
    poll = POLL | {"headers": {"Authorization": "Bearer x"}}
    with peer() as there, peer() as other:
        called = there.url.removeprefix("http://")
        for url in (f"{other.url}\\@{called}/jobs", f"{other.url}#@{called}/jobs"):
            with pytest.raises(PermanentError, match=r"where poll\.headers are not sent"):
                _run(replace(attempt, state={"url": url}), url=there.url, poll=poll)
        assert other.seen == []


def test_further_hosts_can_be_trusted_with_headers(attempt: Call) -> None:
    """By name, and over https alone."""
    poll = POLL | {"headers": {"A": "b"}, "trustedHosts": ["status.example"]}
    with peer(lambda _: _json({"url": "https://status.example/7"})) as there:
        outcome = _run(attempt, url=there.url, poll=poll)
    assert outcome == Pending({"url": "https://status.example/7"}, 5.0)
    with (
        peer(lambda _: _json({"url": "http://status.example/7"})) as there,
        pytest.raises(PermanentError, match=r"where poll\.headers are not sent"),
    ):
        _run(attempt, url=there.url, poll=poll)


def test_the_other_side_may_ask_for_more_time(attempt: Call) -> None:
    """A Retry-After lengthens `every`, and never shortens it."""
    for seconds, expected in (("45", 45.0), ("1", 5.0)):
        headers = {"Location": "/jobs/7", "Retry-After": seconds}
        with peer(partial(_accepted, headers)) as there:
            poll = POLL | {"url": "answer.headers.location"}
            assert _run(attempt, url=there.url, poll=poll) == Pending({"url": "/jobs/7"}, expected)


def test_an_elsewhere_is_refused_before_the_first_asking(attempt: Call) -> None:
    """The start already tells that asking would not be allowed."""
    poll = POLL | {"headers": {"Authorization": "Bearer x"}}
    started = _json({"url": "http://evil.example/"})
    with (
        peer(lambda _: started) as there,
        pytest.raises(PermanentError, match=r"leads to http://evil\.example:80"),
    ):
        _run(attempt, url=there.url, poll=poll)


def test_without_headers_another_host_may_be_asked(attempt: Call) -> None:
    """There is nothing to lead away, and the address policy judges it."""
    with peer(_service("done")) as there:
        attempt = replace(attempt, state={"url": there.url + "/jobs/7"})
        outcome = _run(attempt, url="http://elsewhere.example/", poll=POLL)
    assert isinstance(outcome, Succeeded)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"url": "answer.status"}, "poll.url gives no text"),
        ({"url": "answer.body.substring(0, 0)"}, "poll.url gives no text"),
        ({"url": "'http://[::1'", "headers": {"A": "b"}}, "poll.url gives no URL"),
    ],
)
def test_an_address_that_is_none_is_permanent(
    attempt: Call, change: dict[str, Any], words: str
) -> None:
    """It was the start's answer, and will not change."""
    with peer(_service()) as there, pytest.raises(PermanentError, match=words):
        _run(attempt, url=there.url, poll=POLL | change)


def test_an_address_with_a_secret_is_not_kept() -> None:
    """Masked it would lead nowhere, and as it is it would be stored."""
    outbound = Outbound()
    with peer(lambda seen: _json({"url": f"/jobs/7?key={seen.headers['x-key']}"})) as there:
        with pytest.raises(PermanentError, match="an address with a secret in it") as caught:
            _run(
                call(door(outbound, 10, "hush-hush-1")),
                url=there.url,
                headers={"X-Key": "hush-hush-1"},
                poll=POLL,
            )
        outbound.close()
    assert "hush" not in str(caught.value)


def test_a_condition_is_true_or_false(attempt: Call) -> None:
    """Anything else would be asked for ever."""
    with peer(_service("done", "done")) as there:
        attempt = replace(attempt, state={"url": there.url})
        with pytest.raises(PermanentError, match=r"poll\.until gives neither true nor false"):
            _run(attempt, url=there.url, poll=POLL | {"until": "answer.json.state"})
        with pytest.raises(PermanentError, match=r"^poll\.until cannot be evaluated: .*\(answered"):
            _run(attempt, url=there.url, poll=POLL | {"until": "answer.json.nothing == 1"})


def test_an_answer_that_was_cut_is_told_with_the_limit(attempt: Call) -> None:
    """What `captureLimit` keeps is all that the expressions see; the error names it."""

    def answering(_: Seen) -> Reply:
        return _json({"state": "done", "log": "x" * 200})

    with peer(answering) as there, pytest.raises(PermanentError) as failed:
        _run(
            replace(attempt, state={"url": "/jobs/7"}),
            url=there.url + "/jobs",
            captureLimit=100,
            poll=POLL,
        )
    assert "poll.failed cannot be evaluated" in failed.value.message
    assert failed.value.hint == "the answer is longer than captureLimit (100 bytes); raise it"
