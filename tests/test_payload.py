"""What a notification tells, in each of its shapes."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from receiver.core.errors import PayloadError
from receiver.core.model import Application, ChangeVerdict, Destination, Source, rfc3339
from receiver.notification.parse import Notification, read_notification

HERE = Path(__file__).parent
EXAMPLE = HERE.parent / "config/examples/notification.json"
NOTIFICATIONS = HERE / "data/notifications"
REVISION = "9f1c2ab4d0e85c7731b6a2f4e9d80c3b5a6f7e12"


def read(tree: Any, channel: str = "sync", **query: str) -> Notification:
    body = tree if isinstance(tree, bytes) else json.dumps(tree).encode()
    return read_notification(body, sender="argocd", channel=channel, query=query)


def operation(**state: Any) -> dict[str, Any]:
    return {
        "phase": "Succeeded",
        "startedAt": "2026-06-10T08:20:03Z",
        "finishedAt": "2026-06-10T08:21:17Z",
        "operation": {"initiatedBy": {}, "retry": {}, "sync": {}},
    } | state


def beside(state: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"application": {"name": "shop", "namespace": "argocd"}, "operationState": state} | more


def test_our_template_is_read_in_full() -> None:
    """The shipped example gives the Application, the operation and its eight resources."""
    notification = read(EXAMPLE.read_bytes())
    sync = notification.sync
    assert (notification.shape, notification.weak) == ("template", False)
    assert sync.application == Application(
        name="shop",
        namespace="argocd",
        project="web",
        uid="6f0e3a52-7f0f-4d5e-9a6e-0a5a4f7f2c11",
        labels={"team": "web", "tier": "edge"},
        destination=Destination(server="https://kubernetes.default.svc", namespace="shop"),
    )
    assert (sync.sender, sync.channel, sync.phase) == ("argocd", "sync", "Succeeded")
    assert sync.started_at == datetime(2026, 6, 10, 8, 20, 3, tzinfo=UTC)
    assert sync.finished_at == datetime(2026, 6, 10, 8, 21, 17, tzinfo=UTC)
    assert sync.revision == REVISION
    assert sync.sources == (Source("https://git.example.com/acme/gitops.git", "apps/shop", "main"),)
    assert sync.options == ("CreateNamespace=true",)
    assert sync.automated
    assert (sync.dry_run, sync.selective, sync.retry_count) == (False, False, 0)
    assert len(sync.resources) == 8


def test_each_resource_has_its_verdict() -> None:
    """The verdicts of the example: a lost verb is unknown, a missing separator is no obstacle."""
    verdicts = {r.key: r.change.verdict for r in read(EXAMPLE.read_bytes()).sync.resources}
    assert verdicts == {
        "batch/Job/shop/db-migrate@PreSync": ChangeVerdict.UNKNOWN,
        "ConfigMap/shop/old-flags": ChangeVerdict.CHANGED,
        "ConfigMap/shop/shop-config": ChangeVerdict.CHANGED,
        "rbac.authorization.k8s.io/ClusterRole/shop/shop-reader": ChangeVerdict.UNCHANGED,
        "Service/shop/shop": ChangeVerdict.UNCHANGED,
        "apps/Deployment/shop/shop": ChangeVerdict.CHANGED,
        "apps/StatefulSet/shop/shop-cache": ChangeVerdict.UNKNOWN,
        "batch/Job/shop/smoke-9f1c2ab-postsync-1781079603@PostSync": ChangeVerdict.UNKNOWN,
    }


@pytest.mark.parametrize(
    ("file", "shape"),
    [("app.json", "app"), ("application.json", "application")],
)
def test_a_whole_application_says_the_same_as_our_template(file: str, shape: str) -> None:
    """Whether Argo CD sends our fields or everything, the sync is the same, without secrets."""
    notification = read((NOTIFICATIONS / file).read_bytes())
    ours = read(EXAMPLE.read_bytes())
    assert notification.shape == shape
    assert notification.sync == ours.sync
    assert notification.identity == ours.identity
    assert "hunter2" not in repr(notification)


def test_an_operation_state_with_a_name_beside_it_is_enough() -> None:
    """A hand-written template with name, namespace and project beside operationState works."""
    notification = read((NOTIFICATIONS / "operation-state.json").read_bytes())
    assert notification.shape == "operationState"
    assert notification.sync.application == Application("shop", "argocd", "web")
    assert notification.identity == read(EXAMPLE.read_bytes()).identity
    assert notification.sync.resources == read(EXAMPLE.read_bytes()).sync.resources


@pytest.mark.parametrize(
    "name",
    [
        {"application": "shop", "namespace": "argocd"},
        {"application": "argocd/shop"},
        {"applicationName": "shop", "applicationNamespace": "argocd"},
        {"appName": "shop", "appNamespace": "argocd"},
        {"app": "shop", "namespace": "argocd"},
        {"name": "shop", "namespace": "argocd"},
        {"app": {"name": "shop", "namespace": "argocd"}},
        {"application": {"name": "shop", "namespace": "argocd"}},
        {"app": {"metadata": {"name": "shop", "namespace": "argocd"}}},
        {"application": {"metadata": {"name": "shop", "namespace": "argocd"}}},
        {"metadata": {"name": "shop", "namespace": "argocd"}},
    ],
)
def test_the_application_may_be_named_in_many_ways(name: dict[str, Any]) -> None:
    """Whichever common key names the Application beside operationState, it is found."""
    notification = read(name | {"operationState": operation()})
    assert notification.sync.application.key == "argocd/shop"
    assert notification.identity == read(beside(operation())).identity


def test_the_query_names_the_application_where_the_body_does_not() -> None:
    """An operationState alone is understood with the application in the query."""
    notification = read({"operationState": operation()}, application="shop", namespace="argocd")
    assert notification.identity == read(beside(operation())).identity


@pytest.mark.parametrize("wrapped", [False, True])
def test_the_bare_list_takes_the_rest_from_the_query(wrapped: bool) -> None:
    """A list of resources with application and phase in the query has a weak identity."""
    resources = json.loads((NOTIFICATIONS / "resources.json").read_bytes())
    query = {"application": "shop", "phase": "Succeeded", "project": "web", "revision": "77aa"}
    notification = read({"resources": resources} if wrapped else resources, **query)
    assert (notification.shape, notification.weak) == ("resources", True)
    assert notification.sync.application == Application("shop", "", "web")
    assert (notification.sync.phase, notification.sync.revision) == ("Succeeded", "77aa")
    assert notification.sync.resources == read(EXAMPLE.read_bytes()).sync.resources


def test_an_empty_list_is_a_sync_with_nothing_to_do() -> None:
    """No resources at all is fine."""
    assert read([], application="shop", phase="Failed").sync.resources == ()


@pytest.mark.parametrize(
    "state",
    [
        operation(),
        operation(syncResult=None),
        operation(syncResult={"revision": "", "source": {"repoURL": ""}}),
        operation(syncResult={"resources": None, "revision": "77aa"}),
        operation(syncResult={"resources": []}),
        operation(operation=None, message=None, retryCount=None),
        operation(operation={"sync": None, "initiatedBy": None}),
    ],
)
def test_a_sync_without_resources_is_fine(state: dict[str, Any]) -> None:
    """Null, missing and empty are the same wherever Argo CD leaves something out."""
    assert read(beside(state)).sync.resources == ()


def test_several_sources_are_kept_in_order() -> None:
    """A multi-source sync has revisions and sources in the plural, and empty singulars."""
    result = {
        "revision": "",
        "source": {"repoURL": ""},
        "revisions": ["77aa", "1.4.2"],
        "sources": [
            {"repoURL": "https://git.example.com/values.git", "targetRevision": "main"},
            {"repoURL": "https://charts.example.com", "chart": "shop", "targetRevision": "1.4.2"},
        ],
    }
    sync = read(beside(operation(syncResult=result))).sync
    assert (sync.revision, sync.revisions) == ("", ("77aa", "1.4.2"))
    assert sync.sources == (
        Source("https://git.example.com/values.git", "", "main"),
        Source("https://charts.example.com", "", "1.4.2", "shop"),
    )


def test_without_a_result_the_operation_tells_revision_and_source() -> None:
    """A sync that failed early has no syncResult; what was asked for is still known."""
    asked = {"revision": "77aa", "source": {"repoURL": "https://git.example.com/a.git"}}
    sync = read(beside(operation(phase="Error", operation={"sync": asked}))).sync
    assert (sync.revision, sync.sources) == ("77aa", (Source("https://git.example.com/a.git"),))


def test_credentials_in_a_repository_address_are_dropped() -> None:
    """What Argo CD uses to fetch is nothing that a rule or a log may see."""
    source = {"repoURL": "https://me:hunter2@git.example.com/a.git"}
    sync = read(beside(operation(syncResult={"source": source}))).sync
    assert sync.sources == (Source("https://git.example.com/a.git"),)


def test_a_dry_run_a_retry_and_a_selective_sync_are_told() -> None:
    """The operation's own facts reach the sync, and the verdict of each resource."""
    asked = {"dryRun": True, "resources": [{"kind": "Service", "name": "shop"}]}
    done = {"resources": [{"kind": "Service", "name": "shop", "message": "service/shop created"}]}
    by = {"username": "ada"}
    state = operation(operation={"sync": asked, "initiatedBy": by}, syncResult=done, retryCount=3)
    sync = read(beside(state)).sync
    assert (sync.dry_run, sync.selective, sync.retry_count) == (True, True, 3)
    assert (sync.automated, sync.initiated_by) == (False, "ada")
    assert sync.resources[0].change.reason == "the sync was a dry run"


def test_a_hook_of_two_phases_is_listed_twice() -> None:
    """Entries that differ by syncPhase alone are two resources with two keys."""
    hook = {"group": "batch", "kind": "Job", "name": "check", "namespace": "shop"}
    entries = [hook | {"hookType": phase, "syncPhase": phase} for phase in ("PreSync", "PostSync")]
    sync = read(beside(operation(syncResult={"resources": entries}))).sync
    assert [r.key for r in sync.resources] == [
        "batch/Job/shop/check@PreSync",
        "batch/Job/shop/check@PostSync",
    ]


def test_unknown_fields_are_fine_anywhere() -> None:
    """A newer Argo CD, or a user's own additions, do no harm."""
    entry = {"kind": "Service", "name": "shop", "new": {"a": [1]}, "images": None, "group": None}
    state = operation(syncResult={"resources": [entry], "new": 1}, new=[None])
    notification = read(beside(state, status="fine", metadata=[1], spec=7, resources="x"))
    assert notification.sync.resources[0].images == ()


def test_an_escaped_nul_is_replaced() -> None:
    """PostgreSQL cannot store a NUL, so it never comes further than here."""
    assert read(beside(operation(message="a\0b"))).sync.message == "a�b"
    query = {"application": "shop", "phase": "Failed", "project": "a\0b"}
    assert read([], **query).sync.application.project == "a�b"


@pytest.mark.parametrize("phase", ["Running", "Terminating"])
def test_another_channel_may_tell_of_an_unfinished_operation(phase: str) -> None:
    """A trigger for operations that begin goes to a channel of its own."""
    notification = read(beside(operation(phase=phase, finishedAt=None)), channel="started")
    assert (notification.sync.phase, notification.weak) == (phase, False)


@pytest.mark.parametrize("body", [{"application": "shop"}, {"app": {"metadata": {"name": "shop"}}}])
def test_another_channel_needs_no_operation(body: dict[str, Any]) -> None:
    """An Application that was never synced can be degraded or deleted, too."""
    notification = read(body, channel="degraded")
    assert (notification.sync.application.name, notification.sync.phase) == ("shop", "")
    assert notification.weak
    with pytest.raises(PayloadError):
        read(body)


TIMES = {"startedAt": "2026-06-10T08:20:03Z", "finishedAt": "2026-06-10T08:21:17Z"}


@pytest.mark.parametrize("application", ["shop", {"name": "shop"}])
def test_the_bare_list_takes_its_times_from_beside_it(application: Any) -> None:
    """With them it is as old as it is, and its identity is that of any other notification."""
    resources = json.loads((NOTIFICATIONS / "resources.json").read_bytes())
    body = {"application": application, "phase": "Succeeded", "resources": resources, **TIMES}
    notification = read(body)
    assert (notification.shape, notification.weak) == ("resources", False)
    whole = read(beside({"phase": "Succeeded", **TIMES}) | {"application": "shop"})
    assert notification.identity == whole.identity
    assert notification.sync.finished_at == whole.sync.finished_at


def test_the_bare_list_takes_its_times_from_the_query() -> None:
    """Where the body is the list alone, there is no other place."""
    query = {"application": "shop", "phase": "Succeeded"}
    notification = read([], **query, **TIMES)
    assert not notification.weak
    assert rfc3339(notification.sync.finished_at or datetime.now(UTC)) == TIMES["finishedAt"]


@pytest.mark.parametrize("time", ["<no value>", "", None])
def test_a_time_that_is_missing_leaves_the_bare_list_weak(time: Any) -> None:
    """A template prints `<no value>` for what is not there."""
    body = {"application": "shop", "phase": "Failed", "resources": [], "finishedAt": time}
    assert read(body).weak


def test_no_value_is_missing_and_no_text() -> None:
    """As a whole value; within a text it is what somebody wrote."""
    entry = {
        "kind": "Job", "name": "a", "namespace": "<no value>", "hookType": "<no value>",
        "images": ["<no value>", "a:1"], "message": 'says "<no value>"',
    }  # fmt: skip
    body = beside(operation(syncResult={"resources": [entry]})) | {"project": "<no value>"}
    sync = read(body, revision="<no value>").sync
    (resource,) = sync.resources
    assert (resource.namespace, resource.hook_type, resource.images) == ("", "", ("a:1",))
    assert resource.message == 'says "<no value>"'
    assert sync.application.project == ""


def test_a_byte_order_mark_is_skipped() -> None:
    """Some senders write one before the JSON."""
    assert read(b"\xef\xbb\xbf" + EXAMPLE.read_bytes()).sync == read(EXAMPLE.read_bytes()).sync
