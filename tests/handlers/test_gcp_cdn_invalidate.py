"""gcp-cdn.invalidate; the answers are those of the Compute Engine API (urlMaps.invalidateCache)."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pydantic import ValidationError

from handlers.gcp_cdn_invalidate import GcpCdnInvalidate, handler
from receiver.contract import Json, Pending, PermanentError, Succeeded, TemporaryError
from receiver.model import OutcomeKind
from receiver.testkit import Case, Fault, Reply, Subject, attempt, usual

KEY = generate_private_key(65537, 2048)
ACCOUNT = json.dumps(
    {
        "type": "service_account",
        "project_id": "acme-shop",
        "private_key_id": "hush-key-id",
        "private_key": KEY.private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        ).decode(),
        "client_email": "purger@acme-shop.iam.gserviceaccount.com",
        "client_id": "1",
        "token_uri": "https://oauth2.googleapis.com/token",
    }
)
GIVEN: dict[str, Any] = {
    "project": "acme-shop",
    "urlMap": "frontend",
    "path": "/assets/*",
    "credentials": {"file": "gcp.json"},
    "wait": True,
}
TOKEN = Reply(
    200, b'{"access_token": "ya29.short", "expires_in": 3599, "token_type": "Bearer"}',
    {"Content-Type": "application/json"},
)  # fmt: skip
ASKED: Json = {"operation": "operation-1"}


def operation(status: str, **more: Any) -> Reply:
    return Reply(200, json.dumps({"name": "operation-1", "status": status, **more}).encode())


REFUSED = operation("DONE", error={"errors": [{"code": "RESOURCE_NOT_FOUND", "message": "no"}]})
USUAL = [
    Case([TOKEN, *one.script], one.ends, name=one.name) for one in usual()
]  # once the token is there
SUBJECTS = [
    Subject(
        handler,
        parameters=GIVEN,
        secrets={"gcp.json": ACCOUNT},
        uses_key=False,  # its digest is the requestId, which is a UUID
        cases=[
            Case([TOKEN, operation("RUNNING")], Pending),
            Case([TOKEN, operation("DONE")], Succeeded, name="done at once"),
            Case([TOKEN, operation("RUNNING")], Succeeded, name="without waiting",
                 parameters=GIVEN | {"wait": False}),
            Case([TOKEN, operation("RUNNING")], Pending, state=ASKED, name="running"),
            Case([TOKEN, operation("DONE")], Succeeded, state=ASKED, name="done"),
            Case([TOKEN, REFUSED], PermanentError, state=ASKED, name="refused there"),
            Case([TOKEN, Fault.GARBLED], TemporaryError),
            *USUAL,
        ],
    )
]  # fmt: skip


def test_the_path_is_invalidated_with_a_token_for_the_signed_account() -> None:
    """The token's request is signed with the account's key; two attempts have one requestId."""
    made = attempt(SUBJECTS[0], [TOKEN, operation("RUNNING")])
    token, invalidate = made.seen
    signed = parse_qs(token.body.decode())["assertion"][0]
    claims = jwt.decode(
        signed, KEY.public_key(), ["RS256"], audience="https://oauth2.googleapis.com/token"
    )
    assert claims["scope"] == "https://www.googleapis.com/auth/compute"
    assert invalidate.headers["authorization"] == "Bearer ya29.short"
    assert json.loads(invalidate.body) == {"path": "/assets/*"}
    again = attempt(SUBJECTS[0], [TOKEN, operation("RUNNING")], number=2)
    first, second = (urlsplit(one.seen[1].path).query for one in (made, again))
    assert first == second


def test_credentials_that_are_none_are_told_without_a_word_of_them() -> None:
    """Neither JSON nor a key."""
    subject = Subject(handler, parameters=GIVEN, secrets={"gcp.json": "hush-no-json"})
    outcome = attempt(subject, [TOKEN]).outcome
    assert outcome.kind is OutcomeKind.PERMANENT
    assert "the credentials do not serve" in outcome.reason
    assert "hush" not in outcome.reason


def test_a_type_that_could_run_a_program_is_not_taken() -> None:
    """Only two types are."""
    subject = Subject(handler, parameters=GIVEN, secrets={"gcp.json": '{"type": "pluggable"}'})
    outcome = attempt(subject, [TOKEN]).outcome
    assert "neither of the type" in outcome.reason


def test_something_must_be_named() -> None:
    """A path, tags, or both."""
    with pytest.raises(ValidationError, match="give path, tags"):
        GcpCdnInvalidate.model_validate({"project": "p", "urlMap": "m", "credentials": "{}"})
