"""What the overlays add to the base, and to Argo CD."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
import yaml
from manifests import ARGO_CD, K8S, ROOT, Manifest, build, check_schema, find, with_component

from receiver.rules.expressions.cel import Expressions
from receiver.rules.handlers.registry import Registry
from receiver.rules.loading.load import load_rules

PAGE = (ROOT / "docs/kubernetes.md").read_text()
FILES = dict(re.findall(r"<!-- file (\S+) -->\n```yaml\n(.*?)```", PAGE, re.DOTALL))
"""The files that the page shows, by their names."""
RULES = "my-postsync/rules/shop.yaml"


@pytest.fixture(scope="module")
def jobs() -> list[Manifest]:
    return build(K8S / "overlays/cluster-jobs")


def test_argo_cds_config_gains_our_keys_and_keeps_its_own(tmp_path: Path) -> None:
    """And nothing else of the installation changes."""
    before = list(yaml.safe_load_all(ARGO_CD.read_text()))
    after = with_component(K8S / "overlays/argocd", ARGO_CD, tmp_path)
    shipped = yaml.safe_load((ROOT / "config/argocd/notifications.yaml").read_text())
    config = find(after, "ConfigMap")
    assert config["data"] == before[0]["data"] | shipped["data"]
    assert config["metadata"] == before[0]["metadata"]
    assert find(after, "Secret") == before[1]


def test_the_overlay_is_what_the_command_prints() -> None:
    """Kustomize reads nothing outside of its folder; `postsync argocd-config > FILE` renews it."""
    shipped = ROOT / "config/argocd/notifications.yaml"
    assert (K8S / "overlays/argocd/notifications.yaml").read_text() == shipped.read_text()


def test_argo_cd_sends_to_the_service_of_the_base() -> None:
    """Name, namespace and port."""
    service = find(build(K8S / "base"), "Service")
    config = yaml.safe_load((K8S / "overlays/argocd/notifications.yaml").read_text())
    url = yaml.safe_load(config["data"]["service.webhook.postsync"])["url"]
    name, namespace = service["metadata"]["name"], service["metadata"]["namespace"]
    assert url == f"http://{name}.{namespace}.svc:{service['spec']['ports'][0]['port']}"


def test_jobs_are_granted_in_the_named_namespace_alone(jobs: list[Manifest]) -> None:
    """A Role there, bound to the one ServiceAccount here; no right holds for the cluster."""
    role, binding = find(jobs, "Role"), find(jobs, "RoleBinding")
    account = find(jobs, "ServiceAccount")["metadata"]
    assert role["metadata"]["namespace"] == binding["metadata"]["namespace"] == "shop"
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert binding["subjects"] == [
        {"kind": "ServiceAccount", "name": account["name"], "namespace": account["namespace"]}
    ]
    assert {one["kind"] for one in jobs}.isdisjoint({"ClusterRole", "ClusterRoleBinding"})


def test_the_token_of_the_account_is_there_only_with_jobs(jobs: list[Manifest]) -> None:
    """The base has neither rights nor the token that would prove them."""
    base = build(K8S / "base")
    for manifests, mounted in ((base, False), (jobs, True)):
        spec = find(manifests, "Deployment")["spec"]["template"]["spec"]
        assert spec["automountServiceAccountToken"] is mounted
        assert find(manifests, "ServiceAccount")["automountServiceAccountToken"] is False
        account = find(manifests, "ServiceAccount")["metadata"]["name"]
        assert spec["serviceAccountName"] == account
    assert not {one["kind"] for one in base} & {"Role", "RoleBinding"}


def test_the_table_of_rights_is_the_role(jobs: list[Manifest]) -> None:
    """docs/kubernetes.md names each resource with its verbs."""
    rows = re.findall(r"^\| `kubernetes\.job` \| `([a-z/]+)` \| (.*?) \|", PAGE, re.MULTILINE)
    told = {resource: sorted(re.findall(r"`([a-z]+)`", verbs)) for resource, verbs in rows}
    granted = {
        resource: sorted(rule["verbs"])
        for rule in find(jobs, "Role")["rules"]
        for resource in rule["resources"]
    }
    assert told == granted


def written(folder: Path) -> None:
    """Write the page's files, as if this repository stood beside them."""
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("../postsync/", f"{os.path.relpath(ROOT, path.parent)}/"))


def test_the_pages_own_kustomization_can_be_built(tmp_path: Path) -> None:
    """The files of the page, beside a clone of this repository: image, rules and a way out."""
    written(tmp_path)
    manifests = build(tmp_path / "my-postsync")
    image = find(manifests, "Deployment")["spec"]["template"]["spec"]["containers"][0]["image"]
    assert image == "registry.example.com/postsync:0.1.0"
    assert find(manifests, "ConfigMap")["data"] == {"shop.yaml": FILES[RULES]}
    assert find(manifests, "NetworkPolicy", "postsync-to-shop")


def test_the_pages_own_rules_are_right(tmp_path: Path) -> None:
    """As `postsync check` finds them."""
    (tmp_path / "shop.yaml").write_text(FILES[RULES])
    assert load_rules([tmp_path], Registry.discover(), Expressions()).rules


def test_the_pod_that_restores_is_allowed_and_finds_the_volume() -> None:
    """It has the user and the restrictions of the one whose place it takes."""
    restore = yaml.safe_load(FILES["restore.yaml"])
    check_schema(restore)
    spec = find(build(K8S / "base"), "Deployment")["spec"]["template"]["spec"]
    assert restore["spec"]["securityContext"].items() <= spec["securityContext"].items()
    own, its = restore["spec"]["containers"][0], spec["containers"][0]
    assert own["securityContext"].items() <= its["securityContext"].items()
    assert restore["spec"]["volumes"] == spec["volumes"][:1]
    assert own["volumeMounts"] == its["volumeMounts"][:1]


def test_the_page_names_secrets_that_the_pod_mounts() -> None:
    """A Secret of another name would never arrive."""
    spec = find(build(K8S / "base"), "Deployment")["spec"]["template"]["spec"]
    mounted = {one["secret"]["secretName"] for one in spec["volumes"] if "secret" in one}
    mounted |= {one["secretRef"]["name"] for one in spec["containers"][0]["envFrom"]}
    named = set(re.findall(r"secret generic (postsync-[a-z]+)", PAGE))
    assert {"postsync-senders", "postsync-operators"} <= named <= mounted | {"postsync-database"}
