"""The read API."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from desks import put_in_force
from doors import AS_OPERATOR, AS_SENDER, AS_VIEWER, VIEWER, Doors, doors, token_file
from house import House
from notifications import notification, resource

from receiver.core.errors import SettingsError
from receiver.core.logs import configure_logs
from receiver.ledger.engine.ledger import Ledger
from receiver.settings.tokens import Keyring
from receiver.web.openapi_document import OPERATIONS
from receiver.web.operation import Operation, Who

RULE = """
- name: purge
  match: {resources: [{kind: ConfigMap}]}
  actions: [{uses: log.message, with: {text: x}}]
"""


@pytest.fixture
def web(ledger: Ledger, tmp_path: Path) -> Iterator[Doors]:
    with doors(ledger, tmp_path) as made:
        yield made


def post(web: Doors, application: str) -> str:
    body = notification(resource("a"), application=application)
    answer = web.client.post("/v1/notifications", data=body, headers=AS_SENDER)
    assert answer.json
    return str(answer.json["sync"])


def get(web: Doors, path: str, **query: Any) -> Any:
    answer = web.client.get(path, query_string=query, headers=AS_VIEWER)
    assert answer.status_code == 200, answer.json
    return answer.json


def listed(web: Doors, **query: str) -> list[str]:
    answer = web.client.get("/v1/syncs", query_string=query, headers=AS_OPERATOR)
    assert answer.status_code == 200
    assert answer.json
    return [row["id"] for row in answer.json["syncs"]]


def test_syncs_are_listed_newest_first_in_pages(web: Doors) -> None:
    """`next` leads from page to page, and is null on the last one."""
    ids = [post(web, f"app{i}") for i in range(3)]
    first = get(web, "/v1/syncs", limit="2")
    second = get(web, "/v1/syncs", limit="2", cursor=first["next"])
    found = [row["id"] for page in (first, second) for row in page["syncs"]]
    assert found == sorted(ids, reverse=True)
    assert second["next"] is None


def test_syncs_of_one_application_are_found_by_its_name(web: Doors) -> None:
    """With its namespace or without."""
    post(web, "shop")
    wanted = post(web, "blog")
    assert listed(web, application="blog") == listed(web, application="argocd/blog") == [wanted]


@pytest.mark.parametrize(
    ("path", "query", "reason", "words"),
    [
        ("/v1/syncs", {"limit": "0"}, "bad_parameter", "limit: must be at least 1"),
        ("/v1/runs", {"limit": "501"}, "bad_parameter", "limit: must be at most 500"),
        ("/v1/syncs", {"limit": "x"}, "bad_parameter", "limit: must be a whole number"),
        ("/v1/runs", {"stat": "failed"}, "bad_parameter", "did you mean state?"),
        ("/v1/plans", {"state": "helt"}, "bad_parameter", "did you mean held?"),
        ("/v1/syncs", {"since": "yesterday"}, "bad_parameter", "is no time; write 2h"),
        ("/v1/runs", {"since": "2026-06-01T00:00:00"}, "bad_parameter", "without its zone"),
        ("/v1/events", {"after": "x"}, "bad_parameter", "after: must be a whole number"),
        ("/v1/syncs", {"cursor": "x"}, "bad_cursor", "the cursor is none of a list of syncs"),
    ],
)
def test_a_parameter_that_cannot_be_is_told_with_the_way_out(
    web: Doors, path: str, query: dict[str, str], reason: str, words: str
) -> None:
    """One message names it, and the answer is a problem."""
    answer = web.client.get(path, query_string=query, headers=AS_OPERATOR)
    assert (answer.status_code, answer.content_type) == (400, "application/problem+json")
    assert answer.json
    assert answer.json["reason"] == reason
    assert words in answer.json["detail"]
    assert answer.json["hint"]


def test_a_cursor_of_another_list_is_refused(web: Doors) -> None:
    """It would begin nowhere."""
    for name in ("shop", "blog"):
        post(web, name)
    cursor = get(web, "/v1/syncs", limit="1")["next"]
    answer = web.client.get(f"/v1/runs?cursor={cursor}", headers=AS_OPERATOR)
    assert (answer.status_code, answer.json and answer.json["reason"]) == (400, "bad_cursor")


def test_syncs_are_filtered_by_time_and_state(web: Doors) -> None:
    """A duration counts back from now; nothing is planned here, so all are new."""
    wanted = post(web, "shop")
    assert listed(web, since="1m", state="new") == [wanted]
    assert listed(web, until="1m") == []
    assert listed(web, state="planned") == []


def test_the_trail_is_read_on_from_where_a_page_ended(web: Doors) -> None:
    """Also from an empty page, which is where `tail -f` waits."""
    post(web, "shop")
    first = get(web, "/v1/events", event="notification.*")
    assert [line["event"] for line in first["events"]] == ["notification.accepted"]
    nothing = get(web, "/v1/events", after=first["next"], event="notification.*")
    assert (nothing["events"], nothing["more"]) == ([], False)
    post(web, "blog")
    second = get(web, "/v1/events", after=nothing["next"])
    assert [line["application"] for line in second["events"]] == ["argocd/blog"]


@pytest.mark.parametrize(
    ("query", "number"),
    [
        ({"application": "shop"}, 1),
        ({"application": "argocd/shop"}, 1),
        ({"application": "other/shop"}, 0),
        ({"application": "sho_"}, 0),
        ({"event": "notification.accepted"}, 2),
        ({"event": "NOTIFICATION*x"}, 0),
        ({"event": "run.*"}, 0),
        ({"since": "1m"}, 2),
        ({"limit": "1"}, 1),
    ],
)
def test_the_trail_is_filtered(web: Doors, query: dict[str, str], number: int) -> None:
    """By Application, event and time."""
    for name in ("shop", "blog"):
        post(web, name)
    assert len(get(web, "/v1/events", **query)["events"]) == number


def test_one_sync_tells_its_deliveries(web: Doors) -> None:
    """By its id, and the newest one as `last`."""
    wanted = post(web, "shop")
    for name in (wanted, "last"):
        story = web.client.get(f"/v1/syncs/{name}", headers=AS_OPERATOR).json
        assert story
        assert story["id"] == wanted
        assert [delivery["verdict"] for delivery in story["deliveries"]] == ["accepted"]


def test_one_rule_and_one_resource_of_an_explanation_are_asked_for(
    web: Doors, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a story leaves out of a large sync is there when it is asked for by name."""
    monkeypatch.setattr("receiver.rules.matching.explanation.MOST", 1)
    house = House.of(web.ledger, f"{RULE}{RULE.replace('purge', 'other')}")
    house.sync("a", "b")
    put_in_force(house)
    whole = get(web, "/v1/syncs/last")
    assert [row["more"] for row in whole["explanation"]] == [{"matched": 1}] * 2
    assert whole["explanationNote"].startswith("2 findings are left out")
    asked = {"rule": "other", "resource": "ConfigMap/shop/b"}
    story = get(web, "/v1/syncs/last", **asked)
    (row,) = story["explanation"]
    assert (row["rule"], row["resources"][0]["resource"]) == ("other", "ConfigMap/shop/b")
    assert story["explanationNote"] == ""


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
    assert answer.status_code == (403 if headers else 401)
    assert ("WWW-Authenticate" in answer.headers) == (not headers)


LOOKS = [one for one in OPERATIONS if one.who is Who.VIEWER]
ACTS = [one for one in OPERATIONS if one.who is Who.OPERATOR]


@pytest.mark.parametrize("operation", [*LOOKS, *ACTS], ids=lambda one: one.name)
@pytest.mark.parametrize("headers", [{}, AS_SENDER])
def test_every_route_asks_for_a_token_of_its_own(
    web: Doors, operation: Operation, headers: dict[str, str]
) -> None:
    """Neither nobody nor a sender may look or act."""
    path = operation.path.replace("{", "").replace("}", "")
    answer = web.client.open(path, method=operation.method.upper(), headers=headers)
    assert answer.status_code == (403 if headers else 401)


@pytest.mark.parametrize("operation", ACTS, ids=lambda one: one.name)
def test_a_viewer_may_not_act(web: Doors, operation: Operation) -> None:
    """The answer says whose token it takes."""
    path = operation.path.replace("{", "").replace("}", "")
    answer = web.client.open(path, method=operation.method.upper(), headers=AS_VIEWER)
    assert (answer.status_code, answer.json and answer.json["reason"]) == (403, "forbidden")
    assert "operators" in (answer.json or {})["hint"]


def test_a_token_of_two_folders_is_refused_at_the_start(tmp_path: Path) -> None:
    """It could mean either; the message names both."""
    token_file(tmp_path, "viewers/bob", VIEWER)
    token_file(tmp_path, "operators/bob", VIEWER)
    with pytest.raises(SettingsError, match=r"operators.* same token stands in .*viewers"):
        Keyring(tmp_path, configure_logs("json"))
