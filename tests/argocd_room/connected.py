"""Connections of the tests, and what they read."""

from __future__ import annotations

import time
from collections.abc import Iterable

from argocd_server import TOKEN, ArgoCd
from kube import Json, Kube

from receiver.argocd.argocd_api import ArgoCdApi
from receiver.argocd.kubernetes_api import KubernetesApi
from receiver.argocd.objects import ObjectRef
from receiver.argocd.pace import Pace
from receiver.argocd.server import Server
from receiver.kubernetes.access import Access, by_kubeconfig
from receiver.outbound import Outbound
from receiver.settings.argocd import OWN_CLUSTER

QUICK = Pace(1000, 1000)


def deadline(seconds: float = 60) -> float:
    return time.monotonic() + seconds


def by_kubernetes(
    kube: Kube, outbound: Outbound, *namespaces: str, kubeconfig: str = ""
) -> KubernetesApi:
    """A connection to the API server, by default as its administrator."""
    config = kubeconfig or kube.kubeconfig()
    server = Server("the API server", lambda: by_kubeconfig(config, None), outbound, QUICK)
    return KubernetesApi(server, namespaces, OWN_CLUSTER)


def by_argocd(argocd: ArgoCd, outbound: Outbound, token: str = TOKEN) -> ArgoCdApi:
    """A connection to Argo CD's API."""
    access = Access(argocd.url, "", token=token)
    return ArgoCdApi(Server("Argo CD's API", lambda: access, outbound, QUICK))


def ref_of(live: Json) -> ObjectRef:
    """How a sync names an object."""
    group, _, version = live["apiVersion"].rpartition("/")
    metadata = live["metadata"]
    return ObjectRef(
        group, version, live["kind"], metadata.get("namespace", ""), metadata["name"]
    )  # fmt: skip


def config_maps(kube: Kube, namespace: str, names: Iterable[str]) -> list[Json]:
    """Make ConfigMaps as Argo CD does by a server-side apply."""
    return [apply(kube, namespace, name, {"a": "1"}) for name in names]


def apply(kube: Kube, namespace: str, name: str, data: Json) -> Json:
    manifest = {
        "apiVersion": "v1", "kind": "ConfigMap", "data": data,
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": "shop"}},
    }  # fmt: skip
    path = f"/api/v1/namespaces/{namespace}/configmaps/{name}?fieldManager=argocd-controller"
    made: Json = kube.ask("PATCH", f"{path}&force=true", manifest, "application/apply-patch+yaml")
    return made
