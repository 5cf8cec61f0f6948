"""The read API's filters over plans and runs of several kinds, and who may look."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from desks import house_of, put_in_force
from doors import AS_OPERATOR, AS_VIEWER, Doors, doors

from receiver.ledger.engine.open import open_ledger
from receiver.web.openapi_document import OPERATIONS
from receiver.web.operation import Operation, Who

RULES = """
- name: purge
  match: {resources: [{kind: ConfigMap, name: a*}]}
  actions:
  - {name: one, uses: log.message, with: {text: "1"}}
  - {name: two, uses: log.message, wave: 1, target: application, with: {text: "2"}}
- name: careful
  match: {resources: [{kind: ConfigMap, name: b*}]}
  limits: {maxTargets: 1, otherwise: hold}
  actions: [{uses: log.message, with: {text: "3"}}]
"""


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    """A sync of `shop` fails, one of `blog` goes well, one of `guarded` is held."""
    home = tmp_path_factory.mktemp("home")
    ledger = open_ledger(home / "ledger.db")
    house = house_of(ledger, RULES)
    put_in_force(house)
    with doors(ledger, home) as made:
        house.sync("a1", "a2", application="shop")
        house.end(*house.claim(), fails="answered 404")
        house.sync("a1", application="blog")
        house.work()
        house.sync("b1", "b2", application="guarded")
        yield made
    ledger.close()


def get(web: Doors, path: str, **query: Any) -> Any:
    answer = web.client.get(path, query_string=query, headers=AS_VIEWER)
    assert answer.status_code == 200, answer.json
    return answer.json


def id_of(web: Doors, kind: str, **query: Any) -> str:
    return str(get(web, f"/v1/{kind}", **query)[kind][0]["id"])


@pytest.mark.parametrize(
    "path", ["runs", "plans", "events", "syncs/last", "syncs/last/explanation"]
)
def test_a_rule_of_the_longest_name_may_be_asked_for(web: Doors, path: str) -> None:
    """That of a namespace's rule has the namespace before it."""
    rule = f"{'n' * 63}/{'r' * 100}"
    answer = web.client.get(f"/v1/{path}", query_string={"rule": rule}, headers=AS_VIEWER)
    assert answer.status_code in {200, 404}
    assert f"no rule {rule}" in answer.text


@pytest.mark.parametrize(
    ("query", "states"),
    [
        ({}, ["held", "succeeded", "failed"]),
        ({"state": "held"}, ["held"]),
        ({"state": ["failed", "succeeded"]}, ["succeeded", "failed"]),
        ({"state": ["failed", "held"], "rule": "purge"}, ["failed"]),
        ({"rule": "careful"}, ["held"]),
        ({"rule": "care"}, []),
        ({"application": "blog"}, ["succeeded"]),
        ({"application": "argocd/blog"}, ["succeeded"]),
        ({"application": "other/blog"}, []),
        ({"since": "1h"}, ["held", "succeeded", "failed"]),
        ({"until": "1h"}, []),
        ({"since": "1h", "state": "held", "rule": "careful"}, ["held"]),
    ],
)
def test_plans_are_filtered(web: Doors, query: dict[str, Any], states: list[str]) -> None:
    """By each filter alone and by several at once; the newest first."""
    assert [plan["state"] for plan in get(web, "/v1/plans", **query)["plans"]] == states


@pytest.mark.parametrize(
    ("query", "states"),
    [
        ({}, ["waiting", "waiting", "succeeded", "succeeded", "skipped", "failed", "failed"]),
        ({"state": "failed"}, ["failed", "failed"]),
        ({"state": ["failed", "skipped"]}, ["skipped", "failed", "failed"]),
        ({"state": "failed", "since": "1h"}, ["failed", "failed"]),
        ({"state": "failed", "until": "1h"}, []),
        ({"state": "succeeded", "since": "1h"}, ["succeeded", "succeeded"]),
        ({"state": "waiting"}, ["waiting", "waiting"]),
        ({"rule": "purge", "application": "blog"}, ["succeeded", "succeeded"]),
        ({"handler": "log.message", "state": "skipped"}, ["skipped"]),
        ({"handler": "http.request"}, []),
        ({"application": "shop", "state": "succeeded"}, []),
        ({"until": "1h"}, []),
    ],
)
def test_runs_are_filtered(web: Doors, query: dict[str, Any], states: list[str]) -> None:
    """By each filter alone and by several at once; those of a held plan wait."""
    found = [run["state"] for run in get(web, "/v1/runs", **query)["runs"]]
    assert sorted(found) == sorted(states)


def test_plans_and_runs_of_a_sync_and_a_plan_are_found(web: Doors) -> None:
    """Each list by what it belongs to, and by nothing else."""
    sync, plan = id_of(web, "syncs", application="shop"), id_of(web, "plans", state="failed")
    assert [row["id"] for row in get(web, "/v1/plans", sync=sync)["plans"]] == [plan]
    by_sync = get(web, "/v1/runs", sync=sync)["runs"]
    by_plan = get(web, "/v1/runs", plan=plan)["runs"]
    assert by_sync == by_plan
    assert {(run["sync"], run["plan"], run["application"]) for run in by_sync} == {
        (sync, plan, "argocd/shop")
    }
    assert get(web, "/v1/runs", sync="s-nothing")["runs"] == []


@pytest.mark.parametrize("kind", ["syncs", "plans", "runs"])
def test_every_list_is_paged_to_its_end(web: Doors, kind: str) -> None:
    """Row by row, each once and the newest first, with a filter as without."""
    for query in ({}, {"application": "shop"}):
        whole = [row["id"] for row in get(web, f"/v1/{kind}", **query)[kind]]
        found, cursor = [], ""
        while cursor is not None:
            page = get(web, f"/v1/{kind}", limit=1, cursor=cursor, **query)
            found += [row["id"] for row in page[kind]]
            cursor = page["next"]
        assert found == whole == sorted(whole, reverse=True)


LOOKS = [one for one in OPERATIONS if one.who is Who.VIEWER]
ACTS = [one for one in OPERATIONS if one.who is Who.OPERATOR]
EXACT = [one for one in [*LOOKS, *ACTS] if one.query is None]


def path_of(web: Doors, operation: Operation) -> str:
    kind = operation.path.split("/")[2]
    there = id_of(web, kind) if kind in {"syncs", "plans", "runs", "deliveries"} else "purge"
    return re.sub(r"\{\w+\}", there, operation.path)


@pytest.mark.parametrize("operation", LOOKS, ids=lambda one: one.name)
def test_a_viewer_may_look_at_everything(web: Doors, operation: Operation) -> None:
    """And sees what an operator sees."""
    path = path_of(web, operation)
    seen = [web.client.get(path, headers=headers) for headers in (AS_VIEWER, AS_OPERATOR)]
    assert [answer.status_code for answer in seen] == [200, 200]
    first, second = (
        {**(answer.json or {}), "at": "now", "countedSince": "then"} for answer in seen
    )
    assert first == second


@pytest.mark.parametrize("operation", EXACT, ids=lambda one: one.name)
def test_a_parameter_where_none_is_known_is_refused(web: Doors, operation: Operation) -> None:
    """`PUT /v1/pauses/all?rule=purge` would pause much more than was meant."""
    path = f"{path_of(web, operation)}?rule=purge"
    answer = web.client.open(path, method=operation.method.upper(), headers=AS_OPERATOR)
    assert (answer.status_code, answer.json and answer.json["reason"]) == (400, "bad_parameter")
    assert "rule: unknown key" in (answer.json or {})["detail"]
    assert web.intake.reader.pauses() == []
