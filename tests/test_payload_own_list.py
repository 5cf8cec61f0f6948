"""What an Application lists as its own, and the health that notifications tell."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from notifications import resource

from receiver.notification.parse import Notification, read_notification

OPERATION = {
    "phase": "Succeeded", "startedAt": "2026-06-10T08:20:03Z", "finishedAt": "2026-06-10T08:21:17Z",
}  # fmt: skip
WEB = {"group": "apps", "version": "v1", "kind": "Deployment", "namespace": "shop", "name": "web"}
ROLE = {"group": "rbac.authorization.k8s.io", "version": "v1", "kind": "ClusterRole", "name": "r"}
SICK = {"status": "Degraded", "message": "no pods"}


def read(body: Any, channel: str = "degraded", **more: Any) -> Notification:
    return read_notification(
        json.dumps(body).encode(), sender="argocd", channel=channel, query={}, **more
    )


def whole(*own: Any, done: list[Any] | None = None) -> dict[str, Any]:
    """A whole Application; its operation, if there was one, has done this."""
    state = {"operationState": OPERATION | {"syncResult": {"resources": done}}} if done else {}
    return {"metadata": {"name": "shop"}, "status": {"resources": list(own), **state}}


def told(notification: Notification) -> list[tuple[str, str, str, str, str]]:
    return [
        (one.name, one.status, one.change.verdict.value, one.health, one.health_message)
        for one in notification.sync.resources
    ]


def test_on_a_channel_of_its_own_all_that_it_has_takes_part() -> None:
    """What the operation lists keeps its verdict; the rest has none, and no status."""
    config = resource("a", "configmap/a configured")
    body = whole(WEB | {"status": "OutOfSync", "health": SICK}, done=[config])
    assert told(read(body)) == [
        ("a", "Synced", "changed", "", ""),
        ("web", "", "unchanged", "Degraded", "no pods"),
    ]
    assert [one[0] for one in told(read({"app": body}, "sync"))] == ["a"]


def test_without_an_operation_it_is_the_list() -> None:
    """An Application that was never synced can be degraded, too."""
    assert told(read(whole(WEB | {"health": SICK}))) == [
        ("web", "", "unchanged", "Degraded", "no pods")
    ]


@pytest.mark.parametrize("channel", ["sync", "degraded"])
def test_what_the_operation_lists_has_its_health(channel: str) -> None:
    """By the Application's own list, which has no namespace for what is in none."""
    own = [WEB | {"health": SICK}, ROLE | {"health": {"status": "Healthy"}}]
    done = [WEB | {"status": "Synced"}, ROLE | {"namespace": "shop", "status": "Synced"}]
    found = read(whole(*own, done=done), channel)
    assert [(one.name, one.health) for one in found.sync.resources] == [
        ("web", "Degraded"), ("r", "Healthy"),
    ]  # fmt: skip
    assert found.listed == 2


@pytest.mark.parametrize(
    ("health", "expected"),
    [
        (SICK, ("Degraded", "no pods")),
        ("Degraded", ("Degraded", "")),
        ({"status": None}, ("", "")),
        (None, ("", "")),
        ([1], ("", "")),
    ],
)
def test_a_template_may_list_what_the_application_has(health: Any, expected: Any) -> None:
    """As Argo CD writes a health, or the word alone; what is neither tells nothing."""
    body = {"application": {"name": "shop"}, "resources": [WEB | {"health": health}]}
    (one,) = read(body | {"eventKey": "1"}).sync.resources
    assert (one.health, one.health_message) == expected


def test_too_long_a_list_is_counted_and_not_read() -> None:
    """On channels where it counts; on that of syncs the operation's list alone is bounded."""
    own = [WEB | {"name": f"web-{number}"} for number in range(4)]
    body = whole(*own, done=[resource("a")])
    found = read(body, most=3)
    assert (found.listed, [one.name for one in found.sync.resources]) == (4, ["a"])
    assert read(body, most=5).listed == read(body, most=5, resources=False).listed == 5
    assert read(body, "sync", most=3).listed == 1


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["kind", "name", "namespace", "group", "health", "status", "message"]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=20,
    ),
    st.sampled_from(["sync", "degraded"]),
)
def test_whatever_stands_there_refuses_nothing(own: Any, channel: str) -> None:
    """It is beside the operation, which counts; and the count is that of what is read."""
    body = whole(done=[resource("a")])
    body["status"]["resources"] = own
    found = read(body, channel)
    assert found.sync.resources[0].name == "a"
    assert found.listed == len(found.sync.resources)
    assert read(body, channel, resources=False).listed == found.listed
