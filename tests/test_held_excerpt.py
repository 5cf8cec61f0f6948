"""What is told of a hold repeats of its sync what is ordinary, whatever a sender has written."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from house import House, texts
from notifications import notification, resource
from test_held_told import HELD, house_of

from receiver.ledger.engine.ledger import Ledger

LABELLED = """
- name: tell
  match:
    channel: postsync
    application: {project: web, labels: {tier: edge, team: shop}}
  actions:
  - uses: log.message
    target: application
    with: {text: told}
"""
LONG = "x" * 100_000
MANY = {f"label-{n}": "v" * 700 for n in range(1_500)}
PLENTY: dict[str, dict[str, Any]] = {
    "labels": {"application": {"labels": MANY}},
    "one label": {"application": {"labels": {"huge": LONG}}},
    "uid": {"application": {"uid": LONG}},
    "destination": {"application": {"destination": {"server": LONG}}},
    "revision": {"revision": LONG},
    "revisions": {"revisions": list(MANY.values())},
}


def bring(house: House, named: dict[str, Any], names: Sequence[str] = "abc") -> None:
    """Take and plan a sync with these fields of its Application and of its result."""
    tree = json.loads(notification(*map(resource, names)))
    tree["application"] |= named.get("application", {})
    result = {key: value for key, value in named.items() if key != "application"}
    tree["operationState"]["syncResult"] |= result
    house.bring(json.dumps(tree).encode())
    house.plan([])


def bytes_told(house: House) -> int:
    """How much is stored of what we tell: bodies as they were, syncs and trail."""
    (bodies,) = house.query("SELECT SUM(size) FROM deliveries WHERE channel = 'postsync'")
    (columns,) = house.query(
        "SELECT SUM(LENGTH(project) + LENGTH(uid) + LENGTH(revision)) FROM syncs "
        "WHERE channel = 'postsync'"
    )
    (lines,) = house.query(
        "SELECT SUM(LENGTH(data)) FROM audit_events WHERE name = 'notification.made'"
    )
    return int(bodies + columns + lines)


@pytest.mark.parametrize("what", PLENTY)
def test_however_much_a_sender_writes_each_holding_rule_repeats_little(
    ledger: Ledger, what: str
) -> None:
    """The transaction that holds stores one notification for each of them."""
    house = house_of(ledger, HELD + HELD.replace("purge", "again"))
    bring(house, PLENTY[what])
    assert len(house.told()) == 2
    assert bytes_told(house) < 2 * 40_000


def test_of_long_names_each_holding_rule_repeats_little(ledger: Ledger) -> None:
    """The first ten are named, each as long as a name may be."""
    house = house_of(ledger, HELD)
    bring(house, {}, [letter * 100_000 for letter in "abc"])
    assert bytes_told(house) < 40_000
    assert [len(target) for target in house.told()[0].held.targets] == [1_000] * 3


def test_ordinary_labels_match_beside_a_huge_one(ledger: Ledger) -> None:
    """Whichever comes first."""
    house = house_of(ledger, HELD + LABELLED)
    bring(house, {"application": {"labels": {"tier": "edge", "huge": LONG, "team": "shop"}}})
    house.plan([])
    assert len(texts(house.work())) == 1
    assert house.told()[0].application.labels == {"tier": "edge", "team": "shop"}


def test_as_many_labels_as_are_ordinary_are_repeated(ledger: Ledger) -> None:
    """Forty of the longest that Kubernetes takes, and nothing is said to be shortened."""
    house = house_of(ledger, HELD)
    labels = {f"{'d' * 253}/{n:063}": "v" * 63 for n in range(40)}
    bring(house, {"application": {"labels": labels}})
    assert house.told()[0].application.labels == labels
    (made,) = house.events("notification.made")
    assert "shortened" not in made["reason"]


def test_the_trail_says_what_was_shortened(ledger: Ledger) -> None:
    """Or a rule that does not match would be a riddle."""
    house = house_of(ledger, HELD)
    bring(house, {"application": {"labels": {"tier": "edge", "huge": LONG}, "uid": LONG}})
    (made,) = house.events("notification.made")
    assert made["reason"].endswith("maxTargets 2; shortened: uid, labels (1 of 2 kept)")
