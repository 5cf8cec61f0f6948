"""What `kubectl kustomize` makes of the folders below k8s/."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import kubernetes_validate
import pytest
import yaml

ROOT = Path(__file__).parents[1]
K8S = ROOT / "k8s"
ARGO_CD = ROOT / "tests/data/k8s/argocd.yaml"
ARGO_CD_SERVER = ROOT / "tests/data/k8s/argocd-server.yaml"
VERSIONS = ("1.30", kubernetes_validate.latest_version())
"""Of Kubernetes: an old and the newest one."""

# Else it reads the schemas of all kinds anew for each object, ten times what the check takes.
kubernetes_validate.utils.schema_contents = cache(kubernetes_validate.utils.schema_contents)

Manifest: TypeAlias = dict[str, Any]


def check_schema(manifest: Manifest, version: str = VERSIONS[-1]) -> None:
    """Hold an object strictly to the schema of a release of Kubernetes."""
    kubernetes_validate.validate(manifest, version, strict=True)


def build(folder: Path) -> list[Manifest]:
    """Return all objects of a kustomization, or skip the test with its reason."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed, so nothing can be built with kustomize")
    done = subprocess.run(
        [kubectl, "kustomize", str(folder)], text=True, capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return list(yaml.safe_load_all(done.stdout))


def with_component(component: Path, resource: Path, folder: Path) -> list[Manifest]:
    """Build a component over a resource, as a kustomization of a user's does."""
    if resource.is_file():
        shutil.copy(resource, folder)
    kustomization = {
        "resources": [resource.name if resource.is_file() else os.path.relpath(resource, folder)],
        "components": [os.path.relpath(component, folder)],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    return build(folder)


def variants(folder: Path) -> dict[str, list[Manifest]]:
    """Build everything below k8s/ that a user may apply, by its name."""
    names = (
        "monitored", "argocd", "tab", "allowed", "connected", "defined", "healthy", "followed",
        "drawn",
    )  # fmt: skip
    made = [folder / name for name in names]
    for own in made:
        own.mkdir()
    monitored, argocd, tab, allowed, connected, defined, healthy, followed, drawn = made
    return {
        "base": build(K8S / "base"),
        "overlays/argocd": with_component(K8S / "overlays/argocd", ARGO_CD, argocd),
        "overlays/argocd-extension": with_component(
            K8S / "overlays/argocd-extension", ARGO_CD_SERVER, tab
        ),
        "overlays/cluster-jobs": build(K8S / "overlays/cluster-jobs"),
        "overlays/postgres-ha": build(K8S / "overlays/postgres-ha"),
        "overlays/tenants": build(K8S / "overlays/tenants"),
        "components/api-server": with_component(
            K8S / "components/api-server", K8S / "base", allowed
        ),
        "components/argocd-health": with_component(
            K8S / "components/argocd-health", ARGO_CD_SERVER, healthy
        ),
        "components/argocd-cronjob-health": with_component(
            K8S / "components/argocd-cronjob-health", ARGO_CD_SERVER, followed
        ),
        "components/argocd-connection": with_component(
            K8S / "components/argocd-connection", K8S / "base", connected
        ),
        "components/postsyncrules": with_component(
            K8S / "components/postsyncrules", K8S / "base", defined
        ),
        "components/prometheus": with_component(
            K8S / "components/prometheus", K8S / "base", monitored
        ),
        "../config/grafana": with_component(ROOT / "config/grafana", K8S / "base", drawn),
    }


def find(manifests: list[Manifest], kind: str, name: str = "") -> Manifest:
    """The one object of a kind, and of a name if one is given."""
    [found] = [
        one for one in manifests if one["kind"] == kind and name in ("", one["metadata"]["name"])
    ]
    return found
