"""The list of resources: what is none of them, and how many there may be."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from notifications import notification, resource

from receiver.notification.parse import Notification, read_notification


def shapes(entries: list[Any]) -> dict[str, tuple[Any, dict[str, str]]]:
    """The same list in each shape that a body may have."""
    tree = json.loads(notification(finished=datetime(2026, 6, 10, 12, tzinfo=UTC)))
    state = tree["operationState"]
    state["syncResult"]["resources"] = entries
    whole = {"metadata": {"name": "shop"}, "status": {"operationState": state}}
    query = {"application": "shop", "phase": "Succeeded"}
    return {
        "template": (tree, {}),
        "app": ({"app": whole}, {}),
        "application": (whole, {}),
        "operationState": ({"operationState": state, "name": "shop"}, {}),
        "list": (entries, query),
        "resources": ({"resources": entries}, query),
    }


def read(shape: str, entries: list[Any], most: int | None = None) -> Notification:
    tree, query = shapes(entries)[shape]
    return read_notification(
        json.dumps(tree).encode(), sender="argocd", channel="sync", query=query, most=most
    )


@pytest.mark.parametrize("shape", shapes([]))
def test_an_entry_that_is_no_object_does_not_refuse_the_rest(shape: str) -> None:
    """It is left out and counted; the others keep their order."""
    told = read(shape, [None, resource("a"), "text", 7, [], True, resource("b")])
    assert [one.name for one in told.sync.resources] == ["a", "b"]
    assert (told.listed, told.left_out) == (2, 5)


@pytest.mark.parametrize("shape", shapes([]))
def test_of_more_than_the_most_none_is_read_and_all_are_counted(shape: str) -> None:
    """Nothing is made of entries that nobody will look at; what is within is read."""
    entries = [resource(f"r{number}") for number in range(4)]
    over, within = read(shape, entries, most=3), read(shape, entries, most=4)
    assert (over.listed, over.sync.resources) == (4, ())
    assert (within.listed, len(within.sync.resources)) == (4, 4)
    assert over.identity == within.identity or over.weak
