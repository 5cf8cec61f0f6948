"""What msgspec reads is what the models would have made of it; what it cannot read, they read."""

from __future__ import annotations

import json
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_payload_fuzz import CHANNELS, EXAMPLE, LEAVES, QUERIES, RELAXED, TREES, WORDS

from receiver.core.errors import PayloadError
from receiver.notification.parse import Notification, read_notification

DATA = Path(__file__).parent / "data"
REAL = [
    json.loads(line)["body"]
    for name in ("argocd", "argocd-live")
    for line in (DATA / name / "payloads.jsonl").read_text().splitlines()
]
SMALL = [json.loads(path.read_text()) for path in sorted((DATA / "notifications").glob("*.json"))]
OURS = json.loads(EXAMPLE.read_text())
NOW = datetime(2026, 12, 1, tzinfo=UTC)
QUERY = {"application": "shop", "phase": "Succeeded"}


def read(body: bytes, channel: str, query: dict[str, str]) -> Notification | dict[str, object]:
    try:
        return read_notification(
            body, sender="argocd", channel=channel, query=query, now=NOW, most=1000
        )
    except PayloadError as error:
        return {
            "reason": error.reason, "message": error.message, "hint": error.hint,
            "details": error.details,
        }  # fmt: skip


def refuse(*_given: object) -> None:
    raise msgspec.ValidationError


def check(body: bytes, channel: str = "sync", query: dict[str, str] | None = None) -> None:
    """Compare with what comes out where msgspec refuses everything."""
    found = read(body, channel, query or {})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(msgspec, "convert", refuse)
        assert found == read(body, channel, query or {})


@pytest.mark.parametrize("tree", [*REAL, *SMALL, OURS])
def test_what_argo_cd_sends(tree: object) -> None:
    """Argo CD's own notifications are read alike, each in every channel's way."""
    for channel in ("sync", "degraded"):
        check(json.dumps(tree).encode(), channel, QUERY)


def test_what_argo_cd_sends_needs_no_model() -> None:
    """Argo CD's own notifications have exactly the types that are read fast."""
    refused = []
    convert = msgspec.convert

    def counted(tree: object, kind: Any) -> Any:
        try:
            return convert(tree, kind)
        except msgspec.ValidationError as error:
            refused.append(str(error))
            raise

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(msgspec, "convert", counted)
        for tree in (*REAL, OURS):
            read(json.dumps(tree).encode(), "sync", {})
    assert not refused


ODD = [
    *("2026-06-10T08:21:17.9999999Z", "2026-06-10T08:21:17.5Z", "2026-06-10t08:21:17z", ""),
    *("2026-06-10T08:21:17+02:00", "2026-06-10 08:21:17", "2026-06-10", "2026-02-30T00:00:00Z"),
    *("2026-06-10T08:21:17Z\n", "२०२६-06-10T08:21:17Z", "0000-01-01T00:00:00Z", 1781079677),
    *("9999-12-31T23:59:59-10:00", "true", "yes", 1, 1.0, 2.5, 1e300, 10**30, -1, 1 << 31),
    *("3", "\ud800", "\0", [], {}, [None], {"": None}, True, False, None, [[["x"]]], 10**4200),
]
PLACES = [
    *("application", "application.name", "application.labels", "application.destination"),
    *("application.destination.server", "operationState", "operationState.finishedAt"),
    *("operationState.startedAt", "operationState.phase", "operationState.retryCount"),
    *("operationState.operation", "operationState.operation.sync.dryRun"),
    *("operationState.operation.sync.resources", "operationState.operation.sync.syncOptions"),
    *("operationState.syncResult", "operationState.syncResult.revisions"),
    *("operationState.syncResult.sources", "operationState.syncResult.source.repoURL"),
    *("operationState.syncResult.resources", "operationState.syncResult.resources.0"),
    *("operationState.syncResult.resources.0.kind", "operationState.syncResult.resources.0.images"),
    *("operationState.syncResult.resources.0.health", "operationState.unknown"),
]


@pytest.mark.parametrize("place", PLACES)
def test_odd_values(place: str) -> None:
    """A value that Argo CD never writes in a place is read alike, or refused in the same words."""
    for value in ODD:
        tree = json.loads(json.dumps(OURS))
        *way, last = place.split(".")
        node = tree
        for key in way:
            node = node[int(key)] if isinstance(node, list) else node.setdefault(key, {})
        node[int(last) if isinstance(node, list) else last] = value
        check(json.dumps(tree).encode())


@RELAXED
@given(st.data(), st.sampled_from([*REAL, *SMALL, OURS]), CHANNELS)
def test_real_ones_with_values_replaced(data: st.DataObject, tree: object, channel: str) -> None:
    """One value or several are anything else, missing, or in another place: all is read alike."""
    tree = json.loads(json.dumps(tree))
    for _ in range(data.draw(st.integers(1, 3))):
        node, key = _place(data, tree)
        if isinstance(node, dict) and data.draw(st.booleans()):
            moved = node.pop(key)
            node[data.draw(WORDS)] = data.draw(st.just(moved) | LEAVES)
        else:
            # A copy: the next one may be put into it, and ODD is for all examples.
            node[key] = deepcopy(data.draw(st.sampled_from(ODD) | LEAVES | TREES))
    check(json.dumps(tree).encode(), channel)


def _place(data: st.DataObject, tree: Any) -> tuple[Any, Any]:
    """Choose a value anywhere: what holds it, and its key there."""
    while True:
        key = data.draw(st.sampled_from(list(tree if isinstance(tree, dict) else range(len(tree)))))
        inner = tree[key]
        if not isinstance(inner, dict | list) or not inner or not data.draw(st.integers(0, 3)):
            return tree, key
        tree = inner


@RELAXED
@given(TREES, CHANNELS, QUERIES)
def test_any_json(tree: object, channel: str, query: dict[str, str]) -> None:
    """So is JSON of any kind, whatever the address says."""
    check(json.dumps(tree).encode(), channel, query)


@RELAXED
@given(st.integers(min_value=0), st.binary(max_size=3), st.sampled_from([*SMALL, OURS]))
def test_bytes_replaced(at: int, noise: bytes, tree: object) -> None:
    """So is what was garbled on its way."""
    body = json.dumps(tree).encode()
    at %= len(body)
    check(body[:at] + noise + body[at + len(noise) :])


def test_keys_that_come_twice() -> None:
    """Of a key that comes twice, the last counts."""
    good = json.dumps(OURS["operationState"])
    for first in ('{"phase": "Failed"}', "7", '{"phase": 7}'):
        body = f'{{"application": {{"name": 5, "name": "shop"}}, "operationState": {first}, '
        check((body + f'"operationState": {good}}}').encode())


@pytest.mark.parametrize("count", [10_000, 10_001])
@pytest.mark.parametrize("field", ["labels", "revisions", "images", "syncOptions"])
def test_limits(field: str, count: int) -> None:
    """Both have the same limit of entries."""
    tree = json.loads(json.dumps(OURS))
    state = tree["operationState"]
    many = ["x"] * count
    if field == "labels":
        tree["application"]["labels"] = {str(n): "" for n in range(count)}
    elif field == "syncOptions":
        state["operation"] = {"sync": {"syncOptions": many}}
    elif field == "images":
        state["syncResult"]["resources"][0]["images"] = many
    else:
        state["syncResult"]["revisions"] = many
    check(json.dumps(tree).encode())
