"""PostSyncRules in a real API server, and a service that has them in force."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kube import PATIENCE, Json, Kube
from notifications import notification, resource
from service import Service, wait_for

from receiver.rules.tenants.definition import definition
from receiver.rules.tenants.names import API_VERSION, GROUP, KIND, PLURAL

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
CRD = f"{CRDS}/{PLURAL}.{GROUP}"
NO_RULES = "version: 1\nrules: []\n"
BOUNDS: Json = {"handlers": ["log.message"]}


class PostSyncRules:
    """The rules of one namespace."""

    def __init__(self, kube: Kube, namespace: str) -> None:
        self.kube = kube
        self.namespace = namespace
        if kube.find(CRD) is None:
            kube.ask("POST", CRDS, definition())
        wait_for(lambda: kube.find(self.path()) is not None, PATIENCE, "the kind PostSyncRule")

    def path(self, name: str = "", sub: str = "") -> str:
        place = f"/apis/{API_VERSION}/namespaces/{self.namespace}/{PLURAL}"
        return "/".join(filter(None, (place, name, sub)))

    def put(self, name: str, text: str = "hello", **spec: Any) -> Json:
        """Make a rule that says a text for each ConfigMap, or change it."""
        said = {"match": {"resources": [{"kind": "ConfigMap"}]}, "actions": [say(text)]} | spec
        found: Json = self.kube.ask(
            "PATCH", f"{self.path(name)}?fieldManager=test&force=true",
            {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": name}, "spec": said},
            "application/apply-patch+yaml",
        )  # fmt: skip
        return found

    def put_text(self, name: str, spec: str) -> None:
        """Make a rule of what Python does not write as JSON."""
        metadata = json.dumps({"name": name})
        head = f'{{"apiVersion": "{API_VERSION}", "kind": "{KIND}", "metadata": {metadata}'
        self.kube.send("POST", self.path(), f'{head}, "spec": {spec}}}')

    def remove(self, name: str) -> None:
        self.kube.remove(self.path(name))

    def status(self, name: str) -> Json:
        found = self.kube.find(self.path(name))
        return dict(found.get("status") or {}) if found else {}


def say(text: str) -> Json:
    return {"uses": "log.message", "target": "application", "with": {"text": text}}


def tenants_of(home: Path, kubeconfig: str, *namespaces: str, **bounds: Any) -> Json:
    """The setting, with its kubeconfig where a service finds it."""
    (home / "secrets").mkdir(exist_ok=True)
    (home / "secrets/tenants").write_text(kubeconfig)
    return {
        "kubernetes": {"kubeconfig": {"file": "tenants"}},
        "bounds": [BOUNDS | {"namespaces": list(namespaces)} | bounds],
    }


@contextmanager
def serving(home: Path, tenants: Json, rules: str = NO_RULES) -> Iterator[Service]:
    """A service with these tenants; it ends with the block."""
    service = Service(home, rules, tenants=json.dumps(tenants))
    try:
        service.start()
        yield service
    finally:
        service.kill()


def known(service: Service) -> dict[str, tuple[bool, bool, str]]:
    """Of each rule that is known: whether it is ready, one is in force, and the reason."""
    query = "SELECT namespace, name, ready, digest IS NOT NULL, reason FROM custom_rules"
    return {
        f"{namespace}/{name}": (bool(ready), bool(there), reason)
        for namespace, name, ready, there, reason in service.query(query)
    }


def is_ready(service: Service, rule: str) -> bool:
    return known(service).get(rule, (False, False, ""))[0]


def tell(service: Service, namespace: str, *resources: Json, **fields: Any) -> str:
    """Notify of a sync of the namespace's Application; its id."""
    body = json.loads(notification(*(resources or (resource("a"),)), **fields))
    body["application"]["destination"] = {
        "server": "https://kubernetes.default.svc", "namespace": namespace,
    }  # fmt: skip
    status, answer = service.request("POST", "/v1/notifications", json.dumps(body).encode())
    assert status == 202, answer
    return str(answer["sync"])


def said(service: Service, sync: str) -> list[str]:
    """What the rules have said of a sync, once all that it has planned has ended."""
    service.ended(sync)
    return sorted(line["text"] for line in service.events("action.message") if line["sync"] == sync)
