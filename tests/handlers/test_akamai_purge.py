"""akamai.purge; the answers are those of https://techdocs.akamai.com/purge-cache/reference/api."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace
from typing import Any

import pytest
from akamai.edgegrid import EdgeGridAuth
from pydantic import ValidationError

from handlers.akamai_purge import BODY_LIMIT, AkamaiPurge, handler
from receiver.contract import Succeeded, TemporaryError
from receiver.testkit import Case, Fault, Reply, Subject, attempt, usual

HOST = "akab-example.purge.akamaiapis.net"
GIVEN: dict[str, Any] = {
    "host": HOST,
    "clientToken": {"env": "POSTSYNC_SECRET_CLIENT_TOKEN"},
    "clientSecret": {"env": "POSTSYNC_SECRET_CLIENT_SECRET"},
    "accessToken": {"env": "POSTSYNC_SECRET_ACCESS_TOKEN"},
    "urls": [f"https://www.example.com/{n:04}/{'x' * 60}" for n in range(1000)],
}
PURGED = Reply(201, b'{"httpStatus": 201, "purgeId": "e535-11e3", "estimatedSeconds": 5}')
SUBJECTS = [
    Subject(
        handler,
        parameters=GIVEN,
        uses_key=False,  # what is purged twice is purged
        parts=2,
        cases=[
            Case(PURGED, Succeeded),
            Case(Reply(507, b"rate limit"), TemporaryError, name="507"),
            Case(Fault.GARBLED, Succeeded),
            *usual(),
        ],
    )
]


def test_objects_fill_bodies_up_to_the_limit_and_each_stands_once() -> None:
    """50,000 bytes a request."""
    given = GIVEN | {"urls": [*GIVEN["urls"], GIVEN["urls"][0]]}
    made = attempt(SUBJECTS[0], [PURGED], parameters=given)
    assert max(len(seen.body) for seen in made.seen) <= BODY_LIMIT
    objects = [one for seen in made.seen for one in json.loads(seen.body)["objects"]]
    assert objects == GIVEN["urls"]


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({"tags": ["a"]}, "/ccu/v3/invalidate/tag/production"),
        ({"cpCodes": [7], "action": "delete"}, "/ccu/v3/delete/cpcode/production"),
        ({"urls": ["https://a/"], "network": "staging"}, "/ccu/v3/invalidate/url/staging"),
    ],
)
def test_kind_action_and_network_are_in_the_path(given: dict[str, Any], path: str) -> None:
    """As the API has them."""
    base = {name: value for name, value in GIVEN.items() if name != "urls"}
    made = attempt(SUBJECTS[0], [PURGED], parameters=base | given)
    assert [seen.path for seen in made.seen] == [path]


def test_the_signature_is_what_the_vendor_computes() -> None:
    """From the request as it arrived, with the time and the nonce that it names."""
    subject = Subject(
        handler,
        secrets={f"POSTSYNC_SECRET_{name}": f"hush-{name.lower()}"
                 for name in ("CLIENT_TOKEN", "CLIENT_SECRET", "ACCESS_TOKEN")},
    )  # fmt: skip
    made = attempt(subject, [PURGED], parameters=GIVEN | {"urls": ["https://www.example.com/a"]})
    (seen,) = made.seen
    header = seen.headers["authorization"]
    time, nonce = (re.search(rf"{key}=([^;]+);", header) for key in ("timestamp", "nonce"))
    assert time
    assert nonce
    ours = EdgeGridAuth("hush-client_token", "hush-client_secret", "hush-access_token").ah
    request = SimpleNamespace(method="POST", url=made.addresses[0], headers={}, body=seen.body)
    assert ours.make_auth_header(request, time[1], nonce[1]) == header


def test_a_limit_without_a_time_waits_as_the_reference_advises() -> None:
    """Five seconds."""
    outcome = attempt(SUBJECTS[0], [Reply(429)]).outcome
    assert (outcome.limited, outcome.delay) == (True, 5)


def test_one_kind_must_be_given() -> None:
    """None and several are refused before anything is sent."""
    base = {"host": HOST, "clientToken": "a", "clientSecret": "b", "accessToken": "c"}
    with pytest.raises(ValidationError, match="give one of urls, tags, cpCodes"):
        AkamaiPurge.model_validate(base)
