"""Plain notifications are answered before Flask routes them, and just as it would."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from doors import AS_OPERATOR, AS_SENDER, Doors, doors
from notifications import notification, resource
from sqlalchemy import select

from receiver.ledger import tables
from receiver.ledger.engine.ledger import Ledger

PATH = "/v1/notifications"
BODY = notification(resource("a"))
BY_FLASK = {"through": "flask"}
"""A query, with which a request is Flask's."""


@pytest.fixture
def web(ledger: Ledger, tmp_path: Path) -> Iterator[Doors]:
    with doors(ledger, tmp_path, max_body=64 << 10) as made:
        yield made


BODIES = (BODY, b"", b"{", b"x" * (65 << 10))
IDS = {"delivery", "sync", "verdict", "reason"}


@pytest.mark.parametrize("path", [PATH, f"{PATH}/one", f"{PATH}/One", f"{PATH}/", f"{PATH}x"])
@pytest.mark.parametrize(
    "headers", [AS_SENDER, AS_OPERATOR, {}], ids=["sender", "operator", "none"]
)
def test_both_ways_answer_alike(web: Doors, path: str, headers: dict[str, str]) -> None:
    """Status, headers and words are those of Flask's routes; the ids and lengths differ."""
    for body in BODIES:
        answers = [
            web.client.post(path, data=body, headers=headers, query_string=query)
            for query in ({}, BY_FLASK)
        ]
        plain, routed = (
            (one.status_code, {**one.headers, "Content-Length": ""}, dict(one.json or {}))
            for one in answers
        )
        for _, _, words in (plain, routed):
            for name in IDS if plain[0] == 202 else {"delivery"}:
                words[name] = name in words
        assert plain == routed


class Broken(io.BytesIO):
    def read(self, _size: int | None = -1) -> bytes:
        raise ArithmeticError("nobody expects this")


@pytest.mark.parametrize("query", [{}, BY_FLASK], ids=["plain", "routed"])
def test_an_error_that_nothing_provides_for(
    web: Doors, capfd: pytest.CaptureFixture[str], query: dict[str, str]
) -> None:
    """It is answered with a problem that shows nothing of it, and the log has it."""
    answer = web.client.post(
        PATH, input_stream=Broken(), headers={**AS_SENDER, "Content-Length": "5"},
        query_string=query,
    )  # fmt: skip
    assert (answer.status_code, answer.mimetype) == (500, "application/problem+json")
    assert answer.json is not None
    assert answer.json["reason"] == "internal"
    assert "nobody expects" not in answer.text
    assert "nobody expects this" in capfd.readouterr().out


def test_both_ways_store_and_count_alike(web: Doors) -> None:
    """The ledger has the same rows of both, and the metrics count both."""
    for name in ("one", "two"):
        query = BY_FLASK if name == "two" else {}
        body = notification(resource("a"), application=name)
        answer = web.client.post(
            f"{PATH}/deployed", data=body, headers=AS_SENDER, query_string=query
        )
        assert answer.status_code == 202
    with web.ledger.read() as connection:
        rows = connection.execute(select(tables.deliveries).order_by(tables.deliveries.c.id)).all()
    first, second = ({**row._mapping} for row in rows)
    for name in ("id", "sync_id", "received_at", "body", "query"):
        first.pop(name)
        second.pop(name)
    assert first == second
    metrics = web.client.get("/metrics").text
    told = 'postsync_notifications_total{channel="deployed",sender="argocd",verdict="accepted"} 2.0'
    assert told in metrics
