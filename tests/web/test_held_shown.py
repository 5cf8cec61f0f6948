"""What Postsync itself tells, beside the syncs of Argo CD, wherever these are shown."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from desks import HOLDING, live_house_of
from doors import AS_OPERATOR, Doors
from extension import extension_doors, get
from house import House
from page import log_in, look, words

from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.inbox.own_notifications import OwnNotifications


@pytest.fixture
def web(ledger: Ledger, tmp_path: Path) -> Iterator[Doors]:
    with extension_doors(ledger, tmp_path) as made:
        yield made


@pytest.fixture
def house(ledger: Ledger) -> House:
    made = live_house_of(ledger, HOLDING)
    made.tells = OwnNotifications(None, reaches=True)
    return made


def ask(web: Doors, path: str) -> Any:
    answer = web.client.get(path, headers=AS_OPERATOR)
    assert answer.status_code == 200, answer.text
    return answer.json


def test_the_list_has_it_with_its_channel_and_the_newest_is_argo_cds(
    web: Doors, house: House
) -> None:
    """Whoever has just posted a sync and asks for `last` means that one."""
    sync = house.sync("b1", "b2")
    own, told = ask(web, "/v1/syncs")["syncs"]
    assert (own["channel"], own["phase"], told["id"]) == ("postsync", "", sync)
    assert ask(web, "/v1/syncs/last?fields=id")["id"] == sync
    assert ask(web, "/v1/deliveries/last?fields=sync")["sync"] == sync


def test_a_sender_is_not_heard_of_by_what_we_tell(web: Doors, house: House) -> None:
    """Who asks when Argo CD has sent last is told of Argo CD."""
    house.sync("b1", "b2")
    (sender,) = ask(web, "/v1/status")["senders"]
    (first,) = house.query("SELECT MIN(received_at) FROM deliveries")
    (heard,) = house.query(
        f"SELECT id FROM deliveries WHERE received_at = {first} AND channel = 'sync'"
    )
    assert sender["lastAt"] == ask(web, f"/v1/deliveries/{heard}")["receivedAt"]


def test_argo_cds_tab_shows_what_came_of_argo_cds_syncs(web: Doors, house: House) -> None:
    """There the held plan is shown with its sync."""
    sync = house.sync("b1", "b2")
    assert [one["id"] for one in get(web)["syncs"]] == [sync]


def test_the_page_says_who_made_it_and_about_what(web: Doors, house: House) -> None:
    """No sender did."""
    sync = house.sync("b1", "b2")
    (plan,) = house.plans("id")
    (own,) = house.query("SELECT id FROM syncs WHERE channel = 'postsync'")
    log_in(web.client)
    said = words(look(web, f"/syncs/{own}"))
    assert "by Postsync itself , channel postsync" in said
    assert f"About plan {plan} of sync {sync} is held: matches 2 resources" in said
    assert "from argocd" not in said
    assert "from argocd" in words(look(web, f"/syncs/{sync}"))
    assert "argocd/shop web 9f1c2ab postsync" in words(look(web, ""))
