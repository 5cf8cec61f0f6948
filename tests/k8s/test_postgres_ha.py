"""Replicas over one database: what the overlay makes of the base."""

from __future__ import annotations

import tomllib
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from manifests import K8S, ROOT, Manifest, build, find

from receiver.cli import COMMANDS
from receiver.settings.model import Settings

Pod = dict[str, Any]
NAMES = {"intake": "postsync", "worker": "postsync-worker"}
TOKENS = {"senders", "operators", "viewers", "messengers", "extensions"}
URL = {
    "name": "POSTSYNC_DATABASE",
    "valueFrom": {"secretKeyRef": {"name": "postsync-database", "key": "url"}},
}


@pytest.fixture(scope="module")
def built() -> list[Manifest]:
    return build(K8S / "overlays/postgres-ha")


@pytest.fixture(scope="module")
def deployments(built: list[Manifest]) -> dict[str, Manifest]:
    return {part: find(built, "Deployment", name) for part, name in NAMES.items()}


@pytest.fixture(scope="module")
def pods(deployments: dict[str, Manifest]) -> dict[str, Pod]:
    return {part: one["spec"]["template"]["spec"] for part, one in deployments.items()}


@pytest.fixture(scope="module")
def base() -> Pod:
    return dict(find(build(K8S / "base"), "Deployment")["spec"]["template"]["spec"])


def _without_volumes(pod: Pod, *names: str) -> Pod:
    """The pod without some of its volumes and where they are mounted."""
    left = deepcopy(pod)
    left["volumes"] = [one for one in left["volumes"] if one["name"] not in names]
    for container in left["containers"]:
        mounts = container["volumeMounts"]
        container["volumeMounts"] = [one for one in mounts if one["name"] not in names]
    return left


def test_each_pod_is_the_bases_but_for_what_is_its_own(base: Pod, pods: dict[str, Pod]) -> None:
    """User, probes, limits, restrictions: whoever changes the base changes all three."""
    foreign = {"intake": {"secrets", "rules"}, "worker": TOKENS}
    for part, pod in pods.items():
        own = _without_volumes(pod, "database")
        assert [one["name"] for one in own.pop("initContainers")] == ["migrate"]
        assert len(own.pop("topologySpreadConstraints")) == 2
        [container] = own["containers"]
        container["env"].remove(URL)
        wanted = _without_volumes(base, "home", *foreign[part])
        if part == "intake":
            del wanted["containers"][0]["envFrom"]
        if part == "worker":
            assert container.pop("args") == ["work"]
            assert container["livenessProbe"].pop("timeoutSeconds") == 30
            assert wanted["containers"][0]["livenessProbe"].pop("timeoutSeconds") == 10
            assert wanted["containers"][0].pop("args") == ["serve"]
        else:
            assert container.pop("lifecycle") == {"preStop": {"sleep": {"seconds": 5}}}
        assert own == wanted


def test_nothing_is_kept_on_a_volume(built: list[Manifest], pods: dict[str, Pod]) -> None:
    """A pod may go to any node."""
    assert "PersistentVolumeClaim" not in {one["kind"] for one in built}
    assert not [volume for pod in pods.values() for volume in pod["volumes"]
                if "persistentVolumeClaim" in volume]  # fmt: skip


def test_who_is_reached_holds_no_secret_of_a_rule(pods: dict[str, Pod]) -> None:
    """And who calls out holds no token of those who come in."""
    folders = {part: {one["name"] for one in pod["volumes"]} for part, pod in pods.items()}
    assert folders["intake"] >= TOKENS
    assert not folders["intake"] & {"secrets", "rules"}
    assert {"secrets", "rules"} <= folders["worker"]
    assert not folders["worker"] & TOKENS
    assert ["envFrom" in pods[part]["containers"][0] for part in NAMES] == [False, True]


def test_the_tables_are_there_before_the_first_process(pods: dict[str, Pod]) -> None:
    """By the same image and URL as what comes after, and with no right more."""
    for pod in pods.values():
        [first], [container] = pod["initContainers"], pod["containers"]
        assert first["args"][0] == "migrate"
        assert first["args"][0] in COMMANDS
        assert first["env"] == [URL]
        for key in ("image", "imagePullPolicy", "securityContext", "resources"):
            assert first[key] == container[key]
        mounted = {one["name"]: one for one in container["volumeMounts"]}
        assert first["volumeMounts"] == [mounted["database"]]
    assert "database" in Settings.model_fields
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert {pod["initContainers"][0]["image"] for pod in pods.values()} == {f"postsync:{version}"}


def test_a_new_version_comes_one_by_one(deployments: dict[str, Manifest]) -> None:
    """None ends before its successor is ready, and it has the time to end well."""
    for part, one in deployments.items():
        spec = one["spec"]
        assert spec["replicas"] == 2
        assert spec["strategy"] == {
            "type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1},
        }  # fmt: skip
        waits = 5 if part == "intake" else 0
        needed = Settings.model_fields["drain"].default + 5 + waits
        assert spec["template"]["spec"]["terminationGracePeriodSeconds"] > needed


def test_replicas_stand_on_different_nodes(deployments: dict[str, Manifest]) -> None:
    """Those of one kind and version; where one node is all there is, they start all the same."""
    for one in deployments.values():
        template = one["spec"]["template"]
        node, zone = template["spec"]["topologySpreadConstraints"]
        assert (node["topologyKey"], node["whenUnsatisfiable"]) == (
            "kubernetes.io/hostname", "DoNotSchedule",
        )  # fmt: skip
        assert zone["whenUnsatisfiable"] == "ScheduleAnyway"
        for constraint in (node, zone):
            assert constraint["maxSkew"] == 1
            assert set(constraint["matchLabelKeys"]) == {
                "app.kubernetes.io/component", "pod-template-hash",
            }  # fmt: skip
            matched = constraint["labelSelector"]["matchLabels"].items()
            assert matched <= template["metadata"]["labels"].items()


def test_each_selector_means_its_own_pods(
    built: list[Manifest], deployments: dict[str, Manifest]
) -> None:
    """Deployment, Service, budget and policy: neither kind is taken for the other."""
    for part, name in NAMES.items():
        labels = {"app.kubernetes.io/name": "postsync", "app.kubernetes.io/component": part}
        spec = deployments[part]["spec"]
        assert spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"] == labels
        assert find(built, "Service", name)["spec"]["selector"] == labels
        policy, budget = (
            find(built, "NetworkPolicy", name),
            find(built, "PodDisruptionBudget", name),
        )
        assert policy["spec"]["podSelector"]["matchLabels"] == labels
        assert budget["spec"]["selector"]["matchLabels"] == labels
        assert budget["spec"]["maxUnavailable"] == 1


def test_only_workers_call_out_and_only_intakes_are_called(built: list[Manifest]) -> None:
    """What the base may is shared out between the two; both reach the database."""
    whole = find(build(K8S / "base"), "NetworkPolicy")["spec"]
    intake = find(built, "NetworkPolicy", "postsync")["spec"]
    worker = find(built, "NetworkPolicy", "postsync-worker")["spec"]
    both = find(built, "NetworkPolicy", "postsync-database")["spec"]
    assert (intake["ingress"], intake["egress"]) == (whole["ingress"], whole["egress"][:1])
    assert worker["egress"] == whole["egress"]
    [door] = worker["ingress"]
    assert [door | {"from": whole["ingress"][0]["from"]}] == whole["ingress"]
    assert door["from"] == whole["ingress"][0]["from"][1:]
    assert both["podSelector"]["matchLabels"] == {"app.kubernetes.io/name": "postsync"}
    assert (both["policyTypes"], both["egress"]) == (["Egress"], [{"ports": [{"port": 5432}]}])


def test_the_overlay_has_no_file_that_it_does_not_use() -> None:
    """Each YAML file beside the kustomization is named in it."""
    folder = K8S / "overlays/postgres-ha"
    for kustomization in folder.rglob("kustomization.yaml"):
        text = kustomization.read_text()
        beside = {path.name for path in Path(kustomization.parent).glob("*.yaml")}
        assert {name for name in beside - {"kustomization.yaml"} if name not in text} == set()
        assert yaml.safe_load(text)["kind"] == "Kustomization"
