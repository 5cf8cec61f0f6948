"""What was seen of a sync goes by memory to the loop, which stores it with the plan."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from desks import put_in_force
from house import NOON, House, later
from notifications import resource
from sqlalchemy import event, text
from test_operations_replaying import Today
from toy_cluster import ToyCluster

from receiver.core.errors import LedgerUnavailable
from receiver.core.logs import configure_logs
from receiver.core.model import Event, Outcome, OutcomeKind
from receiver.dispatcher import Dispatcher
from receiver.dispatcher.verification import Verification
from receiver.inspection.explain import Explainer
from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.engine.unit_of_work import UnitOfWork
from receiver.ledger.engine.wakeup import Wakeup
from receiver.ledger.plans.load import stored_sync
from receiver.ledger.plans.verification import store_observed
from receiver.ledger.queue.rate_limits import Buckets
from receiver.notification.live_verdicts import Observed
from receiver.notification.recalled import Recalled
from receiver.settings.model import Settings

RULES = """
- name: configs
  match: {resources: [{kind: ConfigMap, name: "*-conf"}]}
  actions: [{uses: log.message, with: {text: "${{ resource.name }}: ${{ resource.changeReason }}"}}]
"""
WITHIN = NOON - timedelta(seconds=10)
LOG = configure_logs("json")


@dataclass
class Process:
    """A dispatcher and its thread for live objects; both are taken step by step."""

    dispatcher: Dispatcher
    today: Today
    verification: Verification

    @classmethod
    def start(cls, house: House, folder: Path, cluster: ToyCluster, owner: str = "w-1") -> Process:
        folder = folder / owner
        folder.mkdir()
        ledger, today, wakeup = house.ledger, Today.of(house, folder), Wakeup()
        today.write(RULES)
        today.load()
        preparation = today.preparation
        preparation._max_age = 1e9
        preparation.verify_until = lambda connection, _: ledger.now(connection) + 120_000
        dispatcher = Dispatcher(
            Settings(), ledger, today.rules, preparation, wakeup,
            lambda _: Outcome(OutcomeKind.SUCCEEDED), Buckets({}), LOG, owner=owner,
        )  # fmt: skip
        verification = Verification(
            "argocd", cluster, ledger, lambda: preparation.planner, preparation.handover,
            wakeup.notify, LOG,
        )  # fmt: skip
        return cls(dispatcher, today, verification)

    def turn(self) -> None:
        """One of the loop."""
        self.dispatcher._turn(claims=True)

    def look(self) -> None:
        """Read live objects, and hand over what was seen."""
        assert self.today.preparation.planner
        self.verification._verify_some(self.today.preparation.planner)

    @property
    def in_hand(self) -> list[str]:
        return [*self.today.preparation.handover.unplanned()]


@pytest.fixture
def house(ledger: Ledger) -> House:
    return House.of(ledger, RULES)


@pytest.fixture
def cluster() -> ToyCluster:
    return ToyCluster({"a-conf": WITHIN, "b-conf": NOON - timedelta(hours=1)})


@pytest.fixture
def start(house: House, cluster: ToyCluster, tmp_path: Path) -> Callable[..., Process]:
    return lambda owner="w-1": Process.start(house, tmp_path, cluster, owner)


@pytest.fixture
def here(start: Callable[[], Process]) -> Process:
    return start()


def bring(house: House) -> str:
    """Store a sync of which only its live objects tell what it changed."""
    said = "configmap/{} serverside-applied"
    return house.store(*(resource(name, said.format(name)) for name in ("a-conf", "b-conf")))


def states(house: House) -> list[str]:
    return house.query("SELECT state FROM syncs ORDER BY id")


def names(house: House, pattern: str) -> list[str]:
    return [one["event"] for one in house.events(pattern)]


def test_what_was_seen_is_stored_with_the_plan(house: House, here: Process) -> None:
    """So it costs no commit of its own: these are all until the attempt begins."""
    house.store(resource("a-conf"), application="billing")
    here.turn()
    here.look()  # that the connection works is stored once
    here.turn()
    bring(house)
    commits: list[str] = []
    event.listen(house.ledger.engine, "commit", lambda _: commits.append("commit"))
    here.turn()
    assert len(commits) == 2, "that it is begun to be planned, and that it waits"
    here.look()
    assert len(commits) == 3, "that it is begun to be read"
    assert (states(house)[1], len(names(house, "sync.verified"))) == ("verifying", 1)
    here.turn()
    assert len(commits) == 4, "what was seen, the plan, and the claim of its run"
    assert states(house)[1] == "planned"
    assert names(house, "sync.*")[-2:] == ["sync.verified", "sync.planned"]
    assert house.runs("state")[1] == "running"
    assert house.query("SELECT id FROM planning_attempts") == []
    assert here.in_hand == []


def test_explain_and_the_planning_see_the_same(house: House, here: Process) -> None:
    """By what is in the ledger."""
    sync = bring(house)
    here.turn()
    here.look()
    here.turn()
    assert here.today.preparation.planner
    house.planner = here.today.preparation.planner
    put_in_force(house)
    rows = Explainer(house.ledger).explain(sync).rows
    assert rows
    assert [one["verdict"] for one in rows[0]["resources"]] == ["matched", "refused"]
    (reason,) = (one["targets"][0]["reason"] for one in house.events("rule.matched"))
    assert reason == rows[0]["resources"][0]["reason"]
    assert "during this operation" in reason


def test_its_notification_is_read_once(house: House, here: Process) -> None:
    """What was read for the first look serves the others."""
    bring(house)
    here.turn()
    with house.ledger.write() as connection:
        nothing = {"body": zlib.compress(b"{}")}
        connection.execute(text("UPDATE deliveries SET body = :body"), nothing)
    here.look()
    here.turn()
    (verified,) = house.events("sync.verified")
    assert (verified["changed"], verified["unchanged"]) == (1, 1)
    assert house.runs("target") == ["ConfigMap/shop/a-conf"]


def test_other_rules_ask_anew(house: House, here: Process, cluster: ToyCluster) -> None:
    """What was read was what the rules of then wanted."""
    bring(house)
    here.turn()
    here.today.write(RULES.replace("*-conf", "b-*"))
    here.today.load()
    here.look()
    assert cluster.asked == [("shop", ["b-conf"])]


def test_a_process_that_ends_in_between_is_followed_by_one_that_asks_again(
    house: House, start: Callable[[str], Process], cluster: ToyCluster
) -> None:
    """Nothing was stored, so nothing is lost and nothing is there twice."""
    bring(house)
    first = start("w-1")
    first.turn()
    first.look()
    second = start("w-2")
    second.turn()
    assert states(house) == ["verifying"]
    second.look()
    second.turn()
    assert cluster.asked == 2 * [("shop", ["a-conf", "b-conf"])]
    assert names(house, "sync.*") == ["sync.verifying", "sync.verified", "sync.planned"]
    assert house.query("SELECT id FROM planning_attempts") == []


def test_a_commit_that_fails_leaves_it_to_the_next_turn(
    house: House, here: Process, cluster: ToyCluster
) -> None:
    """The cluster is not asked again."""
    bring(house)
    here.turn()
    here.look()
    for old, new in (("plans", "elsewhere"), ("elsewhere", "plans")):
        with house.ledger.write() as connection:
            connection.execute(text(f"ALTER TABLE {old} RENAME TO {new}"))
        if new == "elsewhere":
            with pytest.raises(LedgerUnavailable):
                here.turn()
            assert states(house) == ["verifying"]
    here.turn()
    assert states(house) == ["planned"]
    assert len(cluster.asked) == 1


def test_what_two_have_seen_is_stored_once(house: House, start: Callable[[str], Process]) -> None:
    """By whose turn comes first; the other forgets it."""
    bring(house)
    both = [start("w-1"), start("w-2")]
    both[0].turn()
    for one in both:
        one.look()
    for one in both:
        one.turn()
    assert names(house, "sync.*") == ["sync.verifying", "sync.verified", "sync.planned"]
    assert len(house.runs()) == 1
    assert [one.in_hand for one in both] == [[], []]


def test_while_another_plans_it_stays_in_hand(server_ledger: Ledger, tmp_path: Path) -> None:
    """Until the other is done, which takes milliseconds."""
    house = House.of(server_ledger, RULES)
    here = Process.start(house, tmp_path, ToyCluster({"a-conf": WITHIN, "b-conf": WITHIN}))
    bring(house)
    here.turn()
    here.look()
    with server_ledger.exclusive_task("planning") as mine:
        assert mine
        here.turn()
    assert (states(house), len(here.in_hand)) == (["verifying"], 1)
    here.turn()
    assert (states(house), here.in_hand) == (["planned"], [])


def test_one_that_was_given_up_meanwhile_is_planned_without(house: House, here: Process) -> None:
    """By another dispatcher, at its deadline: one of both counts, and the trail says which."""
    sync = bring(house)
    here.turn()
    here.look()
    with house.ledger.write() as connection:
        uow = UnitOfWork(connection, house.ledger.now(connection))
        stored = stored_sync(connection, sync)
        told = Event("sync.unverified", {"reason": "too late"}, stored.delivery, sync)
        store_observed(uow, sync, Recalled(observed=Observed(unasked=True)), told)
        uow.finish()
    here.turn()
    here.turn()
    assert names(house, "sync.*") == ["sync.verifying", "sync.unverified", "sync.planned"]
    assert here.in_hand == []


def test_a_loop_that_is_busy_holds_no_deadline_up(
    house: House, start: Callable[[str], Process], cluster: ToyCluster
) -> None:
    """What was seen in time waits for the loop, and nothing more is read; others end in time."""
    first = bring(house)
    busy, other = start("w-1"), start("w-2")
    busy.turn()
    busy.look()
    second = house.store(resource("b-conf"), application="billing")
    other.turn()
    assert states(house) == ["verifying", "verifying"]
    busy.verification._ledger = later(house.ledger, 121)
    busy.look()
    assert busy.in_hand == [first]
    assert len(cluster.asked) == 1
    assert [one["sync"] for one in house.events("sync.unverified")] == [second]


def test_what_is_in_hand_at_a_stop_makes_no_sync_suspect(house: House, here: Process) -> None:
    """It is asked about by the next process, together with the others."""
    bring(house)
    here.turn()
    here.look()
    assert len(house.query("SELECT id FROM planning_attempts")) == 1
    here.dispatcher._drain()
    assert states(house) == ["verifying"]
    assert house.query("SELECT id FROM planning_attempts") == []


def test_one_that_cannot_be_planned_with_it_keeps_what_was_seen(
    house: House, here: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A replay, by rules that were mended, goes by it; the cluster may tell it no more."""
    sync = bring(house)
    here.turn()
    here.look()
    monkeypatch.setattr("receiver.planning.sync_size.MOST_TARGETS", 0)
    here.turn()
    assert states(house) == ["failed"]
    assert names(house, "sync.*")[-2:] == ["sync.verified", "sync.failed"]
    with house.ledger.read() as connection:
        seen = stored_sync(connection, sync).recalled.observed
    assert seen
    assert [one.unreadable for one in seen.listed.values()] == ["", ""]
    assert here.in_hand == []


def test_few_are_kept_as_they_were_read(
    house: House, here: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that came last; the notifications of the others are read again."""
    monkeypatch.setattr("receiver.dispatcher.handover.MOST_KEPT", 1)
    first, last = bring(house), house.store(resource("a-conf"), application="billing")
    here.turn()
    with house.ledger.write() as connection:
        change = "UPDATE deliveries SET body = :b WHERE id = (SELECT delivery_id FROM syncs"
        nothing = {"b": zlib.compress(b"{}"), "id": last}
        connection.execute(text(f"{change} WHERE id = :id)"), nothing)
    here.look()
    assert here.in_hand == [first, last]
    here.turn()
    assert states(house) == ["planned", "planned"]
    assert house.events("sync.unverified") == []
