"""Runs of `kubernetes.job` against a real API server, and what Jobs are made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import yaml
from kube import PATIENCE, Json, Kube
from kubelet import Kubelet
from peers import call, door
from service import ROOT, wait_for

from handlers.kubernetes.job import handler
from receiver.contract import Outcome, Pending, Succeeded
from receiver.dispatcher.watches import Watches
from receiver.outbound import Outbound

POD: Json = {"containers": [{"name": "main", "image": "busybox"}]}
MANIFEST: Json = {"metadata": {"name": "smoke-test"}, "spec": {"template": {"spec": POD}}}
FACTS: Json = {
    "rule": "smoke",
    "action": "test",
    "target": "apps/Deployment/shop/web",
    "application": {"name": "shop", "namespace": "argocd", "project": "web"},
    "sync": {"id": "s-1", "phase": "Succeeded", "revision": "4c5e"},
    "actions": {},
    "resource": {
        "group": "apps", "version": "v1", "kind": "Deployment", "namespace": "shop", "name": "web",
        "images": ["shop:1", "sidecar:2"],
    },
}  # fmt: skip

CRON: Json = {
    "metadata": {"name": "restore"},
    "spec": {
        "schedule": "0 0 1 1 *",
        "suspend": True,
        "jobTemplate": {
            "metadata": {"labels": {"team": "data"}},
            "spec": {"template": {"spec": {**POD, "restartPolicy": "OnFailure"}}},
        },
    },
}
SOURCES: Json = {
    "cronJob": ("apis/batch/v1/cronjobs", CRON, "restore"),
    "podTemplate": (
        "api/v1/podtemplates", {"metadata": {"name": "restore"}, "template": {"spec": POD}},
        "restore",
    ),
    "configMap": (
        "api/v1/configmaps",
        {"metadata": {"name": "jobs"}, "data": {"restore.yaml": yaml.safe_dump(MANIFEST)}},
        {"name": "jobs", "key": "restore.yaml"},
    ),
}  # fmt: skip


class Runs:
    """Runs of `kubernetes.job` in one namespace, as one service account."""

    def __init__(self, kube: Kube, node: Kubelet, namespace: str, kubeconfig: str) -> None:
        self.kube, self.node = kube, node
        self.namespace, self.kubeconfig = namespace, kubeconfig
        self.outbound = Outbound()
        self.said: list[str] = []
        self.now = datetime(2026, 6, 1, 12, tzinfo=UTC)
        self.watches: Watches | None = None

    def attempt(self, key: str, state: Any = None, **fields: Any) -> Outcome:
        """Make one attempt of the run with this idempotency key."""
        given: dict[str, Any] = {
            "namespace": self.namespace, "cluster": {"kubeconfig": self.kubeconfig}, **fields,
        }  # fmt: skip
        if "from" not in given:
            given.setdefault("manifest", MANIFEST)
        params = handler.params.model_validate(handler.complete(given, FACTS))
        http = door(self.outbound, PATIENCE)
        run, _, _ = key.partition(".")
        fresh = {"run": run, "idempotency_key": key, "state": state, "now": self.now}
        if self.watches is not None:
            fresh["watches"] = self.watches.of_run(run)
        return handler.run(params, call(http, self.said, **fresh))

    def start(self, key: str, **fields: Any) -> Any:
        """Make the first attempt; the state that it leaves."""
        outcome = self.attempt(key, **fields)
        assert isinstance(outcome, Pending), outcome
        return outcome.state

    def follow(self, key: str, state: Any, **fields: Any) -> Succeeded:
        """Ask again until it has ended."""
        ended: list[Succeeded] = []
        states = [state]

        def asked() -> bool:
            outcome = self.attempt(key, states[-1], **fields)
            if isinstance(outcome, Succeeded):
                ended.append(outcome)
            else:
                states.append(outcome.state)
            return bool(ended)

        wait_for(asked, PATIENCE, f"the end of {key}")
        return ended[0]

    def job(self, name: str) -> Json | None:
        return self.kube.find(f"/apis/batch/v1/namespaces/{self.namespace}/jobs/{name}")

    def there(self, name: str) -> Json:
        job = self.job(name)
        assert job is not None
        return job

    def put(self, path: str, manifest: Mapping[str, Any]) -> None:
        group, _, plural = path.rpartition("/")
        self.kube.ask("POST", f"/{group}/namespaces/{self.namespace}/{plural}", manifest)


ROLE = ROOT / "k8s/overlays/cluster-jobs/role"


@contextmanager
def running(
    kube: Kube, node: Kubelet, namespace: str, *, without: Sequence[str] = ()
) -> Iterator[Runs]:
    """In a new namespace, as the service account with the Role that k8s/ ships.

    ``without`` are resources to which it gets no right.
    """
    files = (ROLE / "role.yaml", ROLE / "role-binding.yaml")
    kubeconfig = kube.account("postsync", *files, namespace=kube.namespace(namespace))
    if without:
        path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/roles"
        role = yaml.safe_load(files[0].read_text())
        role["rules"] = [one for one in role["rules"] if not set(one["resources"]) & {*without}]
        kube.ask("PUT", f"{path}/{role['metadata']['name']}", role)
    made = Runs(kube, node, namespace, kubeconfig)
    yield made
    made.outbound.close()
