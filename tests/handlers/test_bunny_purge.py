"""bunny.purge; the answers are those of https://docs.bunny.net/reference."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from handlers.bunny_purge import BunnyPurge, handler
from receiver.contract import Succeeded
from receiver.testkit import Case, Fault, Reply, Subject, attempt, usual

KEY = {"env": "POSTSYNC_SECRET_BUNNY"}
SUBJECTS = [
    Subject(
        handler,
        parameters={"key": KEY, "urls": ["https://cdn.example.com/a", "https://cdn.example.com/b"]},
        uses_key=False,  # what is purged twice is purged
        parts=2,
        cases=[
            *(Case(Reply(status), Succeeded) for status in (200, 204)),
            Case(Fault.GARBLED, Succeeded),
            *usual(),
        ],
    )
]


def sent(**given: Any) -> list[tuple[str, Any]]:
    made = attempt(SUBJECTS[0], [Reply(204)], parameters={"key": KEY, **given})
    return [(seen.path, json.loads(seen.body) if seen.body else None) for seen in made.seen]


def test_each_url_and_each_tag_is_a_request() -> None:
    """The API takes one at a time, each once; a prefix ends in an asterisk."""
    assert sent(urls=["https://cdn.example.com/a b", "https://cdn.example.com/*"]) == [
        ("/purge?url=https%3A%2F%2Fcdn.example.com%2Fa+b&async=false", None),
        ("/purge?url=https%3A%2F%2Fcdn.example.com%2F%2A&async=false", None),
    ]
    assert sent(pullZone=7, tags=["a", "b", "a"]) == [
        ("/pullzone/7/purgeCache", {"CacheTag": "a"}),
        ("/pullzone/7/purgeCache", {"CacheTag": "b"}),
    ]
    assert sent(pullZone=7, everything=True) == [("/pullzone/7/purgeCache", None)]


@pytest.mark.parametrize(
    ("given", "words"), [({}, "give one of"), ({"tags": ["a"]}, "need the pullZone")]
)
def test_what_the_api_cannot_do_is_refused_before(given: dict[str, Any], words: str) -> None:
    """In words of the rule."""
    with pytest.raises(ValidationError, match=words):
        BunnyPurge.model_validate({"key": "k", **given})
