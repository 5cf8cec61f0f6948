"""`GET /v1/syncs/SYNC/explanation`: a stored sync by the rules that are in force now."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from desks import house_of, put_in_force, refuse_files
from doors import AS_VIEWER, Doors, doors
from house import NOON, House
from notifications import resource
from toy_cluster import ToyCluster

from receiver.ledger.engine.ledger import Ledger

RULES = """
- name: purge
  match: {resources: [{kind: ConfigMap, name: "a*"}]}
  actions: [{uses: log.message, with: {text: x}}]
"""
EDITED = """
- name: purge
  match: {resources: [{kind: ConfigMap, name: "b*"}]}
  actions: [{name: one, uses: log.message, with: {text: x}}]
- name: elsewhere
  match: {application: {name: blog}}
  actions: [{uses: log.message, with: {text: x}}]
"""
CONNECTION = {"argocd": {"kubernetes": {"inCluster": True}}}


@pytest.fixture
def web(ledger: Ledger, tmp_path: Path) -> Iterator[Doors]:
    with doors(ledger, tmp_path, argocd=CONNECTION) as made:
        yield made


@pytest.fixture
def house(ledger: Ledger) -> House:
    return house_of(ledger, RULES)


def get(web: Doors, sync: str, **query: str) -> Any:
    path = f"/v1/syncs/{sync}/explanation"
    answer = web.client.get(path, query_string=query, headers=AS_VIEWER)
    assert answer.status_code == 200, answer.text
    return answer.json


def refused(web: Doors, sync: str, **query: str) -> tuple[int, str, str]:
    path = f"/v1/syncs/{sync}/explanation"
    answer = web.client.get(path, query_string=query, headers=AS_VIEWER)
    assert answer.json
    hint = answer.json.get("hint", "")
    return answer.status_code, answer.json["reason"], f"{answer.json['detail']}; {hint}"


def edited(house: House, rules: str = EDITED) -> None:
    house.use(rules)
    put_in_force(house)


def test_the_rules_of_now_are_asked_not_those_of_then(web: Doors, house: House) -> None:
    """With each resource's reason, and what would run."""
    sync = house.sync("a1", "b1")
    edited(house)
    found = get(web, sync)
    assert (found["application"], found["phase"], found["listed"]) == (
        "argocd/shop", "Succeeded", 2,
    )  # fmt: skip
    purge, elsewhere = found["rules"]
    assert [cell["reason"] for cell in purge["resources"]] == [
        "resources[0].name wants b*, saw a1",
        "resources[0]: ConfigMap shop/b1 changed (configured)",
    ]
    (step,) = purge["wouldRun"]
    assert (step["action"], step["targets"]) == ("one", ["ConfigMap/shop/b1"])
    assert (elsewhere["verdict"], elsewhere["wouldRun"]) == ("refused", [])
    assert get(web, "last") == found


def test_one_rule_one_resource_or_what_matched(web: Doors, house: House) -> None:
    """A resource by its key, or by kind and name."""
    sync = house.sync("a1", "b1")
    edited(house)
    assert [rule["rule"] for rule in get(web, sync, rule="elsewhere")["rules"]] == ["elsewhere"]
    for name in ("ConfigMap/shop/b1", "ConfigMap/b1"):
        found = get(web, sync, resource=name)
        assert [one["resource"] for one in found["resources"]] == ["ConfigMap/shop/b1"]
        assert len(found["rules"][0]["resources"]) == 1
    found = get(web, sync, matched="true")
    assert [one["resource"] for one in found["resources"]] == ["ConfigMap/shop/b1"]
    (rule,) = found["rules"]
    assert [cell["verdict"] for cell in rule["resources"]] == ["matched"]
    assert get(web, sync, matched="true", resource="ConfigMap/a1")["rules"] == []


def test_older_rules_are_told_to_be_older(web: Doors, house: House) -> None:
    """While newer files are refused; a rule that only these have is told with the way out."""
    sync = house.sync("a1")
    put_in_force(house)
    before = get(web, sync)["notes"]
    refuse_files(house, "r.yaml:1: no such kind")
    *others, note = get(web, sync)["notes"]
    assert others == before
    assert "newer rule files are refused" in note
    assert "unless it has mistakes" in refused(web, sync, rule="brand-new")[2]


def test_what_is_not_there_is_told(web: Doors, house: House) -> None:
    """A sync, a rule, a resource; with what may have been meant."""
    other = resource("b1", namespace="other")
    sync = house.sync("a1", "b1", other)
    edited(house)
    assert refused(web, "s-1")[:2] == (404, "no_such_sync")
    status, reason, text = refused(web, sync, rule="purg")
    assert (status, reason) == (404, "no_such_rule")
    assert text == "there is no rule purg; did you mean purge?"
    status, reason, text = refused(web, sync, resource="ConfigMap/a2")
    assert (status, reason) == (404, "no_such_resource")
    assert text == "the sync lists no resource ConfigMap/a2; did you mean ConfigMap/a1?"
    assert (
        "may be several: name one of them; ConfigMap/other/b1, ConfigMap/shop/b1"
        in (refused(web, sync, resource="ConfigMap/b1")[2])
    )


def test_without_rules_in_force_nothing_can_be_explained(web: Doors, house: House) -> None:
    """As before the first start."""
    sync = house.sync("a1")
    assert refused(web, sync) == (503, "unexplained", "no rules are in force; ")


def test_what_live_objects_told_counts(web: Doors, ledger: Ledger) -> None:
    """As it was when the sync was planned; nobody is asked again."""
    house = House.of(ledger, RULES, verify_for=120)
    cluster = ToyCluster()
    cluster.changed_at = {"a1": NOON - timedelta(seconds=10), "a2": NOON - timedelta(hours=1)}
    said = "configmap/{} serverside-applied"
    sync = house.sync(*(resource(name, said.format(name)) for name in ("a1", "a2")))
    house.verification(cluster)._round()
    edited(house, RULES.replace("purge", "again"))
    (rule,) = get(web, sync)["rules"]
    assert [cell["verdict"] for cell in rule["resources"]] == ["matched", "refused"]
    assert "its object was last changed" in rule["resources"][0]["reason"]
    assert get(web, sync)["notes"] == []


@pytest.mark.parametrize(
    ("ask", "missing"),
    [
        ("kind: ConfigMap", "what the sync did by live objects"),
        ("kind: ConfigMap, labels: {tier: web}", "labels, what the sync did by live objects"),
        (
            "kind: ConfigMap, annotations: {note: x}",
            "annotations, what the sync did by live objects",
        ),
        ("kind: ConfigMap, fields: [data.a]", "fields, what the sync did by live objects"),
        ("kind: ConfigMap, health: Degraded", "health, what the sync did by live objects"),
    ],
)
def test_what_nobody_asked_then_is_unknown(
    web: Doors, house: House, ask: str, missing: str
) -> None:
    """It is told, since the live objects may have changed since."""
    sync = house.sync(resource("x", "configmap/x serverside-applied"))
    edited(house, RULES.replace('kind: ConfigMap, name: "a*"', ask))
    (note,) = get(web, sync)["notes"]
    assert note.endswith(f"so it is unknown: {missing}.")


def test_without_a_connection_messages_decide_alone(ledger: Ledger, tmp_path: Path) -> None:
    """Then nothing of the change is missing."""
    house = house_of(ledger, RULES)
    sync = house.sync(resource("a1", "configmap/a1 serverside-applied"))
    put_in_force(house)
    with doors(ledger, tmp_path) as web:
        assert get(web, sync)["notes"] == []


def test_images_that_were_not_remembered_are_noted(web: Doors, house: House) -> None:
    """No rule asked for them at the sync before."""
    sync = house.sync(resource("web", kind="Deployment", images=["shop:1"]))
    edited(house, RULES.replace('kind: ConfigMap, name: "a*"', "imageChanged: true"))
    assert get(web, sync)["notes"][0].startswith("imageChanged is unknown of some resources")


def test_a_sync_that_has_no_plans_says_why(web: Doors, house: House) -> None:
    """It matches, and nothing was done."""
    sync = house.store("a1")
    edited(house, RULES)
    found = get(web, sync)
    assert found["rules"][0]["verdict"] == "matched"
    assert found["notes"] == ["The sync is new, so no rule has made a plan of it."]


def test_it_is_bounded_in_time_and_to_one_at_once(
    web: Doors, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Notifications are taken by the same process."""
    sync = house.sync("a1")
    edited(house)
    monkeypatch.setattr("receiver.inspection.explain.LONGEST", 0)
    found = get(web, sync)
    assert found["rules"] == []
    assert found["notes"][0].endswith("it ends after 0 of 2 rules.")
    monkeypatch.setattr("receiver.inspection.explain.PATIENCE", 0.01)
    with web.intake.explainer.lock:
        assert refused(web, sync)[:2] == (503, "unexplained")
