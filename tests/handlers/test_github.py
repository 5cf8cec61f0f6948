"""github.*; the answers are those of https://docs.github.com/rest.

Refusals are in tests/data/services/github-errors.yaml, with their source.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pydantic import ValidationError

from handlers.github import deployment, dispatch, status, workflow
from handlers.github.dispatch import GitHubDispatch
from handlers.github.status import GitHubStatus
from handlers.github.workflow import GitHubWorkflow
from receiver.contract import Json, Pending, PermanentError, Succeeded, TemporaryError
from receiver.core.model import OutcomeKind
from receiver.rules.expressions.cel import Expressions
from receiver.rules.handlers.registry import Registry
from receiver.testkit import Case, Fault, Reply, Subject, attempt, usual

ERRORS = yaml.safe_load(
    (Path(__file__).parents[1] / "data/services/github-errors.yaml").read_text()
)
TOKEN = {"env": "POSTSYNC_SECRET_GITHUB"}
REPOSITORY: dict[str, Any] = {"repository": "acme/shop", "token": TOKEN}
STARTED = Reply(200, b'{"workflow_run_id": 7, "html_url": "https://github.com/acme/shop/7"}')
ASKED: Json = {"run": 7, "url": "https://github.com/acme/shop/7"}
NOT_TOLD: Json = {"run": None, "url": None}


def refusal(row: dict[str, Any]) -> Reply:
    headers = dict(row.get("headers", {}))
    if "reset" in row:
        headers["x-ratelimit-reset"] = str(int(time.time()) + row["reset"])
    return Reply(row["status"], json.dumps({"message": row["message"]}).encode(), headers)


def refusals() -> Iterator[Case]:
    ends = {"permanent": PermanentError, "temporary": TemporaryError, "limited": TemporaryError}
    for kind, end in ends.items():
        for row in ERRORS[kind]:
            yield Case(refusal(row), end, name=f"{row['status']} {row['message'][:40]}")


def ended(conclusion: str | None) -> Reply:
    return Reply(200, json.dumps({"status": "completed", "conclusion": conclusion}).encode())


def under_way(word: str) -> Reply:
    return Reply(200, json.dumps({"status": word, "conclusion": None}).encode())


def runs(*titles: str) -> Reply:
    listed = [
        {"id": number, "html_url": f"https://github.com/acme/shop/{number}", "display_title": title}
        for number, title in enumerate(titles, 7)
    ]
    return Reply(200, json.dumps({"workflow_runs": listed}).encode())


WAITING = REPOSITORY | {"workflow": "smoke.yaml", "inputs": {"a": "b"}, "wait": True}
KEYED = WAITING | {"keyInput": "key"}
OLDER = KEYED | {"apiVersion": "2022-11-28"}
EVENT = REPOSITORY | {"event": "synced", "payload": {"a": 1}}
SHA = "9f1c2ab4d0e85c7731b6a2f4e9d80c3b5a6f7e12"
COMMIT = REPOSITORY | {"sha": SHA, "state": "success"}
SUBJECTS = [
    Subject(
        workflow,
        parameters=WAITING,
        uses_key=False,  # GitHub knows none; with keyInput below it goes along
        cases=[
            Case(STARTED, Pending),
            Case(
                Reply(204), Succeeded, name="204 without waiting",
                parameters=REPOSITORY | {"workflow": "smoke.yaml"},
            ),
            Case(Reply(204), PermanentError, name="204, and nothing to wait for"),
            *(Case(under_way(word), Pending, state=ASKED, name=word)
              for word in ("queued", "in_progress", "waiting", "requested", "pending")),
            *(Case(ended(word), Succeeded, state=ASKED, name=word)
              for word in ("success", "neutral", "skipped")),
            *(Case(ended(word), PermanentError, state=ASKED, name=str(word))
              for word in ("action_required", "cancelled", "failure", "stale", "startup_failure",
                           "timed_out", None)),
            Case(Reply(404), PermanentError, state=ASKED, name="a run that was deleted"),
            Case(Fault.GARBLED, TemporaryError),
            *refusals(), *usual(),
        ],
    ),
    Subject(
        workflow,
        parameters=OLDER,
        cases=[
            Case(runs(), Pending, name="200, and no run told"),
            Case(Reply(204), Pending, name="204, its run is looked for by the key"),
            Case(runs("Test r-other.1"), Pending, state=NOT_TOLD, name="not in the list yet"),
            Case([runs("Test r-kit.1")], Pending, state=NOT_TOLD, name="in the list"),
            Case(Fault.GARBLED, TemporaryError),
            *usual(),
        ],
    ),
    Subject(
        dispatch,
        parameters=EVENT,
        uses_key=False,
        cases=[
            Case(Reply(204), Succeeded), Case(Fault.GARBLED, Succeeded), *refusals(), *usual()
        ],
    ),
    Subject(
        status,
        parameters=COMMIT,
        uses_key=False,  # what is set twice is set
        cases=[
            Case(Reply(201, b'{"id": 1}'), Succeeded), Case(Fault.GARBLED, TemporaryError),
            *refusals(), *usual(),
        ],
    ),
    Subject(
        deployment,
        parameters=REPOSITORY | {"ref": "9f1c2ab"},
        parts=2,
        nothing_yet=Reply(200, b"[]"),
        cases=[
            Case(Reply(201, b'{"id": 42}'), Succeeded),
            Case(Reply(202, b'{"message": "Auto-merged"}'), PermanentError, name="202, no id"),
            Case(Fault.GARBLED, TemporaryError),
            *refusals(), *usual(),
        ],
    ),
]  # fmt: skip
WORKFLOW, _, DISPATCH, STATUS, DEPLOYMENT = SUBJECTS


def sent(subject: Subject, *answers: Reply, number: int = 1, **given: Any) -> list[Any]:
    """Method, path and body of each request of an attempt that must succeed."""
    made = attempt(
        subject, answers, parameters=dict(subject.parameters or {}) | given, number=number
    )
    assert made.outcome.kind in {OutcomeKind.SUCCEEDED, OutcomeKind.PENDING}, made.outcome.reason
    return [
        (seen.method, seen.path, json.loads(seen.body) if seen.body else None) for seen in made.seen
    ]


def test_a_workflow_is_started_and_its_run_is_asked_for() -> None:
    """This version of the API tells the run, and would refuse to be asked for it."""
    made = attempt(WORKFLOW, [STARTED])
    (seen,) = made.seen
    assert made.addresses[0].startswith("https://api.github.com/repos/acme/shop/actions/workflows/")
    assert seen.path.endswith("/smoke.yaml/dispatches")
    assert seen.headers["x-github-api-version"] == "2026-03-10"
    assert json.loads(seen.body) == {"ref": "main", "inputs": {"a": "b"}}
    assert made.outcome.state == ASKED
    made = attempt(WORKFLOW, [ended("success")], state=ASKED)
    assert made.seen[0].path == "/repos/acme/shop/actions/runs/7"
    assert made.outcome.output == {**dict(ASKED), "conclusion": "success"}  # type: ignore[arg-type]  # a dict


def test_an_event_a_status_and_a_deployment() -> None:
    """As the API wants them; nothing is merged, and no check is waited for."""
    ((_, path, body),) = sent(DISPATCH, Reply(204))
    assert (path, body) == (
        "/repos/acme/shop/dispatches",
        {"event_type": "synced", "client_payload": {"a": 1}},
    )
    ((_, path, body),) = sent(STATUS, Reply(201, b'{"id": 1}'))
    assert (path, body["state"]) == (f"/repos/acme/shop/statuses/{SHA}", "success")
    (made, told) = sent(DEPLOYMENT, Reply(201, b'{"id": 42}'))
    assert (made[2]["auto_merge"], made[2]["required_contexts"]) == (False, [])
    assert told[1] == "/repos/acme/shop/deployments/42/statuses"


def test_an_earlier_deployment_gets_a_further_status() -> None:
    """In progress first, success later."""
    ((_, path, body),) = sent(DEPLOYMENT, Reply(201, b"{}"), deployment=42, state="success")
    assert (path, body["state"]) == ("/repos/acme/shop/deployments/42/statuses", "success")


@pytest.mark.parametrize(
    "row", ERRORS["limited"], ids=lambda row: f"{row['status']}-{row['delay']}"
)
def test_a_limit_holds_back_the_credential_until_it_ends(row: dict[str, Any]) -> None:
    """Retry-After first, else the reset of the hourly limit, else a minute."""
    outcome = attempt(STATUS, [refusal(row)]).outcome
    assert (outcome.kind, outcome.limited) == (OutcomeKind.TEMPORARY, True)
    assert outcome.delay == pytest.approx(row["delay"], abs=5)


@pytest.mark.parametrize(("status_", "words"), [(401, "not valid"), (404, "may not see")])
def test_a_refusal_is_told_with_the_way_out(status_: int, words: str) -> None:
    """GitHub's own words are short: Not Found is what it says of a private repository."""
    assert words in attempt(STATUS, [Reply(status_, b"{}")]).outcome.reason


def test_a_workflow_that_a_lost_attempt_started_is_not_started_again() -> None:
    """Its run has the key in its title; a longer key is another one's."""
    titles = runs("Test r-kit.10", "Test r-kit.1")
    ((method, path, _),) = sent(WORKFLOW, titles, number=2, **KEYED)
    assert (method, path.partition("?")[0]) == (
        "GET",
        "/repos/acme/shop/actions/workflows/smoke.yaml/runs",
    )
    assert "event=workflow_dispatch" in path
    made = attempt(WORKFLOW, [titles], parameters=KEYED, number=2)
    assert made.outcome.state == {"run": 8, "url": "https://github.com/acme/shop/8"}


def test_a_workflow_that_no_attempt_started_is_started_with_the_key() -> None:
    """An attempt that was refused leaves no run; the first attempt need not look."""
    (_, start) = sent(WORKFLOW, runs("Test r-other.1"), STARTED, number=2, **KEYED)
    assert start[2]["inputs"] == {"a": "b", "key": "r-kit.1"}
    assert len(sent(WORKFLOW, STARTED, **KEYED)) == 1
    (again,) = sent(WORKFLOW, STARTED, number=2)
    assert again[0] == "POST"


def test_after_an_unclear_start_the_list_gets_time_to_show_it() -> None:
    """At once, the run would be in no list yet."""
    for subject, given in ((WORKFLOW, KEYED), (DISPATCH, EVENT | {"keyField": "key"})):
        outcome = attempt(subject, [Fault.RESET], parameters=given).outcome
        assert (outcome.kind, outcome.delay) == (OutcomeKind.TEMPORARY, 10)


def test_an_older_server_tells_no_run_but_its_title_does() -> None:
    """Looked for until it is in the list, then asked for."""
    first = attempt(WORKFLOW, [Reply(204)], parameters=OLDER)
    assert first.seen[0].headers["x-github-api-version"] == "2022-11-28"
    assert first.outcome.state == NOT_TOLD
    found = attempt(WORKFLOW, [runs("r-kit.1")], parameters=OLDER, state=NOT_TOLD, number=2)
    assert found.outcome.state == ASKED


def test_an_event_that_a_lost_attempt_sent_is_not_sent_again() -> None:
    """A workflow that it started has the key in its title."""
    given = EVENT | {"keyField": "key"}
    ((_, _, body),) = sent(DISPATCH, Reply(204), **given)
    assert body["client_payload"] == {"a": 1, "key": "r-kit.1"}
    ((method, path, _),) = sent(DISPATCH, runs("Synced r-kit.1"), number=2, **given)
    assert (method, "event=repository_dispatch" in path) == ("GET", True)
    assert len(sent(DISPATCH, runs(), Reply(204), number=2, **given)) == 2


def test_a_deployment_that_a_lost_attempt_created_gets_its_status() -> None:
    """It is known by the key in its payload."""
    listed = [{"id": 41, "payload": {"run": "r-kit.2"}}, {"id": 42, "payload": {"run": "r-kit.1"}}]
    (look, told) = sent(
        DEPLOYMENT, Reply(200, json.dumps(listed).encode()), Reply(201, b"{}"), number=2
    )
    assert look[1].startswith("/repos/acme/shop/deployments?ref=9f1c2ab&environment=production")
    assert told[1] == "/repos/acme/shop/deployments/42/statuses"
    assert [one[0] for one in sent(DEPLOYMENT, Reply(200, b"[]"), Reply(201, b'{"id": 1}'),
                                   number=2)] == ["GET", "POST", "POST"]  # fmt: skip


KEY = generate_private_key(65537, 2048)
PEM = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
APP = {
    "repository": "acme/shop",
    "app": {"id": "12345", "installation": 99, "key": {"env": "POSTSYNC_SECRET_KEY"}},
    "sha": SHA,
    "state": "success",
}


def as_app(*answers: Reply, pem: str = PEM) -> Any:
    return attempt(Subject(status, secrets={"POSTSYNC_SECRET_KEY": pem}), answers, parameters=APP)


def test_an_app_asks_for_its_token_with_a_signed_one() -> None:
    """GitHub checks it with the App's public key, and so does this test."""
    made = as_app(Reply(201, b'{"token": "ghs_short"}'), Reply(201, b'{"id": 1}'))
    assert made.outcome.kind is OutcomeKind.SUCCEEDED, made.outcome.reason
    first, second = made.seen
    assert first.path == "/app/installations/99/access_tokens"
    assert json.loads(first.body) == {"repositories": ["shop"]}
    claims = jwt.decode(
        first.headers["authorization"].removeprefix("Bearer "), KEY.public_key(), ["RS256"]
    )
    assert claims["iss"] == "12345"
    assert claims["exp"] - claims["iat"] <= 600
    assert second.headers["authorization"] == "Bearer ghs_short"


def test_an_apps_token_is_told_nowhere() -> None:
    """Whatever echoes it; nor is the one that it is got with."""
    token = Reply(201, b'{"token": "ghs_hush_hush"}')
    echoed = as_app(token, Reply(400, b"you sent ghs_hush_hush")).outcome.reason
    assert "[secret]" in echoed
    assert "hush" not in echoed
    first = as_app(Reply(503), pem=PEM).seen[0].headers["authorization"].removeprefix("Bearer ")
    assert first.count(".") == 2


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Reply(401, b"'Expiration time' claim ('exp') is too far in the future"), "permanent"),
        (Reply(404, b"Integration not found"), "permanent"),
        (Reply(422, b"There is at least one repository that does not exist"), "permanent"),
        (Reply(201, b"{}"), "permanent"),
        (Reply(201, b"<html>"), "temporary"),
        (Reply(503), "temporary"),
        (Reply(403, b"rate limit"), "temporary"),
    ],
)
def test_an_app_that_gets_no_token(answer: Reply, kind: str) -> None:
    """Nothing is sent after it."""
    made = as_app(answer)
    assert (made.outcome.kind, len(made.seen)) == (OutcomeKind(kind), 1)


@pytest.mark.parametrize("pem", ["hush-hush-hush", PEM[:200]], ids=["no key", "half a key"])
def test_an_apps_key_that_is_none_says_what_it_should_be(pem: str) -> None:
    """And nothing of it is told."""
    outcome = as_app(Reply(), pem=pem).outcome
    assert (outcome.kind, "hush" in outcome.reason) == (OutcomeKind.PERMANENT, False)
    assert "PEM" in outcome.reason


@pytest.mark.parametrize(
    ("model", "given", "words"),
    [
        (GitHubStatus, {"sha": SHA, "state": "success"}, "give token or app"),
        (
            GitHubStatus,
            {"sha": SHA, "state": "success", "token": "t",
             "app": {"id": "1", "installation": 1, "key": "k"}},
            "give token or app",
        ),
        (
            GitHubWorkflow,
            {"workflow": "a.yaml", "token": "t", "wait": True, "apiVersion": "2022-11-28"},
            "wait needs a keyInput",
        ),
        (GitHubWorkflow, {"workflow": "a", "token": "t",
                          "inputs": {str(n): "" for n in range(26)}},
         "there are 26 inputs, and GitHub takes 25"),
        (GitHubDispatch, {"event": "e" * 101, "token": "t"}, "at most 100"),
        (GitHubDispatch, {"event": "e", "token": "t",
                          "payload": {str(n): 1 for n in range(11)}},
         "payload has 11 keys, and GitHub takes 10"),
    ],
)  # fmt: skip
def test_what_github_would_refuse_is_refused_before(
    model: type[Any], given: dict[str, Any], words: str
) -> None:
    """By `postsync check`."""
    with pytest.raises(ValidationError, match=words):
        model.model_validate({"repository": "acme/shop", **given})


@pytest.mark.parametrize(
    ("one", "given", "told"),
    [
        (dispatch, {"event": "e", "keyField": "key", "payload": {"a": 10}},
         "payload has 11 keys, keyField among them, and GitHub takes 10"),
        (dispatch, {"event": "e", "keyField": "0", "payload": {"a": 10}}, ""),
        (dispatch, {"event": "e", "payload": {"a": 10}}, ""),
        (workflow, {"workflow": "w", "keyInput": "key", "inputs": {"a": 25}},
         "there are 26 inputs, keyInput among them, and GitHub takes 25"),
        (workflow, {"workflow": "w", "keyInput": "0", "inputs": {"a": 25}}, ""),
    ],
)  # fmt: skip
def test_check_counts_the_key_among_what_github_limits(
    one: Any, given: dict[str, Any], told: str
) -> None:
    """Whatever the values are, which only the run knows."""
    tree = {**REPOSITORY, **given}
    for name in ("payload", "inputs"):
        if name in tree:
            tree[name] = {str(n): "${{ sync.revision }}" for n in range(tree[name]["a"])}
    found = Registry([one]).check_parameters(one, tree, Expressions())
    assert [mistake.message for mistake in found] == ([told] if told else [])


def test_a_long_description_is_cut_and_told() -> None:
    """A failure's message may be long, and its status is written all the same."""
    long = "Sync failed: " + "é" * 200
    ((_, _, told),) = sent(STATUS, Reply(201, b'{"id": 1}'), description=long, state="failure")
    made, status_ = sent(DEPLOYMENT, Reply(201, b'{"id": 42}'), description=long)
    assert told["description"] == status_[2]["description"] == made[2]["description"]
    assert told["description"] == long[:139] + "…"


@pytest.mark.parametrize("name", ["acme", "acme/shop/x", "../etc", "acme/..", "acme/sh?op"])
def test_a_repository_is_an_owner_and_a_name(name: str) -> None:
    """Nothing in it can lead to another place of the API, nor can what is no SHA."""
    tree = {"repository": name, "token": "t", "sha": SHA, "state": "success"}
    with pytest.raises(ValidationError, match="repository"):
        GitHubStatus.model_validate(tree)
    with pytest.raises(ValidationError, match="sha"):
        GitHubStatus.model_validate(tree | {"repository": "acme/shop", "sha": "../dispatches"})
