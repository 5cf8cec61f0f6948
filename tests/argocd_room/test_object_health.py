"""How healthy an Application's objects are, by an API server and by Argo CD's own word."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from applications import CRDS, Applications
from argocd_server import ArgoCd
from connected import by_argocd, by_kubernetes, deadline
from kube import Json, Kube
from objects import MICE, WEB, Objects, objects
from service import wait_for

from receiver.argocd.connection import Connection
from receiver.argocd.connections import Both
from receiver.argocd.live_json import judge, live_object
from receiver.argocd.objects import ApplicationState, ObjectRef, Unreadable
from receiver.kubernetes.health import HEALTHY, Health
from receiver.outbound import Outbound

pytestmark = pytest.mark.xdist_group("kubernetes")

ELSEWHERE = "https://far.example"
APP_TREE = {"resourceHealthSource": "appTree"}


@pytest.fixture(scope="module")
def apps(kube: Kube) -> Applications:
    return Applications(kube, kube.namespace("health-apps"))


@pytest.fixture(scope="module")
def shop(kube: Kube) -> Iterator[Objects]:
    """A Deployment whose pods are not ready."""
    with objects(kube, kube.namespace("health-shop")) as made:
        made.put("apps/v1/deployments", "web", WEB)
        wait_for(lambda: len(kube.items(made.path("pods"))) == 2, 60, "its pods")
        yield made


def web(shop: Objects) -> Json:
    live = shop.there("apps/v1/deployments", "web")
    return {**live, "apiVersion": "apps/v1", "kind": "Deployment"}


def ref(shop: Objects, name: str = "web") -> ObjectRef:
    return ObjectRef("apps", "v1", "Deployment", shop.namespace, name)


def ask(
    connection: Connection, apps: Applications, name: str, *refs: ObjectRef
) -> list[Health | Unreadable]:
    state = connection.application(apps.namespace, name, deadline())
    assert isinstance(state, ApplicationState), state
    found = connection.health(state, refs, deadline=deadline())
    return [found[one] for one in refs]


def test_the_own_cluster_is_judged_by_its_objects(
    kube: Kube, apps: Applications, shop: Objects, outbound: Outbound
) -> None:
    """Whatever the Application says of them; what is gone is no more healthy than anything else."""
    apps.put("own", resources=[web(shop)])
    connection = by_kubernetes(kube, outbound, apps.namespace)
    found, gone = ask(connection, apps, "own", ref(shop), ref(shop, "gone"))
    assert isinstance(found, Health)
    assert found.status == "Progressing"
    assert isinstance(gone, Unreadable)
    assert gone.gone
    shop.say_ready()

    def healthy() -> bool:
        return ask(connection, apps, "own", ref(shop)) == [HEALTHY]

    wait_for(healthy, 60, "the Deployment to be healthy")


def _serve(kube: Kube, group: str, version: str, plural: str, kind: str) -> None:
    """Have a kind served that takes any field."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    crd = MICE | {
        "metadata": {"name": f"{plural}.{group}"},
        "spec": MICE["spec"] | {
            "group": group,
            "names": {"kind": kind, "plural": plural},
            "versions": [{"name": version, "served": True, "storage": True,
                          "schema": {"openAPIV3Schema": schema}}],
        },
    }  # fmt: skip
    if kube.find(f"{CRDS}/{plural}.{group}") is None:
        kube.ask("POST", CRDS, crd)
    path = f"/apis/{group}/{version}/{plural}"
    wait_for(lambda: kube.find(path) is not None, 60, f"the kind {kind}")


def test_custom_resources_are_judged_as_argo_cd_does(
    kube: Kube, apps: Applications, shop: Objects, outbound: Outbound
) -> None:
    """One without a condition is healthy; what a stranger's status has fails no reading."""
    monitors = ("monitoring.example.com", "v1", "servicemonitors", "ServiceMonitor")
    rollouts = ("argoproj.io", "v1alpha1", "rollouts", "Rollout")
    _serve(kube, *monitors)
    _serve(kube, *rollouts)
    seen = {"observedGeneration": "1"}
    put: dict[str, tuple[tuple[str, str, str, str], Json]] = {
        "bare": (monitors, {"spec": {}}),
        "odd": (monitors, {"status": "a text"}),
        "list": (monitors, {"status": ["a list"]}),
        "unready": (monitors,
                    {"status": seen | {"conditions": [{"type": "Ready", "status": "False"}]}}),
        "done": (rollouts, {"status": seen | {"phase": "Healthy"}}),
        "paused": (rollouts, {"status": seen | {"phase": "Paused", "message": "step"}}),
        "late": (rollouts, {"status": {"observedGeneration": "0", "phase": "Healthy"}}),
    }  # fmt: skip
    refs = {}
    for name, ((group, version, plural, kind), tree) in put.items():
        manifest = {"apiVersion": f"{group}/{version}", "kind": kind, **tree}
        shop.put(f"{group}/{version}/{plural}", name, manifest)
        refs[name] = ObjectRef(group, version, kind, shop.namespace, name)
    apps.put("custom")
    connection = by_kubernetes(kube, outbound, apps.namespace)
    found = ask(connection, apps, "custom", *refs.values())
    words = {name: getattr(one, "status", one) for name, one in zip(refs, found, strict=True)}
    assert words == {
        "bare": "Healthy", "odd": "Healthy", "list": "Healthy", "unready": "Progressing",
        "done": "Healthy", "paused": "Suspended", "late": "Progressing",
    }  # fmt: skip


def test_an_object_that_cannot_be_judged_is_unknown() -> None:
    """A value too deep to be written, for example; the others of its call are told."""
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    status: Json = {"conditions": [{"type": "Ready", "status": deep}]}
    ref = ObjectRef("farm.example.com", "v1", "Mouse", "shop", "a")
    found = judge(live_object(ref, {"status": status}, "it", content=True))
    assert found == Unreadable("its health cannot be told, for a bug of ours: RecursionError")


def test_of_another_cluster_the_application_tells_it(
    kube: Kube, apps: Applications, shop: Objects, outbound: Outbound
) -> None:
    """Where it does; from Argo CD 3.0 on only with a setting of Argo CD's."""
    apps.put("far", resources=[web(shop)], destination=ELSEWHERE)
    connection = by_kubernetes(kube, outbound, apps.namespace)
    assert ask(connection, apps, "far", ref(shop)) == [HEALTHY]
    apps.change("far", APP_TREE)
    (found,) = ask(connection, apps, "far", ref(shop))
    assert isinstance(found, Unreadable)
    assert found.reason == f"its cluster, {ELSEWHERE}, is not that of the API server"


def test_argo_cd_s_api_tells_it_of_any_cluster(
    kube: Kube, apps: Applications, shop: Objects, outbound: Outbound, argocd: ArgoCd
) -> None:
    """Also beside an API server that has only the Application."""
    apps.put("told", resources=[web(shop)], destination=ELSEWHERE)
    apps.change("told", {**APP_TREE, "resources": [dict(_entry(shop))]})
    shop.say_ready()
    api = by_argocd(argocd, outbound)
    both = Both(by_kubernetes(kube, outbound, apps.namespace), api)
    for connection in (api, both):
        wait_for(lambda: ask(connection, apps, "told", ref(shop)) == [HEALTHY], 60, "its health")  # noqa: B023 it is called at once


def _entry(shop: Objects) -> Json:
    return {"group": "apps", "version": "v1", "kind": "Deployment", "namespace": shop.namespace,
            "name": "web", "status": "Synced"}  # fmt: skip


@pytest.mark.parametrize(
    ("health", "expected"),
    [
        (None, HEALTHY),
        ({"status": "Degraded", "message": "no pods"}, Health("Degraded", "no pods")),
        ({"status": "Missing"}, Unreadable("Argo CD calls it Missing", gone=True)),
        ({"status": "Unknown", "message": "lua"}, Unreadable("Argo CD calls it Unknown: lua")),
    ],
)
def test_argo_cd_s_words(
    apps: Applications, shop: Objects, outbound: Outbound, argocd: ArgoCd,
    health: Json | None, expected: Health | Unreadable,
) -> None:  # fmt: skip
    """What it does not judge is healthy; what it has none of is not."""
    apps.put("words")
    entry = _entry(shop) | ({"health": health} if health else {})
    apps.change("words", {"resources": [entry]})
    assert ask(by_argocd(argocd, outbound), apps, "words", ref(shop)) == [expected]


def test_what_argo_cd_thought_before_the_operation_is_over_counts_for_nothing(
    apps: Applications, shop: Objects, outbound: Outbound, argocd: ArgoCd
) -> None:
    """It may be the health of what was there before."""
    apps.put("late", resources=[web(shop)], reconciled="2026-06-01T12:00:02Z")
    (found,) = ask(by_argocd(argocd, outbound), apps, "late", ref(shop))
    assert isinstance(found, Unreadable)
    assert "has not compared the Application again" in found.reason
