"""What a notification takes of memory while it is read, and what is refused before."""

from __future__ import annotations

import gc
import json
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from notifications import notification, resource

from receiver.core.errors import PayloadError
from receiver.notification import wire
from receiver.notification.parse import read_notification

VALUES = 20_000
GOOD = notification(resource("a"))


def read(body: bytes, values: int | None = VALUES) -> None:
    read_notification(
        body, sender="argocd", channel="sync", query={}, resources=False, values=values
    )


def beside(value: bytes) -> bytes:
    """A good notification with a value that nobody looks for."""
    return GOOD[:-1] + b', "x": ' + value + b"}"


def many(one: bytes, marks: int) -> bytes:
    """As many of a value as are let in; ``marks`` is how many are counted for each."""
    return beside(b"[" + b",".join([one] * ((VALUES - 100) // marks)) + b"]")


def nested(opening: bytes, closing: bytes, marks: int) -> bytes:
    return many(opening * 90 + b"1" + closing * 90, 90 * marks + 1)


SHAPES: dict[str, Callable[[], bytes]] = {
    "objects": lambda: many(b"{}", 2),
    "lists": lambda: many(b"[]", 2),
    "objects in objects": lambda: nested(b'{"":', b"}", 2),
    "lists in lists": lambda: nested(b"[", b"]", 1),
    "objects in lists": lambda: nested(b'[{"":', b"}]", 3),
    "objects with numbers": lambda: many(b'{"a":1.5}', 3),
    "numbers": lambda: many(b"-9", 1),
    "texts": lambda: beside(b"[" + b",".join(b'"%05x"' % n for n in range(VALUES - 100)) + b"]"),
    "keys": lambda: beside(
        b"{" + b",".join(b'"%05x":-9' % n for n in range(VALUES // 2 - 50)) + b"}"
    ),
    "missing values": lambda: many(b'"<no value>"', 1),
    "resources": lambda: json.dumps({"resources": [{}] * (VALUES // 2 - 50)}).encode(),
    "no JSON": lambda: nested(b'[{"":', b"}]", 3) + b"]",
    "mistakes": lambda: notification(*[{key: [] for key in resource("")}] * (VALUES // 34)),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_each_value_takes_a_hundred_bytes_at_most(shape: str) -> None:
    """Whatever its shape, a body that is let in takes so much while it is read, and its size."""
    body = SHAPES[shape]()
    gc.collect()
    tracemalloc.start()
    with suppress(PayloadError):
        read(body)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 100 * VALUES + 2 * len(body)


def test_more_values_than_may_be_are_refused_with_the_way_out() -> None:
    """They are counted by their brackets, commas and colons, before anything is read."""
    body = beside(b"[" + b"[],1," * VALUES + b"1]")
    found = sum(body.count(mark) for mark in b"[{,:")
    read(body, found)
    read(body, None)
    with pytest.raises(PayloadError, match=f"{found} brackets, commas and colons") as refused:
        read(body, found - 1)
    assert refused.value.reason == "too_many_values"
    assert "maxBody" in refused.value.hint


def first_mistakes(entries: list[Any]) -> Any:
    body = notification(*entries)
    with pytest.raises(PayloadError) as refused:
        read(body)
    return refused.value.details["fields"]


def test_mistakes_are_told_alike_however_long_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries are read in slices: which mistakes are told, and where, does not depend on that."""
    entries: list[Any] = [resource(f"r{n}") for n in range(700)]
    entries[99]["kind"] = None
    entries[100] = {"name": 5, "kind": "A", "images": [[]]}
    entries[350] = {key: [] for key in resource("")}
    entries[699]["name"] = []
    told = first_mistakes(entries)
    monkeypatch.setattr(wire, "SLICE", 10_000)
    assert told == first_mistakes(entries)
    assert len(told) == 10
    assert list(told)[:2] == [
        f"operationState.syncResult.resources.{place}" for place in ("99.kind", "100.images.0")
    ]
