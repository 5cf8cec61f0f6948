"""The manifests of k8s/ fit Kubernetes, our settings, and one another."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
from doors import doors
from manifests import ROOT, Manifest, find, variants
from pydantic.alias_generators import to_camel

from receiver.expressions import Expressions
from receiver.ledger.connect import Ledger
from receiver.registry import Registry
from receiver.rulebook.load import load_rules
from receiver.settings import Settings, load_settings
from receiver.tokens import ROLES

VERSIONS = ["1.30", kubernetes_validate.latest_version()]
CUSTOM = {"ServiceMonitor"}
"""Kinds of others, whose schemas are not Kubernetes' own."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Manifest]]:
    return variants(tmp_path_factory.mktemp("k8s"))


@pytest.fixture(scope="module")
def base(built: dict[str, list[Manifest]]) -> list[Manifest]:
    return built["base"]


@pytest.fixture(scope="module")
def pod(base: list[Manifest]) -> dict[str, Any]:
    return dict(find(base, "Deployment")["spec"]["template"]["spec"])


@pytest.fixture(scope="module")
def container(pod: dict[str, Any]) -> dict[str, Any]:
    [only] = pod["containers"]
    return dict(only)


def test_each_folder_is_built_here(built: dict[str, list[Manifest]]) -> None:
    """Whoever adds an overlay or a component adds it to these tests."""
    parts = {path.parent for path in (ROOT / "k8s").glob("*/*/kustomization.yaml")}
    named = {ROOT / "k8s" / name for name in built}
    assert parts | {ROOT / "k8s/base"} == named


@pytest.mark.parametrize("version", VERSIONS)
def test_each_object_fits_the_schema_of_kubernetes(
    built: dict[str, list[Manifest]], version: str
) -> None:
    """Of an old and of the newest release; a key that it does not know is a mistake."""
    for manifests in built.values():
        for manifest in manifests:
            if manifest["kind"] not in CUSTOM:
                kubernetes_validate.validate(manifest, version, strict=True)


def test_the_pod_is_restricted(pod: dict[str, Any], container: dict[str, Any]) -> None:
    """Pod Security's strictest level, and a read-only file system besides."""
    assert "initContainers" not in pod
    assert {key: pod.get(key, False) for key in ("hostNetwork", "hostPID", "hostIPC")} == {
        "hostNetwork": False, "hostPID": False, "hostIPC": False,
    }  # fmt: skip
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 10001
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    kinds = {key for volume in pod["volumes"] for key in volume} - {"name"}
    assert kinds == {"persistentVolumeClaim", "secret", "configMap", "emptyDir"}


def test_the_namespace_enforces_it(base: list[Manifest]) -> None:
    """A later pod of the namespace cannot be less."""
    labels = find(base, "Namespace")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_the_image_has_the_version_of_the_package(built: dict[str, list[Manifest]]) -> None:
    """Never `latest`, in any variant."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for name in ("base", "overlays/cluster-jobs", "components/prometheus"):
        spec = find(built[name], "Deployment")["spec"]["template"]["spec"]
        assert [one["image"] for one in spec["containers"]] == [f"postsync:{project['version']}"]


def test_user_and_home_are_those_of_the_image(container: dict[str, Any]) -> None:
    """What both say must agree; the image's command is `postsync`."""
    text = (ROOT / "Dockerfile").read_text()
    assert "\nUSER 10001:10001\n" in text
    assert f"\nEXPOSE {container['ports'][0]['containerPort']}\n" in text
    for variable in container["env"]:
        name, value = variable["name"], variable["value"]
        assert f"{name}={value}" in text.replace("'", "") or name == "POSTSYNC_PORT"


def test_each_variable_is_a_setting(
    container: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And has a value that the settings accept and the rest of the manifest agrees with."""
    values = {variable["name"]: variable["value"] for variable in container["env"]}
    known = {f"POSTSYNC_{name.upper()}" for name in Settings.model_fields}
    assert set(values) <= known
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    assert mounts[str(settings.home)] == "home"
    assert [mounts[str(path)] for path in settings.rules] == ["rules"]
    assert settings.port == container["ports"][0]["containerPort"]


def test_the_service_does_not_set_our_port(pod: dict[str, Any], container: dict[str, Any]) -> None:
    """A Service named postsync puts POSTSYNC_PORT=tcp://... into pods with service links."""
    assert pod["enableServiceLinks"] is False
    assert "POSTSYNC_PORT" in {variable["name"] for variable in container["env"]}


def test_tokens_and_secrets_are_folders_below_the_home(
    pod: dict[str, Any], container: dict[str, Any]
) -> None:
    """Each from a Secret of its own, read by our group alone; only the senders' has to be there."""
    mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert sorted(volumes) == sorted(mount["name"] for mount in mounts.values())
    for role in (*ROLES, "secrets"):
        mount = mounts[f"/var/lib/postsync/{role}"]
        assert mount["readOnly"]
        assert "subPath" not in mount
        assert volumes[mount["name"]]["secret"] == {
            "secretName": f"postsync-{role}", "defaultMode": 0o440,
            **({} if role == "senders" else {"optional": True}),
        }  # fmt: skip
    assert pod["securityContext"]["fsGroup"] == pod["securityContext"]["runAsGroup"]


def test_one_replica_writes_the_volume(base: list[Manifest], pod: dict[str, Any]) -> None:
    """The next pod starts when this one has ended, and this one has the time to end well."""
    spec = find(base, "Deployment")["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
    claim = find(base, "PersistentVolumeClaim")
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]
    assert {"persistentVolumeClaim": {"claimName": claim["metadata"]["name"]}}.items() <= (
        pod["volumes"][0].items()
    )
    supervisor = Settings.model_fields["drain"].default + 5
    assert pod["terminationGracePeriodSeconds"] > supervisor


def test_labels_and_selectors_agree(built: dict[str, list[Manifest]]) -> None:
    """Deployment, Service, policies and the ServiceMonitor all mean the same pods and ports."""
    for name in ("base", "overlays/cluster-jobs", "components/prometheus"):
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
    monitor = find(built["components/prometheus"], "ServiceMonitor")
    assert (
        monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    )
    assert [one["port"] for one in monitor["spec"]["endpoints"]] == [
        service["spec"]["ports"][0]["name"]
    ]


def test_probes_and_metrics_ask_what_is_there(
    built: dict[str, list[Manifest]], container: dict[str, Any], ledger: Ledger, tmp_path: Path
) -> None:
    """A path that nobody serves would restart the pod for ever."""
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
    assert [
        (
            *peer["namespaceSelector"]["matchLabels"].values(),
            *peer["podSelector"]["matchLabels"].values(),
        )
        for peer in door["from"]
    ] == [("argocd", "argocd-notifications-controller"), ("monitoring", "prometheus")]
    assert door["ports"] == [{"port": "http"}]
    blocks = [
        peer["ipBlock"] for rule in spec["egress"] for peer in rule["to"] if "ipBlock" in peer
    ]
    assert blocks == [
        {"cidr": "0.0.0.0/0", "except": ["169.254.0.0/16"]},
        {"cidr": "::/0", "except": ["fe80::/10"]},
    ]


def test_memory_is_asked_for_as_it_was_measured(container: dict[str, Any]) -> None:
    """Above what the bench has measured under full load, and not twice of it."""
    figures = (ROOT / "bench/README.md").read_text()
    found = re.search(r"memory of all processes under that load \| (\d+) MB", figures)
    assert found
    asked = int(container["resources"]["requests"]["memory"].removesuffix("Mi")) << 20
    assert int(found[1]) * 1_000_000 < asked < 2 * int(found[1]) * 1_000_000
    assert "cpu" not in container["resources"]["limits"]


def test_the_rules_of_the_base_are_right(base: list[Manifest], tmp_path: Path) -> None:
    """The ConfigMap keeps its name, so that the running pod sees a change."""
    config = find(base, "ConfigMap", "postsync-rules")
    for name, text in config["data"].items():
        (tmp_path / name).write_text(text)
    assert load_rules([tmp_path], Registry.discover(), Expressions()).rules


def test_settings_named_in_comments_exist() -> None:
    """The comments tell of settings by their names."""
    text = (ROOT / "k8s/base/deployment.yaml").read_text()
    known = set(map(to_camel, Settings.model_fields))
    assert {"drain", "maxBody"} <= known
    assert "drain (25 s)" in text
    assert "(maxBody)" in text
