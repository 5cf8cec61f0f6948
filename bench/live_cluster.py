"""A real API server with Applications, and the stand-in of the tests for Argo CD's API over it."""

from __future__ import annotations

import json
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stage import ROOT

from receiver.core.model import rfc3339

sys.path += [str(ROOT / "tests"), str(ROOT / "tests/story")]
from applications import Applications
from argocd_server import TOKEN, ArgoCd, argocd_server
from control_plane import cluster
from kube import Kube

__all__ = ["Cluster", "Kube", "connection", "started"]

KINDS = {"ConfigMap": "configmaps", "Secret": "secrets", "ServiceAccount": "serviceaccounts"}
NAMESPACES = ("bench-a", "bench-b")
EACH = 50
"""Objects of a kind in a namespace: 300 together."""
CHANGED = 10
"""Of these."""


class Cluster:
    """An Application of 300 resources, and others.

    Attributes:
        kube: the API server.
        argocd: Argo CD's API.
    """

    def __init__(self, kube: Kube, argocd: ArgoCd) -> None:
        self.kube = kube
        self.argocd = argocd
        self._apps = Applications(kube, kube.namespace("argocd"))
        self._filled = 0
        self._live = [
            self._apply(kind, namespace, f"it-{number:02d}", "0")
            for namespace in [kube.namespace(name) for name in NAMESPACES]
            for kind in KINDS
            for number in range(EACH)
        ]

    def fill(self, number: int) -> None:
        """Have so many other Applications, of 20 resources each."""
        for one in range(self._filled, number):
            self._apps.put(f"app-{one}", resources=self._live[:20])
        self._filled = number

    def sync(self) -> str:
        """Apply some otherwise than before, by server-side apply; the notification of all."""
        time.sleep(2)  # what was applied before is of another second
        started = now()
        for one in self._live[:: len(self._live) // CHANGED]:
            metadata = one["metadata"]
            value = str(time.monotonic_ns())
            self._apply(one["kind"], metadata["namespace"], metadata["name"], value)
        times = {"started": rfc3339(started), "finished": rfc3339(now())}
        self._apps.put("bench", resources=self._live, reconciled=times["finished"], **times)
        self.argocd.compare("argocd", "bench")
        state = {
            "phase": "Succeeded", "startedAt": times["started"], "finishedAt": times["finished"],
            "message": "successfully synced (all tasks run)",
            "syncResult": {"revision": "9f1c2ab4", "resources": list(map(_entry, self._live))},
        }  # fmt: skip
        application = {"name": "bench", "namespace": "argocd", "project": "default"}
        return json.dumps({"application": application, "operationState": state})

    def _apply(self, kind: str, namespace: str, name: str, value: str) -> dict[str, Any]:
        manifest = {
            "apiVersion": "v1", "kind": kind,
            "metadata": {"name": name, "namespace": namespace, "annotations": {"v": value}},
        }  # fmt: skip
        path = f"/api/v1/namespaces/{namespace}/{KINDS[kind]}/{name}"
        query = "?fieldManager=argocd-controller&force=true"
        made: dict[str, Any] = self.kube.ask(
            "PATCH", path + query, manifest, "application/apply-patch+yaml"
        )
        return made


def _entry(live: dict[str, Any]) -> dict[str, str]:
    kind, name = live["kind"], live["metadata"]["name"]
    return {
        "group": "", "version": "v1", "kind": kind, "namespace": live["metadata"]["namespace"],
        "name": name, "status": "Synced", "hookPhase": "Running", "syncPhase": "Sync",
        "message": f"{kind.lower()}/{name} serverside-applied",
    }  # fmt: skip


def now() -> datetime:
    """In whole seconds, as Argo CD tells the times."""
    return datetime.now(UTC).replace(microsecond=0)


def connection(cluster: Cluster, way: str, through: str = "", **more: Any) -> dict[str, str]:
    """The settings of a connection of one kind; of none without a kind.

    Args:
        cluster: what it leads to.
        way: "an API server" or "Argo CD's API".
        through: where to ask instead.
        more: keys of the connection.
    """
    if not way:
        return {}
    if way == "Argo CD's API":
        own = {"server": through or cluster.argocd.url, "token": {"env": "POSTSYNC_SECRET_IT"}}
        secret = TOKEN
    else:
        secret = cluster.kube.kubeconfig()
        if through:
            secret = re.sub(r"server: \S+", f"server: {through}", secret)
        kubeconfig = {"kubeconfig": {"env": "POSTSYNC_SECRET_IT"}, "namespaces": ["argocd"]}
        own = {"kubernetes": kubeconfig}
    return {
        "POSTSYNC_ARGOCD": json.dumps({"bench": {**own, **more}}),
        "POSTSYNC_SECRET_IT": secret,
    }


@contextmanager
def started() -> Iterator[Cluster]:
    """Start both servers for as long as the block lasts."""
    with (
        tempfile.TemporaryDirectory() as folder,
        cluster(Path(folder)) as kube,
        argocd_server(kube) as argocd,
    ):
        yield Cluster(kube, argocd)
