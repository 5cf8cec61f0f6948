"""One attempt from a claimed run to its outcome, over a real server, real secrets, a real log."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from peers import Reply, Seen, peer, raw_peer

from handlers import builtin
from receiver.contract import Call, Handler, Params, Pending, Succeeded
from receiver.contract import Outcome as Ended
from receiver.core.errors import PermanentError
from receiver.core.model import Json, Outcome, OutcomeKind
from receiver.dispatcher.attempt import REASON_LENGTH, Runner
from receiver.ledger.queue.claim import ClaimedRun
from receiver.outbound import Outbound
from receiver.rules.expressions.cel import Expressions
from receiver.rules.handlers.registry import Registry
from receiver.settings.secrets import Secrets

SECRET = "hunter22/with+odd=signs"
AUTHORIZATION = {"/headers/Authorization": {"kind": "env", "name": "POSTSYNC_SECRET_A",
                                            "format": "Bearer {}"}}  # fmt: skip

Attempt = Callable[..., Outcome]
Lines = list[dict[str, Any]]


class Keyed(Params):
    """A key, perhaps."""

    key: str = ""


KEY = {"/key": {"kind": "env", "name": "POSTSYNC_SECRET_A"}}


@pytest.fixture
def lines() -> Lines:
    return []


@pytest.fixture
def attempt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: Lines) -> Iterator[Attempt]:
    """Give a function that makes one attempt of a handler, built in or given."""
    monkeypatch.setenv("POSTSYNC_SECRET_A", SECRET)
    outbound = Outbound()

    def keep(_logger: object, _method: str, event: Any) -> Any:
        lines.append(dict(event))
        raise structlog.DropEvent

    log = structlog.wrap_logger(
        None, [keep], wrapper_class=structlog.make_filtering_bound_logger("info")
    )

    def make(parameters: Json, run: Any = None, *, timeout: float = 10, **fields: Any) -> Outcome:
        own = [Handler("toy.run", "Test.", Keyed, run, example="{}")] if run else []
        registry = Registry([*builtin(), *own])
        runner = Runner(registry, Expressions(), Secrets(tmp_path), outbound, log)
        given: dict[str, Any] = {
            "id": "r-1", "plan": "p-1", "sync": "s-1", "rule": "rule", "action": "action",
            "handler": "toy.run" if run else "http.request", "target": "", "target_index": None,
            "lane": "", "attempt": 2, "claim": 2, "failures": 0, "key_number": 3,
            "parameters": parameters, "secrets": {}, "policy": {"timeout": timeout},
            "state": None, "pending": False, "reason": "",
            "first_attempt_at": 0,
        }  # fmt: skip
        return runner.run(ClaimedRun(**(given | fields)))

    yield make
    outbound.close()


def echo(status: int) -> Callable[[Seen], Reply]:
    """Answer with everything that was sent, as a debug page would."""

    def answering(seen: Seen) -> Reply:
        body = json.dumps({"headers": dict(seen.headers), "path": seen.path}).encode()
        echoed = {"X-Echo": seen.headers["authorization"]}
        return Reply(status, body, {"Content-Type": "application/json", **echoed})

    return answering


@pytest.mark.parametrize("status", [200, 400, 500])
def test_no_secret_comes_back(attempt: Attempt, status: int, lines: Lines) -> None:
    """A server that echoes the request's headers puts no secret into any outcome."""
    with peer(echo(status)) as server:
        parameters: Json = {"url": server.url, "headers": {"Authorization": None}}
        outcome = attempt(parameters, secrets=AUTHORIZATION)
        assert server.seen[0].headers["authorization"] == f"Bearer {SECRET}"
    kinds = {200: OutcomeKind.SUCCEEDED, 400: OutcomeKind.PERMANENT, 500: OutcomeKind.TEMPORARY}
    assert outcome.kind is kinds[status]
    assert "hunter22" not in repr(outcome)
    assert "[secret]" in repr(outcome)
    assert lines == []


def test_of_an_answer_from_a_secret_address_its_json_is_stored(attempt: Attempt) -> None:
    """Masked, without the page and the headers that name the address in words of their own."""

    def answering(seen: Seen) -> Reply:
        body = json.dumps({"id": 7, "self": f"{seen.path}?again"}).encode()
        return Reply(200, body, {"Content-Type": "application/json", "X-Who": seen.path[::-1]})

    with peer(answering) as server:
        form = {"kind": "env", "name": "POSTSYNC_SECRET_A", "format": f"{server.url}/{{}}"}
        outcome = attempt({"url": None}, secrets={"/url": form})
    assert outcome.output == {
        "status": 200,
        "headers": {"content-type": "application/json"},
        "body": "",
        "json": {"id": 7, "self": "[secret]?again"},
        "truncated": False,
    }


def test_an_answer_that_is_no_http_is_no_bug(attempt: Attempt, lines: Lines) -> None:
    """It is tried again, and the log has no traceback."""

    def script(connection: socket.socket, over: threading.Event) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n")
        over.wait(10)

    with raw_peer(script) as port:
        outcome = attempt({"url": f"http://127.0.0.1:{port}/"})
    assert outcome.kind is OutcomeKind.TEMPORARY
    assert "the target's answer is no valid HTTP" in outcome.reason
    assert lines == []


def test_the_handler_sees_its_attempt(attempt: Attempt) -> None:
    """Id, key, number, state and time of the run are in the call; notes come out."""
    calls: list[Call] = []

    def run(_params: Keyed, call: Call) -> Ended:
        calls.append(call)
        call.say("a line")
        return Succeeded({"a": 1})

    outcome = attempt({}, run, state={"step": 2})
    assert (outcome.kind, outcome.output, outcome.notes) == (
        OutcomeKind.SUCCEEDED, {"a": 1}, ("a line",),
    )  # fmt: skip
    (call,) = calls
    assert (call.run, call.idempotency_key, call.attempt) == ("r-1", "r-1.3", 2)
    assert (call.state, call.timeout) == ({"step": 2}, 10)


def test_pending_keeps_its_state_and_delay(attempt: Attempt) -> None:
    """What is asked again later carries the handler's state."""
    outcome = attempt({}, lambda _params, _call: Pending({"job": 7}, 12.5))
    assert (outcome.kind, outcome.state, outcome.delay) == (OutcomeKind.PENDING, {"job": 7}, 12.5)


def test_a_bug_is_permanent_and_its_traceback_is_masked(attempt: Attempt, lines: Lines) -> None:
    """The reason names the kind of error alone; the log has the rest, without the secret."""

    def run(params: Keyed, _call: Call) -> Ended:
        raise KeyError(f"bad key {params.key}")

    outcome = attempt({"key": None}, run, secrets=KEY)
    assert outcome.kind is OutcomeKind.PERMANENT
    assert outcome.reason == "handler toy.run broke off with KeyError; see the log"
    (line,) = lines
    assert (line["event"], line["run"], line["handler"]) == ("handler.bug", "r-1", "toy.run")
    assert "Traceback" in line["traceback"]
    assert "bad key [secret]" in line["traceback"]
    assert "hunter22" not in repr(line)


def bottomless() -> Json:
    tree: Json = []
    for _ in range(5000):
        tree = [tree]
    return tree


@pytest.mark.parametrize("ended", [None, {"status": 200}, Succeeded(bottomless())])
def test_what_is_no_outcome_is_a_bug(attempt: Attempt, lines: Lines, ended: Any) -> None:
    """A handler returns one of two things, of a depth that can be stored."""
    outcome = attempt({"key": None}, lambda _params, _call: ended, secrets=KEY)
    assert outcome.kind is OutcomeKind.PERMANENT
    assert "broke off with" in outcome.reason
    assert [line["event"] for line in lines] == ["handler.bug"]


def test_a_state_with_a_secret_ends_the_run(attempt: Attempt) -> None:
    """It may not be stored, and masked it would lead to another address."""
    outcome = attempt(
        {"key": None},
        lambda params, _call: Pending({"url": f"http://x/?t={params.key}"}, 1),
        secrets=KEY,
    )
    assert outcome.kind is OutcomeKind.PERMANENT
    assert outcome.reason == "handler toy.run cannot go on: its state would hold a secret"


def test_notes_and_long_reasons_are_masked_and_cut(attempt: Attempt) -> None:
    """A reason is masked whole and cut afterwards."""

    def run(params: Keyed, call: Call) -> Ended:
        call.say(f"using {params.key}")
        raise PermanentError("x" * (REASON_LENGTH - 5) + params.key)

    outcome = attempt({"key": None}, run, secrets=KEY)
    assert outcome.notes == ("using [secret]",)
    assert outcome.reason == "x" * (REASON_LENGTH - 5) + "[secr"


def test_a_secret_that_the_attempt_got_itself_is_masked_as_well(attempt: Attempt) -> None:
    """An access token, for example, which a proxy on the way echoes."""

    def echoed(seen: Seen) -> Reply:
        return Reply(503, seen.headers["authorization"].encode())

    with peer(echoed) as server:

        def run(_params: Keyed, call: Call) -> Ended:
            call.hide("short-lived-token")
            answer = call.http.send(
                "GET", server.url, headers={"Authorization": "short-lived-token"}
            )
            call.say(answer.excerpt())
            raise PermanentError("refused: short-lived-token")

        outcome = attempt({"key": None}, run, secrets=KEY)
    assert outcome.notes == ("[secret]",)
    assert outcome.reason == "refused: [secret]"


def test_a_missing_secret_is_temporary_and_sends_nothing(attempt: Attempt) -> None:
    """An operator can add it while the retries go on."""
    with peer() as server:
        secrets = {"/headers/A": {"kind": "env", "name": "POSTSYNC_SECRET_NONE"}}
        outcome = attempt({"url": server.url, "headers": {"A": None}}, secrets=secrets)
        assert server.seen == []
    assert outcome.kind is OutcomeKind.TEMPORARY
    assert "POSTSYNC_SECRET_NONE} is not set" in outcome.reason


def test_parameters_that_do_not_fit_tell_no_value(attempt: Attempt) -> None:
    """A secret in a place where it cannot be is named by its path alone."""
    secrets = {"/method": {"kind": "env", "name": "POSTSYNC_SECRET_A"}}
    outcome = attempt({"url": "http://127.0.0.1:1", "method": None}, secrets=secrets)
    assert outcome.kind is OutcomeKind.PERMANENT
    assert outcome.reason.startswith("with: method: ")
    assert "hunter22" not in outcome.reason


def test_an_unknown_handler_is_permanent(attempt: Attempt) -> None:
    """The plan may be older than the installed handlers."""
    outcome = attempt({}, handler="gone.away")
    assert (outcome.kind, outcome.reason[:30]) == (
        OutcomeKind.PERMANENT, "there is no handler gone.away ",
    )  # fmt: skip


def test_the_timeout_bounds_the_attempt(attempt: Attempt) -> None:
    """A peer that says nothing is left at the attempt's end."""

    def silent(_connection: socket.socket, over: threading.Event) -> None:
        over.wait(60)

    with raw_peer(silent) as port:
        began = time.monotonic()
        outcome = attempt({"url": f"http://127.0.0.1:{port}"}, timeout=0.3)
        took = time.monotonic() - began
    assert outcome.kind is OutcomeKind.TEMPORARY
    assert f"no answer from 127.0.0.1:{port} within 0.3 s" in outcome.reason
    assert 0.25 < outcome.seconds <= took
