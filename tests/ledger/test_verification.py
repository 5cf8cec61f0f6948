"""Syncs that wait for what their live objects tell, and what becomes of them, in a real ledger."""

from __future__ import annotations

import json
import zlib
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from desks import put_in_force
from house import NOON, House, later
from notifications import resource
from service import wait_for
from sqlalchemy import event, text
from stories import story_of
from toy_cluster import ToyCluster

from receiver.argocd.objects import ApplicationState, ObjectRef, ResourceState, Unreadable
from receiver.core.errors import LedgerUnavailable
from receiver.core.logs import configure_logs
from receiver.dispatcher.resource_health import read_health
from receiver.dispatcher.unconnected import Unconnected
from receiver.inspection.explain import Explainer
from receiver.kubernetes.health import Health
from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.plans.application_memory import read_recalled, write_recalled
from receiver.ledger.plans.verification import verifying_syncs
from receiver.ledger.queries.reader import Reader
from receiver.notification.live_verdicts import Observed, Sighting
from receiver.notification.recalled import Recalled, Trace

RULES = """
- name: configs
  onUnknownChange: skip
  match: {resources: [{kind: ConfigMap, name: "*-conf"}]}
  actions: [{uses: log.message, with: {text: "${{ resource.name }}: ${{ resource.changeReason }}"}}]
"""
WITHIN = NOON - timedelta(seconds=10)
AT = "2026-06-10T11:59:50Z"
BEFORE = NOON - timedelta(hours=1)
SINCE = NOON + timedelta(minutes=1)
ONLY: dict[str, Any] = {
    "operation": {"sync": {"syncOptions": ["ApplyOutOfSyncOnly=true"]}},
    "retryCount": 1,
}


@pytest.fixture
def house(ledger: Ledger) -> House:
    return House.of(ledger, RULES, verify_for=120)


@pytest.fixture
def cluster() -> ToyCluster:
    return ToyCluster()


def look(house: House, cluster: ToyCluster) -> None:
    """One round, as the thread makes it."""
    house.verification(cluster)._round()


def applied(name: str, **fields: Any) -> dict[str, Any]:
    return resource(name, f"configmap/{name} serverside-applied", **fields)


def row(house: House, sync: str) -> tuple[Any, ...]:
    columns = "state, reason, verify_until, planned_at"
    (found,) = house.query(f"SELECT {columns} FROM syncs WHERE id = '{sync}'")
    return tuple(found)


def names(house: House) -> list[str]:
    return house.query("SELECT name FROM audit_events ORDER BY seq")


def texts(house: House) -> list[str]:
    return [run.parameters["text"] for run in house.work()]


def test_a_sync_waits_until_its_objects_have_told(house: House, cluster: ToyCluster) -> None:
    """Then only what really changed is acted upon, and the reason has both sides."""
    cluster.changed_at = {"a-conf": WITHIN, "b-conf": BEFORE, "c-conf": WITHIN}
    sync = house.sync(applied("a-conf"), applied("b-conf"), "other")
    state, reason, until, planned = row(house, sync)
    assert (state, planned) == ("verifying", None)
    assert until
    assert reason.startswith("its live objects are read, until 20")
    assert texts(house) == []
    look(house, cluster)
    assert cluster.asked == [("shop", ["a-conf", "b-conf"])]
    assert row(house, sync)[:3] == ("planned", "", None)
    (told,) = texts(house)
    assert told.startswith(f"a-conf: its object was last changed by argocd-controller at {AT}, ")
    assert "during this operation; its message: serverside-applied, which" in told
    (found,) = house.query("SELECT changed, unchanged, unknown FROM syncs")
    assert tuple(found) == (2, 1, 0)
    assert names(house)[:4] == [
        *("notification.accepted", "sync.verifying", "sync.verified", "sync.planned"),
    ]
    (verified,) = house.events("sync.verified")
    assert {key: verified[key] for key in ("changed", "unchanged", "unknown", "by")} == {
        "changed": 1, "unchanged": 1, "unknown": 0, "by": "the cluster of the test",
    }  # fmt: skip


def test_a_configured_that_changed_nothing_is_found_out(house: House, cluster: ToyCluster) -> None:
    """Its manifest is stored in another form than in Git, so kubectl says it at every sync."""
    cluster.changed_at = {"a-conf": BEFORE}
    house.sync("a-conf")
    look(house, cluster)
    house.plan([])
    assert texts(house) == []


def test_nothing_is_asked_where_no_rule_could_match(house: House) -> None:
    """Neither of other names, nor of what the message calls unchanged, a hook, or failed."""
    unchanged = resource("a-conf", "configmap/a-conf unchanged")
    hook = applied("b-conf", hookType="PreSync")
    failed = applied("c-conf", status="SyncFailed")
    sync = house.sync("other", unchanged, hook, failed)
    assert row(house, sync)[0] == "planned"
    assert house.events("sync.verifying") == []


def test_a_dry_run_is_not_asked_about(house: House) -> None:
    """It changes nothing."""
    sync = house.sync("a-conf", operation={"sync": {"dryRun": True}})
    assert row(house, sync)[0] == "planned"


@pytest.mark.parametrize(("verify", "state"), [("never", "planned"), ("always", "verifying")])
def test_a_rule_says_whether_it_wants_the_truth(house: House, verify: str, state: str) -> None:
    """`never` is as without a connection; `always` asks of what its message calls unchanged."""
    house.use(RULES.replace("onUnknownChange", f"verify: {verify}\n  onUnknownChange"))
    unchanged = resource("b-conf", "configmap/b-conf unchanged")
    entry = applied("a-conf") if verify == "never" else unchanged
    assert row(house, house.sync(entry))[0] == state


def test_what_a_retry_does_not_list_is_found(house: House, cluster: ToyCluster) -> None:
    """From the Application's own list; only what changed takes part."""
    cluster.changed_at = {"a-conf": WITHIN, "early-conf": WITHIN, "old-conf": BEFORE, "x": WITHIN}
    sync = house.sync(applied("a-conf"), **ONLY)
    look(house, cluster)
    assert cluster.asked == [("shop", ["a-conf", "early-conf", "old-conf"])]
    house.plan([])
    found = texts(house)
    assert [text.partition(":")[0] for text in found] == ["a-conf", "early-conf"]
    assert found[1].startswith("early-conf: not listed: its object was last changed by")
    assert house.events("sync.verified")[0]["unlisted"] == ["ConfigMap/shop/early-conf"]
    put_in_force(house)
    explained = Explainer(house.ledger).explain(sync).rows
    assert explained
    assert [one["resource"] for one in explained[0]["resources"]][-1] == "ConfigMap/shop/early-conf"


def test_a_retry_that_lists_nothing_is_looked_at_all_the_same(
    house: House, cluster: ToyCluster
) -> None:
    """Its first attempt may have changed all that there was to change."""
    cluster.changed_at = {"early-conf": WITHIN}
    house.sync(**ONLY)
    look(house, cluster)
    house.plan([])
    assert [text.partition(":")[0] for text in texts(house)] == ["early-conf"]


def test_what_cannot_be_known_is_unknown_with_the_reason(house: House, cluster: ToyCluster) -> None:
    """A later operation's change hides this one's; what is gone tells nothing."""
    cluster.changed_at = {"a-conf": SINCE}
    house.use(RULES.replace("onUnknownChange: skip", "onUnknownChange: run"))
    house.sync(applied("a-conf"), applied("gone-conf"))
    look(house, cluster)
    house.plan([])
    late, gone = texts(house)
    assert "after it: by a later operation" in late
    assert "its object cannot tell: it is not there any more" in gone
    assert "by a later operation" in house.events("sync.verified")[0]["reason"]


def test_an_application_that_cannot_be_read_is_not_waited_for(
    house: House, cluster: ToyCluster
) -> None:
    """Asking again would tell the same."""
    cluster.no_application = "403: the account may not read it"
    house.sync(applied("a-conf"))
    look(house, cluster)
    house.plan([])
    assert texts(house) == []
    assert "the account may not read it" in house.events("sync.verified")[0]["reason"]


def test_a_clock_that_is_behind_is_noticed(house: House, cluster: ToyCluster) -> None:
    """The API server's times cannot be held against Argo CD's then."""
    cluster.changed_at, cluster.clock = {"a-conf": BEFORE}, NOON - timedelta(hours=1)
    house.sync(applied("a-conf"))
    look(house, cluster)
    (verified,) = house.events("sync.verified")
    assert verified["unknown"] == 1
    assert "the API server's clock says 2026-06-10T11:00:00Z" in verified["reason"]


def test_a_connection_that_fails_is_tried_again_and_told(house: House, cluster: ToyCluster) -> None:
    """Whoever looks at the sync sees for what it waits."""
    cluster.failing = "the cluster of the test: nobody there"
    sync = house.sync(applied("a-conf"))
    look(house, cluster)
    state, reason, _, _ = row(house, sync)
    assert state == "verifying"
    assert reason.endswith("at the latest; the cluster of the test: nobody there")
    story = story_of(Reader(house.ledger), sync)
    assert story
    assert "nobody there" in story["reason"]
    assert (story["changed"], story["unchanged"], story["unknown"]) == (None, None, None)
    (failed,) = house.events("connection.failed")
    assert (failed["use"], failed["reason"]) == ("read live objects", "nobody there")
    cluster.failing, cluster.changed_at = "", {"a-conf": WITHIN}
    look(house, cluster)
    house.plan([])
    assert len(texts(house)) == 1
    assert len(house.events("connection.restored")) == 1


@pytest.mark.parametrize(("policy", "runs"), [("run", 1), ("skip", 0)])
def test_after_the_deadline_the_rule_decides(
    house: House, cluster: ToyCluster, policy: str, runs: int
) -> None:
    """What nobody could read is unknown, whatever the message said; and it is told."""
    house.use(RULES.replace("onUnknownChange: skip", f"onUnknownChange: {policy}"))
    cluster.failing = "the cluster of the test: nobody there"
    house.sync("a-conf")
    house.ledger = later(house.ledger, 121)
    look(house, cluster)
    house.plan([])
    found = texts(house)
    assert len(found) == runs
    assert all("cannot tell: the cluster of the test: nobody there" in text for text in found)
    assert [one["reason"] for one in house.events("sync.unverified")] == [cluster.failing]


def test_after_a_restart_it_is_tried_before_it_is_given_up(
    house: House, cluster: ToyCluster
) -> None:
    """A process that was away for longer than the deadline asks once more."""
    cluster.changed_at = {"a-conf": WITHIN}
    house.sync(applied("a-conf"))
    house.ledger = later(house.ledger, 1000)
    look(house, cluster)
    assert house.events("sync.unverified") == []
    assert len(house.events("sync.verified")) == 1


def test_a_deadline_waits_for_no_pause(house: House, cluster: ToyCluster) -> None:
    """What is planned without its objects is planned in time."""
    cluster.failing = "the cluster of the test: nobody there"
    house.sync(applied("a-conf"))
    house.ledger = later(house.ledger, 115)
    made = house.verification(cluster)
    waits = []
    for _ in range(6):
        made._again_at = 0.0
        waits.append(made._round())
    assert waits[-1] <= 5


def test_syncs_of_one_application_are_read_together(house: House, cluster: ToyCluster) -> None:
    """And those of another by themselves."""
    cluster.changed_at = {"a-conf": WITHIN, "b-conf": WITHIN}
    first = [house.store(applied("a-conf"), at=-60), house.store(applied("b-conf"))]
    other = house.store(applied("a-conf"), application="billing")
    house.plan([])
    look(house, cluster)
    assert cluster.asked == [("shop", ["a-conf", "b-conf"]), ("billing", ["a-conf"])]
    assert {row(house, sync)[0] for sync in [*first, other]} == {"planned"}


def test_another_senders_sync_is_left_alone(house: House, cluster: ToyCluster) -> None:
    """Its cluster is another one."""
    sync = house.sync(applied("a-conf"), sender="other")
    look(house, cluster)
    assert row(house, sync)[0] == "verifying"


def test_it_is_verified_once(house: House, cluster: ToyCluster) -> None:
    """Two dispatchers that have both looked store and plan it once."""
    cluster.changed_at = {"a-conf": WITHIN}
    sync = house.sync(applied("a-conf"))
    with house.ledger.read() as connection:
        waiting = verifying_syncs(connection, "argocd", 10)
    for _ in range(2):
        house.verification(cluster)._verify_in_turn(house.planner, waiting)
    house.plan([])
    house.verification(cluster)._verify_in_turn(house.planner, waiting)
    assert row(house, sync)[0] == "planned"
    assert len(house.events("sync.verified")) == len(house.events("sync.planned")) == 1


def test_what_was_seen_of_several_applications_is_stored_together(
    house: House, cluster: ToyCluster
) -> None:
    """Each commit waits for the disk, and the intake's commits wait behind it."""
    commits: list[str] = []
    for name in ("one", "two", "three"):
        house.sync(applied("a-conf"), application=name)
    event.listen(house.ledger.engine, "commit", lambda _: commits.append("commit"))
    look(house, cluster)
    assert len(house.events("sync.verified")) == 3
    assert len(commits) == 1 + 2, "theirs, that they are begun, and that the connection works"


class AwayLedger(ToyCluster):
    """Whoever reads from this cluster finds the ledger away."""

    def application(self, *_: Any) -> ApplicationState | Unreadable:
        raise LedgerUnavailable("the server closed the connection")


def test_a_ledger_that_is_away_for_a_moment_leaves_a_sync_waiting(house: House) -> None:
    """That is no bug of ours with this sync: it is read in the next round."""
    sync = house.sync(applied("a-conf"))
    with pytest.raises(LedgerUnavailable):
        look(house, AwayLedger())
    assert row(house, sync)[0] == "verifying"
    assert not house.events("sync.unverified")


def test_explain_and_replay_see_the_same(house: House, cluster: ToyCluster) -> None:
    """What was observed is stored with the sync; the cluster is not asked again."""
    cluster.changed_at = {"a-conf": WITHIN, "b-conf": BEFORE}
    sync = house.sync(applied("a-conf"), applied("b-conf"))
    look(house, cluster)
    house.plan([])
    before = texts(house)
    cluster.changed_at = {}
    house.replay(sync)
    assert texts(house) == before
    put_in_force(house)
    rows = Explainer(house.ledger).explain(sync).rows
    assert rows
    assert [one["verdict"] for one in rows[0]["resources"]] == ["matched", "refused"]
    assert "before this operation" in rows[0]["resources"][1]["reason"]


def test_what_a_failed_sync_changed_is_held_against_the_object_too(
    house: House, cluster: ToyCluster
) -> None:
    """A `configured` of the failed sync that changed nothing is not carried over; a change is."""
    cluster.changed_at = {"a-conf": BEFORE, "b-conf": NOON - timedelta(seconds=130)}
    house.sync("a-conf", applied("b-conf"), at=-120, phase="Failed")
    later_on = [resource(name, f"configmap/{name} unchanged") for name in ("a-conf", "b-conf")]
    house.sync(*later_on)
    look(house, cluster)
    assert cluster.asked == [("shop", ["a-conf", "b-conf"])]
    house.plan([])
    assert [text.partition(": by")[0] for text in texts(house)] == ["b-conf"]


def test_the_memory_keeps_the_order_in_which_syncs_came(house: House) -> None:
    """A sync that is planned while an older one waits knows the images of that one."""
    house.use(RULES.replace('kind: ConfigMap, name: "*-conf"', "kind: ConfigMap"))
    house.store(applied("a-conf", images=["shop:1"]), at=-60)
    house.plan([])
    house.store(applied("a-conf", images=["shop:1"]))
    house.plan([])
    found = house.query("SELECT recalled FROM syncs ORDER BY id")
    assert found == ["{}", '{"images":{"0":false}}']


def test_a_thread_does_it_and_wakes_the_loop(house: House, cluster: ToyCluster) -> None:
    """A sync that began to wait is told to it."""
    cluster.changed_at = {"a-conf": WITHIN}
    thread = house.verification(cluster)
    thread.start()
    try:
        house.sync(applied("a-conf"))
        thread.notify()
        wait_for(lambda: bool(house.events("sync.planned")), 10, "the loop is woken")
    finally:
        thread.stop()


def test_a_stored_sync_that_cannot_be_read_is_left_to_its_message(
    house: House, cluster: ToyCluster
) -> None:
    """A bug of ours holds up neither it nor the others; and the thread lives on."""
    house.use(RULES.replace("onUnknownChange: skip", "onUnknownChange: run"))
    broken = house.sync(applied("a-conf"))
    other = house.sync(applied("a-conf"), application="billing")
    with house.ledger.write() as connection:
        connection.execute(
            text(
                "UPDATE deliveries SET body = :body WHERE id IN "
                "(SELECT delivery_id FROM syncs WHERE id = :sync)"
            ),
            {"body": zlib.compress(b"{}"), "sync": broken},
        )
    cluster.changed_at = {"a-conf": WITHIN}
    house.verification(cluster, wakes=False)._verify_some(house.planner)
    assert row(house, broken)[0] == "new"
    assert house.handover.unplanned() == [other]
    (told,) = house.events("sync.unverified")
    assert told["sync"] == broken
    assert told["reason"].endswith("; see the log")


def test_two_dispatchers_do_not_read_the_same(server_ledger: Ledger, cluster: ToyCluster) -> None:
    """While one reads, the other leaves the sender's syncs to it."""
    house = House.of(server_ledger, RULES)
    house.verify_for = 120
    house.sync(applied("a-conf"))
    with server_ledger.exclusive_task("verifying argocd") as mine:
        assert mine
        look(house, cluster)
    assert cluster.asked == []


def test_what_was_observed_is_small(house: House, cluster: ToyCluster) -> None:
    """It is read with the sync from then on: less than its notification has of each resource."""
    names = [f"{number}-conf" for number in range(1000)]
    cluster.changed_at = dict.fromkeys(names, WITHIN)
    sync = house.sync(*map(applied, names))
    look(house, cluster)
    (size,) = house.query(f"SELECT LENGTH(recalled) FROM syncs WHERE id = '{sync}'")
    assert size < 100 * len(names)


def test_rows_of_before_are_read() -> None:
    """A sync that was planned by an older version has neither what was observed nor all times."""
    assert read_recalled(None) == Recalled()
    old = read_recalled('{"images":{"0":true},"failed":{"1":["s-1",5,true]}}')
    assert old == Recalled({0: True}, {1: Trace("s-1", 5, certain=True)})
    seen = Observed({0: Sighting((("m", WITHIN),), BEFORE), 2: Sighting(unreadable="gone")})
    assert read_recalled(write_recalled(Recalled(observed=seen))) == Recalled(observed=seen)


def test_clocks_that_differ_leave_the_verdict_open(house: House, cluster: ToyCluster) -> None:
    """An API server that is a minute behind would make of each change an older one."""
    cluster.clock = NOON + timedelta(minutes=10)
    cluster.status_times = (NOON, NOON - timedelta(minutes=1))
    cluster.changed_at = {"a-conf": WITHIN - timedelta(minutes=1)}
    house.sync(applied("a-conf"))
    look(house, cluster)
    house.plan([])
    assert texts(house) == []
    (verified,) = house.events("sync.verified")
    told = "its object cannot tell: the clocks of Argo CD and the API server differ by 60 s or more"
    assert (verified["unknown"], verified["reason"]) == (1, told)


def test_a_clock_that_may_be_ahead_leaves_a_change_open(house: House, cluster: ToyCluster) -> None:
    """What was changed before the operation may seem to be changed by it, and not the reverse."""
    house.use(RULES.replace("onUnknownChange: skip", "onUnknownChange: run"))
    cluster.clock = datetime.now(UTC) + timedelta(hours=1)
    cluster.status_times = (NOON, NOON + timedelta(hours=1))
    cluster.changed_at = {"a-conf": WITHIN, "b-conf": BEFORE}
    house.sync(applied("a-conf"), applied("b-conf"))
    look(house, cluster)
    house.plan([])
    (told,) = texts(house)
    why = "a-conf: its object cannot tell: the API server's clock may be up to 3600 s ahead"
    assert told.startswith(why)


def test_without_the_connection_it_goes_on_by_its_message(house: House) -> None:
    """It was taken out of the settings meanwhile; another dispatcher may have it still."""
    sync = house.sync("a-conf")

    def look_later(seconds: float, *senders: str) -> None:
        ledger, log = later(house.ledger, seconds), configure_logs("json")
        Unconnected(senders, ledger, lambda: None, log)._round()

    look_later(121)
    look_later(999, "argocd")
    assert row(house, sync)[0] == "verifying"
    look_later(181, "other")
    assert row(house, sync)[0] == "new"
    house.plan([])
    assert texts(house) == ["a-conf: configured"]
    (event,) = house.events("sync.unverified")
    assert event["reason"] == "sender argocd has no connection any more"


SICK = """
- name: sick
  match: {channel: degraded, resources: [{kind: ConfigMap, health: [Degraded, Missing]}]}
  actions:
  - {uses: log.message, with: {text: "${{ resource.name }}: ${{ resource.healthMessage }}"}}
"""


def degraded(house: House, *resources: dict[str, Any]) -> str:
    """An event on a channel of its own, about what the Application has."""
    body = {"application": {"name": "shop"}, "eventKey": "1", "resources": resources}
    return house.plan([house.bring(json.dumps(body).encode(), channel="degraded")])[0]


def test_a_health_that_the_notification_tells_is_not_read(house: House) -> None:
    """Nor that of what its list says nothing of: Argo CD does not judge that."""
    house.use(SICK)
    sick = resource("a-conf", health={"status": "Degraded", "message": "no pods"})
    sync = degraded(house, sick, resource("b-conf"))
    assert row(house, sync)[0] == "planned"
    assert texts(house) == ["a-conf: no pods"]


def test_where_the_notification_tells_none_it_is_read(house: House, cluster: ToyCluster) -> None:
    """Of what the rule selects by all else; what is gone is missing."""
    house.use(SICK)
    cluster.changed_at = {"a-conf": BEFORE, "b-conf": BEFORE}
    cluster.healths = {"a-conf": Health("Degraded", "2 of 3 replicas")}
    names_of = ("a-conf", "b-conf", "gone-conf")
    sync = degraded(house, *map(resource, names_of), resource("x", kind="Secret"))
    assert row(house, sync)[0] == "verifying"
    look(house, cluster)
    assert cluster.asked[-1] == ("shop", [*names_of])
    house.plan([])
    assert texts(house) == ["a-conf: 2 of 3 replicas", "gone-conf: it is not there any more"]
    (verified,) = house.events("sync.verified")
    assert verified["health"] == {"Degraded": 1, "Healthy": 1, "Missing": 1}


def test_a_health_that_nobody_can_read_is_no_match(house: House, cluster: ToyCluster) -> None:
    """And is explained."""
    house.use(SICK)
    cluster.no_application = "it may not be seen"
    sync = degraded(house, resource("a-conf"))
    look(house, cluster)
    house.plan([])
    assert row(house, sync)[0] == "planned"
    assert texts(house) == []
    put_in_force(house)
    assert "saw unknown (it may not be seen)" in str(Explainer(house.ledger).explain(sync).rows)


def test_the_application_s_own_word_helps_out(cluster: ToyCluster) -> None:
    """Where the object cannot tell: it may not be read, or Argo CD does not know either."""
    ref = ObjectRef("", "v1", "ConfigMap", "shop", "a")
    state = cluster.application("argocd", "shop", 0)
    assert isinstance(state, ApplicationState)
    listed = ResourceState(replace(ref, namespace=""), "Synced", "Unknown", "no such type")
    state = replace(state, resources=(listed,))
    assert read_health(cluster, state, [{3: ref}, {}], 0) == [{3: ("Unknown", "no such type")}, {}]


def test_an_application_that_fails_holds_up_no_other(house: House, cluster: ToyCluster) -> None:
    """It is tried after the others from then on, however many of its syncs wait."""
    cluster.changed_at, cluster.failing_for = {"a-conf": WITHIN}, {"bad"}
    bad = [house.sync(applied("a-conf"), application="bad", message=str(n)) for n in range(70)]
    good = house.sync(applied("a-conf"), application="good")
    thread = house.verification(cluster)
    for _ in range(2):
        thread._again_at = 0.0
        thread._round()
    assert row(house, good)[0] == "planned"
    assert {row(house, sync)[0] for sync in bad} == {"verifying"}
    house.ledger = thread._ledger = later(house.ledger, 121)
    thread._again_at = 0.0
    thread._round()
    assert {told["reason"] for told in house.events("sync.unverified")} == {"bad fails"}


class Killed(BaseException):
    """In place of a signal that ends the process."""


def test_a_sync_whose_reading_kills_the_process_is_given_up(
    house: House, cluster: ToyCluster
) -> None:
    """It is read by three processes, then alone is unread; the rest is verified meanwhile."""

    class Deadly(ToyCluster):
        def live(self, application: ApplicationState, *args: Any, **how: Any) -> Any:
            if application.summary.name == "deadly":
                deaths.append("")
                raise Killed
            return super().live(application, *args, **how)

    deaths: list[str] = []
    there = Deadly({"a-conf": WITHIN})
    deadly = house.sync(applied("a-conf"), application="deadly")
    good = house.sync(applied("a-conf"), application="good")
    house.ledger = later(house.ledger, 5000)
    for _ in range(6):
        with suppress(Killed):
            look(house, there)
    assert len(deaths) == 3
    assert {row(house, sync)[0] for sync in (deadly, good)} == {"planned"}
    (told,) = house.events("sync.unverified")
    assert told["sync"] == deadly
    assert told["reason"] == "3 processes in a row ended while they verified it"
    assert house.query("SELECT id FROM planning_attempts") == []
    look(house, cluster)
    house.plan([])
    assert row(house, deadly)[0] == "planned"


def test_a_connection_that_fails_makes_no_sync_suspect(house: House, cluster: ToyCluster) -> None:
    """However often processes end meanwhile."""
    cluster.failing = "nobody there"
    sync = house.sync(applied("a-conf"))
    for _ in range(5):
        look(house, cluster)
    cluster.failing, cluster.changed_at = "", {"a-conf": WITHIN}
    look(house, cluster)
    assert row(house, sync)[0] == "planned"
    assert house.events("sync.unverified") == []
