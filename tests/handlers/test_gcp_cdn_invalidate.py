"""gcp-cdn.invalidate; the answers are those of Compute Engine's REST reference."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pydantic import ValidationError

from handlers.gcp_cdn_invalidate import GcpCdnInvalidate, handler
from receiver.contract import Json, Pending, PermanentError, Succeeded, TemporaryError
from receiver.core.model import OutcomeKind
from receiver.testkit import Attempted, Case, Fault, Reply, Subject, attempt, usual

# Whoever reads one of 2048 bits checks it, which takes 50 ms.
KEY_PAIR = generate_private_key(65537, 1024)  # noqa: S505
PEM = KEY_PAIR.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
ACCOUNT = {
    "type": "service_account", "private_key": PEM.decode(), "private_key_id": "k-1",
    "client_email": "purge@acme-shop.iam.gserviceaccount.com",
    "token_uri": "https://oauth2.googleapis.com/token",
}  # fmt: skip
KEY = "gcp-cdn.json"
GIVEN: dict[str, Any] = {
    "project": "acme-shop", "urlMap": "shop", "paths": ["/a/*"], "credentials": {"file": KEY}
}  # fmt: skip
WAITING = GIVEN | {"wait": True}
STARTED: Json = {"started": ["op-1", "op-2"], "ended": 1}
TOKEN = Reply(200, b'{"access_token": "at-1", "expires_in": 3599, "token_type": "Bearer"}')


def operation(status: str, **more: Any) -> Reply:
    """As "Resource: Operation"."""
    return Reply(200, json.dumps({"name": "op-1", "status": status, **more}).encode())


def refused(status: int, reason: str) -> Reply:
    """As "Concurrent operation limit exceeded error" of the page of quotas."""
    error = {"code": status, "message": "why", "errors": [{"reason": reason, "domain": "global"}]}
    return Reply(status, json.dumps({"error": error}).encode())


FAILED = operation(
    "DONE", error={"errors": [{"code": "RESOURCE_NOT_FOUND", "message": "The map is gone"}]}
)
ERRORS = yaml.safe_load((Path(__file__).parents[1] / "data/services/gcp-errors.yaml").read_text())
SUBJECTS = [
    Subject(
        handler,
        parameters=GIVEN,
        secrets={KEY: json.dumps(ACCOUNT)},
        uses_key=False,  # a UUID is made of it
        cases=[
            Case([TOKEN, operation("RUNNING")], Succeeded),
            Case([TOKEN, FAILED], PermanentError, name="an operation that failed at once"),
            *(Case([TOKEN, refused(403, reason)], ends, name=f"403 {reason}")
              for kind, ends in (("permanent", PermanentError), ("limited", TemporaryError))
              for reason in ERRORS[kind]),
            Case(Reply(400, b'{"error": "invalid_grant", "error_description": "Invalid JWT"}'),
                 PermanentError, name="a key that is no longer valid"),
            Case(Reply(200, b"{}"), PermanentError, name="a token's answer without one"),
            *(Case([TOKEN, *case.script], case.ends, name=f"start: {case}") for case in usual()),
            Case([TOKEN, Fault.GARBLED], TemporaryError, name="start: no JSON"),
            Case([TOKEN, Reply(200, b"{}")], TemporaryError, name="no operation"),
            Case(Fault.GARBLED, PermanentError),
            *usual(),
        ],
    ),
    Subject(
        handler,
        parameters=WAITING,
        secrets={KEY: json.dumps(ACCOUNT)},
        uses_key=False,
        cases=[
            Case([TOKEN, operation("PENDING")], Pending),
            Case([TOKEN, operation("RUNNING")], Pending, state=STARTED, name="running"),
            Case([TOKEN, operation("DONE")], Succeeded, state=STARTED, name="done"),
            Case([TOKEN, FAILED], PermanentError, state=STARTED, name="failed"),
            *(Case([TOKEN, *case.script], case.ends, state=STARTED, name=str(case))
              for case in usual()),
            Case([TOKEN, Fault.GARBLED], TemporaryError, state=STARTED),
            Case(Fault.GARBLED, PermanentError),
            *usual(),
        ],
    ),
]  # fmt: skip


def made(*answers: Reply, state: Json = None, number: int = 1, **given: Any) -> Attempted:
    parameters = {"project": "acme-shop", "urlMap": "shop", "credentials": {"file": KEY}, **given}
    return attempt(
        SUBJECTS[0], [TOKEN, *answers], parameters=parameters, state=state, number=number
    )


def test_a_path_is_a_request_and_ten_tags_are_one() -> None:
    """Each once, for one host if wanted."""
    one = made(operation("RUNNING"), paths=["/a", "/b/*", "/a"], host="www.example.com")
    assert [json.loads(seen.body) for seen in one.seen[1:]] == [
        {"path": "/a", "host": "www.example.com"}, {"path": "/b/*", "host": "www.example.com"}
    ]  # fmt: skip
    assert urlsplit(one.addresses[1]).path == (
        "/compute/v1/projects/acme-shop/global/urlMaps/shop/invalidateCache"
    )
    assert one.seen[1].headers["authorization"] == "Bearer at-1"
    other = made(operation("RUNNING"), tags=[f"t{n}" for n in range(25)])
    assert [len(json.loads(seen.body)["cacheTags"]) for seen in other.seen[1:]] == [10, 10, 5]
    assert other.outcome.output == {"operations": ["op-1"] * 3}


def test_a_request_that_is_sent_again_has_the_same_id_and_each_its_own() -> None:
    """By which the service knows it; what was started is not started again."""
    paths = ["/a", "/b", "/c"]
    first = made(operation("RUNNING"), Reply(503), paths=paths)
    assert first.outcome.state == {"started": ["op-1"]}
    rest = made(operation("RUNNING"), paths=paths, state=first.outcome.state, number=2)
    ids = [
        parse_qs(urlsplit(address).query)["requestId"][0]
        for address in (*first.addresses[1:], *rest.addresses[1:])
    ]
    assert ids[1] == ids[2]
    assert len(set(ids)) == 3
    assert rest.outcome.output == {"operations": ["op-1"] * 3}


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_the_token_is_asked_for_with_the_accounts_signature() -> None:
    """For the one scope that invalidating needs."""
    one = made(operation("RUNNING"), paths=["/a"])
    signed = parse_qs(one.seen[0].body.decode())["assertion"][0]
    claims = jwt.decode(signed, KEY_PAIR.public_key(), ["RS256"], audience=ACCOUNT["token_uri"])
    assert claims["scope"] == "https://www.googleapis.com/auth/compute"
    assert claims["iss"] == ACCOUNT["client_email"]


@pytest.mark.parametrize("secret", ["hush-no-json", "[]", "{}", '{"type": "service_account"}'])
def test_credentials_that_are_none_are_told_without_a_word_of_them(secret: str) -> None:
    """And nobody is asked with them."""
    one = attempt(Subject(handler, parameters=GIVEN, secrets={KEY: secret}), [TOKEN])
    assert one.outcome.kind is OutcomeKind.PERMANENT
    assert one.outcome.reason.startswith("the credentials ")
    assert ("hush" in one.outcome.reason, one.seen) == (False, ())


def test_the_token_is_masked_where_somebody_echoes_it() -> None:
    """It opens for an hour what the key opens."""
    told = made(Reply(400, b"cannot serve Bearer at-1"), paths=["/a"]).outcome.reason
    assert told == "answered 400: cannot serve Bearer [secret]"


def test_a_limit_that_google_calls_403_holds_back_all_with_the_credential() -> None:
    """It is no refusal."""
    assert made(refused(403, "rateLimitExceeded"), paths=["/a"]).outcome.limited


FEDERATED = {
    "type": "external_account",
    "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p",
    "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
    "token_url": "https://sts.googleapis.com/v1/token",
}


def federated(tmp_path: Any, **given: Any) -> Attempted:
    (tmp_path / "token").write_text("pod-token")
    source = {"credential_source": {"file": str(tmp_path / "token")}}
    subject = Subject(
        handler, parameters=GIVEN, secrets={KEY: json.dumps(FEDERATED | source | given)}
    )
    kind = "urn:ietf:params:oauth:token-type:access_token"
    told = {"access_token": "at-2", "issued_token_type": kind, "token_type": "Bearer"}
    token = Reply(200, json.dumps(told | {"expires_in": 3599}).encode())
    return attempt(subject, [token, operation("RUNNING")])


def test_a_workload_identity_is_exchanged_through_our_own_door(tmp_path: Any) -> None:
    """The token of a pod for one of Google's."""
    one = federated(tmp_path)
    assert parse_qs(one.seen[0].body.decode())["subject_token"] == ["pod-token"]
    assert one.seen[1].headers["authorization"] == "Bearer at-2"


@pytest.mark.parametrize(
    "given",
    [
        {"token_url": "https://sts.example.com/v1/token"},
        {"token_url": "http://sts.googleapis.com/v1/token"},
        {"service_account_impersonation_url": "https://evil.example.com/"},
        {"type": "authorized_user"},
        {"credential_source": {"executable": {"command": "/bin/true"}}},
    ],
)
def test_a_file_of_ours_is_sent_to_nobody_but_google(tmp_path: Any, given: Any) -> None:
    """Such a configuration names any file, and may stand in a rule."""
    one = federated(tmp_path, **given)
    assert (one.outcome.kind, one.seen) == (OutcomeKind.PERMANENT, ())


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "give one of paths, tags"),
        ({"paths": ["/a"], "tags": ["b"]}, "give one of paths, tags"),
        ({"paths": ["a"]}, "pattern"),
        ({"paths": ["/a?b"]}, "pattern"),
    ],
)
def test_what_the_api_cannot_do_is_refused_before(given: dict[str, Any], words: str) -> None:
    """In words of the rule."""
    with pytest.raises(ValidationError, match=words):
        GcpCdnInvalidate.model_validate(
            {"project": "p", "urlMap": "m", "credentials": "{}", **given}
        )
