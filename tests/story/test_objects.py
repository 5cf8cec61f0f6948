"""The examples for objects in a cluster, from a notification to what has become of them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from jobs import MANIFEST
from kube import Json, Kube
from kubelet import MERGE
from notifications import notification, resource
from objects import Objects, objects
from service import ROOT, Service, serving, wait_for

from receiver.testkit import Reply, Seen, peer

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("kubernetes-services")]

EXAMPLES = ROOT / "config/examples/rules"
PAGE = (ROOT / "docs/kubernetes.md").read_text()
LABELS = {"app.kubernetes.io/part-of": "shop", "app.kubernetes.io/component": "migration"}


@contextmanager
def example(
    here: Objects, home: Path, name: str, change: Callable[[Json], None] = lambda _: None
) -> Iterator[Service]:
    """Serve an example whose cluster is the test's, and whose namespace is the test's."""
    text = (EXAMPLES / name).read_text().replace("namespace: shop", f"namespace: {here.namespace}")
    tree = yaml.safe_load(text)
    for action in tree["rules"][0]["actions"]:
        if action["uses"].startswith("kubernetes."):
            action["with"]["cluster"] = {"kubeconfig": {"file": "kubeconfig"}}
            if action["uses"] in {"kubernetes.delete", "kubernetes.wait"}:
                action["with"]["every"] = "1s"
        change(action)
    (home / "secrets").mkdir()
    (home / "secrets/kubeconfig").write_text(here.kubeconfig)
    with serving(home, yaml.safe_dump(tree)) as service:
        yield service


def synced(service: Service, *resources: Json, **fields: Any) -> str:
    status, answer = service.request(
        "POST", "/v1/notifications", notification(*resources, **fields)
    )
    assert status == 202, answer
    return str(answer["sync"])


def _role_of_the_page(folder: Path) -> list[Path]:
    """The Role that the page gives for the clean-up, and its binding, a file each."""
    (text,) = re.findall(r"<!-- file \S+clean-up.yaml -->\n```yaml\n(.*?)```", PAGE, re.DOTALL)
    files = [folder / f"{number}.yaml" for number, _ in enumerate(text.split("---\n"))]
    for file, manifest in zip(files, text.split("---\n"), strict=True):
        tree = yaml.safe_load(manifest)
        del tree["metadata"]["namespace"]
        file.write_text(yaml.safe_dump(tree))
    return files


def test_a_failed_sync_is_cleaned_up_with_the_rights_of_the_page(
    kube: Kube, tmp_path: Path
) -> None:
    """Its Jobs go with their pods, then the ConfigMap; what is not meant stays."""
    namespace = kube.namespace("clean-up")
    account = kube.account("postsync", *_role_of_the_page(tmp_path), namespace=namespace)
    with objects(kube, namespace, account) as here:
        template = {"spec": {**MANIFEST["spec"]["template"]["spec"], "restartPolicy": "Never"}}
        for name, labels in (("migrate-1", LABELS), ("migrate-2", LABELS), ("report", {})):
            job = {"metadata": {"labels": labels}, "spec": {"template": template}}
            here.put("batch/v1/jobs", name, job)
        here.put("configmaps", "shop-maintenance")
        wait_for(lambda: len(here.kube.items(here.path("pods"))) == 3, 30, "their pods")
        with example(here, tmp_path, "clean-up-after-a-failed-sync.yaml") as service:
            good = service.ended(synced(service))
            assert good["plans"] == []
            assert here.there("batch/v1/jobs", "migrate-1")
            story = service.ended(synced(service, phase="Failed"), 60)
        (plan,) = story["plans"]
        assert plan["state"] == "succeeded", [run["reason"] for run in plan["runs"]]
        outputs = {run["action"]: run["output"] for run in plan["runs"]}
        assert outputs["jobs"] == {"deleted": ["migrate-1", "migrate-2"]}
        assert outputs["page"] == {"deleted": ["shop-maintenance"]}
        left = {pod["metadata"]["labels"]["job-name"] for pod in here.kube.items(here.path("pods"))}
        assert left == {"report"}
        assert here.find("configmaps", "shop-maintenance") is None
        assert here.there("batch/v1/jobs", "report")
        assert kube.used(namespace, "postsync") == _granted(tmp_path)


def _granted(folder: Path) -> set[tuple[str, str]]:
    role = yaml.safe_load((folder / "0.yaml").read_text())
    return {(one, verb) for rule in role["rules"] for one in rule["resources"]
            for verb in rule["verbs"]}  # fmt: skip


def test_an_address_is_waited_for_read_told_and_kept(kube: Kube, tmp_path: Path) -> None:
    """Each step uses the output of the one before; the last one is an object in the cluster."""

    def answered(_seen: Seen) -> Reply:
        return Reply(201, b'{"id": 42}', {"Content-Type": "application/json"})

    namespace = kube.namespace("addresses")
    with objects(kube, namespace) as here, peer(answered) as registry:

        def to_registry(action: Json) -> None:
            if action["uses"] == "http.request":
                action["with"]["url"] = f"{registry.url}/services"

        spec = {"type": "LoadBalancer", "ports": [{"port": 443}], "selector": {"app": "shop"}}
        here.put("services", "shop", {"spec": spec})
        with example(here, tmp_path, "read-ask-and-apply.yaml", to_registry) as service:
            sync = synced(service, resource("shop", kind="Service", namespace=namespace))
            wait_for(lambda: bool(service.query(WAITING)), 30, "the run to wait")
            assert registry.seen == []
            address = {"status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.7"}]}}}
            kube.ask("PATCH", f"{here.path('services', 'shop')}/status", address, MERGE)
            (plan,) = service.ended(sync, 60)["plans"]
        assert plan["state"] == "succeeded", [run["reason"] for run in plan["runs"]]
        (told,) = registry.seen
        assert json.loads(told.body) == {"name": "shop", "address": "203.0.113.7", "ports": [443]}
        kept = here.there("configmaps", "shop-registration")
        assert kept["data"] == {"id": "42", "address": "203.0.113.7"}


WAITING = "SELECT id FROM runs WHERE state = 'pending'"
