"""Rules that compare fields of live objects with what they were, in a real ledger."""

from __future__ import annotations

import json
import zlib
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from desks import put_in_force
from house import NOON, House, later
from notifications import resource
from planning import planner_of
from service import wait_for
from toy_cluster import ToyCluster

from receiver.argocd.objects import ApplicationState, ApplicationSummary
from receiver.core.logs import configure_logs
from receiver.dispatcher import baseline
from receiver.dispatcher.baseline import Baseline
from receiver.inspection.explain import Explainer
from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.plans.field_values import tidy_fields
from receiver.notification.live_verdicts import MANAGERS

RULES = """
- name: reload
  onUnknownChange: skip
  match: {resources: [{kind: CONFIG, fields: 'data["nginx.conf"]'}]}
  actions:
  - uses: log.message
    with: {text: "${{ resource.name }}: ${{ resource.fields['data[\\"nginx.conf\\"]'].after }}"}
""".replace("CONFIG", "[ConfigMap, Secret]")
OTHERS = """
- name: tell
  match: {resources: [{kind: ConfigMap}]}
  actions: [{uses: log.message, with: {text: hello}}]
"""
LOG = configure_logs("json")
DAY = 86_400


@pytest.fixture
def house(ledger: Ledger) -> House:
    return House.of(ledger, RULES, verify_for=120)


@pytest.fixture
def cluster() -> ToyCluster:
    """One Application with two objects, which finished an operation long ago."""
    made = ToyCluster()
    for name in ("a", "b"):
        put(made, name, "one", NOON - timedelta(hours=1))
    end = NOON - timedelta(hours=1)
    made.operation = (end - timedelta(minutes=1), end)
    made.listed = [listed("shop", made)]
    return made


def listed(name: str, cluster: ToyCluster, project: str = "web") -> ApplicationSummary:
    return ApplicationSummary(
        "argocd", name, "u-1", project, {}, "Succeeded", *cluster.operation
    )  # fmt: skip


def put(cluster: ToyCluster, name: str, conf: str | None, at: datetime) -> None:
    """Apply an object with this nginx.conf."""
    cluster.changed_at[name] = at
    cluster.contents[name] = {"data": {"nginx.conf": conf, "other": str(at)}}


def synced(
    house: House, cluster: ToyCluster, *names: str | dict[str, Any], at: float = 0, **state: Any
) -> tuple[str, list[str]]:
    """A sync of these that ended so many seconds from noon; its id, and what is acted upon."""
    sync = house.sync(*names, at=at, **state)
    verify(house, cluster)
    return sync, [run.parameters["text"] for run in house.work()]


def verify(house: House, cluster: ToyCluster) -> None:
    house.verification(cluster)._round()
    house.plan([])


def take(house: House, cluster: ToyCluster) -> Baseline:
    """One round of the baseline."""
    made = Baseline("argocd", cluster, house.ledger, lambda: house.planner, MANAGERS, LOG)
    made._round()
    return made


def change(cluster: ToyCluster, name: str, conf: str, at: float = 0) -> None:
    put(cluster, name, conf, NOON + timedelta(seconds=at - 10))


def values(house: House) -> list[Any]:
    query = "SELECT resource, value, previous FROM field_values ORDER BY application, resource"
    return [tuple(row) for row in house.query(query)]


def reasons(house: House, sync: str) -> list[str]:
    put_in_force(house)
    (row,) = Explainer(house.ledger).explain(sync).rows or []
    return [one["reason"] for one in row["resources"]]


def test_only_what_changed_in_this_field_is_acted_upon(house: House, cluster: ToyCluster) -> None:
    """Both objects changed; one of them in another field alone."""
    take(house, cluster)
    change(cluster, "a", "two")
    change(cluster, "b", "one")
    sync, texts = synced(house, cluster, "a", "b")
    assert texts == ["a: two"]
    matched, refused = reasons(house, sync)
    assert matched.endswith(', data["nginx.conf"] changed')
    assert refused == 'resources[0].fields: its fields are as before: data["nginx.conf"]'
    change(cluster, "b", "three", 60)
    assert synced(house, cluster, "a", "b", at=60)[1] == ["b: three"]


def test_at_first_sight_the_policy_decides(house: House, cluster: ToyCluster) -> None:
    """It says so; the sync after it knows."""
    change(cluster, "a", "two")
    sync, texts = synced(house, cluster, "a")
    assert texts == []
    (reason,) = reasons(house, sync)
    assert "it is not known whether its fields changed: " in reason
    assert reason.endswith('data["nginx.conf"]: first seen by this sync')
    change(cluster, "a", "three", 60)
    assert synced(house, cluster, "a", at=60)[1] == ["a: three"]
    house.use(RULES.replace("skip", "run"))
    change(cluster, "b", "two", 120)
    sync, texts = synced(house, cluster, "b", at=120)
    assert texts == ["b: two"]
    assert "perhaps changed" in reasons(house, sync)[0]


def test_what_is_in_no_namespace_is_known_as_well(house: House, cluster: ToyCluster) -> None:
    """A sync's list names the Application's destination for it, the Application itself nothing."""
    house.use(RULES.replace("Secret", "Namespace"))
    cluster.kinds = {"a": ("Namespace", "")}
    take(house, cluster)
    change(cluster, "a", "two")
    entry = resource("a", "namespace/a configured", kind="Namespace", namespace="shop")
    assert synced(house, cluster, entry)[1] == ["a: two"]


def test_where_the_object_cannot_tell_the_fields_decide(house: House, cluster: ToyCluster) -> None:
    """It has no fields of Argo CD's managers, and another value."""
    take(house, cluster)
    cluster.manager = "somebody"
    change(cluster, "a", "two")
    change(cluster, "b", "one")
    sync, texts = synced(house, cluster, "a", "b")
    assert texts == ["a: two"]
    assert "of unknown change" in reasons(house, sync)[0]


def test_without_a_connection_nothing_is_known(house: House, cluster: ToyCluster) -> None:
    """`onUnknownChange` decides."""
    house.verify_for = 0
    sync, texts = synced(house, cluster, "a")
    assert texts == []
    assert "its live object was not read" in reasons(house, sync)[0]


def test_a_secret_leaves_no_value_behind(house: House, cluster: ToyCluster) -> None:
    """Its digests tell what changed; what Argo CD masks is unknown."""
    secret = resource("a", "secret/a configured", kind="Secret")
    found = []
    for at, conf in ((0, "sha256:one"), (60, "sha256:two"), (120, None)):
        put(cluster, "a", conf, NOON + timedelta(seconds=at - 10))
        found.append(synced(house, cluster, secret, at=at))
    assert [len(texts) for _, texts in found] == [0, 1, 0]
    assert "masks the values of a Secret" in reasons(house, found[-1][0])[0]
    kept = json.dumps(values(house)) + json.dumps(house.query("SELECT recalled FROM syncs"))
    assert "sha256:" not in kept
    assert '\\"digest:' in kept


def test_a_replay_and_another_channel_see_the_same(house: House, cluster: ToyCluster) -> None:
    """What was compared is stored with the sync, and what was before it is kept as well."""
    take(house, cluster)
    change(cluster, "a", "two")
    sync, texts = synced(house, cluster, "a")
    house.replay(sync)
    assert [run.parameters["text"] for run in house.work()] == texts == ["a: two"]
    rules = RULES.replace("match: {", "match: {channel: '*', ")
    house.use(rules)
    house.bring(zlib.decompress(house.query("SELECT body FROM deliveries")[0]), channel="again")
    house.plan([])
    verify(house, cluster)
    assert [run.parameters["text"] for run in house.work()] == ["a: two"]


def test_what_failed_is_compared_and_not_kept(house: House, cluster: ToyCluster) -> None:
    """So the next one that succeeds has changed it, although nothing was left to do for it."""
    take(house, cluster)
    change(cluster, "a", "two")
    assert synced(house, cluster, "a", phase="Failed")[1] == []
    again = resource("a", "configmap/a unchanged")
    assert synced(house, cluster, again, at=60)[1] == ["a: two"]


@pytest.mark.parametrize("together", [False, True])
def test_what_failed_first_is_not_lost_where_nothing_is_remembered(
    house: House, cluster: ToyCluster, together: bool
) -> None:
    """The retry has nothing left to do, and perhaps all the same another value than before."""
    house.use(RULES.replace("skip", "run"))
    change(cluster, "a", "two")
    again = resource("a", "configmap/a unchanged")
    if together:
        house.sync("a", phase="Failed")
        house.sync(again, at=60)
        verify(house, cluster)
        assert [run.parameters["text"] for run in house.work()] == ["a: two"]
        return
    assert synced(house, cluster, "a", phase="Failed")[1] == []
    sync, texts = synced(house, cluster, again, at=60)
    assert texts == ["a: two"]
    assert "first seen by this sync" in reasons(house, sync)[0]
    assert synced(house, cluster, again, at=120)[1] == []


def test_two_that_ended_in_the_same_second_are_two(house: House, cluster: ToyCluster) -> None:
    """The second is compared with what the first left."""
    take(house, cluster)
    change(cluster, "a", "two")
    assert synced(house, cluster, "a", startedAt="2026-06-10T11:59:45Z")[1] == ["a: two"]
    change(cluster, "a", "one", 5)
    assert synced(house, cluster, "a", startedAt="2026-06-10T11:59:54Z")[1] == ["a: one"]


def test_two_syncs_that_are_read_together_are_compared_in_their_order(
    house: House, cluster: ToyCluster
) -> None:
    """The first changed it, the second did not."""
    take(house, cluster)
    change(cluster, "a", "two")
    house.store("a")
    house.store("a", at=60)
    house.plan([])
    verify(house, cluster)
    assert [run.parameters["text"] for run in house.work()] == ["a: two"]


def test_a_baseline_is_taken_once(house: House, cluster: ToyCluster) -> None:
    """Of the Applications and resources that a rule asks about; again where one asks for more."""
    cluster.listed.append(listed("other", cluster, "backend"))
    house.use(RULES.replace("match: {", "match: {application: {project: web}, "))
    take(house, cluster)
    assert values(house) == [
        ("ConfigMap/shop/a", '"one"', None),
        ("ConfigMap/shop/b", '"one"', None),
    ]
    asked = [*cluster.asked]
    assert asked == [("all", []), ("shop", ["a", "b"])]
    take(house, cluster)
    assert cluster.asked == asked
    house.use(RULES.replace("match: {", "match: {application: {project: '*'}, "))
    take(house, cluster)
    assert cluster.asked[2:] == [("all", []), ("other", ["a", "b"])]
    assert len(values(house)) == 4
    assert [one["applications"] for one in house.events("fields.read")] == [1, 2]


def test_what_nobody_asks_for_is_forgotten(house: House, cluster: ToyCluster) -> None:
    """Paths of rules that are gone, and Applications that are; two days later."""
    cluster.listed.append(listed("other", cluster))
    take(house, cluster)
    assert len(values(house)) == 4
    cluster.listed.pop()
    house.use(RULES.replace("data", "metadata.labels"))
    take(house, cluster)
    assert len(values(house)) == 6
    house.ledger = later(house.ledger, 2.1 * DAY)
    take(house, cluster)
    paths = house.query("SELECT path FROM field_values")
    assert set(paths) == {'metadata.labels["nginx.conf"]'}
    assert len(paths) == 2
    house.use(OTHERS)
    take(house, cluster)
    house.ledger = later(house.ledger, 2.1 * DAY)
    take(house, cluster)
    assert values(house) == []


def test_dispatchers_with_different_rules_leave_each_other_alone(
    house: House, cluster: ToyCluster
) -> None:
    """Each has one pass a day, and neither deletes what the other asks for."""
    one, other = planner_of(RULES), planner_of(RULES.replace("data", "metadata.labels"))
    both = [
        Baseline("argocd", cluster, house.ledger, lambda: one, MANAGERS, LOG),
        Baseline("argocd", cluster, house.ledger, lambda: other, MANAGERS, LOG),
    ]
    for number in range(6):
        both[number % 2]._round()
    assert cluster.asked == [("all", []), ("shop", ["a", "b"])] * 2
    assert len(values(house)) == 4
    for day in (1.1, 2.2, 3.3):
        both[0]._ledger = both[1]._ledger = later(house.ledger, day * DAY)
        for one_of_them in both:
            one_of_them._round()
    assert len(values(house)) == 4


def test_how_many_rule_sets_are_remembered_is_bounded(house: House, cluster: ToyCluster) -> None:
    """The newest ones."""
    for number in range(baseline.RULE_SETS + 1):
        house.use(RULES.replace("data", f"metadata.n{number}"))
        take(house, cluster)
    (kept,) = house.query("SELECT value FROM key_values WHERE name = 'fields argocd'")
    assert len(json.loads(kept)) == baseline.RULE_SETS
    assert house.planner.fields.digest in kept


def test_more_paths_than_a_statement_has_parameters(house: House) -> None:
    """A list is one parameter, however long."""
    many = [f"data.n{number}" for number in range(70_000)]
    with house.ledger.write() as connection:
        tidy_fields(connection, 1, "argocd", many, many)


def test_without_a_rule_that_asks_nobody_is_asked(house: House, cluster: ToyCluster) -> None:
    """Nor is anything written."""
    house.use(OTHERS)
    take(house, cluster)
    assert cluster.asked == []
    assert house.query("SELECT name FROM key_values WHERE name LIKE 'fields %'") == []


@pytest.mark.parametrize(
    ("phase", "after"), [("Running", 0), ("Failed", 0), ("Succeeded", 5), ("Succeeded", -5)]
)
def test_what_is_under_way_is_no_baseline(
    house: House, cluster: ToyCluster, phase: str, after: float
) -> None:
    """Nor what an operation left that failed, nor what was changed since."""
    _, end = cluster.operation
    assert end
    put(cluster, "a", "one", end + timedelta(seconds=after))
    summary = replace(cluster.listed[0], phase=phase)
    cluster.summaries = {"shop": summary}
    take(house, cluster)
    known = [resource for resource, _, _ in values(house)]
    both = ["ConfigMap/shop/a", "ConfigMap/shop/b"]
    assert known == ([] if phase != "Succeeded" else both[after > 0 :])
    (told,) = house.events("fields.read")
    assert told["skipped"] == (phase != "Succeeded")


def test_a_baseline_of_the_operation_itself_is_no_first_value(
    house: House, cluster: ToyCluster
) -> None:
    """It was taken after the operation, before its notification was read."""
    change(cluster, "a", "two")
    cluster.operation = (NOON - timedelta(seconds=30), NOON)
    take(house, cluster)
    sync, texts = synced(house, cluster, "a")
    assert texts == []
    assert "first seen by this sync" in reasons(house, sync)[0]


def test_a_connection_that_fails_is_tried_again(
    house: House, cluster: ToyCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told, and the next round goes on."""
    monkeypatch.setattr(baseline, "TOGETHER", 1)
    cluster.failing = "nobody there"
    made = Baseline("argocd", cluster, house.ledger, lambda: house.planner, MANAGERS, LOG)
    assert made._round() > 0
    assert [one["use"] for one in house.events("connection.failed")] == ["read fields"]
    cluster.failing = ""
    made._begin(house.planner)
    made._round()
    assert len(values(house)) == 2
    assert len(house.events("connection.restored")) == 1


def test_a_pass_has_an_end(
    house: House, cluster: ToyCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How many Applications are beyond it is told."""
    monkeypatch.setattr(baseline, "MOST", 1)
    cluster.listed.append(listed("other", cluster))
    take(house, cluster)
    (told,) = house.events("fields.read")
    assert (told["applications"], told["beyond"]) == (1, 1)


def test_one_that_is_odd_holds_up_no_other(house: House, cluster: ToyCluster) -> None:
    """What our code makes of it is told; whoever comes after it has its turn."""

    class Odd(ToyCluster):
        def live(self, application: ApplicationState, *args: Any, **more: Any) -> Any:
            if application.summary.name == "shop":
                raise RuntimeError("never seen")
            return super().live(application, *args, **more)

    odd = Odd(cluster.changed_at, contents=cluster.contents, operation=cluster.operation)
    odd.listed = [*cluster.listed, listed("other", cluster)]
    take(house, odd)
    (told,) = house.events("fields.read")
    assert told["reasons"] == ["argocd/shop: not read: RuntimeError; see the log"]
    assert len(values(house)) == 2


def test_a_thread_does_it(house: House, cluster: ToyCluster) -> None:
    """And ends when it is told to."""
    made = Baseline("argocd", cluster, house.ledger, lambda: house.planner, MANAGERS, LOG)
    made.start()
    wait_for(lambda: len(values(house)) == 2, 10, "the baseline")
    made.stop()
    assert not made._thread.alive
