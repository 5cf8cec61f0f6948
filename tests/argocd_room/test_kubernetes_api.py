"""Reading Applications and live objects by a real API server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from applications import Applications
from connected import apply, by_kubernetes, config_maps, deadline, ref_of
from kube import Kube

from receiver.argocd.connection import ConnectionFailed
from receiver.argocd.objects import ApplicationState, LiveObject, ObjectRef, Unreadable
from receiver.outbound import Outbound

pytestmark = pytest.mark.xdist_group("kubernetes")


@pytest.fixture(scope="module")
def apps(kube: Kube) -> Applications:
    return Applications(kube, kube.namespace("room-apps"))


@pytest.fixture(scope="module")
def shop(kube: Kube) -> str:
    return kube.namespace("room-shop")


def _state(apps: Applications, outbound: Outbound, name: str) -> ApplicationState:
    api = by_kubernetes(apps.kube, outbound, apps.namespace)
    state = api.application(apps.namespace, name, deadline())
    assert isinstance(state, ApplicationState), state
    return state


def test_an_application_is_read_whole(
    kube: Kube, apps: Applications, shop: str, outbound: Outbound
) -> None:
    """Its operation, what belongs to it, and its body as a notification may have it."""
    apps.put("whole", resources=config_maps(kube, shop, ["a"]), labels={"team": "web"})
    history = [{"id": 3, "revision": "abc", "deployedAt": "2026-06-01T12:00:03Z",
                "initiatedBy": {"automated": True}}]  # fmt: skip
    apps.change("whole", {"history": history})
    state = _state(apps, outbound, "whole")
    summary = state.summary
    assert (summary.key, summary.phase, dict(summary.labels)) == (
        f"{apps.namespace}/whole", "Succeeded", {"team": "web"},
    )  # fmt: skip
    assert summary.finished_at == datetime(2026, 6, 1, 12, 0, 3, tzinfo=UTC)
    assert [(one.ref.kind, one.ref.name, one.health) for one in state.resources] == [
        ("ConfigMap", "a", "Healthy")
    ]
    assert [(one.id, one.revision, one.initiated_by) for one in state.history] == [
        (3, "abc", "automated")
    ]
    assert state.body["kind"] == "Application"
    assert "managedFields" not in str(state.body)


def test_an_application_that_is_not_there_says_so(apps: Applications, outbound: Outbound) -> None:
    """And one in a namespace that is not the connection's, or in any of them."""
    api = by_kubernetes(apps.kube, outbound, "default", apps.namespace)
    missing = api.application(apps.namespace, "nobody", deadline())
    assert isinstance(missing, Unreadable)
    assert missing.gone
    elsewhere = api.application("kube-system", "nobody", deadline())
    assert elsewhere == Unreadable("namespace kube-system is none of the connection's")
    apps.put("anywhere")
    found = api.application("", "anywhere", deadline())
    assert isinstance(found, ApplicationState)


def test_all_applications_are_listed_page_by_page(
    apps: Applications, outbound: Outbound, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages that are too large are asked for anew, smaller."""
    names = {f"listed-{number}" for number in range(7)}
    for name in names:
        apps.put(name)
    monkeypatch.setattr("receiver.argocd.server.LARGEST", 4_000)
    api = by_kubernetes(apps.kube, outbound, apps.namespace)
    assert names <= {one.name for one in api.applications(deadline())}


def test_objects_tell_who_changed_them_and_when(
    kube: Kube, apps: Applications, shop: str, outbound: Outbound
) -> None:
    """Each manager, its time in whole seconds, and the server's clock beside it."""
    live = apply(kube, shop, "told", {"a": "1"})
    apps.put("tells", resources=[live])
    api = by_kubernetes(kube, outbound, apps.namespace)
    ref = ref_of(live)
    found = api.live(_state(apps, outbound, "tells"), [ref], deadline=deadline())[ref]
    assert isinstance(found, LiveObject)
    assert (found.uid, dict(found.labels)) == (live["metadata"]["uid"], {"app": "shop"})
    assert [(one.manager, one.operation, one.subresource) for one in found.managers] == [
        ("argocd-controller", "Apply", "")
    ]
    assert found.created == found.managers[0].time
    assert found.created
    assert found.read_at
    assert timedelta(0) <= found.read_at - found.created < timedelta(minutes=5)
    assert found.content is None


@pytest.mark.parametrize("number", [3, 4])
def test_more_than_a_few_of_a_kind_cost_one_list(
    kube: Kube, apps: Applications, shop: str, outbound: Outbound, number: int
) -> None:
    """And a few one GET each; what is gone is told, whichever way."""
    lives = config_maps(kube, shop, [f"some-{one}" for one in range(number - 1)])
    apps.put("some", resources=lives)
    refs = [*map(ref_of, lives), ObjectRef("", "v1", "ConfigMap", shop, "missing")]
    name = f"reader-{number}"
    config = _account(kube, shop, name)
    api = by_kubernetes(kube, outbound, apps.namespace, kubeconfig=config)
    found = api.live(_state(apps, outbound, "some"), refs, deadline=deadline())
    assert set(found) == set(refs)
    assert [isinstance(found[ref], LiveObject) for ref in refs] == [True] * (number - 1) + [False]
    assert found[refs[-1]] == Unreadable("it is not there any more", gone=True)
    assert kube.used(shop, name) == {("configmaps", "list" if number > 3 else "get")}


def _account(kube: Kube, shop: str, name: str) -> str:
    """A service account that may read all of one namespace's ConfigMaps."""
    config = kube.account(name, namespace=shop)
    rights = "/apis/rbac.authorization.k8s.io/v1"
    kube.ask("POST", f"{rights}/namespaces/{shop}/roles", {
        "metadata": {"name": name},
        "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}],
    })  # fmt: skip
    kube.ask("POST", f"{rights}/namespaces/{shop}/rolebindings", {
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": shop}],
    })  # fmt: skip
    return config


def test_a_kind_without_namespaces_is_found_whatever_the_sync_says(
    kube: Kube, apps: Applications, outbound: Outbound
) -> None:
    """A sync names the destination's namespace for it."""
    apps.put("wide")
    ref = ObjectRef("", "v1", "Namespace", "shop", "default")
    api = by_kubernetes(kube, outbound, apps.namespace)
    found = api.live(_state(apps, outbound, "wide"), [ref], deadline=deadline())[ref]
    assert isinstance(found, LiveObject)


def test_what_cannot_be_read_says_why(kube: Kube, apps: Applications, outbound: Outbound) -> None:
    """A kind that is not served, a name that is none."""
    apps.put("odd")
    unknown = ObjectRef("farm.example", "v1", "Goat", "shop", "a")
    other = ObjectRef("apps", "v1", "Goat", "shop", "a")
    name = ObjectRef("", "v1", "ConfigMap", "shop", "a/b")
    api = by_kubernetes(kube, outbound, apps.namespace)
    found = api.live(_state(apps, outbound, "odd"), [unknown, other, name], deadline=deadline())
    assert found == {
        unknown: Unreadable("its cluster serves no Goat in farm.example/v1"),
        other: Unreadable("its cluster serves no Goat in apps/v1"),
        name: Unreadable("'a/b' is no name in Kubernetes"),
    }


def test_another_cluster_is_not_asked(kube: Kube, apps: Applications, outbound: Outbound) -> None:
    """An object of the same name here is not the one that is meant."""
    apps.put("abroad", destination="https://eu.example:6443")
    api = by_kubernetes(kube, outbound, apps.namespace)
    ref = ObjectRef("", "v1", "ConfigMap", "default", "kube-root-ca.crt")
    found = api.live(_state(apps, outbound, "abroad"), [ref], deadline=deadline())
    assert found[ref] == Unreadable(
        "its cluster, https://eu.example:6443, is not that of the API server"
    )


@pytest.mark.parametrize("number", [1, 4])
def test_the_content_of_a_secret_has_no_value(
    kube: Kube, apps: Applications, shop: str, outbound: Outbound, number: int
) -> None:
    """But what is equal as long as the value is; nor has kubectl's copy of it."""
    names = [f"hidden-{number}-{one}" for one in range(number)]
    for name in names:
        kube.ask("POST", f"/api/v1/namespaces/{shop}/secrets", {
            "metadata": {"name": name, "annotations": {
                "kubectl.kubernetes.io/last-applied-configuration": '{"data": "aHVzaA=="}'}},
            "stringData": {"password": "hush", "other": "hush"},
        })  # fmt: skip
    apps.put("hides")
    refs = [ObjectRef("", "v1", "Secret", shop, name) for name in names]
    api = by_kubernetes(kube, outbound, apps.namespace)
    state = _state(apps, outbound, "hides")
    found = api.live(state, refs, deadline=deadline(), content=True)[refs[0]]
    assert isinstance(found, LiveObject)
    assert found.content
    assert "aHVzaA" not in str(found.content) + str(found.annotations)
    data = found.content["data"]
    assert isinstance(data, dict)
    assert all(str(one).startswith("sha256:") for one in data.values())
    assert data["password"] != data["other"]
    assert found.content["kind"] == "Secret"


def test_a_token_that_is_not_valid_fails_the_whole(
    kube: Kube, apps: Applications, outbound: Outbound
) -> None:
    """With what to do."""
    api = by_kubernetes(kube, outbound, apps.namespace, kubeconfig=kube.kubeconfig("old"))
    with pytest.raises(ConnectionFailed, match=r"the API server: GET .* 401.*no longer, valid"):
        api.applications(deadline())
