"""The chart and kustomize give the same objects for the same choices.

What is meant to differ: Helm's labels, and so the release in the selectors; no Namespace, which is
the user's; that Helm keeps the volume and the kind PostSyncRule when a release is removed.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from helm_chart import Values, render
from manifests import K8S, Manifest, build

HELMS = {
    "app.kubernetes.io/instance", "app.kubernetes.io/managed-by", "app.kubernetes.io/version",
    "helm.sh/chart", "helm.sh/resource-policy",
}  # fmt: skip
OF_ALL = HELMS | {"app.kubernetes.io/name"}
"""Labels of each object of the chart; kustomize's have the last one, where it is asked for."""

CONNECTION: Values = {
    "server": "https://argocd-server.argocd.svc", "token": {"file": "argocd"},
    "kubernetes": {"inCluster": True},
}  # fmt: skip
CHOICES: dict[str, tuple[list[str], list[str], Values]] = {
    "base": (["base"], [], {}),
    "monitored": (
        ["base"], ["prometheus", "../../config/grafana"],
        {"serviceMonitor": {"enabled": True}, "dashboard": {"enabled": True}},
    ),
    "acting on the cluster": (["base"], ["api-server"], {"apiServer": {"access": True}}),
    "jobs": (["overlays/cluster-jobs"], [], {"jobs": {"namespaces": ["shop"]}}),
    "connected": (
        ["base"], ["api-server", "argocd-connection"],
        {"argocd": {"connections": {"argocd": CONNECTION}}},
    ),
    "tenants": (["overlays/tenants"], [], {"tenants": {
        "bounds": [{"namespaces": ["shop"], "handlers": ["http.request", "kubernetes.job"]}],
        "grants": {"shop": {"secrets": ["cdn"], "jobs": True, "cronJobs": True}},
    }}),
    "several": (
        ["overlays/postgres-ha"], ["prometheus", "api-server"],
        {"postgresql": {"enabled": True}, "serviceMonitor": {"enabled": True},
         "apiServer": {"access": True}},
    ),
}  # fmt: skip
"""By name: resources and components of kustomize, and values of the chart."""


@pytest.mark.parametrize("choice", CHOICES)
def test_both_give_the_same_objects(choice: str, tmp_path: Path) -> None:
    """One by one, field by field."""
    resources, components, values = CHOICES[choice]
    by_kustomize = comparable(kustomized(resources, components, tmp_path))
    by_helm = comparable(render(values))
    if choice == "connected":  # which components leave to the user
        told = by_helm["Deployment", "postsync", "postsync"]["spec"]["template"]["spec"]
        variables = told["containers"]["postsync"]["env"]
        assert variables.pop("POSTSYNC_ARGOCD")["value"] == {"argocd": CONNECTION}
    assert by_helm.keys() == by_kustomize.keys()
    for name, one in by_kustomize.items():
        assert by_helm[name] == one


def kustomized(resources: list[str], components: list[str], folder: Path) -> list[Manifest]:
    """Build them together, as a kustomization of a user's does."""

    def path(name: str) -> str:
        return os.path.relpath(K8S / name, folder)

    own = {
        "resources": [path(name) for name in resources],
        "components": [path(f"components/{name}") for name in components],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(own))
    return build(folder)


def comparable(manifests: list[Manifest]) -> dict[tuple[str, str, str], Any]:
    """Each object by kind, namespace and name, without what is meant to differ."""
    found = {}
    for one in manifests:
        meta = one["metadata"]
        place = one["kind"], meta.get("namespace", ""), meta["name"]
        assert place not in found
        if one["kind"] == "Namespace":
            continue
        for key in ("labels", "annotations"):
            meta[key] = {k: v for k, v in meta.get(key, {}).items() if k not in OF_ALL}
        found[place] = _without_order(_without_helms(one))
    return found


def _without_helms(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: _without_helms(tree[key]) for key in tree if key not in HELMS}
    return [_without_helms(one) for one in tree] if isinstance(tree, list) else tree


def _without_order(tree: Any) -> Any:
    """Lists of what has a name or a path by that, and JSON in a variable as what it says."""
    if isinstance(tree, dict):
        tree = {key: _without_order(below) for key, below in tree.items()}
        if str(tree.get("value", "")).startswith("{"):
            tree["value"] = json.loads(tree["value"])
        return tree
    if not isinstance(tree, list):
        return tree
    keys = [one.get("mountPath", one.get("name")) for one in tree if isinstance(one, dict)]
    if len(keys) == len(tree) and all(keys):
        return {key: _without_order(one) for key, one in zip(keys, tree, strict=True)}
    return [_without_order(one) for one in tree]
