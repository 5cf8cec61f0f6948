"""How healthy an Application's objects are, by an API server and by Argo CD's own word."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from applications import Applications
from argocd_server import ArgoCd
from connected import by_argocd, by_kubernetes, deadline
from kube import Json, Kube
from objects import WEB, Objects, objects
from service import wait_for

from receiver.argocd.connection import Connection
from receiver.argocd.connections import Both
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
