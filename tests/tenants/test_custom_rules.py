"""What is noted of PostSyncRules, in whatever order it is told, and what of it is in force."""

from __future__ import annotations

import json
import zlib
from dataclasses import replace
from pathlib import Path

import pytest
from known_rules import Known
from sqlalchemy import text

from receiver.dispatcher.tenants import custom_rules
from receiver.dispatcher.tenants.inbox import News
from receiver.dispatcher.tenants.seen_rule import SeenRule
from receiver.ledger.engine.ledger import Ledger


@pytest.fixture
def known(file_ledger: Ledger, tmp_path: Path) -> Known:
    return Known(file_ledger, tmp_path)


def seen(words: str, version: int, uid: str = "first", *, gone: bool = False) -> News:
    """A rule that says this; its generation is its version."""
    spec = {"match": {}, "actions": [{"uses": "log.message", "with": {"text": words}}]}
    return News(SeenRule("shop", "a", uid, version, json.dumps({"spec": spec}), version), gone)


def of(namespace: str, name: str) -> News:
    """A rule in another namespace."""
    return News(replace(seen("hello", 1).seen, namespace=namespace, name=name), gone=False)


def test_what_is_told_late_replaces_nothing_newer(known: Known) -> None:
    """A watch may be behind what was read for a sync."""
    known.tell(seen("new", 2))
    known.tell(seen("old", 1))
    assert known.said == {"shop/a": "new"}


def test_of_a_burst_the_last_counts(known: Known, file_ledger: Ledger) -> None:
    known.tell(*(seen(f"version {number}", number) for number in range(1, 50)))
    assert known.said == {"shop/a": "version 49"}
    with file_ledger.read() as connection:
        lines = connection.scalars(text("SELECT name FROM audit_events")).all()
    assert lines == ["postsyncrule.loaded"]


def test_what_was_read_as_absent_does_not_come_back_by_what_is_told_late(known: Known) -> None:
    """Another object of its name does."""
    known.tell(seen("first", 1))
    known.custom.note_absence(("shop", "a"))
    known.settle()
    assert (known.said, known.rows) == ({}, {})
    known.tell(seen("late", 2))
    assert known.said == {}
    known.tell(seen("another", 4, "second"))
    known.tell(seen("late", 3, gone=True))
    assert known.said == {"shop/a": "another"}


def test_what_never_was_is_not_kept_in_mind(known: Known) -> None:
    """A sync may list any number of names; one that comes later is in force."""
    for number in range(100):
        known.custom.note_absence(("shop", f"never-{number}"))
    known.custom.note_absence(("shop", "a"))
    known.settle()
    assert known.custom._inbox._removed == {}
    known.tell(seen("first", 1))
    assert known.said == {"shop/a": "first"}


def test_a_stored_rule_that_cannot_be_read_keeps_itself_out(
    known: Known, file_ledger: Ledger, tmp_path: Path
) -> None:
    """It is told so, and the others stay; the start goes on."""
    known.tell(seen("kept", 1), of("shop", "broken"))
    with file_ledger.write() as connection:
        files = zlib.compress(json.dumps([["postsyncrules/shop/broken", "rules: ["]]).encode())
        (digest,) = [one.digest for one in known.rows.values() if one.name == "broken"]
        connection.execute(
            text("UPDATE rule_sets SET files = :files WHERE digest = :digest"),
            {"files": files, "digest": digest},
        )
    (tmp_path / "again").mkdir()
    again = Known(file_ledger, tmp_path / "again")
    assert again.said == {"shop/a": "kept"}
    again.settle()
    broken = again.rows["broken"]
    assert (broken.ready, broken.digest, broken.reason) == (False, None, "Invalid")
    assert broken.message.startswith("this version of Postsync cannot read it: ")


def test_a_broken_version_of_another_object_keeps_nothing_of_the_one_before(known: Known) -> None:
    known.tell(seen("first", 1))
    known.tell(seen("${{ nonsense }}", 2, "second"))
    assert known.said == {}
    assert known.rows["a"].digest is None


def test_a_note_is_settled_when_it_was_taken_up(known: Known) -> None:
    mine = {("shop", "a")}
    known.custom.note([seen("first", 1)])
    assert known.custom.settled(mine) is None
    known.settle()
    number = known.custom.settled(mine)
    assert number
    known.custom.note([seen("first", 1)])
    assert known.custom.settled(mine) is None
    known.settle()
    assert known.custom.settled(mine) == number


def test_no_namespace_holds_up_another_however_many_rules_it_has(
    known: Known, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One rule is judged a round here, as where each takes long; whose is settled waits no more."""
    monkeypatch.setattr(custom_rules, "LONGEST", 0.0)
    known.custom.note(of("many", f"rule-{number}") for number in range(100))
    known.custom.note([seen("first", 1), of("other", "b")])
    for _ in range(3):
        assert known.custom._round() == 0.0
    assert known.rows.keys() == {"rule-0", "a", "b"}
    assert known.custom.settled({("shop", "a"), ("other", "b")})
    assert known.custom.settled({("many", "rule-1")}) is None


def test_a_rule_beyond_the_number_of_its_namespace_is_not_read(known: Known) -> None:
    """Thousands of large ones would take minutes, each time that one of them has room."""
    judged = known.custom._judge.judge(seen("${{ nonsense }}", 1).seen, 50)
    assert judged.reason == "TooMany"


def test_a_rule_that_its_bounds_of_today_do_not_allow_is_not_in_force_after_a_start(
    known: Known, file_ledger: Ledger, tmp_path: Path
) -> None:
    """The API server need not answer for that."""
    known.tell(seen("first", 1))
    assert Known(file_ledger, tmp_path).said == {"shop/a": "first"}
    narrowed = Known(file_ledger, tmp_path, handler="http.request")
    narrowed.settle()
    assert narrowed.said == {}
    assert (narrowed.rows["a"].ready, narrowed.rows["a"].digest) == (False, None)
    narrowed.tell(seen("first", 1))
    assert narrowed.rows["a"].message.startswith("spec.actions[0].uses: handler log.message")


def test_what_another_dispatcher_has_stored_is_told_once(
    known: Known, file_ledger: Ledger, tmp_path: Path
) -> None:
    """Each watches for itself, and one may be behind the other."""
    other = Known(file_ledger, tmp_path)
    known.tell(seen("new", 2))
    other.tell(seen("old", 1))
    other.tell(seen("new", 2))
    assert known.rows["a"].generation == 2
    with file_ledger.read() as connection:
        lines = connection.scalars(text("SELECT name FROM audit_events")).all()
    assert lines == ["postsyncrule.loaded"]
