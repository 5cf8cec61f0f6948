"""The read API."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from doors import AS_OPERATOR, AS_SENDER, Doors, doors
from notifications import notification, resource

from receiver.ledger.connect import Ledger


@pytest.fixture
def web(ledger: Ledger, tmp_path: Path) -> Iterator[Doors]:
    with doors(ledger, tmp_path) as made:
        yield made


def post(web: Doors, application: str) -> str:
    body = notification(resource("a"), application=application)
    answer = web.client.post("/v1/notifications", data=body, headers=AS_SENDER)
    assert answer.json
    return str(answer.json["sync"])


def listed(web: Doors, **query: str) -> list[str]:
    answer = web.client.get("/v1/syncs", query_string=query, headers=AS_OPERATOR)
    assert answer.status_code == 200
    assert answer.json
    return [row["id"] for row in answer.json["syncs"]]


def test_syncs_are_listed_newest_first_in_pages(web: Doors) -> None:
    """`before` is the last id of the page before."""
    ids = [post(web, f"app{i}") for i in range(3)]
    newest_first = sorted(ids, reverse=True)
    assert listed(web) == newest_first
    assert listed(web, limit="2") == newest_first[:2]
    assert listed(web, before=newest_first[1]) == newest_first[2:]


def test_syncs_of_one_application_are_found_by_its_name(web: Doors) -> None:
    """With its namespace or without."""
    post(web, "shop")
    wanted = post(web, "blog")
    assert listed(web, application="blog") == listed(web, application="argocd/blog") == [wanted]


@pytest.mark.parametrize("limit", ["0", "501", "x", "-1"])
def test_a_limit_out_of_range_says_the_range(web: Doors, limit: str) -> None:
    """No page is larger than the server can make at once."""
    answer = web.client.get("/v1/syncs", query_string={"limit": limit}, headers=AS_OPERATOR)
    assert answer.status_code == 400
    assert answer.json
    assert "from 1 to 500" in answer.json["hint"]


def test_one_sync_tells_its_deliveries(web: Doors) -> None:
    """By its id, and the newest one as `last`."""
    wanted = post(web, "shop")
    for name in (wanted, "last"):
        story = web.client.get(f"/v1/syncs/{name}", headers=AS_OPERATOR).json
        assert story
        assert story["id"] == wanted
        assert [delivery["verdict"] for delivery in story["deliveries"]] == ["accepted"]


@pytest.mark.parametrize("name", ["s-nothing", "last"])
def test_an_unknown_sync_is_a_404(web: Doors, name: str) -> None:
    """An empty ledger has no last one either."""
    answer = web.client.get(f"/v1/syncs/{name}", headers=AS_OPERATOR)
    assert (answer.status_code, answer.content_type) == (404, "application/problem+json")


@pytest.mark.parametrize("path", ["/v1/syncs", "/v1/syncs/last"])
@pytest.mark.parametrize("headers", [{}, AS_SENDER])
def test_only_an_operator_may_read(web: Doors, path: str, headers: dict[str, str]) -> None:
    """A sender's token is for sending alone."""
    answer = web.client.get(path, headers=headers)
    assert answer.status_code == 401
    assert "WWW-Authenticate" in answer.headers
