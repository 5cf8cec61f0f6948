"""`waitFor`: plans that wait until what they matched is healthy, and what becomes of them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from house import NOON, House, texts
from notifications import resource
from service import wait_for
from toy_cluster import ToyCluster

from receiver.argocd.connections import Connections
from receiver.core.logs import configure_logs
from receiver.dispatcher.companion import OTHERS
from receiver.dispatcher.health_gate import HealthGate
from receiver.kubernetes.health import Health
from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.engine.unit_of_work import UnitOfWork
from receiver.ledger.operations.approve import approve_plan
from receiver.ledger.operations.cancel import cancel_plan
from receiver.ledger.operations.common import Act
from receiver.ledger.queries.reader import Reader

RULE = """
- name: smoke
  match: {resources: [{kind: ConfigMap}]}
  waitFor: {healthy: 10m}
  actions:
  - {name: test, uses: log.message, with: {text: "${{ resource.name }}"}}
  - {name: after, uses: log.message, wave: 1, with: {text: after}}
  finally: [{name: last, uses: log.message, with: {text: last}}]
  onFailure: [{name: failed, uses: log.message, with: {text: "${{ failure.message }}"}}]
"""
GO = RULE.replace("10m", "10m, otherwise: go")
SICK = Health("Degraded", "2 of 3 replicas")
BEFORE = NOON - timedelta(hours=1)
BEGAN = NOON - timedelta(seconds=30)


@pytest.fixture
def cluster() -> ToyCluster:
    """Two sick ConfigMaps, as the operation that ended at noon has left them."""
    changed = dict.fromkeys(("a", "b"), BEGAN)
    return ToyCluster(changed, healths={"a": SICK, "b": SICK}, operation=(BEGAN, NOON))


def gate(house: House, cluster: ToyCluster | None, sender: str = "argocd") -> HealthGate:
    known = {"argocd": cluster} if cluster else {}
    return HealthGate(
        sender, Connections(known), house.ledger, lambda: None, configure_logs("json")
    )


def look(house: House, cluster: ToyCluster) -> None:
    """One round, as a thread that has just begun makes it."""
    gate(house, cluster)._round()


def rows(house: House) -> list[Any]:
    return house.plans("state, reason")


def approve(house: House, plan: str) -> list[str]:
    with house.ledger.write() as connection:
        uow = UnitOfWork(connection, house.ledger.now(connection))
        runs = approve_plan(uow, Act("ann"), plan)
        uow.finish()
    return runs


def names(house: House) -> list[str]:
    return [line["event"] for line in house.events("plan.*")]


def test_no_action_is_done_before_all_is_healthy(ledger: Ledger, cluster: ToyCluster) -> None:
    """The plan says for whom it waits and until when, and goes on at the first look after it."""
    house = House.of(ledger, RULE)
    house.sync("a", "b", at=0)
    assert house.work() == []
    assert rows(house) == [("gated", "nobody has looked at its resources yet")]
    look(house, cluster)
    sick = "ConfigMap shop/{}: Degraded: 2 of 3 replicas"
    assert rows(house) == [("gated", f"{sick.format('a')}; {sick.format('b')}")]
    cluster.healths = {"b": SICK}
    look(house, cluster)
    assert rows(house) == [("gated", sick.format("b"))]
    cluster.healths = {}
    look(house, cluster)
    assert texts(house.work()) == ["a", "b", "after", "after", "last"]
    assert names(house) == ["plan.gated", "plan.opened", "plan.succeeded"]
    (told,) = house.events("plan.gated")
    assert told["waitsFor"] == ["ConfigMap/shop/a", "ConfigMap/shop/b"]
    assert told["otherwise"] == "fail"


def test_runs_and_the_plan_say_what_they_wait_for(ledger: Ledger, cluster: ToyCluster) -> None:
    """In lists and in the story, with the moment at which the waiting ends."""
    house = House.of(ledger, RULE)
    house.sync("a", at=0)
    look(house, cluster)
    reader = Reader(house.ledger)
    (plan,) = reader.plans(limit=5)
    (run, *_) = reader.runs(limit=5)
    assert plan["dueAt"]
    assert run["waitsFor"] == (
        f"healthy resources, until {plan['dueAt']}: ConfigMap shop/a: Degraded: 2 of 3 replicas"
    )


def test_at_the_deadline_the_plan_fails(ledger: Ledger, cluster: ToyCluster) -> None:
    """With who is not healthy; nothing of its waves is run, but `finally` and `onFailure` are."""
    house = House.of(ledger, RULE)
    house.sync("a", at=0)
    house.pass_time(601)
    look(house, cluster)
    why = "not healthy within 600 s: ConfigMap shop/a: Degraded: 2 of 3 replicas"
    assert texts(house.work()) == ["last", why]
    assert rows(house) == [("failed", why)]
    assert house.runs("action, state, reason")[:2] == [
        ("test", "skipped", "what it waited for failed"),
        ("after", "skipped", "what it waited for failed"),
    ]
    assert names(house) == ["plan.gated", "plan.unhealthy", "plan.failed"]
    (told,) = house.events("plan.unhealthy")
    assert (told["reason"], told["otherwise"]) == (why, "fail")


def test_or_it_goes_all_the_same(ledger: Ledger, cluster: ToyCluster) -> None:
    """`otherwise: go`, and the trail says that it was not healthy."""
    house = House.of(ledger, GO)
    house.sync("a", at=0)
    house.pass_time(601)
    look(house, cluster)
    assert texts(house.work()) == ["a", "after", "last"]
    assert rows(house) == [("succeeded", "")]
    assert names(house) == ["plan.gated", "plan.unhealthy", "plan.succeeded"]


@pytest.mark.parametrize(("rule", "ends"), [(RULE, "failed"), (GO, "succeeded")])
def test_without_a_connection_nobody_can_know(ledger: Ledger, rule: str, ends: str) -> None:
    """So `otherwise` decides at once."""
    house = House.of(ledger, rule)
    house.sync("a", at=0)
    gate(house, None, OTHERS)._round()
    house.work()
    assert house.plans() == [ends]
    (told,) = house.events("plan.unhealthy")
    assert told["reason"] == "the sender argocd has no connection to Argo CD, so nobody can know"


def test_a_connection_that_fails_is_asked_again(ledger: Ledger, cluster: ToyCluster) -> None:
    """Until the deadline, and the plan says what is wrong."""
    house = House.of(ledger, RULE)
    house.sync("a", at=0)
    cluster.failing = "nobody is there"
    look(house, cluster)
    assert rows(house) == [("gated", "nobody is there")]
    cluster.failing, cluster.healths = "", {}
    look(house, cluster)
    assert house.plans() == ["active"]


def test_an_application_that_cannot_be_read_is_waited_for(
    ledger: Ledger, cluster: ToyCluster
) -> None:
    """As is an object that is not there: the reason stands in the plan."""
    house = House.of(ledger, RULE)
    house.sync("a", "gone", at=0)
    cluster.no_application = "it is not there"
    look(house, cluster)
    assert rows(house) == [("gated", "Application argocd/shop: it is not there")]
    cluster.no_application, cluster.healths = "", {}
    look(house, cluster)
    assert rows(house) == [("gated", "ConfigMap shop/gone: it is not there any more")]


def test_hooks_and_what_was_pruned_are_not_waited_for(ledger: Ledger, cluster: ToyCluster) -> None:
    """Their end came before that of the operation; nothing is asked of them."""
    house = House.of(ledger, RULE.replace("kind: ConfigMap", "hookType: any, status: any"))
    hook = resource("gone", "gone created", hookType="PostSync")
    house.sync(hook, resource("gone-too", "pruned", status="Pruned"), at=0)
    look(house, cluster)
    assert house.plans() == ["active"]


def test_a_rule_without_resources_waits_for_all_of_the_sync(
    ledger: Ledger, cluster: ToyCluster
) -> None:
    """Whatever it did to them."""
    house = House.of(ledger, RULE.replace("{resources: [{kind: ConfigMap}]}", "{}")
                     .replace("${{ resource.name }}", "all"))  # fmt: skip
    house.sync("a", resource("b", "configmap/b unchanged"), at=0)
    cluster.healths = {"b": SICK}
    look(house, cluster)
    assert rows(house) == [("gated", "ConfigMap shop/b: Degraded: 2 of 3 replicas")]


def test_a_newer_operation_that_changed_it_supersedes_the_plan(
    ledger: Ledger, cluster: ToyCluster
) -> None:
    """While it runs, the plan waits for its end; what becomes healthy then is another state."""
    house = House.of(ledger, RULE)
    house.sync("a", at=0)
    begun = NOON + timedelta(minutes=1)
    cluster.operation, cluster.healths = (begun, None), {}
    look(house, cluster)
    newer = "a newer operation of argocd/shop, begun at 2026-06-10T12:01:00Z"
    assert rows(house) == [("gated", f"{newer}, is under way")]
    cluster.operation = (begun, begun + timedelta(seconds=9))
    cluster.changed_at["a"] = begun + timedelta(seconds=5)
    look(house, cluster)
    why = f"superseded by {newer}: it has changed ConfigMap shop/a"
    assert rows(house) == [("superseded", why)]
    assert set(house.runs("state, reason")) == {("superseded", why)}
    (told,) = house.events("plan.superseded")
    assert told["reason"] == why
    assert house.work() == []


def test_a_newer_operation_that_left_it_alone_does_not(ledger: Ledger, cluster: ToyCluster) -> None:
    """Nobody else would do what this plan is for."""
    house = House.of(ledger, RULE)
    house.sync("a", at=0)
    begun = NOON + timedelta(minutes=1)
    cluster.operation, cluster.healths = (begun, begun + timedelta(seconds=9)), {}
    look(house, cluster)
    assert house.plans() == ["active"]


def test_a_clock_that_may_be_ahead_supersedes_nothing(ledger: Ledger, cluster: ToyCluster) -> None:
    """What the plan's own operation changed would seem to be changed by the newer one."""
    house = House.of(ledger, RULE)
    house.sync("a", at=0)
    begun = NOON + timedelta(minutes=1)
    cluster.operation, cluster.healths = (begun, begun + timedelta(seconds=9)), {}
    cluster.changed_at["a"] = begun
    cluster.clock = NOON + timedelta(hours=2)
    cluster.status_times = (begun, begun + timedelta(hours=1))
    look(house, cluster)
    assert house.plans() == ["active"]


def test_a_replay_is_wanted_whatever_came_since(ledger: Ledger, cluster: ToyCluster) -> None:
    """It waits for what is there now."""
    house = House.of(ledger, RULE)
    sync = house.sync("a", at=0)
    with house.ledger.write() as connection:
        uow = UnitOfWork(connection, house.ledger.now(connection))
        cancel_plan(uow, Act("ann"), house.plans("id")[0])
        uow.finish()
    begun = NOON + timedelta(minutes=1)
    cluster.operation = (begun, begun + timedelta(seconds=9))
    cluster.changed_at["a"] = begun
    house.replay(sync)
    look(house, cluster)
    assert house.plans() == ["cancelled", "gated"]
    cluster.healths = {}
    look(house, cluster)
    assert house.plans() == ["cancelled", "active"]


def test_a_gated_plan_takes_no_place_under_its_key(ledger: Ledger, cluster: ToyCluster) -> None:
    """What is sick keeps nobody else waiting."""
    house = House.of(ledger, f"{RULE}  concurrency: {{}}\n")
    house.sync("a", at=0)
    house.sync("b", at=0, startedAt=BEGAN.isoformat(), message="another", application="other")
    cluster.healths = {"a": SICK}
    look(house, cluster)
    assert house.plans() == ["gated", "active"]


def test_an_operator_lets_it_go(ledger: Ledger) -> None:
    """Of a plan that is held too, the first approval leads to the gate."""
    house = House.of(ledger, f"{RULE}  limits: {{maxTargets: 1}}\n")
    house.sync("a", "b", at=0)
    (plan,) = house.plans("id")
    assert house.plans() == ["held"]
    approve(house, plan)
    assert house.plans() == ["gated"]
    assert len(approve(house, plan)) == 5
    assert len(house.work()) == 5
    assert names(house) == [
        *("plan.held", "plan.approved", "plan.gated", "plan.approved", "plan.succeeded"),
    ]


def test_a_plan_that_collects_waits_when_it_has_collected(
    ledger: Ledger, cluster: ToyCluster
) -> None:
    """For what all of its syncs have brought."""
    house = House.of(ledger, f"{RULE}  debounce: {{window: 30s}}\n")
    house.sync("a", at=0)
    house.sync("b", at=0, message="again", finishedAt=(NOON + timedelta(seconds=1)).isoformat())
    house.pass_time(31)
    house.turn()
    assert house.plans() == ["gated"]
    look(house, cluster)
    assert house.plans() == ["gated"]
    cluster.healths = {}
    look(house, cluster)
    assert sorted(texts(house.work())) == ["a", "after", "after", "b", "last"]


def test_the_newest_of_a_series_starts_and_supersedes_the_others(
    ledger: Ledger, cluster: ToyCluster
) -> None:
    """They become healthy at the same moment, since they wait for the same."""
    house = House.of(ledger, f"{RULE}  onNewer: supersede\n")
    house.sync("a", at=0)
    house.sync("a", at=0, message="again", finishedAt=(NOON + timedelta(seconds=1)).isoformat())
    cluster.healths = {}
    look(house, cluster)
    assert house.plans() == ["superseded", "active"]


def test_a_plan_that_its_gate_has_failed_supersedes_nothing(
    ledger: Ledger, cluster: ToyCluster
) -> None:
    """It does not do the work of an older one, nor of one that comes late."""
    house = House.of(ledger, f"{RULE}  onNewer: supersede\n")
    house.sync("a", at=0, finishedAt=(NOON + timedelta(seconds=1)).isoformat(), message="newer")
    house.pass_time(601)
    look(house, cluster)
    house.turn()
    house.sync("a", at=0)
    cluster.healths = {}
    look(house, cluster)
    assert house.plans() == ["active", "active"]


def test_a_thread_looks_again_until_it_is_healthy(ledger: Ledger, cluster: ToyCluster) -> None:
    """And wakes the loop."""
    house = House.of(ledger, RULE)
    woken: list[bool] = []
    thread = HealthGate(
        "argocd", Connections({"argocd": cluster}), house.ledger, lambda: woken.append(True),
        configure_logs("json"),
    )  # fmt: skip
    thread.start()
    try:
        house.sync("a", at=0)
        thread.notify()
        wait_for(lambda: rows(house)[0][1].startswith("ConfigMap"), 60, "a look")
        cluster.healths = {}
        wait_for(lambda: bool(woken), 60, "the loop is woken")
    finally:
        thread.stop()
    assert house.plans() == ["active"]


def test_an_application_that_fails_holds_up_no_other(ledger: Ledger, cluster: ToyCluster) -> None:
    """It is looked at after the others from then on."""
    house = House.of(ledger, RULE)
    house.sync("a", at=0, application="bad")
    house.sync("b", at=0, application="good")
    cluster.healths, cluster.failing_for = {}, {"bad"}
    thread = gate(house, cluster)
    for _ in range(2):
        thread._next = dict.fromkeys(thread._next, 0.0)
        thread._round()
    assert rows(house) == [("gated", "bad fails"), ("active", "")]
