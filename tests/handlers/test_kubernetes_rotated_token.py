"""A watch of Jobs as the pod's own account, whose token is replaced while it is open."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from jobs import MANIFEST, ROLE
from kube import PATIENCE, Kube
from pod_account import PodAccount
from service import wait_for
from sqlalchemy import text

from handlers.kubernetes import cluster
from handlers.kubernetes.job import watch
from handlers.kubernetes.job.watch import JobWatch
from handlers.kubernetes.run_labels import SERIES
from receiver.core.logs import configure_logs
from receiver.dispatcher.watches import Watches
from receiver.ledger.engine.sqlite import SqliteLedger
from receiver.outbound import Outbound

pytestmark = pytest.mark.xdist_group("kubernetes")

NAMESPACE = "rotated"


@pytest.fixture(scope="module")
def namespace(kube: Kube) -> str:
    """With the account, and one Job of ours, which never starts."""
    files = (ROLE / "role.yaml", ROLE / "role-binding.yaml")
    kube.account("postsync", *files, namespace=kube.namespace(NAMESPACE))
    template = {"spec": {**MANIFEST["spec"]["template"]["spec"], "restartPolicy": "Never"}}
    manifest = {
        "metadata": {"name": "ours", "labels": {SERIES: "s-1"}},
        "spec": {"suspend": True, "template": template},
    }
    kube.ask("POST", f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs", manifest)
    return NAMESPACE


@pytest.fixture
def pod(kube: Kube, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PodAccount:
    made = PodAccount(kube, namespace, "postsync", tmp_path)
    for name, value in made.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(cluster, "SERVICE_ACCOUNT", tmp_path)
    monkeypatch.setattr(watch, "OPEN_FOR", 1)
    monkeypatch.setattr(watch, "PAUSES", (0.01,))
    return made


@pytest.fixture
def watches(file_ledger: SqliteLedger, outbound: Outbound) -> Iterator[Watches]:
    made = Watches(outbound, file_ledger, lambda: None, configure_logs("json"))
    yield made
    made.stop()


def is_told(pod: PodAccount, watches: Watches) -> bool:
    uid = pod.kube.ask("GET", f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs/ours")["metadata"]["uid"]
    return watches.of_run("r-1").news(JobWatch(None, NAMESPACE), uid, PATIENCE) is not None


def told(ledger: SqliteLedger, name: str) -> list[str]:
    with ledger.read() as connection:
        found = connection.execute(
            text("SELECT data FROM audit_events WHERE name = :name"), {"name": name}
        )
        return [json.loads(row.data).get("reason", "") for row in found]


def test_a_token_that_was_replaced_is_used_at_the_next_opening(
    pod: PodAccount, watches: Watches, file_ledger: SqliteLedger
) -> None:
    """Nobody notices."""
    wait_for(lambda: is_told(pod, watches), PATIENCE, "the watch")
    before = pod.watched_by()
    pod.rotate()
    wait_for(lambda: pod.watched_by() > before, PATIENCE, "a watch by the new token")
    wait_for(lambda: is_told(pod, watches), PATIENCE, "the Job")
    assert told(file_ledger, "watch.failed") == []


def test_a_token_that_is_replaced_too_late_is_told(
    pod: PodAccount, watches: Watches, file_ledger: SqliteLedger
) -> None:
    """Once; with the next one it goes on by itself."""
    wait_for(lambda: is_told(pod, watches), PATIENCE, "the watch")
    pod.put("no-longer-valid")
    wait_for(lambda: told(file_ledger, "watch.failed") != [], PATIENCE, "the failure")
    assert not is_told(pod, watches)
    pod.rotate()
    wait_for(lambda: told(file_ledger, "watch.restored") != [], PATIENCE, "the next watch")
    wait_for(lambda: is_told(pod, watches), PATIENCE, "the Job")
    (why,) = told(file_ledger, "watch.failed")
    assert "was answered 401: Unauthorized" in why
    assert "the token or certificate is not, or no longer, valid" in why
