"""`GET /v1/deliveries`: notifications as they were stored, and what became of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from desks import TWO, house_of
from doors import AS_SENDER, AS_VIEWER, Doors, doors
from house import House
from notifications import notification, resource

from receiver.ledger.engine.ledger import Ledger


@pytest.fixture
def web(ledger: Ledger, tmp_path: Path) -> Iterator[Doors]:
    with doors(ledger, tmp_path) as made:
        yield made


@pytest.fixture
def house(ledger: Ledger) -> House:
    return house_of(ledger, TWO)


def get(web: Doors, path: str, **query: Any) -> Any:
    answer = web.client.get(f"/v1/deliveries{path}", query_string=query, headers=AS_VIEWER)
    assert answer.status_code == 200, answer.text
    return answer.json


def post(web: Doors, body: bytes, **query: str) -> Any:
    path = "/v1/notifications"
    return web.client.post(path, data=body, query_string=query, headers=AS_SENDER).json


def test_a_notification_is_shown_as_it_came(web: Doors) -> None:
    """With its verdict, its sender, its channel and its query."""
    body = notification(resource("a"))
    receipt = post(web, body, via="proxy")
    found = get(web, f"/{receipt['delivery']}")
    assert found["notification"] == json.loads(body)
    assert (found["verdict"], found["sender"], found["channel"]) == ("accepted", "argocd", "sync")
    assert (found["query"], found["size"], found["note"]) == ({"via": "proxy"}, len(body), "")


def test_it_is_found_by_its_sync_and_as_the_last(web: Doors) -> None:
    """That is what one has at hand."""
    receipts = [post(web, notification(resource("a"), application=name)) for name in ("a", "b")]
    first, last = (receipt["delivery"] for receipt in receipts)
    assert get(web, f"/{receipts[0]['sync']}")["id"] == first
    assert get(web, "/last")["id"] == last


def test_it_tells_what_became_of_it(web: Doors, house: House) -> None:
    """The sync's state, and its plans with the resources that they are for."""
    sync = house.sync("a", resource("s", kind="Secret"))
    house.work()
    outcome = get(web, f"/{sync}")["outcome"]
    assert (outcome["application"], outcome["state"]) == ("argocd/shop", "planned")
    (plan,) = outcome["plans"]
    assert (plan["rule"], plan["mode"], plan["state"]) == ("r", "run", "succeeded")
    assert plan["targets"] == ["ConfigMap/shop/a"]
    assert outcome["recalled"] == {}


def test_a_plan_that_collects_is_told_of_each_of_its_syncs(web: Doors, ledger: Ledger) -> None:
    """With the resources of that sync alone."""
    debounce = "  debounce: {window: 1m, maxWait: 2m}\n  actions: [{uses: log.message, "
    rules = f"- name: g\n  match: {{resources: [{{kind: ConfigMap}}]}}\n{debounce}"
    house = house_of(ledger, f"{rules}target: batch, with: {{text: x}}}}]\n")
    syncs = [house.sync(name, at=number) for number, name in enumerate("ab")]
    plans = [get(web, f"/{sync}")["outcome"]["plans"] for sync in syncs]
    assert [[plan["targets"] for plan in each] for each in plans] == [
        [["ConfigMap/shop/a"]], [["ConfigMap/shop/b"]],
    ]  # fmt: skip
    assert plans[0][0]["id"] == plans[1][0]["id"]


def test_of_a_duplicate_it_says_where_the_body_is(web: Doors) -> None:
    """It is kept once."""
    body = notification(resource("a"))
    first, second = post(web, body), post(web, body)
    found = get(web, f"/{second['delivery']}")
    assert (found["verdict"], found["notification"], found["text"]) == ("duplicate", None, "")
    assert found["note"].endswith(f"is in GET /v1/deliveries/{first['delivery']}")


def test_what_was_refused_is_listed_with_its_text(web: Doors) -> None:
    """Also what is no JSON; nothing came of it."""
    post(web, notification(resource("a")))
    post(web, b'{"application": <no value>\npassword: hunter22')
    (found,) = get(web, "", verdict="refused", fields="*")["deliveries"]
    assert found["text"] == '{"application": <no value>\npassword: [secret]'
    assert (found["outcome"], found["sync"]) == (None, None)
    assert "not JSON" in found["reason"]


def test_the_list_goes_page_by_page(web: Doors, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest first; a page ends where its notifications grow too large, with one at least."""
    ids = [
        post(web, notification(resource("a"), application=f"a{n}"))["delivery"] for n in range(3)
    ]
    for limit, most in ((1, 1 << 20), (50, 10)):
        monkeypatch.setattr("receiver.ledger.queries.bulky.MOST_BYTES", most)
        found, cursor = [], ""
        while cursor is not None:
            page = get(web, "", limit=limit, cursor=cursor, fields="id,notification")
            assert len(page["deliveries"]) == 1
            found.append(page["deliveries"][0]["id"])
            cursor = page["next"]
        assert found == sorted(ids, reverse=True)


def test_the_list_is_filtered(web: Doors) -> None:
    """By Application, time and verdict."""
    for name in ("a", "b"):
        post(web, notification(resource("a"), application=name))
    assert len(get(web, "", application="a", since="1m")["deliveries"]) == 1
    assert get(web, "", until="1m")["deliveries"] == []
    assert "no sync of c" in get(web, "", application="c")["warning"]


def test_one_that_is_not_there_is_a_404(web: Doors) -> None:
    """Also before anything came."""
    for wanted in ("d-1", "s-1", "last"):
        answer = web.client.get(f"/v1/deliveries/{wanted}", headers=AS_VIEWER)
        assert answer.status_code == 404
        assert answer.json
        assert answer.json["reason"] == "no_such_delivery"
