"""A sync explained afterwards, within bounds: it happens where notifications are taken."""

from __future__ import annotations

import gc
import tracemalloc
from typing import Any

import pytest
from desks import put_in_force
from house import House
from planning import rules_of

from receiver.inspection.explain import Explainer, Explanation
from receiver.inspection.explained import Asked
from receiver.ledger.engine.ledger import Ledger
from receiver.rules.expressions.cel import Expressions
from receiver.rules.matching.matcher import Matcher
from receiver.rules.tenants.bounds import TenantBounds, Tenants

RULES = """
- name: web
  match: {resources: [{kind: ConfigMap, name: "web-*"}]}
  actions: [{uses: log.message, with: {text: x}}]
- name: rest
  match: {resources: [{kind: ConfigMap, name: "d"}]}
  actions: [{uses: log.message, with: {text: x}}]
"""
NAMES = ("a", "b", "c", "d", "web-1")


def explained(ledger: Ledger, *names: str, rules: str = RULES, **options: Any) -> Explanation:
    house = House.of(ledger, rules)
    sync = house.sync(*names)
    put_in_force(house)
    return Explainer(ledger).explain(sync, **options)


def told(found: Explanation) -> dict[str, tuple[list[str], dict[str, int]]]:
    """By rule: the resources that are told of, and what is left out."""
    rows: Any = found.rows
    return {
        row["rule"]: ([cell["resource"].split("/")[-1] for cell in row["resources"]], row["more"])
        for row in rows
    }


def test_a_small_sync_is_explained_whole(ledger: Ledger) -> None:
    """Each rule on each resource, in the sync's order, and nothing to note."""
    found = explained(ledger, *NAMES)
    assert told(found) == {"web": ([*NAMES], {}), "rest": ([*NAMES], {})}
    assert found.note == ""


def test_a_large_sync_is_explained_in_part_what_matched_first(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is left out is counted, and how to see it is said."""
    monkeypatch.setattr("receiver.rules.matching.explanation.MOST", 4)
    found = explained(ledger, *NAMES)
    assert told(found) == {
        "web": (["a", "web-1"], {"refused": 3}), "rest": (["a", "d"], {"refused": 3})
    }  # fmt: skip
    assert found.note == (
        "6 findings are left out, see `more` of each rule; `rule=NAME` tells more of one rule, "
        "`resource=KEY` all of one resource"
    )


def test_one_rule_has_all_the_room(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks for it alone sees what the others took."""
    monkeypatch.setattr("receiver.rules.matching.explanation.MOST", 5)
    found = explained(ledger, *NAMES, rule="rest")
    assert (told(found), found.note) == ({"rest": ([*NAMES], {})}, "")


def test_one_resource_is_found_however_many_there_are(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each rule's verdict on it, though it is behind all that would be told of."""
    monkeypatch.setattr("receiver.rules.matching.explanation.MOST", 2)
    for resource in ("ConfigMap/shop/c", "ConfigMap/c"):
        found = explained(ledger, *NAMES, resource=resource)
        assert (told(found), found.note) == ({"web": (["c"], {}), "rest": (["c"], {})}, "")


def test_long_reasons_leave_room_for_fewer(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule that lists thousands of globs says all of them of each resource that it refuses."""
    monkeypatch.setattr("receiver.rules.matching.explanation.LARGEST", 2000)
    globs = ", ".join(f"no-{number}" for number in range(100))
    found = explained(ledger, *NAMES, rules=RULES.replace('"web-*"', f"[{globs}]"))
    assert told(found) == {"web": (["a"], {"refused": 4}), "rest": ([*NAMES], {})}


@pytest.mark.parametrize(
    ("asked", "note"),
    [
        ({"rule": "wep"}, "there was no rule wep in force then (did you mean web?)"),
        (
            {"resource": "ConfigMap/shop/web-2"},
            (
                "the sync lists no resource ConfigMap/shop/web-2 "
                "(did you mean ConfigMap/shop/web-1?)"
            ),
        ),
    ],
)
def test_an_unknown_name_is_told(ledger: Ledger, asked: dict[str, str], note: str) -> None:
    """With the nearest one: an empty answer would say that nothing matched."""
    assert explained(ledger, *NAMES, **asked) == Explanation([], note)


def test_what_takes_too_long_ends_with_what_there_is(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process takes notifications meanwhile."""
    monkeypatch.setattr("receiver.inspection.explain.LONGEST", 0)
    found = explained(ledger, *NAMES)
    assert found.rows == []
    assert "it ends after 0 of 2 rules; `rule=NAME` explains one" in found.note


def test_one_sync_is_explained_at_a_time(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits too long for another's is told so, and keeps no thread."""
    monkeypatch.setattr("receiver.inspection.explain.PATIENCE", 0.01)
    house = House.of(ledger, RULES)
    sync = house.sync(*NAMES)
    put_in_force(house)
    explainer = Explainer(ledger)
    with explainer.lock:
        assert explainer.explain(sync) == Explanation(
            None, "other syncs are being explained: ask again"
        )
    assert explainer.explain(sync).note == ""


def test_memory_does_not_grow_with_rules_times_resources(file_ledger: Ledger) -> None:
    """Rules without a match cost next to nothing: 300,000 findings took 140 MB."""
    rules = "".join(RULES.replace("web", f"web{n}").replace("rest", f"rest{n}") for n in range(50))
    house = House.of(file_ledger, rules)
    sync = house.sync(*(f"c{number}" for number in range(3000)))
    put_in_force(house)
    explainer = Explainer(file_ledger)
    explainer.explain(sync, rule="web0")
    gc.collect()
    tracemalloc.start()
    try:
        found = explainer.explain(sync)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found.rows is not None
    assert len(found.rows) == 100
    assert peak < 40 << 20


def test_what_a_tenant_may_not_see_is_explained_by_its_bounds(ledger: Ledger) -> None:
    """The bounds are those of today's settings."""
    house = House.of(ledger, RULES)
    sync = house.sync("a")
    bounds = TenantBounds(namespaces=("team-a",), handlers=("log.message",))
    tenants = Tenants((bounds,), frozenset({"https://kubernetes.default.svc"}))
    explainer = Explainer(ledger, tenants)
    rules = [one.model_copy(update={"name": "team-a/web"}) for one in rules_of(RULES)[:1]]
    matcher = Matcher(rules, Expressions(), explainer.rules.tenants)
    (row,) = explainer.explain_stored(sync, lambda *_: matcher, Asked(), ())["rules"]
    assert row["reason"].startswith("tenant wants namespace team-a of https://kubernetes.default.s")
