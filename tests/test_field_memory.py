"""What is remembered of fields, and what is told of them at the next sync."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from receiver.core.model import FieldChange, Json
from receiver.notification import field_memory
from receiver.notification.field_memory import FieldMemory, Operation, canonical
from receiver.notification.live_verdicts import Sighting

NOON = datetime(2026, 6, 10, 12, tzinfo=UTC)
OLD = datetime(2026, 1, 1, tzinfo=UTC)


def at(minute: float) -> datetime:
    return NOON + timedelta(minutes=minute)


def operation(end: float, *, keep: bool = True) -> Operation:
    """One of a minute."""
    return Operation(at(end - 1), at(end), keep)


def seen(minute: float, created: datetime = OLD) -> Sighting:
    """An object that was last changed then."""
    return Sighting((("argocd-controller", at(minute)),), created)


def compare(
    memory: FieldMemory, value: Json, there: Sighting, by: Operation, *, secret: bool = False
) -> FieldChange:
    changes, _ = memory.compare("ConfigMap/a", {"data": value}, there, by, secret=secret)
    return changes["data"]


def test_a_value_is_compared_with_that_after_the_sync_before() -> None:
    """Whatever else of the object changed."""
    memory = FieldMemory()
    first = compare(memory, 1, seen(-0.5), operation(0))
    assert (first.changed, first.unknown) == (None, "first seen by this sync")
    assert compare(memory, 1, seen(9.5), operation(10)) == FieldChange(1, 1)
    changed = compare(memory, 2, seen(19.5), operation(20))
    assert (changed.before, changed.after, changed.changed) == (1, 2, True)


def test_the_same_sync_is_told_the_same() -> None:
    """However often it is looked at."""
    memory = FieldMemory()
    compare(memory, 1, seen(-0.5), operation(0))
    told = [compare(memory, 2, seen(9.5), operation(10)) for _ in range(3)]
    assert told == [FieldChange(1, 2)] * 3


def test_what_was_not_changed_is_as_before_at_first_sight() -> None:
    """Its object says so."""
    assert compare(FieldMemory(), 1, seen(-60), operation(0)) == FieldChange(1, 1)


def test_what_was_created_by_the_sync_changed() -> None:
    """It was not there before, whatever is remembered of one that was."""
    memory = FieldMemory()
    assert compare(memory, 1, seen(-0.5, at(-0.5)), operation(0)) == FieldChange(None, 1)
    assert compare(memory, 1, seen(9.5, at(9.5)), operation(10)) == FieldChange(None, 1)


def test_what_a_later_operation_changed_is_unknown_and_not_kept() -> None:
    """Nobody knows what was there in between."""
    memory = FieldMemory()
    found = compare(memory, 1, seen(5), operation(0))
    assert "by a later operation" in found.unknown
    assert memory.known == {}


def test_an_older_sync_that_comes_late_is_unknown() -> None:
    """And changes nothing of what is remembered."""
    memory = FieldMemory()
    compare(memory, 1, seen(-60), operation(10))
    before = dict(memory.known)
    late = compare(memory, 1, seen(-60), operation(0))
    assert late.unknown == "a newer sync was compared before"
    assert memory.known == before


def test_what_a_failed_sync_changed_the_next_one_has_changed() -> None:
    """It is compared, and not remembered."""
    memory = FieldMemory()
    compare(memory, 1, seen(-0.5), operation(0))
    assert compare(memory, 2, seen(9.5), operation(10, keep=False)).changed
    assert compare(memory, 2, seen(9.5), operation(20)) == FieldChange(1, 2)


def test_what_a_failed_sync_may_have_changed_is_not_as_before_at_first_sight() -> None:
    """The sync after it has nothing left to do; nobody knows what was there."""
    memory, there, by = FieldMemory(), seen(-60), operation(0)
    for _ in range(2):
        changes, _news = memory.compare("a", {"x": 1}, there, by, secret=False, doubtful=True)
        assert changes["x"].unknown == "first seen by this sync"


def test_of_two_that_ended_in_the_same_second_the_later_is_compared_with_the_earlier() -> None:
    """Argo CD's times are in whole seconds; the one that began later is the later one."""
    memory = FieldMemory()
    compare(memory, 0, seen(-60), operation(-10))
    first, second = (Operation(at(start), at(0), keep=True) for start in (-2, -1))
    assert compare(memory, 1, seen(-0.5), first) == FieldChange(0, 1)
    assert compare(memory, 0, seen(-0.5), second) == FieldChange(1, 0)
    assert compare(memory, 1, seen(-0.5), first).unknown == "a newer sync was compared before"


@pytest.mark.parametrize("value", ["short", "x" * 300])
def test_a_secret_is_a_digest_as_is_what_is_long(value: str) -> None:
    """Another ledger's digest of the same is another one."""
    one, other = (canonical(value, key, secret=True) for key in (b"1", b"2"))
    assert one != other
    assert value not in one
    plain = canonical(value, b"1", secret=False)
    assert (plain == f'"{value}"') == (value == "short")
    assert canonical(None, b"1", secret=True) == "null"


def test_equal_values_are_equal_texts() -> None:
    """In whatever order an API server writes their keys."""
    assert canonical({"a": 1, "b": 2}, b"", secret=False) == '{"a":1,"b":2}'
    assert canonical({"b": 2, "a": 1}, b"", secret=False) == '{"a":1,"b":2}'


def test_it_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has no place any more is not known the next time either."""
    monkeypatch.setattr(field_memory, "MOST", 1)
    memory = FieldMemory()
    for name in ("a", "b"):
        memory.compare(name, {"data": 1}, seen(-0.5), operation(0), secret=False)
    assert [*memory.known] == [("a", "data")]
