"""`GET /v1/rules`: the rules in force, and what became of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from desks import ANN, HOLDING, desk, live_house_of, refuse_files
from doors import AS_SENDER, AS_VIEWER, Doors, doors
from house import House

from receiver.core.model import made_at
from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.queries import rules as queries
from receiver.ledger.queries.row_mapping import moment
from receiver.ledger.queue.pauses import Scope


@pytest.fixture
def web(ledger: Ledger, tmp_path: Path) -> Iterator[Doors]:
    with doors(ledger, tmp_path) as made:
        yield made


@pytest.fixture
def house(ledger: Ledger) -> House:
    return live_house_of(ledger, HOLDING)


def listed(web: Doors) -> Any:
    answer = web.client.get("/v1/rules", headers=AS_VIEWER)
    assert answer.status_code == 200, answer.text
    return answer.json


def rule(web: Doors, name: str) -> Any:
    answer = web.client.get(f"/v1/rules/{name}", headers=AS_VIEWER)
    assert answer.status_code == 200, answer.text
    return answer.json


@pytest.mark.usefixtures("house")
def test_each_rule_has_its_place_in_its_file(web: Doors) -> None:
    """And what it uses, though it has matched nothing yet."""
    found = listed(web)
    assert [(one["rule"], one["file"], one["line"]) for one in found["rules"]] == [
        ("call", "r.yaml", 4), ("careful", "r.yaml", 7), ("ask", "r.yaml", 11),
    ]  # fmt: skip
    first = found["rules"][0]
    assert (first["handlers"], first["channel"], first["mode"]) == (
        ["log.message"],
        ["sync"],
        "run",
    )
    assert (first["lastMatched"], first["plans"], first["failing"]) == (None, {}, False)
    assert (found["refused"], len(found["digest"])) == (False, 64)


def test_what_fails_is_first(web: Doors, house: House) -> None:
    """With its newest plan, and how many of its plans ended so."""
    house.sync("c")
    sync = failed_of(house, "b")
    found = listed(web)["rules"]
    assert [one["rule"] for one in found] == ["careful", "call", "ask"]
    assert found[0]["failing"]
    assert found[0]["plans"] == {"failed": 1}
    last = found[0]["lastMatched"]
    assert (last["sync"], last["application"], last["state"]) == (sync, "argocd/shop", "failed")
    assert found[2]["plans"] == {"active": 1}


def failed_of(house: House, name: str) -> str:
    """A sync whose one plan fails."""
    sync = house.sync(name, at=1)
    house.end(*house.claim(), fails="answered 404")
    house.work()
    return sync


def test_what_failed_and_works_again_comes_before_what_never_failed(
    web: Doors, house: House
) -> None:
    """It is not failing, but worth a look."""
    failed_of(house, "b")
    house.sync("b", at=2)
    house.work()
    found = listed(web)["rules"]
    assert (found[0]["rule"], found[0]["failing"]) == ("careful", False)
    assert found[0]["plans"] == {"succeeded": 1, "failed": 1}


def test_a_pause_of_the_rule_its_handler_or_all_holds_it(web: Doors, house: House) -> None:
    """One of another rule does not."""
    desk(house).pause(ANN, Scope.RULE, "careful")
    assert rule(web, "call")["pauses"] == []
    assert [one["scope"] for one in rule(web, "careful")["pauses"]] == ["rule"]
    desk(house).pause(ANN, Scope.HANDLER, "log.message")
    desk(house).pause(ANN, Scope.ALL, "")
    assert {one["scope"] for one in rule(web, "careful")["pauses"]} == {"rule", "handler", "all"}
    assert {one["scope"] for one in rule(web, "call")["pauses"]} == {"handler", "all"}


def test_while_newer_files_are_refused_the_older_rules_are_listed(web: Doors, house: House) -> None:
    """Since they are in force."""
    refuse_files(house, "r.yaml:1: no such kind")
    found = listed(web)
    assert (found["refused"], len(found["rules"])) == (True, 3)


def test_of_very_many_plans_the_newest_are_counted(
    web: Doors, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the answer says since when."""
    monkeypatch.setattr(queries, "MOST_PLANS", 2)
    for number in range(3):
        house.sync("a", at=number)
    found = listed(web)
    plans = house.query("SELECT id FROM plans ORDER BY id")
    assert found["rules"][0]["plans"] == {"active": 2}
    assert found["countedSince"] == moment(made_at(plans[1]))


@pytest.mark.usefixtures("house")
def test_an_unknown_rule_is_told_with_the_one_that_may_be_meant(web: Doors) -> None:
    """As everywhere."""
    answer = web.client.get("/v1/rules/carefull", headers=AS_VIEWER)
    assert answer.status_code == 404
    assert answer.json
    assert answer.json["detail"] == "no rule carefull is in force"
    assert answer.json["hint"] == "did you mean careful?"


def test_before_the_first_start_there_are_none(web: Doors) -> None:
    """And a sender's token does not show them."""
    assert (listed(web)["rules"], listed(web)["digest"]) == ([], None)
    assert web.client.get("/v1/rules", headers=AS_SENDER).status_code == 403
