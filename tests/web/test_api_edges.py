"""The read API over what nobody should ask: forged cursors, broken text, times beyond the last."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from doors import AS_VIEWER, Doors, doors

from receiver.ledger.engine.ledger import Ledger


@pytest.fixture
def web(ledger: Ledger, tmp_path: Path) -> Iterator[Doors]:
    with doors(ledger, tmp_path) as made:
        yield made


def cursor(*parts: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "forged",
    [
        cursor("syncs", "\ud800"),
        cursor("syncs", "\u00e4"),
        cursor("syncs", "\0"),
        cursor("syncs", ""),
        cursor("syncs", 1),
        cursor("syncs"),
        cursor("syncs", "s-1", "s-2"),
        cursor([[[]]]),
        "W" * 200,
        "%ff",
        "\u00e4",
    ],
)
def test_a_cursor_that_nobody_gave_is_refused(web: Doors, forged: str) -> None:
    """Whatever it decodes to."""
    answer = web.client.get("/v1/syncs", query_string={"cursor": forged}, headers=AS_VIEWER)
    assert (answer.status_code, answer.json and answer.json["reason"]) == (400, "bad_cursor")


@pytest.mark.parametrize("text", ["%00", "%ff", "%ed%a0%80", "%F0%9F%8E%82", "%25", "'", "a%0ab"])
def test_what_is_no_text_finds_nothing(web: Doors, text: str) -> None:
    """Neither in a filter nor as an id; and never is it a fault of ours."""
    for path in ("syncs?application=", "runs?rule=", "runs?sync=", "events?rule=", "events?sync="):
        answer = web.client.get(f"/v1/{path}{text}", headers=AS_VIEWER)
        kind = path.partition("?")[0]
        assert (answer.status_code, answer.json and answer.json[kind]) == (200, [])
    for kind in ("syncs", "plans", "runs"):
        answer = web.client.get(f"/v1/{kind}/{text}", headers=AS_VIEWER)
        assert (answer.status_code, answer.content_type) == (404, "application/problem+json")


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("since=0001-01-01T00:00:00%2B14:00", 200),
        ("until=9999-12-31T23:59:59-14:00", 200),
        ("since=9999-12-31T23:59:59Z&until=0001-01-01T00:00:00Z", 200),
        ("since=99999999999999h", 400),
        ("since=999999d", 400),
        ("limit=99999999999999999999999", 400),
        ("limit=", 400),
        ("=x", 400),
        ("%ff=1", 400),
    ],
)
def test_the_edges_of_what_can_be_asked_are_told_apart(web: Doors, query: str, status: int) -> None:
    """The first and the last moment that there is, and what lies beyond."""
    for kind in ("syncs", "plans", "runs"):
        answer = web.client.get(f"/v1/{kind}?{query}", headers=AS_VIEWER)
        assert answer.status_code == status, answer.json


@pytest.mark.parametrize("after", ["9223372036854775808", "-1", "1e3", "%D9%A1", ""])
def test_a_place_in_the_trail_is_a_number_that_it_can_have(web: Doors, after: str) -> None:
    """The greatest that the ledger knows is the last that is taken."""
    last = web.client.get(f"/v1/events?after={(1 << 63) - 1}", headers=AS_VIEWER).json
    assert last == {"events": [], "next": (1 << 63) - 1, "more": False, "warning": ""}
    answer = web.client.get(f"/v1/events?after={after}", headers=AS_VIEWER)
    assert (answer.status_code, answer.json and answer.json["reason"]) == (400, "bad_parameter")
