"""What it costs to follow Jobs, and how soon the end of one is seen: by a watch, and without.

So many Jobs in one namespace of a real API server run for a minute each; their ends come one after
the other. Requests are those of its audit log.
"""

from __future__ import annotations

import json
import os
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import requests
import yaml
from rich.console import Console
from rich.table import Table
from stage import ROOT, machine

sys.path += [str(ROOT / "tests"), str(ROOT / "tests/story")]
from control_plane import cluster
from kube import PATIENCE, Json, Kube
from kubelet import Kubelet, kubelet
from notifications import notification, resource
from service import serving, wait_for

JOBS = int(os.environ.get("BENCH_JOBS", "50"))
SECONDS = float(os.environ.get("BENCH_SECONDS", "60"))
APART = 0.21
"""Seconds between two ends, so that they meet the time between two looks at all of its points."""
ROLE = ROOT / "k8s/overlays/cluster-jobs/role"
RUNNING = {"running": {"startedAt": "2026-06-01T12:00:00Z"}}
POD = {"containers": [{"name": "main", "image": "busybox"}]}


class Ends(threading.Thread):
    """Notes when the API server tells that a Job has ended, by its name."""

    def __init__(self, kube: Kube, path: str) -> None:
        super().__init__(daemon=True)
        self._kube, self._path = kube, path
        self._since = kube.ask("GET", path)["metadata"]["resourceVersion"]
        self.seen: dict[str, float] = {}

    def run(self) -> None:
        with (
            suppress(requests.RequestException),
            self._kube.watch(self._path, self._since, seconds=3600) as lines,
        ):
            for line in lines:
                job = json.loads(line)["object"]
                met = {one["type"] for one in (job.get("status") or {}).get("conditions") or []}
                if "Complete" in met:
                    self.seen.setdefault(job["metadata"]["name"], time.time())


def rules(namespace: str) -> str:
    action = {"uses": "kubernetes.job", "with": {
        "namespace": namespace, "cluster": {"kubeconfig": {"file": "kubeconfig"}},
        "manifest": {"metadata": {"name": "j"}, "spec": {"template": {"spec": POD}}},
    }}  # fmt: skip
    rule = {"name": "it", "match": {"resources": [{"kind": "ConfigMap"}]}, "actions": [action]}
    return yaml.safe_dump({"version": 1, "rules": [rule]})


def account(kube: Kube, namespace: str, *, watched: bool) -> str:
    files = (ROLE / "role.yaml", ROLE / "role-binding.yaml")
    kubeconfig = kube.account("postsync", *files, namespace=kube.namespace(namespace))
    role = yaml.safe_load(files[0].read_text())
    if not watched:
        role["rules"][0]["verbs"] = [one for one in role["rules"][0]["verbs"] if one != "watch"]
        path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/roles"
        kube.ask("PUT", f"{path}/{role['metadata']['name']}", role)
    return kubeconfig


def begin(kube: Kube, node: Kubelet, namespace: str) -> list[tuple[float, Json]]:
    """Let a pod of each Job run; when that was, in seconds, and the pod."""
    path = f"/apis/batch/v1/namespaces/{namespace}/jobs"
    wait_for(lambda: len(kube.items(path)) == JOBS, PATIENCE, "the Jobs")
    pods = []
    for job in kube.items(path):
        pod = node.pod(namespace, job["metadata"]["name"])
        node.run(pod, RUNNING)
        pods.append((time.monotonic(), pod))
        time.sleep(APART)
    return pods


def measure(kube: Kube, node: Kubelet, namespace: str, *, watched: bool) -> tuple[Any, list[float]]:
    """The requests of the service, and the seconds from the end of each Job to that of its run."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "secrets").mkdir()
        (home / "secrets/kubeconfig").write_text(account(kube, namespace, watched=watched))
        ends = Ends(kube, f"/apis/batch/v1/namespaces/{namespace}/jobs")
        ends.start()
        with serving(home, rules(namespace)) as service:
            body = notification(*(resource(f"c-{number}") for number in range(JOBS)))
            status, told = service.request("POST", "/v1/notifications", body)
            assert status == 202, told
            for began, pod in begin(kube, node, namespace):
                time.sleep(max(0.0, began + SECONDS - time.monotonic()))
                node.end(pod)
            service.ended(told["sync"], PATIENCE)
            with closing(sqlite3.connect(home / "ledger.db")) as ledger:
                rows = ledger.execute("SELECT handler_state, ended_at FROM runs").fetchall()
    late = [at / 1000 - ends.seen[json.loads(state)["name"]] for state, at in rows]
    return kube.asked(namespace, "postsync"), late


def main() -> None:
    """Measure both, and print a table."""
    table = Table("", *("requests", "each", "median", "longest"))
    told: list[str] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        cluster(Path(folder)) as kube,
        kubelet(kube, kube.authority.parent) as node,
    ):
        for name, watched in (("asked", False), ("watched", True)):
            asked, late = measure(kube, node, name, watched=watched)
            total = sum(asked.values())
            table.add_row(
                name, str(total), f"{total / JOBS:.1f}", f"{statistics.median(late):.2f} s",
                f"{max(late):.2f} s",
            )  # fmt: skip
            told.append(f"{name}: {words(asked)}")
    console = Console()
    console.print(f"{datetime.now(UTC):%Y-%m-%d}, {machine()}")
    console.print(f"{JOBS} Jobs of {SECONDS:g} s: requests, and from a Job's end to its run's")
    console.print(table)
    for line in told:
        console.print(line)


def words(asked: Counter[tuple[str, str]]) -> str:
    return ", ".join(f"{verb} {what} {count}" for (what, verb), count in sorted(asked.items()))


if __name__ == "__main__":
    main()
