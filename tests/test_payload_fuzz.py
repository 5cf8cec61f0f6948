"""Whatever arrives, it is understood or refused; nothing else ever happens."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from receiver.core.errors import PayloadError
from receiver.notification.parse import read_notification

EXAMPLE = Path(__file__).parent.parent / "config/examples/notification.json"

WORDS = st.sampled_from(
    [
        *("app", "application", "metadata", "spec", "status", "name", "namespace", "labels"),
        *("operationState", "operation", "sync", "syncResult", "phase", "startedAt"),
        *("finishedAt", "retryCount", "resources", "images", "kind", "message", "source"),
        *("sources", "revisions", "destination", "eventKey", "syncOptions", "initiatedBy"),
    ]
)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=-(10**400), max_value=10**400)
    | st.floats()
    | st.text()
    | st.sampled_from(["shop", "Succeeded", "Running", "2026-06-10T08:21:17Z", "<no value>", ""])
    | st.datetimes().map(str)
)
TREES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(WORDS | st.text(max_size=3), inner, max_size=6)
    ),
    max_leaves=40,
)
RELAXED = settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
"""On a busy machine the first draw of text takes a second; that is no finding."""

CHANNELS = st.sampled_from(["sync", "degraded"])
QUERIES = st.dictionaries(
    st.sampled_from(["application", "phase", "namespace", "eventKey", "revision"]),
    st.sampled_from(["shop", "Succeeded", "argocd/shop", "", "\0", "\ud800"]) | st.text(),
)


def read(body: bytes, channel: str, query: dict[str, str]) -> None:
    with suppress(PayloadError):
        notification = read_notification(body, sender="argocd", channel=channel, query=query)
        assert notification.sync.application.name
        assert len(notification.identity) == 64


@RELAXED
@given(st.binary(), CHANNELS, QUERIES)
def test_any_bytes(body: bytes, channel: str, query: dict[str, str]) -> None:
    """Bytes of any kind raise a PayloadError or nothing."""
    read(body, channel, query)


@RELAXED
@given(TREES, CHANNELS, QUERIES)
def test_any_json(tree: object, channel: str, query: dict[str, str]) -> None:
    """So does JSON of any kind, with the keys that we look for in all the wrong places."""
    read(json.dumps(tree).encode(), channel, query)


@RELAXED
@given(st.data(), TREES)
def test_a_real_notification_with_one_value_replaced(data: st.DataObject, value: object) -> None:
    """So does a good notification in which any one value became something else."""
    tree = json.loads(EXAMPLE.read_bytes())
    node = tree
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(node[key], dict | list) or not node[key] or data.draw(st.booleans()):
            break
        node = node[key]
    node[key] = value
    read(json.dumps(tree).encode(), "sync", {})


@RELAXED
@given(st.integers(min_value=0), st.binary(max_size=3))
def test_a_real_notification_with_bytes_replaced(at: int, noise: bytes) -> None:
    """So does one that was cut or garbled on its way."""
    body = EXAMPLE.read_bytes()
    at %= len(body)
    read(body[:at] + noise + body[at + len(noise) :], "sync", {})
    read(body[:at] + noise, "sync", {})
