"""Operations of which no notification came, read from their Applications into a real ledger."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from copy import copy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from house import House
from notifications import notification, resource
from service import wait_for
from toy_argocd import ToyArgoCd, application

from receiver.argocd.application_json import summary_of
from receiver.core.logs import configure_logs
from receiver.dispatcher import gap_repair, outage, sightings
from receiver.dispatcher.gap_repair import GapRepair
from receiver.dispatcher.sightings import Sightings
from receiver.ledger.audit.key_values import CREATED, put_value
from receiver.ledger.engine.ledger import Ledger
from receiver.settings.model import Settings

RULES = """
- name: configs
  match: {resources: [{kind: ConfigMap}]}
  actions: [{uses: log.message, with: {text: "${{ resource.name }}"}}]
"""
PATIENCE = 20


def ago(seconds: float) -> datetime:
    """A moment in whole seconds, as Argo CD writes them."""
    return datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=seconds)


LONG_AGO = ago(86_400)


@pytest.fixture
def house(ledger: Ledger) -> House:
    return House.of(ledger, RULES)


@pytest.fixture
def argocd() -> ToyArgoCd:
    return ToyArgoCd()


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look oftener than in a service."""
    monkeypatch.setattr(gap_repair, "TICK", 0.02)
    monkeypatch.setattr(gap_repair, "ELSEWHERE", 0.05)
    monkeypatch.setattr(outage, "BACKOFF", (0.2,))


@contextmanager
def repairing(
    house: House,
    argocd: ToyArgoCd,
    *,
    max_age: float = 86_400,
    act_since: datetime | None = LONG_AGO,
    **connection: Any,
) -> Iterator[GapRepair]:
    """Repair until the end of the block; a moment is waited for a notification."""
    own = {"kubernetes": {"inCluster": True}, "recoverAfter": 0.4, **connection}
    settings = Settings(argocd={"argocd": own}, act_since=act_since, max_age=max_age)
    log = configure_logs("json")
    made = GapRepair("argocd", argocd, copy(house.ledger), settings, lambda: None, log)
    argocd.over = False
    made.start()
    try:
        yield made
    finally:
        made.stop()
        argocd.over = True
        wait_for(lambda: not made._watcher.alive, 10, "the watch's end")


def quiet(seconds: float = 0.8) -> None:
    """Give it the time in which it would have done something."""
    threading.Event().wait(seconds)


def syncs(house: House) -> list[Any]:
    return house.query("SELECT application FROM syncs ORDER BY application")


def recovered(house: House, number: int = 1) -> Callable[[], bool]:
    return lambda: len(house.events("sync.recovered")) == number


def test_a_lost_notification_is_recovered(house: House, argocd: ToyArgoCd) -> None:
    """It is stored as the intake would have, without Helm values, and is acted upon."""
    argocd.put(application("shop", resource("a"), started=ago(9), finished=ago(5)))
    with repairing(house, argocd):
        wait_for(recovered(house), PATIENCE, "the recovery")
    (event,) = house.events("sync.recovered")
    assert event["reason"] == "no notification of it had come 0.4 s after its end was seen"
    assert (event["application"], event["shape"]) == ("argocd/shop", "application")
    (row,) = house.query("SELECT verdict, reason, size FROM deliveries")
    assert row[:2] == ("accepted", event["reason"])
    house.plan([])
    assert [run.parameters["text"] for run in house.work()] == ["a"]
    assert house.events("notification.*") == []


def test_what_finished_before_the_connection_was_used_is_left_alone(
    house: House, argocd: ToyArgoCd
) -> None:
    """On a ledger that is older; the next dispatcher begins where the first one did."""
    with house.ledger.write() as connection:
        put_value(connection, CREATED, int(ago(7200).timestamp() * 1000))
    argocd.put(application("old", resource("a"), started=ago(3609), finished=ago(3600)))
    with repairing(house, argocd, act_since=None):
        wait_for(lambda: argocd.watches == 1, PATIENCE, "the watch")
        quiet()
        argocd.put(application("new", resource("a"), started=ago(3), finished=ago(0)))
        wait_for(recovered(house), PATIENCE, "the recovery")
    argocd.put(application("newer", resource("a"), started=ago(3), finished=ago(0)))
    quiet(2.2)
    with repairing(house, argocd, act_since=None):
        wait_for(recovered(house, 2), PATIENCE, "the recovery of what ended meanwhile")
    assert syncs(house) == ["argocd/new", "argocd/newer"]


def test_on_a_new_ledger_it_begins_with_the_ledger(house: House, argocd: ToyArgoCd) -> None:
    """A connection that was there from the first start."""
    with house.ledger.write() as connection:  # a file is the copy of one that may be minutes old
        put_value(connection, CREATED, int(ago(0).timestamp() * 1000))
    argocd.put(application("shop", resource("a"), started=ago(3), finished=ago(0)))
    with repairing(house, argocd, act_since=None):
        wait_for(recovered(house), PATIENCE, "the recovery")


def test_a_late_notification_is_a_duplicate(house: House, argocd: ToyArgoCd) -> None:
    """Whoever comes second, and it is planned once."""
    started, finished = ago(9), ago(5)
    argocd.put(application("shop", resource("a"), started=started, finished=finished))
    with repairing(house, argocd):
        wait_for(recovered(house), PATIENCE, "the recovery")
        house.bring(notification(resource("a"), finished=finished, startedAt=started.isoformat()))
    assert len(house.events("notification.duplicate")) == 1
    assert syncs(house) == ["argocd/shop"]


def test_nothing_is_read_of_what_was_notified(house: House, argocd: ToyArgoCd) -> None:
    """Before the Application was seen, or in the time that a notification has."""
    started, finished = ago(9), ago(5)
    times: dict[str, Any] = {"finished": finished, "startedAt": started.isoformat()}
    house.bring(notification(resource("a"), application="before", **times))
    argocd.put(application("before", started=started, finished=finished))
    argocd.put(application("within", started=started, finished=finished))
    with repairing(house, argocd):
        wait_for(lambda: argocd.watches == 1, PATIENCE, "the watch")
        house.bring(notification(resource("a"), application="within", **times))
        quiet()
    assert argocd.read == []
    assert len(syncs(house)) == 2


def test_what_another_sender_notified_of_is_not_done_twice(house: House, argocd: ToyArgoCd) -> None:
    """The connection is named unlike the token. Another Argo CD's Application has another uid."""
    started, finished = ago(9), ago(5)
    for name, uid in (("shop", "u-shop"), ("other", "u-elsewhere")):
        body = json.loads(
            notification(application=name, finished=finished, startedAt=started.isoformat())
        )
        body["application"]["uid"] = uid
        house.bring(json.dumps(body).encode(), sender="argo")
        argocd.put(application(name, started=started, finished=finished))
    with repairing(house, argocd):
        wait_for(recovered(house), PATIENCE, "the other's recovery")
        quiet()
    assert argocd.read == ["argocd/other"]


def test_what_is_no_finished_operation_is_left_alone(house: House, argocd: ToyArgoCd) -> None:
    """Running, a dry run, none yet, deleted, and older than the age rule."""
    now, before = ago(5), ago(9)
    argocd.put(application("running", started=before, finished=None, phase="Running"))
    argocd.put(application("dry", started=before, finished=now, dry_run=True))
    argocd.put(application("old", started=ago(700), finished=ago(601), history=[ago(800)]))
    argocd.put({"metadata": {"name": "none", "namespace": "argocd"}, "spec": {}})
    argocd.put(application("gone", started=before, finished=now))
    with repairing(house, argocd, max_age=600):
        wait_for(lambda: argocd.watches == 1, PATIENCE, "the watch")
        argocd.remove("gone")
        quiet()
    assert (argocd.read, syncs(house)) == ([], [])


def test_a_failed_operation_is_recovered_too(house: House, argocd: ToyArgoCd) -> None:
    """Whatever its end."""
    argocd.put(application("shop", started=ago(9), finished=ago(5), phase="Failed"))
    with repairing(house, argocd):
        wait_for(recovered(house), PATIENCE, "the recovery")
    assert house.query("SELECT phase FROM syncs") == ["Failed"]


def test_what_was_overwritten_is_told_of_once(house: House, argocd: ToyArgoCd) -> None:
    """By its history's entry; a restart does not tell it again, and nothing is made up for it."""
    history = [ago(90_000), ago(50), ago(30), ago(9)]
    house.bring(notification(finished=ago(29), startedAt=history[2].isoformat()))
    argocd.put(application("shop", started=history[3], finished=ago(5), history=history))
    for _ in range(2):
        with repairing(house, argocd):
            wait_for(recovered(house), PATIENCE, "the recovery")
            wait_for(lambda: bool(house.events("operation.missed")), PATIENCE, "the event")
            quiet()
    (event,) = house.events("operation.missed")
    assert (event["sync"], event["sender"], event["application"]) == (
        None, "argocd", "argocd/shop",
    )  # fmt: skip
    assert datetime.fromisoformat(event["startedAt"]) == history[1]
    assert {key: event[key] for key in ("toldBy", "id", "revision", "initiatedBy")} == {
        "toldBy": "history", "id": 1, "revision": "9f1c2ab", "initiatedBy": "automated",
    }  # fmt: skip
    assert len(syncs(house)) == 2


def test_what_the_watch_saw_end_and_is_overwritten_is_told_of(
    house: House, argocd: ToyArgoCd
) -> None:
    """A failed or selective operation is in no history."""
    started = ago(9)
    argocd.put(application("shop", started=started, finished=ago(8), phase="Failed"))
    with repairing(house, argocd):
        wait_for(lambda: argocd.watches == 1, PATIENCE, "the watch")
        quiet(0.2)
        argocd.put(application("shop", started=ago(0), finished=None, phase="Running"))
        wait_for(lambda: bool(house.events("operation.missed")), PATIENCE, "the event")
    (event,) = house.events("operation.missed")
    assert (event["phase"], event["toldBy"]) == ("Failed", "watch")
    assert datetime.fromisoformat(event["startedAt"]) == started
    assert syncs(house) == []


def test_two_operations_that_began_in_one_second(house: House, argocd: ToyArgoCd) -> None:
    """Their ends tell them apart: the second one is not taken for the first."""
    started = ago(9)
    house.bring(notification(finished=ago(9), startedAt=started.isoformat()))
    argocd.put(application("shop", started=started, finished=ago(8), history=[started, started]))
    with repairing(house, argocd):
        wait_for(recovered(house), PATIENCE, "the recovery")
    assert len(syncs(house)) == 2
    assert house.events("operation.missed") == []


def test_without_notifications_it_is_processed_at_once(house: House, argocd: ToyArgoCd) -> None:
    """`intake: watch` waits for none."""
    with repairing(house, argocd, intake="watch", recoverAfter=3600):
        for number in range(3):
            argocd.put(application(f"a-{number}", started=ago(2), finished=ago(1)))
        wait_for(recovered(house, 3), PATIENCE, "all")
    reasons = {event["reason"] for event in house.events("sync.recovered")}
    assert reasons == {"the Applications are watched instead of notified of"}


@pytest.mark.parametrize("without", ["namespace", "startedAt"])
def test_it_is_worded_as_the_sender_does(house: House, argocd: ToyArgoCd, without: str) -> None:
    """A template of one's own may leave out what is part of the identity; both are still one."""

    def told(started: datetime, finished: datetime) -> bytes:
        body = json.loads(notification(finished=finished, startedAt=started.isoformat()))
        body["application"].pop(without, None)
        body["operationState"].pop(without, None)
        return json.dumps(body).encode()

    house.bring(told(ago(60), ago(50)))
    started, finished = ago(9), ago(5)
    app = application("shop", started=started, finished=finished, history=[ago(70), started])
    argocd.put(app)
    with repairing(house, argocd):
        wait_for(recovered(house), PATIENCE, "the recovery")
        quiet(0.5)
    house.bring(told(started, finished))
    assert len(house.events("notification.duplicate")) == 1
    assert len(syncs(house)) == 2
    missed = 1 if without == "namespace" else 0
    assert len(house.events("operation.missed")) == missed


def test_without_times_nobody_can_tell(
    house: House, argocd: ToyArgoCd, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a sender that tells no end nothing is recovered, and that is said once."""
    body = json.dumps({"application": "shop", "phase": "Succeeded", "resources": []}).encode()
    house.bring(body)
    argocd.put(application("shop", started=ago(9), finished=ago(5)))
    with repairing(house, argocd):
        wait_for(lambda: "recovery.blind" in capsys.readouterr().out, PATIENCE, "the line")
        argocd.put(application("other", started=ago(9), finished=ago(5)))
        quiet()
    assert "recovery.blind" not in capsys.readouterr().out
    assert len(syncs(house)) == 1


def test_an_outage_is_told_once_and_nothing_is_lost(house: House, argocd: ToyArgoCd) -> None:
    """The watch and the reading, each; what was due meanwhile is recovered when they work again."""
    argocd.failing = "Argo CD of the test: nobody answers"
    argocd.put(application("shop", started=ago(9), finished=ago(5)))
    with repairing(house, argocd):
        failures = "SELECT value FROM counters WHERE name = 'connection_failures_total'"
        wait_for(lambda: (house.query(failures) or [0])[0] >= 2, PATIENCE, "two failures")
        argocd.failing = ""
        wait_for(recovered(house), PATIENCE, "the recovery")
        (failed,) = house.events("connection.failed")
        assert (failed["use"], failed["reason"]) == (
            "watch Applications", "nobody answers",
        )  # fmt: skip
        assert len(house.events("connection.restored")) == 1
        argocd.forbidden = "applications, get is missing"
        argocd.put(application("other", started=ago(9), finished=ago(5)))
        wait_for(lambda: len(argocd.read) >= 3, PATIENCE, "two readings")
        argocd.forbidden = ""
        wait_for(recovered(house, 2), PATIENCE, "the recovery")
    assert [event["use"] for event in house.events("connection.failed")] == [
        "watch Applications", "read an Application",
    ]  # fmt: skip
    assert house.events("connection.failed")[1]["reason"] == (
        "argocd/other: applications, get is missing"
    )
    assert len(house.events("connection.restored")) == 2


def test_a_connection_that_is_cut_a_hundred_times_loses_nothing(
    file_ledger: Ledger, argocd: ToyArgoCd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing is stored twice."""
    monkeypatch.setattr(outage, "BACKOFF", (0.005,))
    house, argocd.cut = House.of(file_ledger, RULES), True
    with repairing(house, argocd, recoverAfter=0):
        for number in range(100):
            argocd.put(application(f"a-{number:03}", started=ago(9), finished=ago(5)))
            before = argocd.watches
            wait_for(lambda: argocd.watches > before, PATIENCE, "the next watch")  # noqa: B023 at once
        wait_for(recovered(house, 100), PATIENCE, "all")
    assert syncs(house) == [f"argocd/a-{number:03}" for number in range(100)]
    assert house.query("SELECT DISTINCT verdict FROM deliveries") == ["accepted"]
    assert len(argocd.read) == 100


def test_a_connection_that_comes_and_goes_is_tried_less_and_less(
    file_ledger: Ledger, argocd: ToyArgoCd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has to work for a while until a failure counts as the first one again."""
    monkeypatch.setattr(outage, "BACKOFF", (1, 2, 5))
    told = outage.Outage.of_connection(
        "argocd", argocd, "watch", file_ledger, configure_logs("json")
    )
    waits = []
    for _ in range(4):
        waits.append(told.failed("cut"))
        told.over()
    monkeypatch.setattr(outage, "STEADY", 0)
    assert [*waits, told.failed("cut")] == [1, 2, 5, 5, 1]


def test_what_cannot_be_understood_is_refused_as_from_argocd(
    house: House, argocd: ToyArgoCd
) -> None:
    """It is kept to be looked at, once, and holds up no other."""
    argocd.put(application("ahead", started=ago(9), finished=ago(-200_000)))
    argocd.put(application("shop", started=ago(9), finished=ago(5)))
    with repairing(house, argocd):
        wait_for(recovered(house), PATIENCE, "the other's recovery")
        quiet(0.5)
    (event,) = house.events("notification.refused")
    assert event["reason"].startswith("wrong_time: ")


def test_a_bug_of_ours_holds_up_no_other(
    house: House, argocd: ToyArgoCd, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is logged, and its Application is left alone."""
    broken = application("broken", started=ago(9), finished=ago(5))
    broken["status"]["operationState"]["message"] = object()
    argocd.put(broken)
    argocd.put(application("shop", started=ago(9), finished=ago(5)))
    with repairing(house, argocd):
        wait_for(recovered(house), PATIENCE, "the other's recovery")
        quiet(0.5)
    assert capsys.readouterr().out.count("recovery.bug") == 1
    assert argocd.read.count("argocd/broken") == 1


def test_several_dispatchers_recover_once(server_ledger: Ledger) -> None:
    """One repairs while the others wait; when it stops, another goes on."""
    house, argocd = House.of(server_ledger, RULES), ToyArgoCd()
    for number in range(20):
        argocd.put(application(f"a-{number}", started=ago(9), finished=ago(5)))
    with ExitStack() as both:
        first = both.enter_context(repairing(house, argocd))
        wait_for(lambda: argocd.watches == 1, PATIENCE, "the first watch")
        both.enter_context(repairing(house, argocd))
        wait_for(recovered(house, 20), PATIENCE, "all")
        quiet(0.5)
        assert argocd.watches == 1
        first.stop()
        wait_for(lambda: argocd.watches == 2, PATIENCE, "the second's watch")
        argocd.put(application("more", started=ago(4), finished=ago(3)))
        wait_for(recovered(house, 21), PATIENCE, "one more")
    assert house.events("notification.*") == []
    assert sorted(argocd.read) == sorted({*argocd.read})


def test_what_is_stored_meanwhile_is_a_duplicate(house: House, argocd: ToyArgoCd) -> None:
    """A notification between the look and the storing; the identity decides, not the look."""
    started, finished = ago(9), ago(5)
    times: dict[str, Any] = {"finished": finished, "startedAt": started.isoformat()}
    app = application("shop", started=started, finished=finished)
    argocd.put(app)
    original = argocd.application

    def late(namespace: str, name: str, deadline: float) -> Any:
        if not syncs(house):
            house.bring(notification(resource("a"), **times))
        return original(namespace, name, deadline)

    argocd.application = late  # type: ignore[method-assign]  # the test's own
    with repairing(house, argocd):
        wait_for(lambda: bool(house.events("notification.duplicate")), PATIENCE, "the duplicate")
    assert syncs(house) == ["argocd/shop"]
    assert house.events("sync.recovered") == []


def test_an_application_that_cannot_be_read_is_told_once(house: House, argocd: ToyArgoCd) -> None:
    """Beside others that are recovered; when it is gone, all is well again."""
    argocd.forbidden, argocd.forbidden_for = "get is missing", {"secret"}
    argocd.put(application("secret", started=ago(9), finished=ago(5)))
    with repairing(house, argocd):
        for number in range(4):
            argocd.put(application(f"a-{number}", started=ago(9), finished=ago(5)))
            wait_for(recovered(house, number + 1), PATIENCE, "the recovery")
        wait_for(lambda: argocd.read.count("argocd/secret") > 2, PATIENCE, "some tries")
        assert len(house.events("connection.failed")) == 1
        assert house.events("connection.restored") == []
        argocd.remove("secret")
        wait_for(lambda: bool(house.events("connection.restored")), PATIENCE, "the end of it")
    (failed,) = house.events("connection.failed")
    assert failed["reason"] == "argocd/secret: get is missing"


def test_after_a_bug_it_is_tried_again_a_few_times(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What passes is recovered; what lasts is left alone in the end."""
    monkeypatch.setattr(sightings, "AGAIN", (0.05, 0.05))

    class Buggy(ToyArgoCd):
        def application(self, namespace: str, name: str, deadline: float) -> Any:
            found = super().application(namespace, name, deadline)
            if name == "lasting" or self.read.count(f"{namespace}/{name}") < 3:
                raise KeyError(name)
            return found

    argocd = Buggy()
    for name in ("lasting", "passing"):
        argocd.put(application(name, started=ago(9), finished=ago(5)))
    with repairing(house, argocd):
        wait_for(recovered(house), PATIENCE, "the recovery")
        quiet()
    assert syncs(house) == ["argocd/passing"]
    assert argocd.read.count("argocd/lasting") == 3


def test_what_is_too_old_is_forgotten() -> None:
    """Its Application may have been deleted while nobody watched."""
    seen = Sightings(0.0)
    seen.begin(ago(100))
    for name, age in (("old", 50), ("new", 5)):
        seen.note(summary_of(application(name, started=ago(age + 1), finished=ago(age))))
    seen.settle(seen.due(10)[:1])
    seen.begin(ago(20))
    assert [one.name for one in seen.due(10)] == ["new"]
    assert [*seen._of] == ["argocd/new"]
