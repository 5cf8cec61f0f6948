"""The channel `postsync`: what waits for an approval is told by the rules that name it."""

from __future__ import annotations

from typing import Any

import pytest
from house import House, texts

from receiver.core.model import from_ms, rfc3339
from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.engine.unit_of_work import UnitOfWork
from receiver.ledger.inbox.own_notifications import OwnNotifications
from receiver.ledger.inbox.recovery import wording_of
from receiver.ledger.plans.load import stored_sync
from receiver.ledger.plans.store import store_plannings
from receiver.notification.application_memory import Memory
from receiver.notification.recovered import Wording
from receiver.planning.planner import read_sync

HELD = """
- name: purge
  match: {resources: [{kind: ConfigMap}]}
  limits: {maxTargets: 2}
  actions: [{uses: log.message, with: {text: "${{ resource.name }}"}}]
"""
SUSPENDED = """
- name: purge
  match: {resources: [{kind: ConfigMap}]}
  actions:
  - {name: each, uses: log.message, suspend: true, with: {text: "${{ resource.name }}"}}
  - {name: all, uses: log.message, suspend: true, target: batch, with: {text: all}}
  - {name: after, uses: log.message, suspend: true, wave: 1, target: batch, with: {text: after}}
"""
TELL = """
- name: tell
  match: {channel: [postsync]}
  actions:
  - uses: log.message
    target: application
    with:
      text: "${{ application.name }}: ${{ sync.held.reason }}: ${{ sync.held.command }}"
"""


def house_of(ledger: Ledger, rules: str, page: str | None = None) -> House:
    house = House.of(ledger, rules)
    house.tells = OwnNotifications(page, reaches=True)
    return house


def test_a_held_plan_is_told_by_a_rule_like_any_other(ledger: Ledger) -> None:
    """With the Application and the revision of its sync, and nothing of that sync's operation."""
    house = house_of(ledger, HELD + TELL, "https://postsync.example/")
    sync = house.sync("a", "b", "c", project="web")
    (plan,) = house.plans("id")
    house.plan([])
    why = "matches 3 resources, more than maxTargets 2"
    assert texts(house.work()) == [f"shop: {why}: postsync approve {plan}"]
    (one,) = house.told()
    assert (one.sender, one.application.project, one.revision) == ("argocd", "web", "9f1c2ab")
    assert (one.phase, one.started_at, one.finished_at, one.resources) == ("", None, None, ())
    held = one.held
    assert (held.sync, held.plan, held.actions, held.count) == (sync, plan, (), 3)
    assert held.targets == tuple(f"ConfigMap/shop/{name}" for name in "abc")
    (since,) = house.query("SELECT held_at FROM plans WHERE held_at IS NOT NULL")
    assert held.since == rfc3339(from_ms(since))
    assert held.link == f"https://postsync.example/page/plans/{plan}"


def test_the_lines_of_the_trail_name_each_other(ledger: Ledger) -> None:
    """Whoever looks for one sync finds the other."""
    house = house_of(ledger, HELD)
    sync = house.sync("a", "b", "c")
    (plan,) = house.plans("id")
    (made,) = house.events("notification.made")
    assert made["reason"].startswith(f"plan {plan} of sync {sync} is held: matches 3")
    assert (made["channel"], made["application"]) == ("postsync", "argocd/shop")
    (held,) = house.events("plan.held")
    assert held["notifiedAs"] == made["sync"] != sync


def test_the_held_runs_of_a_wave_are_told_once_together(ledger: Ledger) -> None:
    """And those of the next wave when that is held."""
    house = house_of(ledger, SUSPENDED)
    house.sync("a", "b")
    (plan,) = house.plans("id")
    (first,) = house.told()
    assert (first.held.actions, first.held.count) == (("each", "all"), 3)
    assert first.held.targets == ("ConfigMap/shop/a", "ConfigMap/shop/b", "batch")
    assert {line["notifiedAs"] for line in house.events("run.held")} == {first.id}
    house.approve(plan)
    house.work()
    assert [one.held.actions for one in house.told()] == [("each", "all"), ("after",)]
    assert {one.held.command for one in house.told()} == {f"postsync approve {plan}"}


def test_of_many_held_runs_the_first_are_named(ledger: Ledger) -> None:
    """A message is as small as one can read."""
    house = house_of(ledger, SUSPENDED)
    house.sync(*(f"c{number:02}" for number in range(30)))
    (one,) = house.told()
    assert (one.held.count, len(one.held.targets)) == (31, 10)


def test_what_is_held_on_that_channel_is_not_told(ledger: Ledger) -> None:
    """Else a rule that waits for a person would tell of itself for ever."""
    house = house_of(ledger, HELD + TELL.replace("target:", "suspend: true\n    target:"))
    house.sync("a", "b", "c")
    for _ in range(3):
        house.plan([])
        house.work()
    assert len(house.told()) == 1
    assert house.query("SELECT state FROM runs WHERE rule = 'tell'") == ["held"]
    assert len(house.events("run.held")) == 1


@pytest.mark.parametrize(
    ("channel", "matched"),
    [("sync", 0), ('"*"', 0), ('"post*"', 0), ("postsync", 1), ('["*", postsync]', 1)],
)
def test_a_rule_has_to_name_the_channel(ledger: Ledger, channel: str, matched: int) -> None:
    """Who wrote a glob meant what Argo CD notifies of."""
    house = house_of(ledger, HELD + TELL.replace("[postsync]", channel))
    house.sync("a", "b", "c")
    house.plan([])
    rows = house.query(
        "SELECT plans.id FROM plans JOIN syncs ON syncs.id = sync_id WHERE channel = 'postsync'"
    )
    assert len(rows) == matched


def test_why_a_glob_does_not_take_it_is_explained(ledger: Ledger) -> None:
    """Or `*` wanted and `postsync` seen would be a riddle."""
    house = house_of(ledger, HELD + TELL.replace("[postsync]", '"*"'))
    house.sync("a", "b", "c")
    explained = house.planner.matcher.explain(house.told()[0], "tell")
    assert next(explained).finding.reason == "channel wants *, saw postsync, which no glob takes"


COLLECTING = f"{HELD}  debounce: {{window: 10s}}\n"


def test_a_plan_that_is_held_when_it_has_collected_is_told_then(ledger: Ledger) -> None:
    """Of its newest sync."""
    house = house_of(ledger, COLLECTING)
    house.sync("a", "b", at=0)
    newest = house.sync("c", at=1)
    assert house.told() == []
    house.pass_time(11)
    house.turn()
    (one,) = house.told()
    assert (one.held.sync, one.held.count) == (newest, 3)


def test_an_approval_that_leaves_a_plan_held_tells_it(ledger: Ledger) -> None:
    """Whoever ends its collecting need not be who may approve so many."""
    house = house_of(ledger, COLLECTING)
    house.sync("a", "b", "c")
    (plan,) = house.plans("id")
    house.approve(plan)
    assert [one.held.plan for one in house.told()] == [plan]


def test_a_plan_of_both_channels_is_told_of_what_argo_cd_notified(ledger: Ledger) -> None:
    """One that our own sync has joined is still about the other."""
    both = (
        SUSPENDED.replace("{resources: [{kind: ConfigMap}]}", "{channel: [sync, postsync]}")
        .replace("- {name: each", "- {name: each, target: batch")
        .replace("resource.name", "sync.channel")
        + "  debounce: {window: 10s, key: all}\n"
    )
    house = house_of(ledger, HELD + both.replace("name: purge", "name: both"))
    sync = house.sync("a", "b", "c")
    house.plan([])
    assert house.query("SELECT COUNT(*) FROM plan_syncs") == [2]
    house.pass_time(11)
    house.work()
    assert [(one.held.rule, one.held.sync) for one in house.told()] == [
        ("purge", sync),
        ("both", sync),
    ]
    for _ in range(5):
        house.plan([])
        house.pass_time(11)
        house.work()
    assert len(house.told()) == 2


THROTTLED = """
- name: tell
  match: {channel: postsync}
  throttle: {every: 5m, key: all}
  actions:
  - uses: log.message
    target: application
    with: {text: "${{ syncs.map(s, s.held.command).join(' ') }}"}
"""


def test_a_hundred_held_plans_are_two_messages_by_throttle(ledger: Ledger) -> None:
    """The first at once, all others together."""
    house = house_of(ledger, HELD + THROTTLED)
    house.plan([house.store("a", "b", "c", application=f"app-{n}", at=n) for n in range(100)])
    house.plan([])
    first = texts(house.work())
    house.pass_time(301)
    rest = texts(house.work())
    assert (len(first), len(rest)) == (1, 1)
    wanted = house.query("SELECT id FROM plans WHERE state = 'held'")
    assert sorted(" ".join(first + rest).split()[2::3]) == sorted(wanted)
    assert len(wanted) == 100


def test_of_two_that_plan_the_same_one_tells(ledger: Ledger) -> None:
    """Whoever is second stores nothing of it."""
    house = house_of(ledger, HELD)
    sync = house.store("a", "b", "c")
    with ledger.read() as connection:
        stored = stored_sync(connection, sync)
    read = read_sync(stored)
    planned = [house.planner.plan(read, stored.delivery, Memory()) for _ in range(2)]
    for planning in planned:
        with ledger.write() as connection:
            uow = UnitOfWork(connection, ledger.now(connection))
            store_plannings(uow, [planning])
            OwnNotifications(None, reaches=True).tell_held(uow)
            uow.finish()
    assert (len(house.plans()), len(house.told())) == (1, 1)


def test_what_a_sender_names_is_read_from_its_own_notifications(ledger: Ledger) -> None:
    """Ours has no times: by it, nothing that did not come could be recovered."""
    house = house_of(ledger, HELD)
    house.sync("a", "b", "c")
    with ledger.read() as connection:
        assert wording_of(connection, "argocd") == Wording()
    assert house.query("SELECT * FROM memories WHERE channel = 'postsync'") == []


def test_a_transaction_that_is_not_committed_tells_nothing(ledger: Ledger) -> None:
    """The hold and what tells it are stored together or not at all."""
    house = house_of(ledger, HELD)
    house.store("a", "b", "c")

    class Breaks(OwnNotifications):
        def tell_held(self, uow: Any) -> None:
            super().tell_held(uow)
            raise BrokenPipeError

    house.tells = Breaks(None, reaches=True)
    with pytest.raises(BrokenPipeError):
        house.plan([])
    assert (house.plans(), house.told()) == ([], [])
    house.tells = OwnNotifications(None, reaches=True)
    house.plan([])
    assert (house.plans(), len(house.told())) == (["held"], 1)
