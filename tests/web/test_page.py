"""The page over a real ledger: what it tells is what the API tells."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from desks import live_house_of
from doors import Doors, doors
from house import House
from notifications import resource
from page import RULES, failed_run, fill, id_of, log_in, look, rows, words

from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.engine.open import open_ledger

FOUND: dict[str, list[str]] = {
    "application=shop": ["argocd/shop", "argocd/shop"],
    "project=manuals": ["argocd/docs"],
    "project=web&phase=Failed": [],
    "project=manual": [],
    "phase=Failed": ["argocd/docs"],
    "outcome=failed": ["argocd/shop"],
    "outcome=held&text=": ["argocd/api"],
    "outcome=active": [],
    "text=DOC": ["argocd/docs"],
    "text=9f1c2&application=api": ["argocd/api"],
    "text=%25": [],
    "state=planned&since=1h&phase=&application=blog": ["argocd/blog"],
    "until=1h": [],
}
"""The Applications that a query of the list finds."""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Doors, House]]:
    """What nothing here changes, and an operator who looks at it."""
    home = tmp_path_factory.mktemp("home")
    with closing(open_ledger(home / "ledger.db")) as ledger, doors(ledger, home) as made:
        log_in(made.client)
        yield made, fill(ledger)


@pytest.fixture
def web(shop: tuple[Doors, House]) -> Doors:
    return shop[0]


@pytest.fixture
def house(shop: tuple[Doors, House]) -> House:
    return shop[1]


def test_the_list_is_filtered_on_either_engine(ledger: Ledger, tmp_path: Path) -> None:
    """What a form sends empty counts as not asked."""
    fill(ledger)
    with doors(ledger, tmp_path) as web:
        log_in(web.client)
        assert {query: rows(look(web, f"?{query}")) for query in FOUND} == FOUND


@pytest.mark.parametrize("path", ["", "/runs", "/syncs/last", "/syncs/last/trail"])
def test_what_only_the_api_has_is_refused(web: Doors, path: str) -> None:
    """A page needs all keys."""
    answer = web.client.get(f"/page{path}?fields=id")
    assert answer.status_code == 400
    assert "fields: unknown key" in words(answer)


def test_the_newest_sync_is_first_with_what_came_of_it(web: Doors, house: House) -> None:
    """And what failed says why without a click."""
    page = look(web, "")
    assert rows(page) == ["argocd/shop", "argocd/api", "argocd/docs", "argocd/blog", "argocd/shop"]
    told = words(page)
    assert "3 changed 0 unchanged 0 unknown ✕ purge-shop-assets failed" in told
    assert "answered 404: no such zone" in told
    assert "1 changed 0 unchanged 0 unknown ? migrate held" in told
    assert house.query("SELECT COUNT(*) FROM syncs") == [5]


def test_a_row_says_of_how_many_resources_it_is_known_what_the_sync_did(
    ledger: Ledger, tmp_path: Path
) -> None:
    """Nothing while nobody has judged them."""
    house = live_house_of(ledger, RULES)
    alike = resource("b", "configmap/b unchanged")
    applied = [resource(name, f"configmap/{name} serverside-applied") for name in "cd"]
    house.sync("a", alike, *applied)
    house.store("a", "b", application="new")
    with doors(ledger, tmp_path) as web:
        log_in(web.client)
        new, shop = words(look(web, "")).partition("argocd/shop")[::2]
    assert "argocd/new web 9f1c2ab Succeeded 2 resources" in new
    assert "web 9f1c2ab Succeeded 1 changed 1 unchanged 2 unknown" in shop


def test_an_id_leads_to_what_it_names(web: Doors, house: House) -> None:
    """Whoever has one from a log pastes it."""
    run = failed_run(house)
    answer = web.client.get(f"/page?text={run}")
    assert (answer.status_code, answer.location) == (303, f"/page/runs/{run}")
    assert rows(look(web, "?text=p-17")) == []


def test_a_sync_tells_which_rules_matched_and_why_the_others_did_not(
    web: Doors, house: House
) -> None:
    """With the reason of each resource, equal ones together."""
    sync = id_of(house, "syncs", "application = 'argocd/shop' AND changed = 3")
    told = words(look(web, f"/syncs/{sync}"))
    assert "Resources 3: 3 changed, 0 unchanged, 0 unknown" in told
    assert "purge-shop-assets ✓ matched 2 of 3 ✕ failed" in told
    assert "tell-team no match 0 application.name wants blog, saw shop" in told
    assert "ConfigMap/shop/assets-img, ConfigMap/shop/assets-js" in told
    assert "name wants" in told


def test_a_sync_tells_of_its_plans_runs_and_trail(web: Doors, house: House) -> None:
    """What failed has its reason beside it."""
    sync = id_of(house, "syncs", "application = 'argocd/shop' AND changed = 3")
    page = look(web, f"/syncs/{sync}")
    told = words(page)
    assert "ConfigMap/shop/assets-img ✕ failed answered 404: no such zone 1" in told
    assert "wave 0 failed" in told
    assert "rule.matched" in told
    assert "plan.failed" in told
    assert f"/page/runs/{failed_run(house)}" in page.text
    trail = words(look(web, f"/syncs/{sync}/trail"))
    assert trail.count("attempt.started") == 3


def test_a_run_tells_what_it_was_given_and_what_came_back(web: Doors, house: House) -> None:
    """And each attempt."""
    told = words(look(web, f"/runs/{failed_run(house)}"))
    assert '"text": "purge assets-' in told
    assert "✕ permanent answered 404: no such zone" in told


def test_what_waits_says_what_for(web: Doors, house: House) -> None:
    """In the sync, the plan and the run."""
    run = id_of(house, "runs", "state = 'held'")
    plan, sync = house.query(f"SELECT plan_id, sync_id FROM runs WHERE id = '{run}'")[0]
    for path in (f"/runs/{run}", f"/plans/{plan}", f"/syncs/{sync}"):
        assert "approv" in words(look(web, path)).partition("Trail")[0]


def test_what_is_tried_again_says_why_it_has_to_be(file_ledger: Ledger, tmp_path: Path) -> None:
    """Whoever looks while a target is down wants to know that it is."""
    house = fill(file_ledger)
    house.sync("assets-img", application="later", at=9e8)
    house.end(*house.claim(), fails="connection refused", temporary=True)
    plan = id_of(house, "plans", "application = 'argocd/later'")
    with doors(file_ledger, tmp_path) as web:
        log_in(web.client)
        for path in ("/runs?state=due", f"/plans/{plan}"):
            told = words(look(web, path)).partition("Trail")[0]
            assert re.search(r"its (next attempt|turn) [^✕]+, after: connection refused", told)


def test_a_rule_without_resources_has_matched_the_sync_itself(web: Doors, house: House) -> None:
    """None of them is no count of what it matched."""
    sync = id_of(house, "syncs", "application = 'argocd/blog'")
    assert "tell-team ✓ matched the sync itself ✓ succeeded" in words(look(web, f"/syncs/{sync}"))


def test_a_notification_is_shown_as_it_was_stored(web: Doors, house: House) -> None:
    """By the link of its sync."""
    sync = id_of(house, "syncs", "application = 'argocd/docs'")
    delivery = house.query(f"SELECT delivery_id FROM syncs WHERE id = '{sync}'")[0]
    assert f'href="/page/deliveries/{delivery}"' in look(web, f"/syncs/{sync}").text
    assert '"phase": "Failed"' in words(look(web, f"/deliveries/{delivery}"))


def test_rules_and_status_are_as_by_their_commands(web: Doors, house: House) -> None:
    """Those that fail are first."""
    told = words(look(web, "/rules"))
    assert told.index("purge-shop-assets") < told.index("restart-workers")
    assert "r.yaml:4" in told
    status = words(look(web, "/status"))
    assert "1 alive" in status
    assert "log.message: 2 runs failed for good in the last hour" in status
    assert house.query("SELECT COUNT(*) FROM pauses") == [0]


def test_runs_are_listed_by_state(web: Doors, house: House) -> None:
    """Which is the short way to all that failed."""
    told = words(look(web, "/runs?state=failed&rule="))
    assert told.count("✕ failed") == 2
    assert "argocd/shop" in told
    assert "held" not in told.partition("Filter")[2]
    assert house.query("SELECT COUNT(*) FROM runs WHERE state = 'failed'") == [2]


@pytest.mark.parametrize(
    "path",
    ["/syncs/s-1", "/plans/p-1", "/runs/r-1", "/deliveries/d-1", "/syncs/s-1/trail",
     f"/syncs/{'s' * 101}/trail", "/syncs/s-1/cancel", "/plans/p-1/cancel", "/runs/r-1/cancel"],
)  # fmt: skip
def test_what_is_unknown_is_told(web: Doors, path: str) -> None:
    """With the status of the API."""
    answer = web.client.get(f"/page{path}")
    assert answer.status_code == 404
    assert "there is no" in words(answer)


@pytest.mark.parametrize("query", ["?limit=x", "?nonsense=1", "?cursor=abc", "?state=odd"])
def test_a_wrong_address_is_told(web: Doors, query: str) -> None:
    """As the API does."""
    answer = web.client.get(f"/page{query}")
    assert answer.status_code == 400
    assert "Bad Request" in words(answer)
