"""azure-frontdoor.purge; the answers are those of the REST reference of AFD Endpoints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from handlers.azure_frontdoor_purge import handler
from receiver.contract import Json, Pending, PermanentError, Succeeded, TemporaryError
from receiver.model import OutcomeKind
from receiver.testkit import Case, Fault, Reply, Subject, attempt, usual

GIVEN: dict[str, Any] = {
    "subscription": "sub", "resourceGroup": "shop", "profile": "cdn", "endpoint": "www",
    "paths": ["/a/*", "/b", "/b"], "tenant": "contoso", "client": "id",
    "clientSecret": {"env": "POSTSYNC_SECRET_AZURE"}, "wait": True,
}  # fmt: skip
TOKEN = Reply(200, b'{"token_type": "Bearer", "expires_in": 3599, "access_token": "eyJ0"}')
WHERE = "https://management.azure.com/subscriptions/sub/providers/Microsoft.Cdn/operationresults/7"
STARTED = Reply(202, b"", {"Azure-AsyncOperation": WHERE, "Retry-After": "15"})
ASKED: Json = {"operation": WHERE}


def operation(status: str) -> Reply:
    return Reply(200, json.dumps({"status": status}).encode())


SUBJECTS = [
    Subject(
        handler,
        parameters=GIVEN,
        uses_key=False,  # what is purged twice is purged
        cases=[
            Case([TOKEN, STARTED], Pending),
            Case([TOKEN, Reply(200)], Succeeded, name="200, done at once"),
            Case([TOKEN, STARTED], Succeeded, name="202 without waiting",
                 parameters=GIVEN | {"wait": False}),
            Case([TOKEN, operation("InProgress")], Pending, state=ASKED, name="in progress"),
            Case([TOKEN, operation("Succeeded")], Succeeded, state=ASKED, name="succeeded"),
            *(Case([TOKEN, operation(word)], PermanentError, state=ASKED, name=word)
              for word in ("Failed", "Canceled")),
            Case([TOKEN, Reply(202)], PermanentError, name="202 that names no place"),
            Case(Fault.GARBLED, TemporaryError),
            *usual(),
        ],
    )
]  # fmt: skip


def test_the_paths_are_purged_with_the_clients_token() -> None:
    """Each once; the place to ask is kept."""
    made = attempt(SUBJECTS[0], [TOKEN, STARTED])
    token, purge = made.seen
    form = parse_qs(token.body.decode())
    assert made.addresses[0] == "https://login.microsoftonline.com/contoso/oauth2/v2.0/token"
    assert form["scope"] == ["https://management.azure.com/.default"]
    assert json.loads(purge.body) == {"contentPaths": ["/a/*", "/b"]}
    assert purge.headers["authorization"] == "Bearer eyJ0"
    assert (made.outcome.state, made.outcome.delay) == (ASKED, 20)


def test_a_workload_identity_takes_the_place_of_a_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kubernetes projects the service account's token; its file is read at each attempt."""
    file = tmp_path / "token"
    file.write_text("projected\n")
    monkeypatch.setenv("AZURE_FEDERATED_TOKEN_FILE", str(file))
    monkeypatch.setenv("AZURE_CLIENT_ID", "from-the-pod")
    monkeypatch.setenv("AZURE_TENANT_ID", "its-tenant")
    hidden = {"clientSecret", "client", "tenant"}
    given = {name: value for name, value in GIVEN.items() if name not in hidden}
    made = attempt(SUBJECTS[0], [TOKEN, STARTED], parameters=given)
    form = parse_qs(made.seen[0].body.decode())
    assert (form["client_assertion"], form["client_id"]) == (["projected"], ["from-the-pod"])
    assert made.seen[0].path == "/its-tenant/oauth2/v2.0/token"
    monkeypatch.delenv("AZURE_FEDERATED_TOKEN_FILE")
    outcome = attempt(SUBJECTS[0], [TOKEN], parameters=given).outcome
    assert outcome.kind is OutcomeKind.PERMANENT
    assert "there are no Azure credentials" in outcome.reason


def test_a_place_of_another_host_is_not_asked() -> None:
    """The token would go there."""
    elsewhere = Reply(202, b"", {"Azure-AsyncOperation": "https://evil.example.com/7"})
    outcome = attempt(SUBJECTS[0], [TOKEN, elsewhere]).outcome
    assert outcome.kind is OutcomeKind.PERMANENT
