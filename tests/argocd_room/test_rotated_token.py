"""A watch of Applications as the pod's own account, whose token is replaced while it is open."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import pytest
from applications import Applications
from connected import QUICK, deadline
from kube import Kube
from pod_account import PodAccount

from receiver.argocd.connection import ConnectionFailed
from receiver.argocd.kubernetes_api import KubernetesApi
from receiver.argocd.server import Server
from receiver.kubernetes.access import in_cluster
from receiver.outbound import Outbound
from receiver.settings.argocd import OWN_CLUSTER

pytestmark = pytest.mark.xdist_group("kubernetes")

ROLES = "/apis/rbac.authorization.k8s.io/v1/namespaces"
RULE = {"apiGroups": ["argoproj.io"], "resources": ["applications"], "verbs": ["list", "watch"]}


def account_in(kube: Kube, namespace: str, folder: Path) -> PodAccount:
    kube.account("postsync", namespace=namespace)
    meta = {"metadata": {"name": "postsync"}}
    kube.ask("POST", f"{ROLES}/{namespace}/roles", {**meta, "rules": [RULE]})
    kube.ask("POST", f"{ROLES}/{namespace}/rolebindings", {
        **meta,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "postsync"},
        "subjects": [{"kind": "ServiceAccount", "name": "postsync", "namespace": namespace}],
    })  # fmt: skip
    return PodAccount(kube, namespace, "postsync", folder)


def test_a_token_that_was_replaced_is_used_at_the_next_opening(
    kube: Kube, outbound: Outbound, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody notices, and nothing is lost; one that is no longer valid is told."""
    monkeypatch.setattr("receiver.argocd.object_watch.LONGEST", 1)
    apps = Applications(kube, kube.namespace("rotated-argocd"))
    pod = account_in(kube, apps.namespace, tmp_path)
    server = Server("it", lambda: in_cluster(pod.environ, tmp_path), outbound, QUICK)
    watch = KubernetesApi(server, [apps.namespace], OWN_CLUSTER).watch(deadline())
    names = (f"app-{number}" for number in count())

    def tell_one() -> None:
        name = next(names)
        apps.put(name)
        assert next(watch).name == name

    tell_one()  # by the list
    tell_one()
    before = pod.watched_by()
    assert len(before) == 1
    pod.rotate()
    while pod.watched_by() == before:
        tell_one()
    tell_one()
    pod.put("no-longer-valid")
    with pytest.raises(ConnectionFailed, match="its token is not, or no longer, valid"):
        next(watch)
