"""The manifests of k8s/ fit Kubernetes, and one another."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from doors import doors
from manifests import ROOT, VERSIONS, Manifest, check_schema, find, variants

from receiver.ledger.engine.ledger import Ledger
from receiver.rules.expressions.cel import Expressions
from receiver.rules.handlers.registry import Registry
from receiver.rules.loading.load import load_rules
from receiver.settings.model import Settings

INSTALLED = (
    "base", "overlays/cluster-jobs", "overlays/tenants", "components/api-server",
    "components/prometheus",
)  # fmt: skip
"""The variants with the receiver itself on one replica; `test_postgres_ha.py` has the other."""
CUSTOM = {"ServiceMonitor"}
"""Kinds of others, whose schemas are not Kubernetes' own."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Manifest]]:
    return variants(tmp_path_factory.mktemp("k8s"))


@pytest.fixture(scope="module")
def base(built: dict[str, list[Manifest]]) -> list[Manifest]:
    return built["base"]


def test_each_folder_is_built_here(built: dict[str, list[Manifest]]) -> None:
    """Whoever adds an overlay or a component adds it to these tests."""
    parts = {path.parent for path in (ROOT / "k8s").glob("*/*/kustomization.yaml")}
    parts |= {path.parent for path in (ROOT / "config").glob("*/kustomization.yaml")}
    named = {(ROOT / "k8s" / name).resolve() for name in built}
    assert parts | {ROOT / "k8s/base"} == named


@pytest.mark.parametrize("version", VERSIONS)
def test_each_object_fits_the_schema_of_kubernetes(
    built: dict[str, list[Manifest]], version: str
) -> None:
    """Of an old and of the newest release; a key that it does not know is a mistake."""
    for manifests in built.values():
        for manifest in manifests:
            if manifest["kind"] not in CUSTOM:
                check_schema(manifest, version)


def test_the_namespace_enforces_it(base: list[Manifest]) -> None:
    """A later pod of the namespace cannot be less."""
    labels = find(base, "Namespace")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_the_image_has_the_version_of_the_package(built: dict[str, list[Manifest]]) -> None:
    """Never `latest`, in any variant."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for name in INSTALLED:
        spec = find(built[name], "Deployment")["spec"]["template"]["spec"]
        assert [one["image"] for one in spec["containers"]] == [f"postsync:{project['version']}"]


def test_one_replica_writes_the_volume(base: list[Manifest]) -> None:
    """The next pod starts when this one has ended, and this one has the time to end well."""
    spec = find(base, "Deployment")["spec"]
    pod = spec["template"]["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
    claim = find(base, "PersistentVolumeClaim")
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]
    assert {"persistentVolumeClaim": {"claimName": claim["metadata"]["name"]}}.items() <= (
        pod["volumes"][0].items()
    )
    supervisor = Settings.model_fields["drain"].default + 5
    assert pod["terminationGracePeriodSeconds"] > supervisor


def test_labels_and_selectors_agree(built: dict[str, list[Manifest]]) -> None:
    """Deployment, Service and policies all mean the same pods and ports."""
    for name in INSTALLED:
        manifests = built[name]
        template = find(manifests, "Deployment")["spec"]["template"]
        labels = template["metadata"]["labels"]
        selector = find(manifests, "Deployment")["spec"]["selector"]["matchLabels"]
        service = find(manifests, "Service")
        ports = {port["name"] for port in template["spec"]["containers"][0]["ports"]}
        assert selector == labels == service["spec"]["selector"]
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports
        for policy in (one for one in manifests if one["kind"] == "NetworkPolicy"):
            assert policy["spec"]["podSelector"]["matchLabels"] == labels


def test_prometheus_finds_the_service(built: dict[str, list[Manifest]]) -> None:
    """By the labels of the Service itself, and the name of its port."""
    manifests = built["components/prometheus"]
    monitor, service = find(manifests, "ServiceMonitor")["spec"], find(manifests, "Service")
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    ports = [port["name"] for port in service["spec"]["ports"]]
    assert [one["port"] for one in monitor["endpoints"]] == ports
    assert service["metadata"]["labels"][monitor["jobLabel"]] == "postsync"


def test_grafana_finds_the_dashboard(built: dict[str, list[Manifest]]) -> None:
    """By the label that its sidecar looks for, and as it was made."""
    drawn = find(built["../config/grafana"], "ConfigMap", "postsync-dashboard")
    assert drawn["metadata"]["labels"] == {"grafana_dashboard": "1"}
    made = (ROOT / "config/grafana/postsync.json").read_text()
    assert drawn["data"] == {"postsync.json": made}


def test_probes_and_metrics_ask_what_is_there(
    built: dict[str, list[Manifest]], ledger: Ledger, tmp_path: Path
) -> None:
    """A path that nobody serves would restart the pod for ever."""
    [container] = find(built["base"], "Deployment")["spec"]["template"]["spec"]["containers"]
    paths = {kind: container[f"{kind}Probe"]["httpGet"]["path"] for kind in
             ("startup", "liveness", "readiness")}  # fmt: skip
    assert paths == {"startup": "/healthz", "liveness": "/healthz", "readiness": "/readyz"}
    monitor = find(built["components/prometheus"], "ServiceMonitor")
    with doors(ledger, tmp_path) as made:
        for path in (*paths.values(), monitor["spec"]["endpoints"][0]["path"]):
            assert made.client.get(path).status_code == 200


def test_only_argo_cd_and_prometheus_come_in(base: list[Manifest]) -> None:
    """By namespace and pod together; and nothing goes to link-local addresses."""
    spec = find(base, "NetworkPolicy")["spec"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    [door] = spec["ingress"]
    argocd, prometheus = door["from"]
    assert [*argocd["namespaceSelector"]["matchLabels"].values()] == ["argocd"]
    [names] = argocd["podSelector"]["matchExpressions"]
    assert names["values"] == ["argocd-notifications-controller", "argocd-server"]
    assert [*prometheus["namespaceSelector"]["matchLabels"].values()] == ["monitoring"]
    assert [*prometheus["podSelector"]["matchLabels"].values()] == ["prometheus"]
    assert door["ports"] == [{"port": "http"}]
    blocks = [
        peer["ipBlock"] for rule in spec["egress"] for peer in rule["to"] if "ipBlock" in peer
    ]
    assert blocks == [
        {"cidr": "0.0.0.0/0", "except": ["169.254.0.0/16"]},
        {"cidr": "::/0", "except": ["fe80::/10"]},
    ]


def test_the_rules_of_the_base_are_right(base: list[Manifest], tmp_path: Path) -> None:
    """The ConfigMap keeps its name, so that the running pod sees a change."""
    config = find(base, "ConfigMap", "postsync-rules")
    for name, text in config["data"].items():
        (tmp_path / name).write_text(text)
    assert load_rules([tmp_path], Registry.discover(), Expressions()).rules
