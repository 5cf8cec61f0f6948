"""Applications of Argo CD in a real API server, as its controller leaves them after a sync."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml
from kube import PATIENCE, Json, Kube
from service import ROOT, wait_for

CRD = ROOT / "tests/data/crds/applications.argoproj.io.yaml"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
GROUP = "/apis/argoproj.io/v1alpha1"
HERE = "https://kubernetes.default.svc"


class Applications:
    """Applications in one namespace of an API server."""

    def __init__(self, kube: Kube, namespace: str) -> None:
        self.kube = kube
        self.namespace = namespace
        if kube.find(f"{CRDS}/applications.argoproj.io") is None:
            crd = yaml.safe_load(
                (ROOT / "tests/data/crds/applications.argoproj.io.yaml").read_text()
            )
            kube.ask("POST", CRDS, crd)
        wait_for(lambda: kube.find(GROUP) is not None, PATIENCE, "the kind Application")

    def path(self, name: str = "") -> str:
        return f"{GROUP}/namespaces/{self.namespace}/applications/{name}".rstrip("/")

    def put(
        self,
        name: str,
        *,
        resources: Sequence[Json] = (),
        phase: str = "Succeeded",
        started: str = "2026-06-01T12:00:00Z",
        finished: str = "2026-06-01T12:00:03Z",
        reconciled: str = "2026-06-01T12:00:04Z",
        destination: str = HERE,
        project: str = "default",
        **metadata: Any,
    ) -> Json:
        """Make an Application, or change it; its resources are those of these live objects."""
        operation = {"phase": phase, "startedAt": started, "operation": {"sync": {}}}
        if finished:
            operation["finishedAt"] = finished
        app: Json = {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Application",
            "metadata": {"name": name, **metadata},
            "spec": {"project": project, "destination": {"server": destination}},
            "status": {
                "operationState": operation,
                "reconciledAt": reconciled,
                "resources": list(map(_entry, resources)),
            },
        }
        if (there := self.kube.find(self.path(name))) is None:
            made: Json = self.kube.ask("POST", self.path(), app)
            return made
        app["metadata"]["resourceVersion"] = there["metadata"]["resourceVersion"]
        changed: Json = self.kube.ask("PUT", self.path(name), app)
        return changed

    def change(self, name: str, status: Json) -> Json:
        """Change some of an Application's status."""
        changed: Json = self.kube.ask(
            "PATCH", self.path(name), {"status": status}, "application/merge-patch+json"
        )
        return changed

    def remove(self, name: str) -> None:
        self.kube.remove(self.path(name))


def _entry(live: Json) -> Json:
    group, _, version = live["apiVersion"].rpartition("/")
    metadata = live["metadata"]
    entry = {
        "group": group, "version": version, "kind": live["kind"], "status": "Synced",
        "namespace": metadata.get("namespace", ""), "name": metadata["name"],
        "health": {"status": "Healthy"},
    }  # fmt: skip
    return {key: value for key, value in entry.items() if value}
