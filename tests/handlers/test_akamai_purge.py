"""akamai.purge; the answers are those of https://techdocs.akamai.com/purge-cache/reference."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from akamai.edgegrid import EdgeGridAuth
from pydantic import ValidationError

from handlers.akamai_purge import AkamaiPurge, handler
from receiver.contract import PermanentError, Succeeded, TemporaryError
from receiver.core.model import OutcomeKind
from receiver.testkit import Case, Fault, Reply, Subject, attempt, usual

HOST = "https://akab-h05tnam3wl42son7nktnlnnx-kbob3i3v.purge.akamaiapis.net"
KEYS = {
    name: {"env": f"POSTSYNC_SECRET_{name.upper()}"}
    for name in ("clientToken", "clientSecret", "accessToken")
}
VALUES = {"CLIENTTOKEN": "akab-client", "CLIENTSECRET": "c2VjcmV0", "ACCESSTOKEN": "akab-access"}
SECRETS = {f"POSTSYNC_SECRET_{name}": value for name, value in VALUES.items()}
GIVEN: dict[str, Any] = {"api": HOST, **KEYS}

# "Invalidate by cache tag", 201.
ACCEPTED = Reply(
    201,
    b'{"httpStatus": 201, "detail": "Request accepted", "supportId": "17PY1", "purgeId": "e-1",'
    b' "estimatedSeconds": 5}',
)
# "Rate limit response examples": without a Retry-After.
LIMITED = Reply(
    429,
    b'{"supportId": "17PY1", "title": "Rate Limit exceeded", "httpStatus": 429,'
    b' "rateLimit": 100, "rateLimitRemaining": 0}',
    {"X-Ratelimit-Remaining": "0"},
)
ERRORS = yaml.safe_load(
    (Path(__file__).parents[1] / "data/services/akamai-errors.yaml").read_text()
)

SUBJECTS = [
    Subject(
        handler,
        parameters=GIVEN | {"tags": [f"{n:0>100}" for n in range(1000)]},
        uses_key=False,  # what is purged twice is purged
        parts=3,
        cases=[
            Case(ACCEPTED, Succeeded),
            *(
                Case(Reply(status, b"{}"), ends, name=f"{status}, problem")
                for kind, ends in (("permanent", PermanentError), ("temporary", TemporaryError))
                for status in ERRORS[kind]
            ),
            Case(LIMITED, TemporaryError, name="429 without Retry-After"),
            Case(Fault.GARBLED, Succeeded),
            *usual(),
        ],
    )
]  # fmt: skip


def bodies(**given: Any) -> tuple[list[Any], tuple[str, ...]]:
    """What is sent for these parameters, and where."""
    made = attempt(SUBJECTS[0], [ACCEPTED], parameters=GIVEN | given)
    assert made.outcome.kind is OutcomeKind.SUCCEEDED, made.outcome.reason
    return [json.loads(seen.body)["objects"] for seen in made.seen], tuple(made.addresses)


def test_the_vendor_finds_the_signature_right() -> None:
    """Its library signs what has arrived again, with the same moment and nonce."""
    subject = Subject(handler, parameters=GIVEN | {"tags": ["a", "é"]}, secrets=SECRETS)
    made = attempt(subject, [ACCEPTED])
    (seen,) = made.seen
    told = seen.headers["authorization"]
    fields = dict(re.findall(r"(\w+)=([^;]+)", told))
    signer = EdgeGridAuth(*VALUES.values()).ah
    request = SimpleNamespace(method=seen.method, url=made.addresses[0], headers={}, body=seen.body)
    assert told == signer.make_auth_header(request, fields["timestamp"], fields["nonce"])
    assert fields["client_token"] == "akab-client"


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({"tags": ["a"]}, "invalidate/tag/production"),
        ({"urls": ["https://www.example.com/a"], "action": "delete"}, "delete/url/production"),
        ({"cpCodes": [7], "network": "staging"}, "invalidate/cpcode/staging"),
    ],
)
def test_each_kind_has_its_address(given: dict[str, Any], path: str) -> None:
    """As the API names them."""
    sent, addresses = bodies(**given)
    assert sent == [[next(value[0] for value in given.values() if isinstance(value, list))]]
    assert addresses == (f"{HOST}/ccu/v3/{path}",)


def test_a_body_has_at_most_50000_bytes_and_each_object_once() -> None:
    """Which the API would answer with 413."""
    urls = [f"https://www.example.com/{n:0>200}" for n in range(1000)]
    made = attempt(SUBJECTS[0], [ACCEPTED], parameters=GIVEN | {"urls": [*urls, urls[0]]})
    assert max(len(seen.body) for seen in made.seen) <= 50_000
    assert [url for seen in made.seen for url in json.loads(seen.body)["objects"]] == urls
    assert made.outcome.output == {"objects": 1000, "requests": 8}


def test_a_request_has_no_more_objects_than_a_full_bucket_has_tokens() -> None:
    """It would never be taken: tokens come back up to the bucket's size, and no further."""
    sent, _ = bodies(cpCodes=list(range(1, 702)))
    assert [len(objects) for objects in sent] == [300, 300, 101]
    sent, _ = bodies(tags=[])
    assert sent == []


def test_a_limit_without_a_time_is_waited_for_as_the_reference_says() -> None:
    """Five seconds, by everybody with the same credential."""
    outcome = attempt(SUBJECTS[0], [LIMITED]).outcome
    assert (outcome.kind, outcome.delay, outcome.limited) == (OutcomeKind.TEMPORARY, 5, True)
    assert outcome.state == {"batchesDone": 0}


@pytest.mark.parametrize(
    "given", [{}, {"tags": ["a"], "urls": ["b"]}, {"tags": ["a"], "cpCodes": [1]}]
)
def test_one_kind_must_be_given(given: dict[str, Any]) -> None:
    """None and several are refused before anything is sent."""
    keys = dict.fromkeys(KEYS, "k")
    with pytest.raises(ValidationError, match="give one of urls, tags, cpCodes"):
        AkamaiPurge.model_validate({"api": HOST, **keys, **given})
