"""Jobs that a running service follows by a watch."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import yaml
from cluster import Worker
from jobs import MANIFEST, ROLE
from kube import PATIENCE, Json, Kube
from kubelet import Kubelet
from notifications import notification, resource
from postgres import Databases
from service import Service, serving, wait_for
from shared_hosts import end

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("kubernetes")]

ONCE: Json = {**MANIFEST, "spec": {**MANIFEST["spec"], "backoffLimit": 0}}
RUNNING = {"running": {"startedAt": "2026-06-01T12:00:00Z"}}


@contextmanager
def jobs(
    kube: Kube, home: Path, namespace: str, *, every: str = "20m", watched: bool = True
) -> Iterator[Service]:
    """Serve a rule that runs a Job for each ConfigMap, and looks at it so seldom."""
    kubeconfig = account(kube, kube.namespace(namespace), watched=watched)
    with serving(home_of(home, kubeconfig), rules(namespace, every)) as service:
        yield service


def home_of(home: Path, kubeconfig: str) -> Path:
    (home / "secrets").mkdir(parents=True)
    (home / "secrets/kubeconfig").write_text(kubeconfig)
    return home


def rules(namespace: str, every: str) -> str:
    given = {
        "namespace": namespace, "cluster": {"kubeconfig": {"file": "kubeconfig"}},
        "manifest": ONCE, "every": every, "logLines": 0,
    }  # fmt: skip
    rule = {
        "name": "it", "match": {"resources": [{"kind": "ConfigMap"}]},
        "actions": [{"uses": "kubernetes.job", "with": given}],
    }  # fmt: skip
    return yaml.safe_dump({"version": 1, "rules": [rule]})


def account(kube: Kube, namespace: str, *, watched: bool) -> str:
    """Make the service account with the Role that k8s/ ships; without a right to watch, if so."""
    kubeconfig = kube.account(
        "postsync", ROLE / "role.yaml", ROLE / "role-binding.yaml", namespace=namespace
    )
    if not watched:
        put_role(kube, namespace, watched=False)
    return kubeconfig


def put_role(kube: Kube, namespace: str, *, watched: bool) -> None:
    role = yaml.safe_load((ROLE / "role.yaml").read_text())
    if not watched:
        role["rules"][0]["verbs"].remove("watch")
    path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/roles"
    kube.ask("PUT", f"{path}/{role['metadata']['name']}", role)


def synced(service: Service, *names: str) -> str:
    body = notification(*(resource(name) for name in names))
    status, answer = service.request("POST", "/v1/notifications", body)
    assert status == 202, answer
    return str(answer["sync"])


def pods(kube: Kube, node: Kubelet, namespace: str, count: int) -> Sequence[Json]:
    """Wait for so many Jobs; a pod of each, which runs."""
    path = f"/apis/batch/v1/namespaces/{namespace}/jobs"
    wait_for(lambda: len(kube.items(path)) == count, PATIENCE, "the Jobs")
    found = [node.pod(namespace, job["metadata"]["name"]) for job in kube.items(path)]
    for pod in found:
        node.run(pod, RUNNING)
    return found


def is_watched(kube: Kube, namespace: str) -> bool:
    return bool(kube.asked(namespace, "postsync")["jobs", "watch"])


def test_the_end_of_a_job_is_seen_long_before_it_would_be_asked(
    kube: Kube, node: Kubelet, tmp_path: Path
) -> None:
    """Three of them by one watch; who deletes one is seen as well."""
    with jobs(kube, tmp_path, "watched") as service:
        sync = synced(service, "a", "b", "c")
        first, second, third = pods(kube, node, "watched", 3)
        wait_for(lambda: is_watched(kube, "watched"), PATIENCE, "the watch")
        node.end(first)
        node.end(second, 7)
        owner = third["metadata"]["labels"]["batch.kubernetes.io/job-name"]
        kube.remove(f"/apis/batch/v1/namespaces/watched/jobs/{owner}")
        began = time.monotonic()
        (plan,) = service.ended(sync, PATIENCE)["plans"]
        assert time.monotonic() - began < 1200 - PATIENCE
        assert sorted(run["state"] for run in plan["runs"]) == ["failed", "failed", "succeeded"]
    assert kube.asked("watched", "postsync")["jobs", "watch"] < 3  # anew after two minutes


def test_a_job_that_goes_on_is_not_asked(kube: Kube, node: Kubelet, tmp_path: Path) -> None:
    """Once it is ready, looking at it costs no request."""
    with jobs(kube, tmp_path, "going-on", every="1s") as service:
        sync = synced(service, "a")
        (pod,) = pods(kube, node, "going-on", 1)
        name = pod["metadata"]["labels"]["batch.kubernetes.io/job-name"]
        job = f"/apis/batch/v1/namespaces/going-on/jobs/{name}"
        wait_for(lambda: kube.ask("GET", job)["status"].get("ready") == 1, PATIENCE, "the pod")
        looked = "SELECT SUM(pending) FROM attempts"
        (before,) = service.query(looked)[0]
        wait_for(lambda: service.query(looked)[0][0] > before + 2, PATIENCE, "some looks")
        asked = kube.asked("going-on", "postsync")
        (before,) = service.query(looked)[0]
        wait_for(lambda: service.query(looked)[0][0] > before + 4, PATIENCE, "more looks")
        further = kube.asked("going-on", "postsync") - asked
        assert further.total() < 3, further  # what comes once a minute
        node.end(pod)
        assert service.ended(sync, PATIENCE)["plans"][0]["state"] == "succeeded"


def test_a_killed_service_asks_again_and_watches_again(
    kube: Kube, node: Kubelet, tmp_path: Path
) -> None:
    """What was watched is in memory alone; a run is asked when its time has come."""
    with jobs(kube, tmp_path, "killed", every="1s") as service:
        sync = synced(service, "a", "b")
        first, second = pods(kube, node, "killed", 2)
        wait_for(lambda: is_watched(kube, "killed"), PATIENCE, "the watch")
        service.kill()
        node.end(first)
        service.start()
        done = "SELECT 1 FROM runs WHERE state = 'succeeded'"
        wait_for(lambda: len(service.query(done)) == 1, PATIENCE, "the end that nobody saw")
        node.end(second)
        assert service.ended(sync, PATIENCE)["plans"][0]["state"] == "succeeded"
        assert service.stop(signal.SIGTERM) == 0
    assert kube.asked("killed", "postsync")["jobs", "watch"] >= 2


def test_without_the_right_to_watch_jobs_are_asked_and_it_is_told_once(
    kube: Kube, node: Kubelet, tmp_path: Path
) -> None:
    """With what is missing; when it is granted, the watch begins."""
    with jobs(kube, tmp_path, "unwatched", every="1s", watched=False) as service:
        sync = synced(service, "a", "b")
        first, second = pods(kube, node, "unwatched", 2)
        tried = ("jobs", "watch")
        wait_for(lambda: kube.asked("unwatched", "postsync")[tried] > 1, PATIENCE, "two tries")
        node.end(first)
        done = "SELECT 1 FROM runs WHERE state = 'succeeded'"
        wait_for(lambda: len(service.query(done)) == 1, PATIENCE, "the end of the first")
        (failed,) = service.events("watch.failed")
        assert failed["watch"] == "Jobs in namespace unwatched of another cluster"
        assert "grant the verb watch on jobs.batch in namespace unwatched" in failed["reason"]
        put_role(kube, "unwatched", watched=True)
        wait_for(lambda: bool(service.events("watch.restored")), PATIENCE, "the watch")
        node.end(second)
        assert service.ended(sync, PATIENCE)["plans"][0]["state"] == "succeeded"
        assert len(service.events("watch.failed")) == 1


def test_two_dispatchers_watch_each_for_itself(
    kube: Kube, node: Kubelet, ledgers: Databases, tmp_path: Path
) -> None:
    """Whoever asks is woken; when one is killed, the other sees the ends."""
    kubeconfig = account(kube, kube.namespace("shared"), watched=True)
    with ledgers.database() as url, ExitStack() as stack:
        text = rules("shared", "1s")
        intake = Service(tmp_path / "intake", text, database=url)
        one, two = (
            Worker(home_of(tmp_path / name, kubeconfig), text, database=url, lease="4")
            for name in ("one", "two")
        )
        for part in (intake, one, two):
            stack.callback(end, part)
            part.start(ready=False)
        for part in (intake, one, two):
            wait_for(part._ready, 30, f"{part.home.name} to be ready")
        sync = synced(intake, *"abcdef")
        running = pods(kube, node, "shared", 6)
        wait_for(lambda: kube.asked("shared", "postsync")["jobs", "watch"] >= 2, PATIENCE, "both")
        for pod in running[:3]:
            node.end(pod)
        one.kill()
        for pod in running[3:]:
            node.end(pod)
        (plan,) = intake.ended(sync, PATIENCE)["plans"]
        assert [run["state"] for run in plan["runs"]] == ["succeeded"] * 6
        assert [run["attempts"] for run in plan["runs"]] == [1] * 6
    assert len(kube.items("/apis/batch/v1/namespaces/shared/jobs")) == 6
