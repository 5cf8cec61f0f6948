"""The kit finds what it says that it finds."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from pydantic import BaseModel, Field

from receiver.contract import (
    Call,
    Handler,
    Outcome,
    Params,
    Pending,
    PermanentError,
    Secret,
    Succeeded,
    TemporaryError,
    raise_for_status,
    send_each,
)
from receiver.testkit import Case, ContractBroken, Fault, Reply, Subject, attempt, checks, usual

URL = "https://api.example.com/v1"
EXAMPLE = f"url: {URL}\nkey: {{env: POSTSYNC_SECRET_KEY}}\n"


class Ping(Params):
    """What a good handler takes."""

    url: str = Field(description="Where to send.")
    key: Secret = Field(description="The key.")
    parts: int = Field(default=1, description="How many requests to make.")


def _send(params: Ping, call: Call, part: int = 0) -> Any:
    headers = {"Authorization": params.key, "Idempotency-Key": call.idempotency_key}
    answer = call.http.send("POST", f"{params.url}/{part}", headers=headers)
    raise_for_status(answer, now=call.now)
    return answer


def good(params: Ping, call: Call) -> Outcome:
    """Does everything as it should."""
    send_each(call.state, range(params.parts), lambda part: _send(params, call, part) and None)
    return Succeeded({"parts": params.parts})


def started(params: Ping, call: Call) -> Outcome:
    """Starts something, and asks for it."""
    if call.state is None:
        _send(params, call)
        return Pending({"job": 7}, 5)
    try:
        _send(params, call)
    except TemporaryError as error:
        raise TemporaryError(error.message, delay=error.delay, state=call.state) from None
    return Succeeded({})


CASES = (Case(Reply(200), Succeeded), Case(Fault.GARBLED, Succeeded), *usual())


def subject(run: Callable[[Any, Call], Outcome] = good, **fields: Any) -> Subject:
    """The handler with the table of `good`."""
    names = {"name", "summary", "params", "example", "lane"} & fields.keys()
    given: dict[str, Any] = {
        "name": "toy.ping", "summary": "Pings.", "params": Ping, "example": EXAMPLE,
        **{name: fields.pop(name) for name in names},
    }  # fmt: skip
    return replace(Subject(Handler(run=run, **given), CASES), **fields)


def failing(made: Subject, only: str = "") -> dict[str, str]:
    """The checks that fail, with their messages; of those whose name has a word."""
    found = {}
    for check in [one for one in checks(made) if only in str(one)]:
        try:
            check()
        except ContractBroken as error:
            found[str(check).partition(": ")[2]] = str(error)
    return found


@pytest.mark.parametrize(
    "made",
    [
        subject(),
        subject(parameters={"url": URL, "key": "k", "parts": 3}, parts=3),
        subject(started, cases=[Case(Reply(200), Pending), Case(Fault.GARBLED, Pending), *usual()]),
    ],
    ids=["one request", "three", "pending"],
)
def test_a_good_handler_passes(made: Subject) -> None:
    """Every check, with one request or several, or with something that takes longer."""
    assert failing(made) == {}


class Loose(BaseModel):
    """Takes anything."""

    url: str = ""
    key: str = ""
    parts: int = 1


@pytest.mark.parametrize(
    ("fields", "check", "words"),
    [
        ({"name": "Ping"}, "name, summary and descriptions", "not like service.verb"),
        ({"summary": "Pings"}, "name, summary and descriptions", "no sentence"),
        ({"example": "url: 1\n"}, "example is valid", "url: must be a string"),
        ({"example": EXAMPLE + "b: 1\n"}, "example is valid", "b: unknown key"),
        (
            {"example": f"url: {URL}\nkey: hunter2\n"},
            "example is valid",
            "key: must be a reference",
        ),
        ({"params": Loose}, "unknown fields are refused", "Loose is not frozen"),
        ({"lane": lambda _: None}, "lane is a text", "not a text"),
    ],
)
def test_a_bad_registration_is_found(fields: dict[str, Any], check: str, words: str) -> None:
    """Each by the check that is named after it."""
    assert words in failing(subject(**fields), check)[check]


@pytest.mark.parametrize("without", [404, 408, 425, 429, *list(Fault)[:2], Fault.CUT])
def test_a_table_with_a_gap_is_found(without: int | Fault) -> None:
    """A row for everything that a service or the way to it can do."""
    statuses = (400, 401, 403, 405, 409, 410, 422) if without == 404 else ()
    cases = [*CASES[:2], *usual(without={without, *statuses})]
    name = without.value if isinstance(without, Fault) else str(without)
    told = failing(subject(cases=cases), "table")["table is complete"]
    assert ("a 4xx" if without == 404 else name) in told


def deaf(params: Ping, call: Call) -> Outcome:
    """Takes no notice of what is answered."""
    headers = {"Authorization": params.key, "Idempotency-Key": call.idempotency_key}
    call.http.send("POST", params.url, headers=headers)
    return Succeeded({})


def hasty(params: Ping, call: Call) -> Outcome:
    """Forgets how long it was asked to wait."""
    try:
        _send(params, call)
    except TemporaryError as error:
        raise TemporaryError(error.message) from None
    return Succeeded({})


def trusting(params: Ping, call: Call) -> Outcome:
    """Breaks off at a body that is no JSON."""
    return Succeeded(_send(params, call).json())


def gossip(params: Ping, call: Call) -> Outcome:
    """Cuts a text before it is masked."""
    return Succeeded({"told": _send(params, call).text[:1001]})


def chatty(params: Ping, call: Call) -> Outcome:
    """Tells the end of the key."""
    call.say(f"with key {params.key[-12:]}")
    _send(params, call)
    return Succeeded({})


def keyless(params: Ping, call: Call) -> Outcome:
    """Sends no idempotency key."""
    raise_for_status(call.http.send("POST", params.url), now=call.now)
    return Succeeded({})


def sleepy(params: Ping, call: Call) -> Outcome:
    """Waits by itself and tries again."""
    try:
        _send(params, call)
    except TemporaryError:
        time.sleep(1.2)
        raise
    return Succeeded({})


def endless(params: Ping, call: Call) -> Outcome:
    """Leaves what is no JSON."""
    _send(params, call)
    return Succeeded({"ratio": float("nan")})


@pytest.mark.parametrize(
    ("run", "check", "words"),
    [
        (deaf, "503 is TemporaryError", "ended succeeded, not temporary"),
        (hasty, "429 is TemporaryError", "Retry-After of 17.0 s, but a delay of None"),
        (trusting, "body that is not what it says is Succeeded", "broke off"),
        (gossip, "no secret is told", "200: the output has a piece of a secret"),
        (chatty, "no secret is told", "200: the line on the trail has a piece of a secret"),
        (keyless, "idempotency key", "carries the idempotency key r-kit.1"),
        (sleepy, "time is kept", "do not sleep"),
        (endless, "200 is Succeeded", "cannot be stored as JSON"),
    ],
)
def test_a_bad_handler_is_found(
    run: Callable[[Ping, Call], Outcome], check: str, words: str
) -> None:
    """Each by the check that is named after it."""
    assert words in failing(subject(run), check)[check]


def test_what_is_done_twice_is_found() -> None:
    """Without a state the next attempt begins from the start."""

    def forgetful(params: Ping, call: Call) -> Outcome:
        for part in range(params.parts):
            _send(params, call, part)
        return Succeeded({})

    parameters = {"url": URL, "key": "k", "parts": 3}
    told = failing(subject(forgetful, parameters=parameters, parts=3), "not done again")
    assert "503 after 1 of 3 requests: ended temporary" in told["what is done is not done again"]

    def repeating(params: Ping, call: Call) -> Outcome:
        try:
            return forgetful(params, call)
        except TemporaryError as error:
            raise TemporaryError(error.message, delay=error.delay, state={"any": 1}) from None

    told = failing(subject(repeating, parameters=parameters, parts=3), "not done again")
    assert "after 1 requests and a 503 it sent again" in told["what is done is not done again"]


def test_a_start_that_is_forgotten_is_found() -> None:
    """A temporary failure while asking must keep the state."""

    def losing(params: Ping, call: Call) -> Outcome:
        if call.state is None:
            _send(params, call)
            return Pending({"job": 7}, 5)
        try:
            _send(params, call)
        except TemporaryError as error:
            raise TemporaryError(error.message, state={"asked": 1}) from None
        return Succeeded({})

    cases = [Case(Reply(200), Pending), Case(Fault.GARBLED, Pending), *usual()]
    told = failing(subject(losing, cases=cases), "asking")
    assert told.keys() == {
        "200, then asking keeps the state",
        "body that is not what it says, then asking keeps the state",
    }


def test_a_handler_that_says_it_sends_nothing_is_watched() -> None:
    """One request is enough."""
    told = failing(subject(sends=False, cases=()))
    assert "after 1 requests" in told["sends nothing"]


def test_a_table_that_says_otherwise_is_found() -> None:
    """The author's word is checked, not believed."""
    made = subject(cases=[Case(Reply(404), Succeeded), *CASES])
    told = failing(made, "404 is Succeeded")["404 is Succeeded"]
    assert told == "404: ended permanent, not succeeded: answered 404"


def test_one_attempt_tells_what_was_sent_where() -> None:
    """For an author's further tests: the address as the handler has it, the request as it came."""
    made = attempt(subject(), [Reply(503)], number=3, key_number=2)
    assert isinstance(made.outcome.reason, str)
    assert made.addresses == (URL + "/0",)
    assert made.seen[0].path == "/v1/0"
    assert made.seen[0].headers["idempotency-key"] == "r-kit.2"


def test_an_attempt_error_is_no_bug() -> None:
    """What a handler may raise is an outcome."""

    def refusing(_params: Ping, _call: Call) -> Outcome:
        raise PermanentError("never")

    assert attempt(subject(refusing), [Reply()]).outcome.reason == "never"
