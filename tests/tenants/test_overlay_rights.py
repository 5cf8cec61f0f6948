"""The rights that k8s/overlays/tenants gives, on a real API server: these, and no more."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests
from kube import PATIENCE, Kube
from overlay import granted, member
from postsyncrules import PostSyncRules

from receiver.rules.tenants.names import API_VERSION, GROUP, KIND, PLURAL

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("kubernetes-services")]

APPLY = "application/apply-patch+yaml"
SHOP, POSTSYNC, OTHER = "rights-of-shop", "rights-of-postsync", "rights-of-others"
RULE = {
    "apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": "rule"},
    "spec": {"match": {}, "actions": [
        {"uses": "log.message", "target": "application", "with": {"text": "x"}}
    ]},
}  # fmt: skip
JOB = {
    "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "job"},
    "spec": {"template": {"spec": {
        "restartPolicy": "Never", "containers": [{"name": "it", "image": "it"}]
    }}},
}  # fmt: skip


@dataclass(frozen=True)
class Account:
    """A service account at the API server."""

    kube: Kube
    token: str

    def try_to(self, method: str, path: str, body: Any = None, kind: str = "") -> int:
        """Send a request that changes nothing; the status of the answer."""
        dry = "" if method == "GET" else "?dryRun=All&fieldManager=it"
        answer = requests.request(
            method, f"{self.kube.url}{path}{dry}", json=body, verify=str(self.kube.authority),
            headers={
                "Authorization": f"Bearer {self.token}", "Content-Type": kind or "application/json",
            }, timeout=PATIENCE,
        )  # fmt: skip
        return answer.status_code

    def may(self, namespace: str) -> set[str]:
        """Everything that it may in a namespace, beside what every account may."""
        answer = requests.post(
            f"{self.kube.url}/apis/authorization.k8s.io/v1/selfsubjectrulesreviews",
            json={"spec": {"namespace": namespace}}, verify=str(self.kube.authority),
            headers={"Authorization": f"Bearer {self.token}"}, timeout=PATIENCE,
        ).json()  # fmt: skip
        assert not answer["status"]["incomplete"]
        return {
            " ".join([verb, resource, *rule.get("resourceNames", [])])
            for rule in answer["status"]["resourceRules"]
            for resource in rule["resources"]
            for verb in rule["verbs"]
            if not {"authorization.k8s.io", "authentication.k8s.io"} & {*rule["apiGroups"]}
        }


@pytest.fixture(scope="module")
def postsync(kube: Kube) -> Iterator[Account]:
    """Postsync's account, with the kind and the overlay's rights in namespaces of this module."""
    for name in (SHOP, POSTSYNC, OTHER):
        kube.namespace(name)
    PostSyncRules(kube, SHOP)
    for namespace, secret in ((SHOP, "cdn"), (SHOP, "database"), (OTHER, "cdn")):
        kube.ask("POST", secrets(namespace), {"metadata": {"name": secret}})
    with granted(kube, {"shop": SHOP, "postsync": POSTSYNC}) as token:
        yield Account(kube, token)


def rules(namespace: str, name: str = "", sub: str = "") -> str:
    parts = (f"/apis/{API_VERSION}/namespaces/{namespace}/{PLURAL}", name, sub)
    return "/".join(filter(None, parts))


def secrets(namespace: str, name: str = "") -> str:
    return "/".join(filter(None, (f"/api/v1/namespaces/{namespace}/secrets", name)))


WATCHES = {f"{verb} {PLURAL}" for verb in ("get", "list", "watch")} | {f"patch {PLURAL}/status"}
RUNS_JOBS = {
    "create jobs", "delete jobs", "get jobs", "list jobs", "watch jobs", "get cronjobs",
    "get configmaps", "get podtemplates", "list pods", "get pods/log", "list events",
}  # fmt: skip
FOLLOWS = {"list cronjobs", "watch cronjobs", "create events"}


def test_postsync_has_these_rights_and_no_others(postsync: Account) -> None:
    """All of them in the namespace that grants them; elsewhere it only watches rules."""
    assert postsync.may(SHOP) == WATCHES | RUNS_JOBS | FOLLOWS | {"get secrets cdn"}
    assert postsync.may(OTHER) == postsync.may(POSTSYNC) == WATCHES


def test_postsync_reads_the_named_secret_alone(postsync: Account) -> None:
    """No other of the namespace, none elsewhere, and no list has any."""
    assert postsync.try_to("GET", secrets(SHOP, "cdn")) == 200
    for path in (
        secrets(SHOP, "database"), secrets(OTHER, "cdn"), secrets(SHOP), "/api/v1/secrets",
        f"{secrets(SHOP)}?fieldSelector=metadata.name=database", f"{secrets(SHOP)}?watch=true",
    ):  # fmt: skip
        assert postsync.try_to("GET", path) == 403, path


def test_postsync_runs_jobs_where_that_is_granted(postsync: Account) -> None:
    path = "/apis/batch/v1/namespaces/{}/jobs"
    assert postsync.try_to("POST", path.format(SHOP), JOB) == 201
    for namespace in (OTHER, POSTSYNC):
        assert postsync.try_to("POST", path.format(namespace), JOB) == 403


def test_postsync_writes_the_status_and_never_a_rule(kube: Kube, postsync: Account) -> None:
    """Of every namespace, so that it can say of any rule why it is not in force."""
    for namespace in (SHOP, OTHER):
        kube.ask("PATCH", f"{rules(namespace, 'rule')}?fieldManager=it", RULE, APPLY)
        status = {"apiVersion": API_VERSION, "kind": KIND, "status": {"counts": {"failed": 1}}}
        kind = "application/merge-patch+json"
        assert postsync.try_to("GET", rules(namespace)) == 200
        assert postsync.try_to("GET", rules(namespace, "rule")) == 200
        assert postsync.try_to("PATCH", rules(namespace, "rule", "status"), status, kind) == 200
        assert postsync.try_to("PATCH", rules(namespace, "rule"), RULE, kind) == 403
        assert postsync.try_to("PUT", rules(namespace, "rule"), RULE) == 403
        assert postsync.try_to("POST", rules(namespace), RULE) == 403
        assert postsync.try_to("DELETE", rules(namespace, "rule")) == 403
    assert postsync.try_to("GET", f"/apis/{GROUP}/v1alpha1/{PLURAL}") == 200


@pytest.mark.usefixtures("postsync")
def test_who_edits_a_namespace_writes_its_rules(kube: Kube) -> None:
    """There and nowhere else; what Postsync says of them is not theirs to write."""
    team = Account(kube, member(kube, SHOP, "edit"))
    assert team.try_to("POST", rules(SHOP), RULE | {"metadata": {"name": "new"}}) == 201
    assert team.try_to("GET", rules(SHOP)) == 200
    path = rules(SHOP, "rule", "status")
    assert team.try_to("PATCH", path, {"status": {}}, "application/merge-patch+json") == 403
    assert team.try_to("POST", rules(OTHER), RULE) == 403
    assert team.try_to("GET", rules(OTHER)) == 403


@pytest.mark.usefixtures("postsync")
def test_who_views_a_namespace_reads_its_rules(kube: Kube) -> None:
    viewer = Account(kube, member(kube, SHOP, "view"))
    assert viewer.try_to("GET", rules(SHOP)) == 200
    assert viewer.try_to("POST", rules(SHOP), RULE) == 403
    assert viewer.try_to("GET", secrets(SHOP, "cdn")) == 403
    assert viewer.try_to("GET", rules(OTHER)) == 403
