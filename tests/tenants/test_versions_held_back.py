"""A namespace that changes its rules without end: what is taken up of them, and when."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from known_rules import Known
from kube import Kube
from postsyncrules import PostSyncRules
from sqlalchemy import text

from receiver.dispatcher.tenants import version_quota
from receiver.dispatcher.tenants.custom_rules import HELD
from receiver.dispatcher.tenants.inbox import News
from receiver.dispatcher.tenants.seen_rule import SeenRule
from receiver.dispatcher.tenants.version_quota import EACH, VersionQuota
from receiver.ledger.engine.ledger import Ledger

pytestmark = pytest.mark.xdist_group("kubernetes")


@pytest.fixture
def rules(kube: Kube) -> PostSyncRules:
    return PostSyncRules(kube, kube.namespace(f"pace-{time.monotonic_ns()}"))


@pytest.fixture
def known(
    file_ledger: Ledger, tmp_path: Path, rules: PostSyncRules, monkeypatch: pytest.MonkeyPatch
) -> Known:
    """What a process knows of the namespace, which has room for four versions at once."""
    monkeypatch.setattr(version_quota, "ROOM", 3.5 * EACH)
    return Known(file_ledger, tmp_path, namespace=rules.namespace, max_rules=1)


def put(rules: PostSyncRules, name: str, words: str) -> News:
    """Write a rule into the API server; what a watch tells of it."""
    return News(SeenRule.of(rules.put(name, words)), gone=False)


def versions(ledger: Ledger) -> int:
    with ledger.read() as connection:
        return int(connection.scalar(text("SELECT COUNT(*) FROM rule_sets")) or 0)


def test_versions_without_end_are_bounded_and_the_newest_counts(
    known: Known, rules: PostSyncRules, file_ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is in force stays meanwhile, and its message says that a newer one is held back."""
    for number in range(12):
        known.tell(put(rules, "a", f"version {number}"))
    assert known.said == {f"{rules.namespace}/a": "version 3"}
    assert known.rows["a"].ready
    assert known.rows["a"].message.endswith(HELD)
    assert versions(file_ledger) <= 4
    with file_ledger.read() as connection:
        lines = connection.scalars(text("SELECT name FROM audit_events")).all()
    assert lines == ["postsyncrule.loaded"] * 4
    monkeypatch.setattr(version_quota, "WITHIN", 0.001)
    known.settle()
    assert known.said == {f"{rules.namespace}/a": "version 11"}
    assert HELD not in known.rows["a"].message


def test_what_a_sync_brings_is_never_held_back(known: Known, rules: PostSyncRules) -> None:
    for number in range(8):
        known.tell(put(rules, "b", f"version {number}"))
    held = put(rules, "b", "of the sync")
    known.tell(held)
    assert known.said[f"{rules.namespace}/b"] == "version 3"
    known.custom.note([held], awaited=True)
    assert known.custom.settled([held.seen.place]) is None
    known.settle()
    assert known.said[f"{rules.namespace}/b"] == "of the sync"
    assert known.custom.settled([held.seen.place]) is not None


def test_what_is_known_or_removed_needs_no_room(known: Known, rules: PostSyncRules) -> None:
    """After a restart all rules are told anew, and a rule may end at any time."""
    first = put(rules, "c", "first")
    for _ in range(20):
        known.tell(first)
    for number in range(3):
        known.tell(put(rules, "c", f"version {number}"))
    assert known.said == {f"{rules.namespace}/c": "version 2"}
    known.tell(put(rules, "c", "too often"))
    assert known.said == {f"{rules.namespace}/c": "version 2"}
    rules.remove("c")
    known.tell(News(first.seen, gone=True))
    assert known.said == {}


def test_all_rules_of_a_namespace_may_change_twice_at_once() -> None:
    many = VersionQuota(lambda _: 5_000)
    for _ in range(9_999):
        many.take("shop", EACH)
    assert many.left("shop") > 0
    assert many.left("another") > many.left("shop")
