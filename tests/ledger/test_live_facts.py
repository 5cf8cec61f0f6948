"""What only live objects know: rules ask for it, and it is stored with the sync."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from desks import put_in_force
from house import NOON, House
from notifications import resource
from toy_cluster import ToyCluster

from receiver.core.model import Live
from receiver.inspection.explain import Explainer
from receiver.kubernetes.health import Health
from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.plans.application_memory import read_recalled, write_recalled
from receiver.notification.live_verdicts import Observed
from receiver.notification.recalled import Recalled

RULES = """
- name: edge
  match: {resources: [{kind: ConfigMap, labels: {tier: edge*}}]}
  actions: [{uses: log.message, with: {text: "${{ resource.name }}"}}]
"""
ANY = RULES.replace("kind: ConfigMap,", "kind: ConfigMap, change: any,")
EXPRESSION = """
- name: edge
  match:
    resources: [{kind: ConfigMap, change: any}]
    condition: "resource.annotations['note'] == 'a'"
  actions: [{uses: log.message, with: {text: "${{ resource.name }} ${{ resource.labels.tier }}"}}]
"""
WITHIN = NOON - timedelta(seconds=10)
BEFORE = NOON - timedelta(hours=1)


@pytest.fixture
def house(ledger: Ledger) -> House:
    return House.of(ledger, RULES, verify_for=120)


@pytest.fixture
def cluster() -> ToyCluster:
    """Two that are at the edge, and one that is not; two were changed."""
    return ToyCluster(
        {"a": WITHIN, "b": BEFORE, "c": WITHIN},
        labels={"a": {"tier": "edge"}, "b": {"tier": "edge-2"}, "c": {"tier": "core"}},
    )


def look(house: House, cluster: ToyCluster) -> None:
    """Verify what waits, and plan it."""
    verify(house, cluster)
    house.plan([])


def verify(house: House, cluster: ToyCluster) -> None:
    """Verify what waits."""
    house.verification(cluster)._round()


def texts(house: House) -> list[str]:
    return [run.parameters["text"] for run in house.work()]


def reasons(house: House, sync: str) -> list[str]:
    put_in_force(house)
    (row,) = Explainer(house.ledger).explain(sync).rows or []
    return [one["reason"] for one in row["resources"]]


def same(name: str, **fields: Any) -> dict[str, Any]:
    return resource(name, f"configmap/{name} unchanged", **fields)


def test_a_selector_asks_for_labels(house: House, cluster: ToyCluster) -> None:
    """Of what it matches otherwise: by the object `b` has not changed."""
    sync = house.sync("a", "b", "c", same("d"))
    look(house, cluster)
    assert cluster.asked == [("shop", ["a", "b", "c"])]
    assert texts(house) == ["a"]
    assert "labels.tier wants edge*, saw core" in reasons(house, sync)[2]


def test_what_did_not_change_is_asked_where_that_is_no_matter(
    house: House, cluster: ToyCluster
) -> None:
    """Hooks too. Their change stays what the message says."""
    house.use(ANY)
    hook = resource("b", hookType="PostSync", hookPhase="Succeeded")
    sync = house.sync(same("a"), hook, same("c"))
    look(house, cluster)
    assert cluster.asked == [("shop", ["a", "c"])]
    assert texts(house) == ["a"]
    assert "a unchanged" in reasons(house, sync)[0]


def test_the_manifest_in_an_annotation_is_not_kept(house: House, cluster: ToyCluster) -> None:
    """A Secret that kubectl has applied has its values there."""
    house.use(EXPRESSION)
    sync = house.sync(same("a"))
    look(house, cluster)
    (recalled,) = house.query(f"SELECT recalled FROM syncs WHERE id = '{sync}'")
    assert "note" in str(recalled)
    assert "c2VjcmV0" not in str(recalled)


MANIFESTS = {
    "kapp.k14s.io/original": '{"kind":"Secret","data":{"password":"aHVudGVyMg=="}}',
    "objectset.rio.cattle.io/applied": "H4sIAAAAAAAA/4yRT2",
    "as.yaml": "kind: Secret\ndata: {password: aHVudGVyMg==}",
}
ALL = EXPRESSION.replace("resource.annotations['note'] == 'a'", "size(resource.annotations) > 0")


def told(house: House, rules: str, kind: str) -> Any:
    """The annotations that are stored of one object."""
    house.use(rules.replace("kind: ConfigMap", "kind: [ConfigMap, Secret]"))
    cluster = ToyCluster({"a": WITHIN}, labels={"a": {"tier": "edge"}}, annotations=MANIFESTS)
    cluster.kinds["a"] = (kind, "shop")
    sync = house.sync(resource("a", f"{kind.lower()}/a configured", kind=kind))
    look(house, cluster)
    assert texts(house) == ["a edge"]
    (recalled,) = house.query(f"SELECT recalled FROM syncs WHERE id = '{sync}'")
    (live,) = json.loads(recalled)["observed"]["told"].values()
    return live["annotations"]


@pytest.mark.parametrize("kind", ["ConfigMap", "Secret"])
def test_only_what_a_rule_names_is_kept(house: House, kind: str) -> None:
    """The manifests of others are none of our business."""
    assert told(house, EXPRESSION, kind) == {"note": "a"}


@pytest.mark.parametrize("kind", ["ConfigMap", "Secret"])
def test_where_all_are_asked_for_what_may_hold_a_secret_is_a_digest(
    house: House, kind: str
) -> None:
    """Of a Secret that is everything; of others what looks like a manifest."""
    found = told(house, ALL, kind)
    assert found.keys() == {"note", *MANIFESTS}
    hidden = {name for name, text in found.items() if str(text).startswith("digest:")}
    assert hidden == {*MANIFESTS, *(["note"] if kind == "Secret" else [])}


@pytest.mark.parametrize("kind", ["ConfigMap", "Secret"])
def test_a_manifest_that_a_rule_names_is_kept_but_of_a_secret(house: House, kind: str) -> None:
    """There its digest still tells that it is there."""
    name = "kapp.k14s.io/original"
    wanted = "size(resource.annotations['NAME']) > 0".replace("NAME", name)
    found = told(house, EXPRESSION.replace("resource.annotations['note'] == 'a'", wanted), kind)
    assert found.keys() == {name}
    assert (found[name] == MANIFESTS[name]) == (kind == "ConfigMap")


@pytest.mark.parametrize("other", [False, True])
def test_an_annotation_that_nobody_has_looked_for_is_not_known(
    house: House, cluster: ToyCluster, other: bool
) -> None:
    """Rules that changed meanwhile name another one; one that is not there is known so."""
    rules = ANY.replace("labels: {tier: edge*}", "annotations: {absent: a}")
    house.use(rules)
    sync = house.sync("a")
    house.verification(cluster, wakes=False)._verify_some(house.planner)
    house.use(rules.replace("absent", "note") if other else rules)
    house.plan([])
    (reason,) = reasons(house, sync)
    assert ("not known: its live object was not read for this" in reason) == other
    assert ("saw nothing" in reason) != other


def test_what_is_told_of_one_sync_is_bounded(house: House) -> None:
    """What is beyond is unknown, with that reason; who changed what is known all the same."""
    names = [f"n{number}" for number in range(40)]
    notes = {f"note-{number}": "x" * 1_000 for number in range(500)}
    house.use(ALL)
    cluster = ToyCluster(dict.fromkeys(names, WITHIN), annotations=notes)
    sync = house.sync(*names)
    verify(house, cluster)
    (recalled,) = house.query(f"SELECT recalled FROM syncs WHERE id = '{sync}'")
    assert len(recalled) < 9_000_000
    told = json.loads(recalled)["observed"]["told"].values()
    known = [live for live in told if live["annotations"]]
    assert 10 < len(known) < 20
    unknown = {live["unknown"] for live in told if not live["annotations"]}
    assert unknown == {"of this sync's objects more than 8,388,608 characters were asked for"}


def test_an_expression_asks_too(house: House, cluster: ToyCluster) -> None:
    """For all labels and annotations of what the rest of the match selects."""
    house.use(EXPRESSION)
    house.sync(same("a"), same("b"))
    look(house, cluster)
    assert texts(house) == ["a edge"]


@pytest.mark.parametrize("there", [True, False])
def test_what_is_not_known_does_not_match(house: House, cluster: ToyCluster, there: bool) -> None:
    """Neither what cannot be read, nor anything without a connection; it says why."""
    house.verify_for = 120 if there else 0
    cluster.changed_at = {}
    sync = house.sync("a")
    look(house, cluster)
    assert texts(house) == []
    why = "it is not there any more" if there else "its live object was not read for this"
    (reason,) = reasons(house, sync)
    assert f"labels.tier wants edge*, and its labels are not known: {why}" in reason


def test_a_replay_sees_the_same(house: House, cluster: ToyCluster) -> None:
    """Whatever has become of the object."""
    sync = house.sync("a")
    look(house, cluster)
    before = texts(house)
    cluster.labels = {}
    house.replay(sync)
    assert texts(house) == before == ["a"]


def test_what_a_retry_does_not_list_is_asked_as_well(house: House, cluster: ToyCluster) -> None:
    """It takes part as what is listed does."""
    only: dict[str, Any] = {"syncOptions": ["ApplyOutOfSyncOnly=true"]}
    house.sync("c", operation={"sync": only}, retryCount=1)
    look(house, cluster)
    assert texts(house) == ["a"]


def test_another_event_than_a_sync_asks_as_well(house: House, cluster: ToyCluster) -> None:
    """On a channel of its own, together with the health."""
    selector = "change: any, health: Degraded,"
    rules = ANY.replace("change: any,", selector).replace("match: {", "match: {channel: degraded, ")
    house.use(rules)
    cluster.healths = {"a": Health("Degraded", "broken"), "c": Health("Degraded", "broken")}
    entries = [resource(name) for name in ("a", "b", "c")]
    body = {"application": {"name": "shop"}, "eventKey": "1", "resources": entries}
    house.plan([house.bring(json.dumps(body).encode(), channel="degraded")])
    look(house, cluster)
    assert texts(house) == ["a"]


def test_a_replay_asks_again_only_where_nobody_could_read() -> None:
    """What was read stays as it was."""
    gone, read = Live(unknown="nobody there"), Live({"tier": "edge"})
    assert Observed(told={"a": gone}).blind
    assert not Observed(told={"a": gone, "b": read}).blind
    assert not Observed(told={"a": Live()}).blind


def test_it_is_stored_as_it_was_told() -> None:
    """A long annotation as its digest."""
    told = {"a": Live({"tier": "edge"}, None), "b": Live(unknown="gone")}
    recalled = Recalled(observed=Observed(told=told))
    assert read_recalled(write_recalled(recalled)) == recalled
