"""Runs of the handlers for objects against a real API server, and what they are about."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kube import PATIENCE, Json, Kube
from peers import call, door
from service import wait_for

from receiver.contract import Handler, Outcome, Pending, Succeeded
from receiver.outbound import Outbound

POD: Json = {"containers": [{"name": "main", "image": "busybox"}]}
LABELS = {"app": "web"}
WEB: Json = {
    "metadata": {"name": "web"},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": LABELS},
        "template": {"metadata": {"labels": LABELS}, "spec": POD},
    },
}
MICE: Json = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "mice.farm.example.com"},
    "spec": {
        "group": "farm.example.com",
        "scope": "Namespaced",
        "names": {"kind": "Mouse", "plural": "mice"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "x-kubernetes-preserve-unknown-fields": True,
                    }
                },
            }
        ],
    },
}
"""A kind whose plural nobody guesses."""


class Objects:
    """Runs in one namespace, with some service account's rights."""

    def __init__(self, kube: Kube, namespace: str, kubeconfig: str) -> None:
        self.kube, self.namespace, self.kubeconfig = kube, namespace, kubeconfig
        self.outbound = Outbound()
        self.said: list[str] = []

    def attempt(self, handler: Handler[Any], state: Any = None, **fields: Any) -> Outcome:
        """Make one attempt, with what stands under `with` as fields."""
        given = {"cluster": {"kubeconfig": self.kubeconfig}, **fields}
        params = handler.params.model_validate(given)
        return handler.run(params, call(door(self.outbound, PATIENCE), self.said, state=state))

    def state(self, handler: Handler[Any], state: Any = None, **fields: Any) -> Any:
        """Make one attempt that leaves the run pending; its state."""
        outcome = self.attempt(handler, state, **fields)
        assert isinstance(outcome, Pending), outcome
        return outcome.state

    def end(self, handler: Handler[Any], state: Any = None, **fields: Any) -> Any:
        """Make attempts until the run has succeeded; its output."""
        states, ended = [state], list[Succeeded]()

        def asked() -> bool:
            outcome = self.attempt(handler, states[-1], **fields)
            if isinstance(outcome, Succeeded):
                ended.append(outcome)
            else:
                states.append(outcome.state)
            return bool(ended)

        wait_for(asked, PATIENCE, f"the end of {handler.name}")
        return ended[0].output

    def path(self, plural: str, name: str = "") -> str:
        """The path of an object here; ``plural`` with its group and version before it."""
        version, _, plural = plural.rpartition("/")
        root = f"/apis/{version}" if "/" in version else f"/api/{version or 'v1'}"
        return f"{root}/namespaces/{self.namespace}/{plural}/{name}".rstrip("/")

    def put(self, plural: str, name: str, manifest: Json | None = None) -> Json:
        """Make an object."""
        body = {**(manifest or {})}
        body["metadata"] = {**body.get("metadata", {}), "name": name}
        made: Json = self.kube.ask("POST", self.path(plural), body)
        return made

    def find(self, plural: str, name: str) -> Json | None:
        return self.kube.find(self.path(plural, name))

    def there(self, plural: str, name: str) -> Json:
        found = self.find(plural, name)
        assert found is not None
        return found

    def say_ready(self) -> None:
        """Let all pods here run, as their node would say."""
        ready = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
        for pod in self.kube.items(self.path("pods")):
            if "deletionTimestamp" not in pod["metadata"]:
                path = self.path("pods", pod["metadata"]["name"])
                self.kube.merge(f"{path}/status", {"status": ready})

    def ref(self, kind: str, name: str, version: str = "v1") -> Json:
        """How rules name an object here."""
        return {
            "apiVersion": version, "kind": kind, "namespace": self.namespace, "name": name,
        }  # fmt: skip


@contextmanager
def objects(kube: Kube, namespace: str, kubeconfig: str = "") -> Iterator[Objects]:
    """Objects in a namespace, by default as the administrator."""
    made = Objects(kube, namespace, kubeconfig or kube.kubeconfig(namespace=namespace))
    yield made
    made.outbound.close()
