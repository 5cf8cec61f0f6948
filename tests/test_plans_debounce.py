"""`debounce`: syncs that come soon after one another make one plan."""

from __future__ import annotations

import pytest
from house import House, texts
from stories import story_of

from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.engine.sqlite import SqliteLedger
from receiver.ledger.queries.reader import Reader

RULE = """
- name: purge
  match: {resources: [{kind: ConfigMap}]}
  debounce: {window: 30s, maxWait: 1m}
  actions:
  - uses: log.message
    target: batch
    with: {text: "${{ resources.map(r, r.name).join(' ') }} of ${{ syncs.size() }}"}
"""
EACH = RULE.replace("target: batch\n    with", "with").replace(
    "${{ resources.map(r, r.name).join(' ') }} of ${{ syncs.size() }}",
    "${{ resource.name }} ${{ resource.message }} ${{ sync.message }}",
)


def test_syncs_within_the_window_are_one_plan_with_the_union_of_their_targets(
    ledger: Ledger,
) -> None:
    """It starts when no sync has come for the window's length, and not before."""
    house = House.of(ledger, RULE)
    first, second = house.sync("a", "b", at=0), house.sync("b", "c", at=10)
    assert (house.plans(), house.work()) == (["collecting"], [])
    house.pass_time(29)
    assert house.work() == []
    house.pass_time(2)
    assert texts(house.work()) == ["a b c of 2"]
    assert house.plans("state, sync_id") == [("succeeded", second)]
    assert house.query("SELECT sync_id FROM plan_syncs ORDER BY sync_finished_at") == [
        first,
        second,
    ]


def test_each_sync_begins_the_window_anew_until_the_longest_wait(ledger: Ledger) -> None:
    """A stream of syncs does not put its plan off for ever."""
    house = House.of(ledger, RULE)
    for number in range(3):
        house.sync(f"c{number}", at=number)
        house.pass_time(19)
    assert house.work() == []
    house.sync("c3", at=3)
    assert house.work() == []
    house.pass_time(3)
    assert texts(house.work()) == ["c0 c1 c2 c3 of 4"]
    house.sync("c4", at=4)
    assert house.plans() == ["succeeded", "collecting"]


def test_the_newest_sync_speaks_for_the_plan_whichever_came_last(ledger: Ledger) -> None:
    """Of a resource that several syncs have, the entry of the one that finished last counts."""
    house = House.of(ledger, EACH)
    house.sync("a", at=20, message="new")
    house.sync("a", "b", at=10, message="old")
    house.pass_time(31)
    assert texts(house.work()) == [
        "a configmap/a configured new",
        "b configmap/b configured new",
    ]


def test_the_trail_tells_of_each_sync_which_plan_it_went_into(ledger: Ledger) -> None:
    """The lines of a joining sync, `rule.matched` too, name the plan that is there."""
    house = House.of(ledger, RULE)
    first, second = house.sync("a", at=0), house.sync("b", at=1)
    (plan,) = house.plans("id")
    matched = house.events("rule.matched")
    assert [(line["sync"], line["plan"]) for line in matched] == [(first, plan), (second, plan)]
    (began,), (joined,) = house.events("plan.collecting"), house.events("plan.joined")
    assert (began["sync"], began["plan"], began["rule"]) == (first, plan, "purge")
    assert (joined["sync"], joined["plan"], joined["syncs"]) == (second, plan, 2)
    assert joined["until"] >= began["until"]


def test_the_story_of_each_sync_has_the_plan_that_covers_it(ledger: Ledger) -> None:
    """With its runs and what became of them, whichever sync one asks for."""
    house = House.of(ledger, RULE)
    first, second = house.sync("a", at=0), house.sync("b", at=1)
    house.pass_time(31)
    house.work()
    for sync in (first, second):
        story = story_of(Reader(house.ledger), sync)
        assert story
        (plan,) = story["plans"]
        assert (plan["sync"], plan["syncs"]) == (second, [first, second])
        assert [run["state"] for run in plan["runs"]] == ["succeeded"]
        names = [event["event"] for event in story["events"]]
        assert names[-1] == "plan.succeeded"
        assert "sync.planned" in names
        assert "attempt.started" in names
    listed = Reader(house.ledger).syncs(limit=10)
    assert {row["id"]: [plan["state"] for plan in row["plans"]] for row in listed} == {
        first: ["succeeded"], second: ["succeeded"]
    }  # fmt: skip


def test_syncs_of_one_turn_join_one_plan(ledger: Ledger) -> None:
    """Whether they are planned in one transaction or in several."""
    house = House.of(ledger, RULE)
    house.plan([house.store(f"c{number}", at=number) for number in range(10)])
    house.pass_time(31)
    assert texts(house.work()) == ["c0 c1 c2 c3 c4 c5 c6 c7 c8 c9 of 10"]


def test_applications_and_senders_are_apart_unless_a_key_says_otherwise(ledger: Ledger) -> None:
    """By default a plan is of one application of one Argo CD."""
    house = House.of(ledger, RULE)
    house.sync("a", application="shop")
    house.sync("a", application="blog")
    house.sync("a", application="shop", sender="east")
    assert house.plans() == ["collecting"] * 3


def test_a_key_gathers_several_applications(ledger: Ledger) -> None:
    """Their resources are apart though they have the same names."""
    rules = RULE.replace("maxWait: 1m", 'maxWait: 1m, key: "${{ application.project }}"')
    house = House.of(ledger, rules)
    house.sync("a", application="shop", at=0)
    house.sync("a", application="blog", at=1)
    house.pass_time(31)
    assert texts(house.work()) == ["a a of 2"]
    assert house.plans("application") == ["argocd/blog"]


def test_a_changed_rule_collects_in_a_plan_of_its_own(ledger: Ledger) -> None:
    """The older plan goes on as its rule was; a change elsewhere in the files parts nothing."""
    house = House.of(ledger, RULE)
    house.sync("a", at=0)
    house.use(RULE + RULE.replace("purge", "other").replace("kind: ConfigMap", "kind: Secret"))
    house.sync("b", at=1)
    assert house.plans() == ["collecting"]
    house.use(RULE.replace("of $", "in $"))
    house.sync("c", at=2)
    assert house.plans() == ["collecting"] * 2
    house.pass_time(31)
    assert sorted(texts(house.work())) == ["a b of 2", "c in 1"]


def test_a_plan_that_has_collected_waits_for_its_place(ledger: Ledger) -> None:
    """While it collects it takes no place under its concurrency key."""
    house = House.of(ledger, f"{RULE}  concurrency: {{}}\n")
    house.sync("a", at=0, application="shop")
    house.sync("b", at=1, application="blog")
    house.pass_time(31)
    (first,) = house.claim()
    assert house.plans() == ["active", "waiting"]
    house.end(first)
    assert len(house.work()) == 1
    assert house.plans() == ["succeeded"] * 2


def test_limits_count_the_union(ledger: Ledger) -> None:
    """A plan that has collected too many targets is held, and goes on when approved."""
    house = House.of(ledger, f"{RULE}  limits: {{maxTargets: 2}}\n")
    house.sync("a", "b", at=0)
    house.sync("b", "c", at=1)
    house.pass_time(31)
    assert house.work() == []
    assert house.plans("state, reason") == [("held", "matches 3 resources, more than maxTargets 2")]
    house.approve(house.plans("id")[0])
    assert texts(house.work()) == ["a b c of 2"]


def test_a_rule_without_debounce_has_a_list_of_one_sync(ledger: Ledger) -> None:
    """So an expression over `syncs` may stand anywhere."""
    house = House.of(ledger, RULE.replace("  debounce: {window: 30s, maxWait: 1m}\n", ""))
    house.sync("a")
    assert texts(house.work()) == ["a of 1"]


def test_a_turn_finds_what_has_collected_by_an_index(file_ledger: SqliteLedger) -> None:
    """It is asked every turn."""
    house = House.of(file_ledger, RULE)
    for statement in (
        "SELECT MIN(due_at) FROM plans WHERE state = 'collecting'",
        "SELECT id FROM plans WHERE state = 'collecting' AND due_at <= 5 ORDER BY due_at LIMIT 9",
        "SELECT * FROM plans WHERE collect_key = 'x' AND state = 'collecting'",
    ):
        plan = house.query(f"EXPLAIN QUERY PLAN {statement}")
        assert all("USING" in row[-1] and "INDEX" in row[-1] for row in plan), plan


def test_a_plan_without_room_for_the_next_sync_starts_at_once(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That sync begins another plan, so that each of them has all of its resources."""
    monkeypatch.setattr("receiver.planning.plan_builder.MOST_COLLECTED", 3)
    house = House.of(ledger, RULE)
    first, second = house.sync("a", "b", at=0), house.sync("b", "c", at=10)
    third = house.sync("d", at=20)
    assert house.plans("sync_id, state") == [(second, "active"), (third, "collecting")]
    assert texts(house.work()) == ["a b c of 2"]
    house.pass_time(31)
    assert texts(house.work()) == ["d of 1"]
    (told,) = house.events("plan.filled")
    (plan,) = house.query(f"SELECT plan_id FROM plan_syncs WHERE sync_id = '{first}'")
    assert (told["plan"], told["sync"], told["rule"]) == (plan, second, "purge")
    assert told["reason"] == f"with sync {third} it would have 4 targets, more than 3"


def test_a_plan_collects_no_more_runs_than_a_sync_may_have(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run for each resource is what costs most."""
    monkeypatch.setattr("receiver.planning.plan_builder.MOST_RUNS", 5)
    two = EACH + EACH[EACH.index("  - uses") :].replace("  - uses", "  - name: again\n    uses")
    house = House.of(ledger, two)
    house.sync("a", "b", at=0)
    assert house.plans() == ["collecting"]
    house.sync("c", at=10)
    assert house.plans() == ["active", "collecting"]


@pytest.mark.parametrize(
    ("bound", "most", "told"),
    [
        ("MOST_SYNCS", 2, "3 syncs, more than 2"),
        ("MOST_RESOURCES", 3, "4 resources in its syncs, more than 3"),
        ("MOST_BYTES", 1000, "bytes of notifications, more than 1000"),
    ],
)
def test_the_syncs_of_a_plan_are_bounded_though_all_have_the_same_resources(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, bound: str, most: int, told: str
) -> None:
    """All of them are read when the plan's runs are rendered."""
    monkeypatch.setattr(f"receiver.ledger.plans.debounce.{bound}", most)
    house = House.of(ledger, RULE)
    for at, names in enumerate(["a", "a", "ab"]):
        house.sync(*names, at=at)
    assert house.plans()[-1] == "collecting"
    assert house.plans()[0] == "active"
    assert told in house.events("plan.filled")[0]["reason"]


def test_a_full_plan_that_has_too_many_targets_is_held(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To start at once is no way around an approval."""
    monkeypatch.setattr("receiver.planning.plan_builder.MOST_COLLECTED", 3)
    house = House.of(ledger, f"{RULE}  limits: {{maxTargets: 2}}\n")
    house.sync("a", "b", "c", at=0)
    house.sync("d", at=10)
    assert house.plans() == ["held", "collecting"]


def test_syncs_of_one_turn_fill_plans_one_after_another(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether they are planned in one transaction or in several, nothing is lost."""
    monkeypatch.setattr("receiver.planning.plan_builder.MOST_COLLECTED", 3)
    house = House.of(ledger, RULE)
    house.plan([house.store(f"c{number}", at=number) for number in range(7)])
    assert house.plans() == ["active", "active", "collecting"]
    house.pass_time(31)
    assert texts(house.work()) == ["c0 c1 c2 of 3", "c3 c4 c5 of 3", "c6 of 1"]
