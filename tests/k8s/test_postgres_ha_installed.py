"""Replicas over one database, as a user installs them."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from copy import deepcopy

import pytest
from kube import Kube
from manifests import K8S, ROOT, Manifest, build, find
from test_overlays import FILES, written

NAMES = {"intake": "postsync", "worker": "postsync-worker"}


@pytest.fixture(scope="module")
def built() -> list[Manifest]:
    return build(K8S / "overlays/postgres-ha")


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> list[Manifest]:
    """What docs/kubernetes.md shows: the overlay with its own rules, Jobs and Prometheus."""
    folder = tmp_path_factory.mktemp("own")
    written(folder)
    shutil.copytree(folder / "my-postsync/rules", folder / "my-postsync-ha/rules")
    return build(folder / "my-postsync-ha")


def test_it_goes_together_with_the_rest(own: list[Manifest]) -> None:
    """Image and rules of a user's own reach both kinds, and so does Prometheus."""
    images = {
        container["image"]
        for one in own if one["kind"] == "Deployment"
        for key in ("containers", "initContainers")
        for container in one["spec"]["template"]["spec"][key]
    }  # fmt: skip
    assert images == {"registry.example.com/postsync:0.1.0"}
    assert list(find(own, "ConfigMap", "postsync-rules")["data"]) == ["shop.yaml"]
    assert (
        FILES["my-postsync/rules/shop.yaml"]
        in find(own, "ConfigMap", "postsync-rules")["data"].values()
    )
    monitor = find(own, "ServiceMonitor")["spec"]
    services = [one for one in own if one["kind"] == "Service"]
    assert len(services) == 2
    for service in services:
        assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
        assert [port["name"] for port in service["spec"]["ports"]] == ["http"]


def test_only_workers_have_rights_in_the_cluster(own: list[Manifest]) -> None:
    """The token and the way to the API server; an intake needs neither."""
    tokens = {
        part: find(own, "Deployment", name)["spec"]["template"]["spec"][
            "automountServiceAccountToken"
        ]
        for part, name in NAMES.items()
    }
    assert tokens == {"intake": False, "worker": True}
    assert find(own, "Role")["metadata"]["namespace"] == "shop"
    [rule] = find(own, "NetworkPolicy", "postsync-api-server")["spec"]["podSelector"][
        "matchExpressions"
    ]
    assert rule == {
        "key": "app.kubernetes.io/component", "operator": "NotIn", "values": ["intake"],
    }  # fmt: skip


def test_the_page_names_the_secret_that_the_pods_read() -> None:
    """Under another name or key none of them would start."""
    page = (ROOT / "docs/kubernetes.md").read_text()
    named = re.findall(r"secret generic postsync-database \\\n  --from-literal=(\w+)=", page)
    assert named == ["url"]


@pytest.fixture
def namespace(kube: Kube, built: list[Manifest]) -> Iterator[str]:
    """The overlay's own, which enforces what it says, with its account."""
    made = find(built, "Namespace")
    kube.ask("POST", "/api/v1/namespaces", made)
    name = str(made["metadata"]["name"])
    account = find(built, "ServiceAccount")
    kube.ask("POST", f"/api/v1/namespaces/{name}/serviceaccounts", account)
    yield name
    kube.ask("DELETE", f"/api/v1/namespaces/{name}")


@pytest.mark.xdist_group("kubernetes")
def test_kubernetes_takes_it(kube: Kube, built: list[Manifest], namespace: str) -> None:
    """Its API server judges every object, and Pod Security each pod; a weaker one is refused."""
    for one in built:
        if one["kind"] in {"Namespace", "ServiceAccount"}:
            continue
        group = "api" if "/" not in one["apiVersion"] else "apis"
        plural = re.sub("y$", "ie", one["kind"].lower()) + "s"
        place = f"/{group}/{one['apiVersion']}/namespaces/{namespace}/{plural}"
        kube.ask("POST", f"{place}?dryRun=All&fieldValidation=Strict", one)
        if one["kind"] == "Deployment":
            _judge_pod(kube, one, namespace)


def _judge_pod(kube: Kube, deployment: Manifest, namespace: str) -> None:
    pod = deepcopy(deployment["spec"]["template"])
    pod["metadata"]["name"] = deployment["metadata"]["name"]
    place = f"/api/v1/namespaces/{namespace}/pods?dryRun=All"
    kube.ask("POST", place, pod)
    pod["spec"]["initContainers"][0]["securityContext"]["allowPrivilegeEscalation"] = True
    with pytest.raises(AssertionError, match="violates PodSecurity"):
        kube.ask("POST", place, pod)
