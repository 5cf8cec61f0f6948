"""A connection by an API server and by Argo CD's API together."""

from __future__ import annotations

from contextlib import closing

import pytest
from applications import HERE, Applications
from argocd_server import ArgoCd
from connected import by_argocd, by_kubernetes, config_maps, deadline, ref_of
from kube import Kube

from receiver.argocd.connections import Both
from receiver.argocd.objects import ApplicationState, LiveObject
from receiver.outbound import Outbound

pytestmark = pytest.mark.xdist_group("kubernetes")


@pytest.mark.parametrize(
    ("destination", "way"),
    [
        (HERE, "the API server"),
        ("in-cluster", "the API server"),
        ("https://eu.example", "Argo CD's API"),
    ],
)
def test_each_cluster_is_asked_the_way_that_reaches_it(
    kube: Kube, argocd: ArgoCd, destination: str, way: str
) -> None:
    """Applications come from the API server alone."""
    namespace = "both-ways"
    if kube.find(f"/api/v1/namespaces/{namespace}") is None:
        kube.namespace(namespace)
    apps = Applications(kube, namespace)
    lives = config_maps(kube, namespace, ["one"])
    apps.put("both", resources=lives, destination=destination)
    with closing(Outbound()) as outbound:
        both = Both(by_kubernetes(kube, outbound, namespace), by_argocd(argocd, outbound))
        assert [one.name for one in both.applications(deadline())] == ["both"]
        assert next(iter(both.watch(deadline(5)))).name == "both"
        state = both.application(namespace, "both", deadline())
        assert isinstance(state, ApplicationState)
        assert argocd.asked == []
        ref = ref_of(lives[0])
        found = both.live(state, [ref], deadline=deadline())[ref]
    assert isinstance(found, LiveObject), found
    assert (found.read_from, bool(argocd.asked)) == (way, way == "Argo CD's API")
    assert (found.read_at is None) == (way == "Argo CD's API")
