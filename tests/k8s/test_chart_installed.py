"""The chart in a cluster: an API server and Pod Security judge what it makes, Helm installs it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from control_plane import CACHES
from helm_chart import CHART, Values, helm, render, shown
from kube import PATIENCE, Kube
from manifests import ROOT, Manifest
from service import wait_for
from test_chart import ALL

pytestmark = pytest.mark.xdist_group("kubernetes")

CRDS = CACHES / "postsync-tests/crds"
PUBLISHED = re.findall(
    r"^\S+/(\S+@\S+) \S+/(\S+\.yaml)$", (ROOT / ".ci/get-crds").read_text(), re.MULTILINE
)
"""Where `make test-deps` puts the definitions of others' kinds."""

CHOICES: dict[str, Values] = {"none": {}, "all": ALL, **shown()}
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
OURS, TEAM = "postsync-chart", "team-of-chart"


@pytest.fixture(scope="module")
def cluster(kube: Kube) -> Iterator[Kube]:
    """With the kinds of the Prometheus operator and of External Secrets, and the namespaces."""
    definitions = [CRDS / module / file for module, file in PUBLISHED]
    assert len(definitions) == 3
    if missing := [str(file) for file in definitions if not file.is_file()]:
        pytest.skip(f"no {', '.join(missing)} here; `make test-deps` gets them by Go's proxy")
    trees = [yaml.safe_load(file.read_text()) for file in definitions]
    for tree in trees:
        kube.ask("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", tree)
    for name in ("argocd", "shop", OURS, TEAM):
        if kube.find(f"/api/v1/namespaces/{name}") is None:
            kube.namespace(name)
    kube.merge(f"/api/v1/namespaces/{OURS}", {"metadata": {"labels": RESTRICTED}})
    for tree in trees:
        spec = tree["spec"]
        [version] = [one["name"] for one in spec["versions"] if one["storage"]]
        place = f"/apis/{spec['group']}/{version}/{spec['names']['plural']}"
        wait_for(lambda place=place: kube.find(place) is not None, PATIENCE, place)  # type: ignore[misc]
    yield kube
    for tree in trees:
        place = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        kube.ask("DELETE", f"{place}/{tree['metadata']['name']}")


@pytest.mark.parametrize("choice", CHOICES)
def test_the_api_server_takes_each_object(cluster: Kube, choice: str) -> None:
    """By a server-side apply that changes nothing; an unknown field of any kind is a mistake."""
    for one in render(CHOICES[choice]):
        if one["metadata"].get("namespace") == "postsync":
            one["metadata"]["namespace"] = OURS
        path = f"{place_of(one)}?dryRun=All&fieldValidation=Strict&fieldManager=test&force=true"
        cluster.ask("PATCH", path, one, "application/apply-patch+yaml")


def place_of(one: Manifest) -> str:
    """Its path at the API server."""
    group = "api" if "/" not in one["apiVersion"] else "apis"
    plural = re.sub("y$", "ie", re.sub("s$", "se", one["kind"].lower())) + "s"
    namespace = one["metadata"].get("namespace")
    inside = f"/namespaces/{namespace}" if namespace else ""
    return f"/{group}/{one['apiVersion']}{inside}/{plural}/{one['metadata']['name']}"


class Release:
    """Helm against the cluster, as a user runs it."""

    def __init__(self, kube: Kube, folder: Path) -> None:
        self.kube = kube
        # The API server of the tests is built without its version, which the chart asks for.
        self._chart = folder / "postsync"
        shutil.copytree(CHART, self._chart)
        about = self._chart / "Chart.yaml"
        about.write_text(re.sub("kubeVersion: .*\n", "", about.read_text()))
        self._config = folder / "kubeconfig"
        self._config.write_text(kube.kubeconfig())
        self._home = str(folder)

    def run(self, word: str, values: Values | None = None) -> str:
        done = self.ask(word, values)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def ask(self, word: str, values: Values | None = None) -> subprocess.CompletedProcess[str]:
        words: list[str | Path] = [] if values is None else [self._chart, "--values", "-"]
        return helm(
            word, "--namespace", OURS, "postsync", *words,
            given=yaml.safe_dump(dict(values or {})), HOME=self._home, KUBECONFIG=str(self._config),
        )  # fmt: skip

    def objects(self, path: str) -> dict[str, Any]:
        """The release's own of a kind, by name."""
        own = {"app.kubernetes.io/instance": "postsync"}
        return {one["metadata"]["name"]: one for one in self.kube.items(path, **own)}


@pytest.fixture
def release(cluster: Kube, tmp_path: Path) -> Iterator[Release]:
    made = Release(cluster, tmp_path)
    yield made
    helm("uninstall", "--namespace", OURS, "postsync", "--ignore-not-found",
         HOME=str(tmp_path), KUBECONFIG=str(tmp_path / "kubeconfig"))  # fmt: skip
    claims = ("persistentvolumeclaims/postsync", "persistentvolumeclaims/other")
    for kept in (*claims, "secrets/postsync-senders"):
        cluster.remove(f"/api/v1/namespaces/{OURS}/{kept}")


def test_helm_installs_it_changes_it_and_leaves_the_ledger(release: Release) -> None:
    """Pod Security takes the pods; a change of the rules starts none anew."""
    told = release.run("install", {})
    assert "create secret generic postsync-senders" in told
    pods, core = f"/api/v1/namespaces/{OURS}/pods", f"/api/v1/namespaces/{OURS}"
    wait_for(lambda: bool(release.objects(pods)), PATIENCE, "a pod that Pod Security takes")
    before = set(release.objects(pods))
    release.run("upgrade", {"rules": {"files": shown()["rules"]["rules"]["files"]}})
    rules = release.objects(f"{core}/configmaps")["postsync-rules"]
    assert rules["data"] == shown()["rules"]["rules"]["files"]
    assert set(release.objects(pods)) == before
    moved = release.ask("upgrade", {"postgresql": {"enabled": True}})
    assert moved.returncode == 1
    assert f"kubectl -n {OURS} delete deployment postsync, then this again" in moved.stderr
    release.run("uninstall")
    assert release.objects(f"{core}/services") == {}
    assert list(release.objects(f"{core}/persistentvolumeclaims")) == ["postsync"]
    release.run("install", {"persistence": {"existingClaim": "postsync"}})


def test_another_name_leaves_the_ledger_where_it_was(release: Release) -> None:
    """Beside a new volume, unless the old one is named."""
    claims = f"/api/v1/namespaces/{OURS}/persistentvolumeclaims"
    release.run("install", {})
    release.run("upgrade", {"fullnameOverride": "other"})
    assert set(release.objects(claims)) == {"postsync", "other"}
    persistence = {"existingClaim": "postsync"}
    release.run("upgrade", {"fullnameOverride": "other", "persistence": persistence})
    path = f"/apis/apps/v1/namespaces/{OURS}/deployments"
    [volume, *_] = release.objects(path)["other"]["spec"]["template"]["spec"]["volumes"]
    assert volume["persistentVolumeClaim"] == {"claimName": "postsync"}


def test_helm_installs_several_replicas_with_all_else(release: Release) -> None:
    """Of both kinds Pod Security takes the pods: those of the migration, too."""
    # In a namespace of its own: other tests have made the same Roles in shop.
    given = json.loads(json.dumps(ALL).replace('"shop"', f'"{TEAM}"'))
    release.run("install", {**given, "tenants": given["tenants"] | {"crd": False}, "pod": {}})
    path = f"/api/v1/namespaces/{OURS}/pods"
    parts = {"intake", "worker"}

    def there() -> bool:
        pods = release.objects(path).values()
        return {one["metadata"]["labels"]["app.kubernetes.io/component"] for one in pods} == parts

    wait_for(there, PATIENCE, "a pod of each kind")
    bindings = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{TEAM}/rolebindings"
    assert set(release.objects(bindings)) == {
        "postsync-cron-jobs", "postsync-jobs", "postsync-secrets"
    }  # fmt: skip
