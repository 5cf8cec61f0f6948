"""Which syncs wait for the rules that they bring, and for how long."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from known_rules import Known
from notifications import resource
from peers import Reply, Seen, peer
from planning import sync_of
from test_custom_rules import seen

from receiver.argocd.pace import Pace
from receiver.argocd.server import Server
from receiver.core.logs import configure_logs
from receiver.core.model import Destination, Sync
from receiver.dispatcher.tenants import fresh_rules
from receiver.dispatcher.tenants.fresh_rules import FreshRules
from receiver.kubernetes.access import Access
from receiver.ledger.engine.ledger import Ledger
from receiver.outbound import Outbound
from receiver.rules.tenants.names import GROUP, KIND

HERE = "https://kubernetes.default.svc"


def bringing(*names: str, cluster: str = HERE) -> Sync:
    """A sync that lists these PostSyncRules."""
    entries = [resource(name, group=GROUP, kind=KIND, namespace="shop") for name in names]
    sync = sync_of(resource("config"), *entries)
    there = replace(sync.application, destination=Destination(cluster, "", "shop"))
    return replace(sync, application=there)


class Asking:
    """Reads by an API server that answers so; ``told`` counts how often the loop is woken."""

    def __init__(self, known: Known, ledger: Ledger, outbound: Outbound, url: str) -> None:
        self.known, self.told = known, 0
        server = Server("it", lambda: Access(url, ""), outbound, Pace(1000, 1000))
        log = configure_logs("json")
        self.fresh = FreshRules(server, {HERE}, known.custom, ledger, self._wake, log)

    def _wake(self) -> None:
        self.told += 1

    def take_up(self) -> None:
        self.fresh._round()
        self.known.settle()


@pytest.fixture
def known(file_ledger: Ledger, tmp_path: Path) -> Known:
    return Known(file_ledger, tmp_path)


@contextmanager
def asking(known: Known, ledger: Ledger, outbound: Outbound, *replies: Reply) -> Iterator[Asking]:
    left, lock = list(replies), threading.Lock()

    def answer(_: Seen) -> Reply:
        with lock:
            return left.pop(0) if len(left) > 1 else left[0]

    with peer(answer) as there:
        yield Asking(known, ledger, outbound, there.url)


def found(words: str, version: int) -> Reply:
    rule = seen(words, version).seen
    metadata = {
        "namespace": "shop", "name": "a", "uid": "first", "generation": version,
        "resourceVersion": str(version),
    }  # fmt: skip
    body = {"metadata": metadata, **json.loads(rule.said)}
    return Reply(200, json.dumps(body).encode())


def test_a_sync_without_rules_waits_for_nothing(
    known: Known, file_ledger: Ledger, outbound: Outbound
) -> None:
    """Nor one whose rules are in another cluster."""
    with asking(known, file_ledger, outbound, found("x", 1)) as it:
        assert it.fresh.ask(bringing(), 0) == ""
        assert it.fresh.ask(bringing("a", cluster="https://elsewhere"), 0) == ""
        assert it.fresh.waiting(0) == set()


def test_a_sync_waits_until_its_rules_are_among_those_that_plan(
    known: Known, file_ledger: Ledger, outbound: Outbound
) -> None:
    """To have read and taken them up is not enough: the loop may still have the planner before."""
    with asking(known, file_ledger, outbound, found("x", 1)) as it:
        sync = bringing("a")
        assert it.fresh.ask(sync, 0) is None
        it.take_up()
        assert it.fresh.waiting(0) == {sync.id}
        assert it.fresh.ask(sync, 0) is None
        assert it.fresh.waiting(1) == set()
        assert it.fresh.ask(sync, 1) == ""
        assert known.said == {"shop/a": "x"}


def test_what_cannot_be_read_is_asked_for_again_and_then_given_up(
    known: Known, file_ledger: Ledger, outbound: Outbound, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reason is the last one."""
    with asking(known, file_ledger, outbound, Reply(503, b""), found("x", 1)) as it:
        first = bringing("a")
        assert it.fresh.ask(first, 0) is None
        it.take_up()
        assert it.fresh.ask(first, 0) is None
        it.take_up()
        assert it.fresh.ask(first, 1) == ""
    monkeypatch.setattr(fresh_rules, "LONGEST", 0.3)
    with asking(known, file_ledger, outbound, Reply(503, b"")) as it:
        assert it.fresh.ask(first, 1) is None
        it.take_up()
        time.sleep(0.3)
        it.fresh._tell()
        assert it.told == 1
        assert "was answered 503" in (it.fresh.ask(first, 1) or "")


def test_too_many_are_not_waited_for(known: Known, file_ledger: Ledger, outbound: Outbound) -> None:
    with asking(known, file_ledger, outbound, found("x", 1)) as it:
        many = bringing(*(f"rule-{number}" for number in range(101)))
        assert it.fresh.ask(many, 0) == fresh_rules.TOO_MANY
