"""azure-frontdoor.purge; the answers are those of Azure's REST reference (see the handler)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from pydantic import ValidationError

from handlers.azure_frontdoor_purge import VERSION, AzureFrontDoorPurge, handler
from receiver.contract import Json, Pending, PermanentError, Succeeded, TemporaryError
from receiver.core.model import OutcomeKind
from receiver.testkit import Case, Fault, Reply, Subject, attempt, usual

API = "https://management.azure.com"
SECRET = {"env": "POSTSYNC_SECRET_AZURE"}
GIVEN: dict[str, Any] = {
    "subscription": "0-1", "resourceGroup": "shop", "profile": "cdn", "endpoint": "shop",
    "paths": ["/a/*"], "tenant": "t-1", "client": "c-1", "clientSecret": SECRET,
}  # fmt: skip
WAITING = GIVEN | {"wait": True}
# "Get a token" of the client credentials flow.
TOKEN = Reply(200, b'{"token_type": "Bearer", "expires_in": 3599, "access_token": "at-1"}')
DENIED = Reply(401, b'{"error": "invalid_client", "error_description": "AADSTS7000215: why"}')
WHERE = f"{API}/subscriptions/0-1/providers/Microsoft.Cdn/operationresults/7"
ACCEPTED = Reply(202, b"", {"Azure-AsyncOperation": WHERE, "Retry-After": "30"})
STARTED: Json = {"started": [WHERE, WHERE], "ended": 1}


def status(word: str, **headers: str) -> Reply:
    """As "Track asynchronous Azure operations" has it."""
    return Reply(200, json.dumps({"status": word}).encode(), headers)


SUBJECTS = [
    Subject(
        handler,
        parameters=GIVEN,
        uses_key=False,  # what is purged twice is purged
        cases=[
            Case([TOKEN, Reply(200)], Succeeded),
            Case([TOKEN, ACCEPTED], Succeeded),
            Case([TOKEN, DENIED], PermanentError, name="denied"),
            Case([TOKEN, Reply(202, b"", {"Location": "https://elsewhere.example.com/"})],
                 PermanentError, name="an address elsewhere"),
            Case(DENIED, PermanentError, name="no token"),
            Case(Reply(200, b"{}"), PermanentError, name="a token's answer without one"),
            *(Case([TOKEN, *case.script], case.ends, name=f"purge: {case}") for case in usual()),
            Case(Fault.GARBLED, TemporaryError),
            *usual(),
        ],
    ),
    Subject(
        handler,
        parameters=WAITING,
        uses_key=False,
        cases=[
            Case([TOKEN, ACCEPTED], Pending),
            Case([TOKEN, status("InProgress")], Pending, state=STARTED, name="in progress"),
            Case([TOKEN, Reply(202)], Pending, state=STARTED, name="202 without a body"),
            Case([TOKEN, status("Succeeded")], Succeeded, state=STARTED, name="succeeded"),
            Case([TOKEN, Reply(204)], Succeeded, state=STARTED, name="204, asked at a Location"),
            *(Case([TOKEN, status(word)], PermanentError, state=STARTED, name=word)
              for word in ("Failed", "Canceled")),
            *(Case([TOKEN, *case.script], case.ends, state=STARTED, name=str(case))
              for case in usual()),
            Case([TOKEN, Fault.GARBLED], TemporaryError, state=STARTED),
            Case(Fault.GARBLED, TemporaryError),
            *usual(),
        ],
    ),
]  # fmt: skip


def test_the_purge_is_asked_of_the_endpoint_with_a_token() -> None:
    """The token is for this API alone, by the client's secret."""
    given = GIVEN | {"domains": ["www.example.com"], "resourceGroup": "a b"}
    made = attempt(SUBJECTS[0], [TOKEN, ACCEPTED], parameters=given)
    login, purge = made.seen
    assert made.addresses[0] == "https://login.microsoftonline.com/t-1/oauth2/v2.0/token"
    assert made.addresses[1] == (
        f"{API}/subscriptions/0-1/resourceGroups/a%20b/providers/Microsoft.Cdn/profiles/cdn/"
        f"afdEndpoints/shop/purge?api-version={VERSION}"
    )
    form = {name: values[0] for name, values in parse_qs(login.body.decode()).items()}
    assert form.pop("client_secret").startswith("hush")
    assert form == {
        "grant_type": "client_credentials", "client_id": "c-1", "scope": f"{API}/.default"
    }  # fmt: skip
    assert json.loads(purge.body) == {"contentPaths": ["/a/*"], "domains": ["www.example.com"]}
    assert purge.headers["authorization"] == "Bearer at-1"
    assert made.outcome.output == {"operations": [WHERE], "paths": 1}


def test_a_hundred_paths_go_in_a_request_and_what_is_started_is_not_started_again() -> None:
    """After the second of three is refused for now, two are left."""
    given = GIVEN | {"paths": [f"/{n}" for n in range(250)]}
    first = attempt(SUBJECTS[0], [TOKEN, ACCEPTED, Reply(503)], parameters=given)
    assert first.outcome.state == {"started": [WHERE]}
    rest = attempt(SUBJECTS[0], [TOKEN, ACCEPTED], parameters=given, state=first.outcome.state)
    sent = [json.loads(seen.body)["contentPaths"] for seen in (*first.seen[1:], *rest.seen[1:])]
    assert [(len(paths), paths[0]) for paths in sent] == [
        (100, "/0"), (100, "/100"), (100, "/100"), (50, "/200")
    ]  # fmt: skip
    assert rest.outcome.output == {"operations": [WHERE] * 3, "paths": 250}


def test_the_time_that_azure_asks_for_is_kept_while_waiting() -> None:
    """A Retry-After lengthens `every`; purges that have ended are not asked for again."""
    running = status("InProgress", **{"Retry-After": "90"})
    outcome = attempt(SUBJECTS[1], [TOKEN, running], state=STARTED).outcome
    assert (outcome.kind, outcome.delay, outcome.state) == (OutcomeKind.PENDING, 90, STARTED)


def test_a_workload_identity_takes_the_place_of_a_secret(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As AKS sets it up: variables, and a token of our service account in a file."""
    (tmp_path / "token").write_text("pod-token\n")
    monkeypatch.setenv("AZURE_TENANT_ID", "t-2")
    monkeypatch.setenv("AZURE_CLIENT_ID", "c-2")
    given = {key: GIVEN[key] for key in GIVEN if key not in {"tenant", "client", "clientSecret"}}
    nobody = attempt(SUBJECTS[0], [TOKEN], parameters=given)
    assert nobody.outcome.reason.startswith("there are no Azure credentials (give tenant")
    monkeypatch.setenv("AZURE_FEDERATED_TOKEN_FILE", str(tmp_path / "token"))
    made = attempt(SUBJECTS[0], [TOKEN, ACCEPTED], parameters=given)
    form = parse_qs(made.seen[0].body.decode())
    assert made.addresses[0] == "https://login.microsoftonline.com/t-2/oauth2/v2.0/token"
    assert (form["client_id"], form["client_assertion"]) == (["c-2"], ["pod-token"])


def test_the_token_is_masked_where_somebody_echoes_it() -> None:
    """It opens for an hour what the secret opens."""
    told = attempt(SUBJECTS[0], [TOKEN, Reply(503, b"cannot serve Bearer at-1")]).outcome.reason
    assert told == "answered 503: cannot serve Bearer [secret]"


def test_a_secret_of_nobody_is_refused_before() -> None:
    """In words of the rule."""
    with pytest.raises(ValidationError, match="clientSecret needs tenant and client"):
        AzureFrontDoorPurge.model_validate(GIVEN | {"tenant": None, "clientSecret": "s"})
