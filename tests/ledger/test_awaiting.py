"""Plans that wait for Applications (`debounce.until`), and what becomes of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from house import NOON, House, texts
from sqlalchemy import text
from toy_cluster import ToyCluster

from receiver.argocd.connections import Connections
from receiver.argocd.objects import ApplicationSummary
from receiver.core.logs import configure_logs
from receiver.dispatcher.awaiting import Awaiting
from receiver.dispatcher.companion import OTHERS
from receiver.dispatcher.standing import Finished
from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.queries.reader import Reader

REVISION = "9f1c2ab4d0e85c7731b6a2f4e9d80c3b5a6f7e12"
OLDER = "0" * 40
RULE = """
- name: purge
  match: {resources: [{kind: ConfigMap}]}
  debounce:
    key: "${{ sync.revision }}"
    maxWait: 30m
    until: {applications: {applicationSet: regions}, otherwise: OTHERWISE}
  actions:
  - uses: log.message
    target: application
    with: {text: "${{ syncs.map(s, s.phase).join(' ') }} of ${{ resources.size() }}"}
  onFailure: [{uses: log.message, with: {text: "${{ failure.message }}"}}]
"""
EVERY_PHASE = "match: {phases: [Succeeded, Failed], resources"


def rule(otherwise: str = "go") -> str:
    return RULE.replace("OTHERWISE", otherwise).replace("match: {resources", EVERY_PHASE)


def region(number: int, **fields: Any) -> ApplicationSummary:
    """An Application that Argo CD has not synced to the revision yet."""
    before = NOON - timedelta(hours=1)
    made = ApplicationSummary(
        "argocd", f"region-{number}", f"u-{number}", "web", {"tier": "edge"}, "Succeeded", before,
        before, operated=(OLDER,), synced="Synced", revisions=(OLDER,), application_set="regions",
    )  # fmt: skip
    return replace(made, **fields)


def done(number: int, *, at: float = 0, **fields: Any) -> ApplicationSummary:
    """An Application as it is after an operation at the revision."""
    ended = NOON + timedelta(seconds=at)
    at_it = {"operated": (REVISION,), "revisions": (REVISION,), "finished_at": ended}
    return region(number, **at_it | fields)


class Regions:
    """The Applications of one commit, the plan that waits for them, and who looks at them."""

    def __init__(self, ledger: Ledger, rules: str, cluster: ToyCluster) -> None:
        self.house = House.of(ledger, rules)
        self.cluster = cluster
        self.worker = self.new_worker()

    def new_worker(self) -> Awaiting:
        """Another process."""
        return Awaiting(
            "argocd", Connections({"argocd": self.cluster}), self.house.ledger, lambda: None,
            configure_logs("json"),
        )  # fmt: skip

    def sync(self, number: int, *, at: float = 0, revision: str = REVISION, **options: Any) -> str:
        result = {"revision": revision, "resources": [_entry(number)]}
        state = {"syncResult": result, "operation": {"sync": {"revision": revision}}}
        return self.house.sync(application=f"region-{number}", at=at, **state, **options)

    def look(self, *listed: ApplicationSummary) -> None:
        """One round, as the thread makes it."""
        self.cluster.listed = [*listed]
        self.worker._next_list = 0.0
        self.worker._round()

    @property
    def reason(self) -> str:
        (found,) = self.house.plans("reason")
        return str(found)


def _entry(number: int) -> dict[str, Any]:
    return {
        "group": "", "version": "v1", "kind": "ConfigMap", "namespace": "shop",
        "name": f"c-{number}", "status": "Synced", "message": f"configmap/c-{number} configured",
        "hookPhase": "Succeeded", "syncPhase": "Sync",
    }  # fmt: skip


@pytest.fixture
def cluster() -> ToyCluster:
    return ToyCluster()


@pytest.fixture
def regions(ledger: Ledger, cluster: ToyCluster) -> Regions:
    return Regions(ledger, rule(), cluster)


def test_an_operator_lets_it_go(regions: Regions) -> None:
    """With those that have come; the trail tells who was missing. What comes later has its own."""
    house = regions.house
    regions.sync(1)
    regions.look(done(1), region(2))
    house.approve(house.plans("id")[0])
    assert texts(house.work()) == ["Succeeded of 1"]
    (approved,) = house.events("plan.approved")
    missing = ["argocd/region-2 is Synced at 00000000"]
    assert (approved["by"], approved["missing"]) == ("ann", missing)
    assert house.events("plan.incomplete") == []
    regions.sync(2, at=5)
    assert house.plans() == ["succeeded", "collecting"]


def test_a_plan_starts_when_the_last_application_has_come(regions: Regions) -> None:
    """And not after quiet, however long that is."""
    regions.sync(1)
    regions.look(done(1), region(2))
    regions.house.pass_time(600)
    assert (regions.house.work(), regions.house.plans()) == ([], ["collecting"])
    assert regions.reason == (
        "1 of 2 Applications are not done: argocd/region-2 is Synced at 00000000"
    )
    regions.sync(2, at=5)
    regions.look(done(1), done(2, at=5))
    assert texts(regions.house.work()) == ["Succeeded Succeeded of 2"]
    assert regions.house.plans("state, reason") == [("succeeded", "")]
    (told,) = regions.house.events("plan.complete")
    assert told["applications"] == 2


def test_what_needs_no_operation_is_not_waited_for(regions: Regions) -> None:
    """Argo CD has compared it with the revision, and found nothing to do."""
    regions.sync(1)
    regions.look(done(1), region(2, revisions=(REVISION,)))
    assert texts(regions.house.work()) == ["Succeeded of 1"]


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"synced": "OutOfSync", "revisions": (REVISION,)}, "is OutOfSync at 9f1c2ab4"),
        ({"synced": "", "revisions": ()}, "is not compared at no revision"),
        ({"revisions": ("1.2.0", REVISION)}, "is Synced at 1.2.0, 9f1c2ab4"),
        (
            {"operated": (REVISION,), "finished_at": None, "phase": "Running"},
            "still runs its operation",
        ),
    ],
)
def test_who_is_waited_for_is_told_with_the_reason(
    regions: Regions, fields: dict[str, Any], why: str
) -> None:
    """In the list of plans, and by `show`."""
    regions.sync(1)
    regions.look(done(1), region(2, **fields))
    assert regions.reason == f"1 of 2 Applications are not done: argocd/region-2 {why}"
    (listed,) = Reader(regions.house.ledger).plans(limit=1)
    assert listed["reason"] == regions.reason


def test_a_notification_on_its_way_goes_into_the_plan(
    regions: Regions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An Application that has finished is waited for until its sync is there, for a while."""
    regions.sync(1)
    regions.look(done(1), done(2, at=5))
    assert "region-2 has finished, its notification is not here yet" in regions.reason
    assert regions.house.work() == []
    monkeypatch.setattr("receiver.dispatcher.standing.ON_ITS_WAY", 0.0)
    regions.look(done(1), done(2, at=5))
    assert texts(regions.house.work()) == ["Succeeded of 1"]


def test_a_sync_that_is_not_planned_is_waited_for(regions: Regions) -> None:
    """It may have to go into the plan."""
    regions.sync(1)
    sync = regions.house.store("c", application="region-2", at=5, **_at(REVISION))
    regions.look(done(1), done(2, at=5))
    assert f"region-2 has finished, its sync {sync} is not planned yet" in regions.reason


def _at(revision: str) -> dict[str, Any]:
    return {"operation": {"sync": {"revision": revision}}, "syncResult": {"revision": revision}}


def test_a_failed_one_is_told_and_the_plan_goes(regions: Regions) -> None:
    """By default; `syncs` has those that came, with how each of them ended."""
    regions.sync(1)
    failed = regions.sync(2, at=5, phase="Failed")
    regions.look(done(1), done(2, at=5, phase="Failed"))
    assert texts(regions.house.work()) == ["Succeeded Failed of 2"]
    (told,) = regions.house.events("plan.complete")
    assert told["failed"] == [f"argocd/region-2 ended as Failed, sync {failed}"]


def test_a_failed_one_may_become_good_until_the_longest_wait(
    ledger: Ledger, cluster: ToyCluster
) -> None:
    """With `otherwise: fail`: somebody syncs it again, and its newest sync counts."""
    regions = Regions(ledger, rule("fail"), cluster)
    regions.sync(1)
    regions.sync(2, at=5, phase="Failed")
    regions.look(done(1), done(2, at=5, phase="Failed"))
    assert regions.house.work() == []
    regions.look(done(1), region(2, operated=(REVISION,), finished_at=None, phase="Running"))
    assert "region-2 still runs its operation" in regions.reason
    regions.sync(2, at=9)
    regions.look(done(1), done(2, at=9))
    assert texts(regions.house.work()) == ["Succeeded Failed Succeeded of 2"]


@pytest.mark.parametrize(("otherwise", "said"), [("go", "Succeeded of 1"), ("fail", "1 of 2")])
def test_otherwise_decides_at_the_longest_wait(
    ledger: Ledger, cluster: ToyCluster, otherwise: str, said: str
) -> None:
    """The plan starts without the missing one, or fails with it named."""
    regions = Regions(ledger, rule(otherwise), cluster)
    regions.sync(1)
    regions.look(done(1), region(2))
    regions.house.pass_time(30 * 60 + 1)
    (written,) = texts(regions.house.work())
    assert written.startswith(said)
    (told,) = regions.house.events("plan.incomplete")
    missing = "argocd/region-2 is Synced at 00000000"
    assert (told["otherwise"], told["missing"]) == (otherwise, [missing])
    (state,) = regions.house.plans("state, reason")
    failed = ("failed", f"1 of 2 Applications are not done: {missing}")
    assert state == (failed if otherwise == "fail" else ("succeeded", ""))


def test_what_was_seen_is_there_after_a_restart(regions: Regions) -> None:
    """Another process sees it before it has looked, and goes on."""
    regions.sync(1)
    regions.look(done(1), region(2))
    regions.worker = regions.new_worker()
    assert "region-2 is Synced at" in regions.reason
    regions.sync(2, at=5)
    regions.look(done(1), done(2, at=5))
    assert texts(regions.house.work()) == ["Succeeded Succeeded of 2"]


def test_a_list_that_was_made_before_is_not_believed(regions: Regions) -> None:
    """An Application may have come into being since: the last look is a new one."""
    regions.sync(1)
    regions.look(done(1), region(2))
    regions.sync(2, at=5)
    regions.cluster.listed = [done(1), done(2, at=5), region(3)]
    regions.worker._round()  # by what was listed before, and the ledger, all are done
    assert "1 of 3 Applications are not done: argocd/region-3" in regions.reason
    assert regions.cluster.asked == [("all", [])] * 2


def test_an_argo_cd_that_is_away_is_told_once_and_asked_again(regions: Regions) -> None:
    """The plan waits on; what was seen stays."""
    regions.sync(1)
    regions.look(done(1), region(2))
    regions.cluster.failing = "Argo CD is away"
    for _ in range(3):
        regions.look(done(1), region(2))
    assert regions.reason.endswith("region-2 is Synced at 00000000; Argo CD is away")
    told = [event.get("reason") for event in regions.house.events("plan.awaits")]
    assert told == [None, "Argo CD is away"]
    regions.cluster.failing = ""
    regions.look(done(1), region(2, revisions=(REVISION,)))
    assert texts(regions.house.work()) == ["Succeeded of 1"]


def test_without_a_connection_a_plan_waits_for_quiet(ledger: Ledger) -> None:
    """As it would without `until`, and says so."""
    regions = Regions(ledger, rule(), ToyCluster())
    regions.sync(1)
    assert regions.reason == "nobody has looked at its Applications yet"
    Awaiting(
        OTHERS, Connections({}), regions.house.ledger, lambda: None, configure_logs("json")
    )._round()
    (told,) = regions.house.events("plan.awaits")
    assert told["reason"].startswith("sender argocd has no connection")
    regions.sync(2, at=5)
    assert regions.house.work() == []
    regions.house.pass_time(31)
    assert texts(regions.house.work()) == ["Succeeded Succeeded of 2"]


def test_another_revision_is_another_plan(regions: Regions) -> None:
    """And each waits for its own."""
    regions.sync(1)
    regions.sync(1, at=60, revision=OLDER)
    regions.look(done(1, at=60, operated=(OLDER,), revisions=(OLDER,)), region(2))
    assert regions.house.plans() == ["collecting"] * 2
    waits = regions.house.plans("reason")
    assert waits[0] == "1 of 2 Applications are not done: argocd/region-2 is Synced at 00000000"
    assert texts(regions.house.work()) == ["Succeeded of 1"]


@pytest.mark.parametrize(
    "which",
    [
        "{name: region-1}", "{project: 'we*'}", "{namespace: argocd, labels: {tier: edge}}",
        "{applicationSet: [regions, others]}",
    ],
)  # fmt: skip
def test_the_rule_says_which_applications(ledger: Ledger, cluster: ToyCluster, which: str) -> None:
    """Everything that is given must match."""
    rules = rule().replace("{applicationSet: regions}", which)
    regions = Regions(ledger, rules, cluster)
    regions.sync(1)
    other = replace(
        region(2), project="shop", labels={}, namespace="other", application_set="", name="x"
    )
    regions.look(done(1), other)
    assert texts(regions.house.work()) == ["Succeeded of 1"]


def test_where_no_application_is_meant_nobody_has_come(regions: Regions) -> None:
    """A selector that is misspelt does not let the plan start at the first sync."""
    regions.sync(1)
    regions.look(region(2, application_set="others"))
    assert regions.reason == "no Application is as debounce.until has it"
    assert regions.house.work() == []


def test_an_old_sync_at_the_revision_does_not_count(regions: Regions) -> None:
    """Whoever rolls back to a revision waits for the Applications to come to it again."""
    regions.sync(2, at=-3600)
    old = int((datetime.now(UTC) - timedelta(hours=3)).timestamp() * 1000)
    with regions.house.ledger.write() as connection:
        connection.execute(text(f"UPDATE syncs SET received_at = {old}"))
        connection.execute(text("UPDATE plans SET state = 'cancelled'"))
    regions.sync(1)
    regions.look(done(1), region(2))
    assert "region-2 is Synced at 00000000" in regions.house.plans("reason")[1]


def test_a_replay_counts_the_syncs_of_its_time(regions: Regions) -> None:
    """Its syncs came long before its plan, and the Applications have gone on since."""
    first = regions.sync(1)
    regions.sync(2, at=5)
    old = int((datetime.now(UTC) - timedelta(hours=3)).timestamp() * 1000)
    with regions.house.ledger.write() as connection:
        connection.execute(text(f"UPDATE syncs SET received_at = {old}"))
        connection.execute(text("UPDATE plans SET state = 'cancelled'"))
    regions.house.replay(first)
    regions.look(region(1), region(2))
    assert texts(regions.house.work()) == ["Succeeded of 1"]
    assert regions.house.plans() == ["cancelled", "succeeded"]


def test_only_the_last_operation_of_an_application_is_remembered() -> None:
    """However many come while some plan waits; the first sight of each counts anew."""
    finished = Finished()
    one = ApplicationSummary("argocd", "shop", "u-1", "web", {}, "Succeeded", None, NOON)
    for second in range(50):
        last = replace(one, finished_at=NOON + timedelta(seconds=second))
        assert finished.on_its_way(last, 0)
    assert len(finished._seen) == 1
