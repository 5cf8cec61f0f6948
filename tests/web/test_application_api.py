"""What Argo CD's proxy extension may ask: one Application, of one sender, in one project."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from desks import HOLDING, house_of
from doors import AS_OPERATOR, AS_SENDER, AS_VIEWER, Doors, token_file
from extension import extension_doors, get, headers
from house import House
from notifications import notification, resource

from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.queries import application as queries


@pytest.fixture
def web(ledger: Ledger, tmp_path: Path) -> Iterator[Doors]:
    with extension_doors(ledger, tmp_path) as made:
        yield made


@pytest.fixture
def house(ledger: Ledger) -> House:
    return house_of(ledger, HOLDING)


def test_the_newest_syncs_are_told_with_what_came_of_them(web: Doors, house: House) -> None:
    """By the runs' states; without anything that was sent or answered."""
    first = house.sync("a", "b1", "b2")
    house.work()
    second = house.sync("c", at=1)
    house.turn()
    found = get(web)
    assert (found["application"], found["project"]) == ("argocd/shop", "web")
    assert found["page"] is None  # nobody has said where people reach it
    newest, older = found["syncs"]
    assert ([newest["id"], older["id"]], newest["changed"]) == ([second, first], 1)
    (asks,) = newest["plans"]
    assert (asks["rule"], asks["state"], asks["runs"]) == ("ask", "active", {"held": 1})
    by_rule = {plan["rule"]: plan for plan in older["plans"]}
    assert by_rule["call"]["runs"] == {"succeeded": 1}
    assert by_rule["careful"]["waitsFor"].startswith("the approval of the plan, held since 20")
    assert len(get(web, "?limit=1")["syncs"]) == 1


def test_the_runs_of_a_sync_begin_with_what_did_not_succeed(
    web: Doors, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each says what it waits for; of very many some are left out, and counted."""
    sync = house.sync("a1", "c1", "c2")
    house.work()
    found = get(web, f"/{sync}/runs")
    assert [run["state"] for run in found["runs"]] == ["held", "held", "succeeded"]
    assert found["runs"][0]["waitsFor"].startswith("an approval, held since 20")
    assert found["more"] == 0
    monkeypatch.setattr(queries, "MOST_RUNS", 1)
    found = get(web, f"/{sync}/runs")
    assert ([run["state"] for run in found["runs"]], found["more"]) == (["held"], 2)


def test_another_application_is_not_shown(web: Doors, house: House) -> None:
    """Neither in the list nor by the id of its sync, whatever its name begins with."""
    house.sync("a", application="shop-2")
    theirs = house.sync("a", application="blog", at=1)
    assert get(web)["syncs"] == []
    assert get(web, f"/{theirs}/runs", status=404)["reason"] == "no_such_sync"
    assert len(get(web, application="argocd:blog")["syncs"]) == 1
    assert get(web, application="elsewhere:blog")["syncs"] == []


def test_what_another_project_had_is_not_shown(web: Doors, house: House) -> None:
    """The Application has moved since: who may see it now could not see it then."""
    body = notification(resource("a")).replace(b'"project": "web"', b'"project": "secret"')
    then = house.bring(body)
    now = house.sync("a", at=1)
    assert [sync["id"] for sync in get(web)["syncs"]] == [now]
    get(web, f"/{then}/runs", status=404)
    assert [sync["id"] for sync in get(web, project="secret")["syncs"]] == [then]


GATHERING = """
- name: gather
  match: {resources: [{kind: ConfigMap}]}
  debounce: {window: 1m, maxWait: 2m, key: all}
  actions: [{uses: log.message, with: {text: "${{ resource.name }}"}}]
"""


@pytest.mark.parametrize("other", [{"application": "blog"}, {"sender": "other"}])
def test_a_plan_that_acts_for_others_too_tells_no_more_than_its_state(
    web: Doors, ledger: Ledger, other: dict[str, Any]
) -> None:
    """Its runs name their resources."""
    house = house_of(ledger, GATHERING)
    house.sync("a", **other)
    ours = house.sync("b", at=1)
    (plan,) = get(web)["syncs"][0]["plans"]
    assert (plan["rule"], plan["state"], plan["waitsFor"]) == ("gather", "collecting", "")
    house.pass_time(600)
    house.turn()
    (plan,) = get(web)["syncs"][0]["plans"]
    assert (plan["state"], plan["runs"], plan["reason"]) == ("active", {}, "")
    assert get(web, f"/{ours}/runs") == {"runs": [], "more": 0}


def test_a_plan_that_has_collected_our_own_syncs_is_told_whole(web: Doors, ledger: Ledger) -> None:
    """They are of the same Application."""
    house = house_of(ledger, GATHERING)
    house.sync("a")
    ours = house.sync("b", at=1)
    house.pass_time(600)
    house.turn()
    assert sorted(run["target"] for run in get(web, f"/{ours}/runs")["runs"]) == [
        "ConfigMap/shop/a", "ConfigMap/shop/b",
    ]  # fmt: skip


def test_another_argo_cd_has_a_token_of_its_own(web: Doors, house: House) -> None:
    """An Application of the same name is another one there."""
    token_file(web.home, "extensions/other", "token-of-the-other-argo-cd")
    web.intake.keys._next_check = 0
    theirs = house.sync("a", sender="other")
    ours = house.sync("a", at=1)
    assert [sync["id"] for sync in get(web)["syncs"]] == [ours]
    found = get(web, token="token-of-the-other-argo-cd")
    assert [sync["id"] for sync in found["syncs"]] == [theirs]


@pytest.mark.usefixtures("house")
@pytest.mark.parametrize("token", [AS_OPERATOR, AS_VIEWER, AS_SENDER, {}])
def test_the_headers_count_only_with_the_extensions_own_token(
    web: Doors, token: dict[str, str]
) -> None:
    """Anybody else could write them."""
    given = headers() | {"Authorization": ""} | token
    answer = web.client.get("/v1/application/syncs", headers=given)
    assert answer.status_code == (403 if token else 401)


@pytest.mark.parametrize("path", ["/v1/syncs", "/v1/runs", "/v1/events", "/v1/status"])
def test_its_token_shows_nothing_else(web: Doors, path: str) -> None:
    """Nor does it act."""
    assert web.client.get(path, headers=headers()).status_code == 403
    assert web.client.post("/v1/runs/r-1/retry", headers=headers()).status_code == 403


@pytest.mark.parametrize(
    ("application", "project"),
    [("", "web"), ("shop", "web"), ("argocd:", "web"), ("argocd:shop", ""), ("a:b:c", "web"),
     ("argocd:%", "web"), ("../x:shop", "web")],
)  # fmt: skip
def test_what_names_no_application_is_refused(web: Doors, application: str, project: str) -> None:
    """With what Argo CD's proxy would have set."""
    problem = get(web, status=400, application=application, project=project)
    assert problem["reason"] == "bad_header"
    assert "NAMESPACE:NAME" in problem["hint"]
