"""github.*; the answers are those of https://docs.github.com/rest."""

from __future__ import annotations

import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pydantic import ValidationError

from handlers.github import deployment, dispatch, status, workflow
from handlers.github.status import GitHubStatus
from receiver.contract import Json, Pending, PermanentError, Succeeded, TemporaryError
from receiver.model import OutcomeKind
from receiver.testkit import Case, Fault, Reply, Subject, attempt, usual

TOKEN = {"env": "POSTSYNC_SECRET_GITHUB"}
REPOSITORY: dict[str, Any] = {"repository": "acme/shop", "token": TOKEN}
STARTED = Reply(200, b'{"workflow_run_id": 7, "html_url": "https://github.com/acme/shop/7"}')
LIMITED = (
    Case(
        Reply(403, b"You have exceeded a secondary rate limit", {"Retry-After": "60"}),
        TemporaryError,
        name="403, a secondary limit",
    ),
    Case(
        Reply(403, b"API rate limit exceeded", {"X-RateLimit-Remaining": "0",
                                                "X-RateLimit-Reset": "1"}),
        TemporaryError, name="403, the hourly limit",
    ),
)  # fmt: skip
ASKED: Json = {"run": 7, "url": "https://github.com/acme/shop/7"}


def ended(conclusion: str) -> Reply:
    return Reply(200, json.dumps({"status": "completed", "conclusion": conclusion}).encode())


SUBJECTS = [
    Subject(
        workflow,
        parameters=REPOSITORY | {"workflow": "smoke.yaml", "inputs": {"a": "b"}, "wait": True},
        uses_key=False,  # GitHub knows none
        cases=[
            Case(STARTED, Pending),
            Case(
                Reply(204), Succeeded, name="204 without waiting",
                parameters=REPOSITORY | {"workflow": "smoke.yaml"},
            ),
            Case(Reply(204), PermanentError, name="204, and nothing to wait for"),
            Case(Reply(200, b'{"status": "in_progress"}'), Pending, state=ASKED, name="running"),
            *(Case(ended(word), Succeeded, state=ASKED, name=word)
              for word in ("success", "neutral", "skipped")),
            *(Case(ended(word), PermanentError, state=ASKED, name=word)
              for word in ("failure", "cancelled", "timed_out", "action_required")),
            Case(Fault.GARBLED, TemporaryError),
            *LIMITED, *usual(),
        ],
    ),
    Subject(
        dispatch,
        parameters=REPOSITORY | {"event": "synced", "payload": {"a": 1}},
        uses_key=False,
        cases=[Case(Reply(204), Succeeded), Case(Fault.GARBLED, Succeeded), *LIMITED, *usual()],
    ),
    Subject(
        status,
        parameters=REPOSITORY | {"sha": "9f1c2ab", "state": "success"},
        uses_key=False,
        cases=[
            Case(Reply(201, b'{"id": 1}'), Succeeded), Case(Fault.GARBLED, TemporaryError),
            *LIMITED, *usual(),
        ],
    ),
    Subject(
        deployment,
        parameters=REPOSITORY | {"ref": "9f1c2ab"},
        parts=2,
        cases=[
            Case(Reply(201, b'{"id": 42}'), Succeeded), Case(Fault.GARBLED, TemporaryError),
            *LIMITED, *usual(),
        ],
    ),
]  # fmt: skip


def sent(subject: Subject, *answers: Reply, **given: Any) -> list[tuple[str, str, Any]]:
    """Method, path and body of each request of an attempt that must succeed."""
    made = attempt(subject, answers, parameters=dict(subject.parameters or {}) | given)
    assert made.outcome.kind in {OutcomeKind.SUCCEEDED, OutcomeKind.PENDING}, made.outcome.reason
    return [
        (seen.method, seen.path, json.loads(seen.body) if seen.body else None) for seen in made.seen
    ]


def test_a_workflow_is_started_and_its_run_is_asked_for() -> None:
    """The answer names the run because it is asked to."""
    ((method, path, body),) = sent(SUBJECTS[0], STARTED)
    assert (method, path) == ("POST", "/repos/acme/shop/actions/workflows/smoke.yaml/dispatches")
    assert body == {"ref": "main", "inputs": {"a": "b"}, "return_run_details": True}
    made = attempt(SUBJECTS[0], [ended("success")], state=ASKED)
    assert made.seen[0].path == "/repos/acme/shop/actions/runs/7"
    assert made.outcome.output == {**dict(ASKED), "conclusion": "success"}  # type: ignore[arg-type]  # a dict


def test_an_event_a_status_and_a_deployment() -> None:
    """As the API wants them; nothing is merged, and no check is waited for."""
    ((_, path, body),) = sent(SUBJECTS[1], Reply(204))
    assert (path, body) == (
        "/repos/acme/shop/dispatches",
        {"event_type": "synced", "client_payload": {"a": 1}},
    )
    ((_, path, body),) = sent(SUBJECTS[2], Reply(201, b'{"id": 1}'))
    assert (path, body["state"]) == ("/repos/acme/shop/statuses/9f1c2ab", "success")
    (made, told) = sent(SUBJECTS[3], Reply(201, b'{"id": 42}'))
    assert (made[2]["auto_merge"], made[2]["required_contexts"]) == (False, [])
    assert told[1] == "/repos/acme/shop/deployments/42/statuses"


def test_an_earlier_deployment_gets_a_further_status() -> None:
    """In progress first, success later."""
    ((_, path, body),) = sent(SUBJECTS[3], Reply(201, b"{}"), deployment=42, state="success")
    assert (path, body["state"]) == ("/repos/acme/shop/deployments/42/statuses", "success")


def test_an_app_asks_for_its_token_with_a_signed_one() -> None:
    """GitHub checks it with the App's public key, and so does this test."""
    key = generate_private_key(65537, 2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    app = {"id": "12345", "installation": 99, "key": {"env": "POSTSYNC_SECRET_KEY"}}
    subject = Subject(status, secrets={"POSTSYNC_SECRET_KEY": pem})
    given = {"repository": "acme/shop", "app": app, "sha": "9f1c2ab", "state": "success"}
    answers = [Reply(201, b'{"token": "ghs_short"}'), Reply(201, b'{"id": 1}')]
    made = attempt(subject, answers, parameters=given)
    assert made.outcome.kind is OutcomeKind.SUCCEEDED, made.outcome.reason
    first, second = made.seen
    assert first.path == "/app/installations/99/access_tokens"
    claims = jwt.decode(
        first.headers["authorization"].removeprefix("Bearer "), key.public_key(), ["RS256"]
    )
    assert claims["iss"] == "12345"
    assert claims["exp"] - claims["iat"] <= 600
    assert second.headers["authorization"] == "Bearer ghs_short"


def test_an_apps_key_that_is_none_says_what_it_should_be() -> None:
    """And nothing of it is told."""
    app = {"id": "1", "installation": 9, "key": {"env": "POSTSYNC_SECRET_KEY"}}
    given = {"repository": "acme/shop", "app": app, "sha": "9f1c2ab", "state": "success"}
    subject = Subject(status, secrets={"POSTSYNC_SECRET_KEY": "hush-hush-hush"})
    outcome = attempt(subject, [Reply()], parameters=given).outcome
    assert (outcome.kind, "hush" in outcome.reason) == (OutcomeKind.PERMANENT, False)
    assert "PEM" in outcome.reason


@pytest.mark.parametrize(
    "given", [{}, {"token": "t", "app": {"id": "1", "installation": 1, "key": "k"}}]
)
def test_one_identity_must_be_given(given: dict[str, Any]) -> None:
    """None and both are refused before anything is sent."""
    tree = {"repository": "acme/shop", "sha": "1", "state": "success", **given}
    with pytest.raises(ValidationError, match="give token or app"):
        GitHubStatus.model_validate(tree)
