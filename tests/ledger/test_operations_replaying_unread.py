"""A sync whose live objects nobody could read is replayed: they are asked for again."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from desks import ANN, desk
from house import NOON, House, later, texts
from notifications import resource
from test_operations_replaying import CONFIGS, Today
from toy_cluster import ToyCluster

from receiver.argocd.objects import ApplicationState, Unreadable
from receiver.core.logs import configure_logs
from receiver.dispatcher.verification import Verification
from receiver.ledger.engine.ledger import Ledger


def unread(house: House, cluster: ToyCluster) -> str:
    """A sync that was planned although its live objects could not be read."""
    house.verify_for = 1
    cluster.failing = "Argo CD is away"
    sync = house.sync(resource("a", "configmap/a serverside-applied"))
    look(later(house.ledger, 2), house, cluster)
    house.plan([])
    return sync


def look(ledger: Ledger, house: House, cluster: ToyCluster) -> None:
    """One round of the thread that reads live objects."""
    Verification(
        "argocd", cluster, ledger, lambda: house.planner, house.handover, lambda: None,
        configure_logs("json"),
    )._round()  # fmt: skip


@pytest.fixture
def cluster() -> ToyCluster:
    return ToyCluster({"a": NOON - timedelta(seconds=10)})


def test_what_nobody_could_read_is_asked_for_again(
    ledger: Ledger, tmp_path: Path, cluster: ToyCluster
) -> None:
    """Before the replay is planned, with what is read then."""
    today = Today.of(House.of(ledger, CONFIGS), tmp_path)
    house = today.house
    sync = unread(house, cluster)
    assert "its object cannot tell: Argo CD is away" in texts(house.work())[0]
    today.write(CONFIGS)
    today.load()
    today.preparation.verify_until = lambda connection, _: ledger.now(connection) + 60_000
    desk(house).replay(ANN, sync)
    today.turn()
    assert house.query("SELECT state FROM syncs") == ["verifying"]
    today.turn()
    assert house.runs() == ["succeeded"]
    cluster.failing = ""
    look(ledger, house, cluster)
    assert house.query("SELECT state FROM syncs") == ["planned"]
    today.turn()
    (told,) = texts(house.work())
    assert "during this operation" in told
    names = house.query("SELECT name FROM audit_events WHERE name LIKE 'sync.%' ORDER BY seq")
    assert names[-4:] == [
        "sync.replay_asked", "sync.verifying", "sync.verified", "sync.replayed",
    ]  # fmt: skip


class OddCluster(ToyCluster):
    """Reading from it breaks off, as by a bug of ours, while it fails."""

    def application(self, *place: Any) -> ApplicationState | Unreadable:
        if self.failing:
            raise ValueError(self.failing)
        return super().application(*place)


def test_what_broke_off_while_it_was_read_is_asked_for_again(
    ledger: Ledger, tmp_path: Path
) -> None:
    """A version that has the bug mended, or a connection that is back, can read it."""
    today = Today.of(House.of(ledger, CONFIGS), tmp_path)
    house, cluster = today.house, OddCluster({"a": NOON - timedelta(seconds=10)})
    sync = unread(house, cluster)
    house.work()
    today.write(CONFIGS)
    today.load()
    today.preparation.verify_until = lambda connection, _: ledger.now(connection) + 60_000
    desk(house).replay(ANN, sync)
    today.turn()
    assert house.query("SELECT state FROM syncs") == ["verifying"]
    cluster.failing = ""
    look(ledger, house, cluster)
    today.turn()
    (told,) = texts(house.work())
    assert "during this operation" in told


def test_if_it_cannot_be_read_again_the_replay_goes_on(
    ledger: Ledger, tmp_path: Path, cluster: ToyCluster
) -> None:
    """After the same time; it asks once."""
    today = Today.of(House.of(ledger, CONFIGS), tmp_path)
    house = today.house
    sync = unread(house, cluster)
    house.work()
    today.write(CONFIGS)
    today.load()
    today.preparation.verify_until = lambda connection, _: ledger.now(connection) + 1000
    desk(house).replay(ANN, sync)
    today.turn()
    look(later(ledger, 2), house, cluster)
    today.turn()
    assert "its object cannot tell: Argo CD is away" in texts(house.work())[0]


def test_without_a_connection_nothing_is_asked_again(
    ledger: Ledger, tmp_path: Path, cluster: ToyCluster
) -> None:
    """The sender has none any more."""
    today = Today.of(House.of(ledger, CONFIGS), tmp_path)
    sync = unread(today.house, cluster)
    today.house.work()
    today.write(CONFIGS)
    today.load()
    desk(today.house).replay(ANN, sync)
    today.turn()
    assert len(texts(today.house.work())) == 1
