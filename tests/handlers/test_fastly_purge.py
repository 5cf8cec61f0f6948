"""fastly.purge; the answers are those of https://www.fastly.com/documentation/reference/api/purging/."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from handlers.fastly_purge import FastlyPurge, handler
from receiver.contract import Succeeded
from receiver.testkit import Case, Fault, Reply, Subject, attempt, usual

TOKEN = {"env": "POSTSYNC_SECRET_FASTLY"}
SERVICE = "SU1Z0isxPaozGVKXdv0eY"
PURGED = Reply(200, b'{"status": "ok", "id": "108-1391560174-974124"}')
SUBJECTS = [
    Subject(
        handler,
        parameters={"service": SERVICE, "token": TOKEN, "keys": [f"k{n}" for n in range(600)]},
        uses_key=False,  # what is purged twice is purged
        parts=3,
        cases=[Case(PURGED, Succeeded), Case(Fault.GARBLED, Succeeded), *usual()],
    )
]


def sent(**given: Any) -> list[tuple[str, Any, str]]:
    """Path, body and the soft header of each request."""
    made = attempt(SUBJECTS[0], [PURGED], parameters={"token": TOKEN, **given})
    return [
        (
            seen.path,
            json.loads(seen.body) if seen.body else None,
            seen.headers.get("fastly-soft-purge", ""),
        )
        for seen in made.seen
    ]


def test_keys_go_256_to_a_request() -> None:
    """The reference's limit."""
    found = sent(service=SERVICE, keys=[f"k{n}" for n in range(600)])
    assert [len(body["surrogate_keys"]) for _, body, _ in found] == [256, 256, 88]
    assert {path for path, *_ in found} == {f"/service/{SERVICE}/purge"}


def test_urls_have_a_request_each_without_their_scheme() -> None:
    """And may be soft, as keys may."""
    urls = ["https://www.example.com/a.css", "www.example.com/b.css"]
    assert sent(urls=urls, soft=True) == [
        ("/purge/www.example.com/a.css", None, "1"),
        ("/purge/www.example.com/b.css", None, "1"),
    ]


def test_everything_is_one_request() -> None:
    """It must be asked for."""
    assert sent(service=SERVICE, everything=True) == [(f"/service/{SERVICE}/purge_all", None, "")]


def test_a_limit_is_waited_for_until_its_window_ends() -> None:
    """The header is a moment, in seconds since 1970; no window is longer than an hour."""
    for reset, least, most in (("0", 0, 0), ("99999999999", 3600, 3600)):
        busy = Reply(429, b"{}", {"Fastly-RateLimit-Reset": reset})
        outcome = attempt(SUBJECTS[0], [busy]).outcome
        assert outcome.limited
        assert least <= (outcome.delay or 0) <= most


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "give one of urls, keys"),
        ({"keys": ["a"]}, "need the service"),
        ({"everything": True, "soft": True, "service": "s"}, "cannot be purged softly"),
        ({"keys": ["a"], "urls": ["b"], "service": "s"}, "give one of"),
    ],
)
def test_what_the_api_cannot_do_is_refused_before(given: dict[str, Any], words: str) -> None:
    """In words of the rule."""
    with pytest.raises(ValidationError, match=words):
        FastlyPurge.model_validate({"token": "t", **given})
