"""Attempts for tenants on a real API server: their Secrets, their namespace, their account."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from jobs import ROLE
from kube import Kube
from peers import Reply, peer
from planning import claimed_run, handlers

from receiver.argocd.server import Server
from receiver.core.logs import configure_logs
from receiver.core.model import Outcome, OutcomeKind
from receiver.dispatcher.attempt import Runner
from receiver.dispatcher.tenants.attempts import TenantAttempts
from receiver.kubernetes.access import by_kubeconfig
from receiver.outbound import Outbound
from receiver.rules.expressions.cel import Expressions
from receiver.rules.tenants.bounds import TenantBounds, Tenants
from receiver.settings.secrets import Secrets

pytestmark = pytest.mark.xdist_group("kubernetes")

TOKEN = "hunter22-of-team-a"
GRANTED = tuple(handler.name for handler in handlers())
POD = {"containers": [{"name": "main", "image": "busybox"}]}
MANIFEST = {"metadata": {"name": "x"}, "spec": {"template": {"spec": POD}}}
RIGHTS = "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/{}"

Attempt = Callable[..., Outcome]


@pytest.fixture(scope="module")
def kubeconfig(kube: Kube) -> str:
    """Postsync's own: Jobs in two namespaces, and one Secret of the first."""
    for namespace in ("team-a", "team-b"):
        kube.namespace(namespace)
        for name in ("cdn", "other"):
            data = {"token": base64.b64encode(f"{TOKEN}\n".encode()).decode(), "raw": "//79"}
            secret = {"metadata": {"name": name}, "data": data}
            kube.ask("POST", f"/api/v1/namespaces/{namespace}/secrets", secret)
    accounts = "/api/v1/namespaces/team-a/serviceaccounts"
    kube.ask("POST", accounts, {"metadata": {"name": "post-sync"}})
    kube.account("postsync", ROLE / "role.yaml", ROLE / "role-binding.yaml", namespace="team-b")
    subject = {"kind": "ServiceAccount", "name": "postsync", "namespace": "team-b"}
    for role, kind in (("reads", "Role"), ("edit", "ClusterRole")):
        binding = {
            "metadata": {"name": role},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role},
            "subjects": [subject],
        }
        kube.ask("POST", RIGHTS.format("team-b", "rolebindings"), binding)
        if role == "reads":
            kube.ask("POST", RIGHTS.format("team-a", "rolebindings"), binding)
    rules: list[dict[str, Any]] = [
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"],
         "resourceNames": ["cdn", "gone"]},
        {"apiGroups": ["batch"], "resources": ["jobs", "cronjobs"], "verbs": ["*"]},
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"]},
    ]  # fmt: skip
    reads = {"metadata": {"name": "reads"}, "rules": rules}
    kube.ask("POST", RIGHTS.format("team-a", "roles"), reads)
    return kube.kubeconfig(kube.token("team-b", "postsync"), "team-b")


@pytest.fixture
def attempt(kubeconfig: str, tmp_path: Path) -> Iterator[Attempt]:
    """Give a function that makes one attempt of a run of team-a."""
    with closing(Outbound()) as outbound:

        def made(
            handler: str, parameters: Any, secrets: Any = (), *, state: Any = None, **bounds: Any
        ) -> Outcome:
            given = {"namespaces": ["team-a"], "handlers": GRANTED, "serviceAccount": "post-sync"}
            tenants = Tenants((TenantBounds.model_validate(given | bounds),))
            server = Server("the API server", lambda: by_kubeconfig(kubeconfig, None), outbound)
            runner = Runner(
                handlers(), Expressions(), Secrets(tmp_path), outbound, configure_logs("json"),
                TenantAttempts(tenants, server, lambda: kubeconfig),
            )  # fmt: skip
            run = replace(
                claimed_run("r-1"), rule="team-a/one", handler=handler, parameters=parameters,
                secrets=dict(secrets), state=state,
            )  # fmt: skip
            return runner.run(run)

        yield made


def _secret(name: str = "cdn", key: str = "token") -> dict[str, dict[str, str]]:
    stored = {"kind": "secret", "name": name, "key": key, "format": "Bearer {}"}
    return {"/headers/Authorization": stored}


def _request(url: str) -> dict[str, Any]:
    return {"method": "GET", "url": url, "headers": {"Authorization": None}}


def test_a_secret_of_the_namespace_is_read_at_each_attempt(kube: Kube, attempt: Attempt) -> None:
    """So a rotated one counts at once; it is sent, and told nowhere."""
    path = "/api/v1/namespaces/team-a/secrets/cdn"
    with peer(lambda seen: Reply(400, seen.headers["authorization"].encode())) as there:
        first = attempt("http.request", _request(there.url), _secret())
        kube.merge(path, {"stringData": {"token": "rotated-of-team-a"}})
        attempt("http.request", _request(there.url), _secret())
        kube.merge(path, {"stringData": {"token": TOKEN}})
    sent = [seen.headers["authorization"] for seen in there.seen]
    assert sent == [f"Bearer {TOKEN}", "Bearer rotated-of-team-a"]
    assert first.kind is OutcomeKind.PERMANENT
    assert "hunter22" not in json.dumps(first.reason)


@pytest.mark.parametrize(
    ("secret", "told"),
    [
        (_secret("gone"), "Secret team-a/gone does not exist (create it in the rule's namespace)"),
        (_secret(key="tokne"), "Secret team-a/cdn has no key tokne (did you mean token?)"),
        (_secret(key="raw"), "raw of Secret team-a/cdn is no UTF-8 text"),
        (
            _secret("other"),
            "Postsync may not read Secret team-a/other (a Role in namespace team-a grants it, ",
        ),
    ],
)
def test_a_secret_that_cannot_be_read_is_waited_for(
    secret: dict[str, Any], told: str, attempt: Attempt
) -> None:
    """Whoever has the namespace can put it right; the message says how."""
    with peer() as there:
        outcome = attempt("http.request", _request(there.url), secret)
    assert outcome.kind is OutcomeKind.TEMPORARY
    assert outcome.reason.startswith(told)
    assert there.seen == []


@pytest.mark.parametrize("name", ["../../team-b/secrets/cdn", "..", "a/b"])
def test_no_name_of_a_secret_leads_elsewhere(name: str, attempt: Attempt) -> None:
    """Not even one that was stored without being checked."""
    with peer() as there:
        outcome = attempt("http.request", _request(there.url), _secret(name))
    assert outcome.kind is OutcomeKind.PERMANENT
    assert "is no name in Kubernetes" in outcome.reason
    assert there.seen == []


def test_the_operators_secrets_are_for_no_tenant(
    attempt: Attempt, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even where a stored run names one."""
    monkeypatch.setenv("POSTSYNC_SECRET_A", "hush-of-the-operator")
    stored = {"/headers/Authorization": {"kind": "env", "name": "POSTSYNC_SECRET_A"}}
    with peer() as there:
        outcome = attempt("http.request", _request(there.url), stored)
    assert outcome.kind is OutcomeKind.PERMANENT
    assert outcome.reason == "secret {env: POSTSYNC_SECRET_A} is the operator's, and none of team-a"
    assert there.seen == []


def test_a_job_runs_as_the_service_account_that_is_granted(kube: Kube, attempt: Attempt) -> None:
    """In the namespace of its rule, however its name begins."""
    manifest = {**MANIFEST, "metadata": {"generateName": "made-"}}
    outcome = attempt("kubernetes.job", {"namespace": "team-a", "manifest": manifest})
    assert outcome.kind is OutcomeKind.PENDING, outcome.reason
    job = kube.find("/apis/batch/v1/namespaces/team-a/jobs/made-r-1-1")
    assert job
    assert job["spec"]["template"]["spec"]["serviceAccountName"] == "post-sync"


def test_a_job_of_another_account_is_refused_wherever_its_manifest_comes_from(
    kube: Kube, attempt: Attempt
) -> None:
    """A CronJob says it as well, and is read at the attempt alone."""
    template = {"spec": {"template": {"spec": {**POD, "restartPolicy": "Never",
                                               "serviceAccountName": "default"}}}}  # fmt: skip
    spec = {"schedule": "0 0 1 1 *", "suspend": True, "jobTemplate": template}
    path = "/apis/batch/v1/namespaces/team-a"
    kube.ask("POST", f"{path}/cronjobs", {"metadata": {"name": "cron"}, "spec": spec})
    outcome = attempt("kubernetes.job", {"namespace": "team-a", "from": {"cronJob": "cron"}})
    assert outcome.kind is OutcomeKind.PERMANENT
    assert outcome.reason == (
        "its pods would run as service account default; those of a rule in namespace team-a run "
        "as post-sync (leave it out, or ask who runs Postsync to grant another serviceAccount)"
    )
    assert kube.find(f"{path}/jobs/cron-r-1-1") is None


def _config_map(namespace: str | None, **more: Any) -> dict[str, Any]:
    metadata = {"name": "reached"} | ({"namespace": namespace} if namespace else {})
    return {"manifest": {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, **more}}


@pytest.mark.parametrize(
    ("handler", "parameters", "told"),
    [
        ("kubernetes.job", {"namespace": "team-b", "manifest": MANIFEST}, "with: namespace: is n"),
        (
            "kubernetes.job",
            {"namespace": "team-a", "manifest": {"apiVersion": "v1", "kind": "List", "items": []}},
            "the manifest has items, which no Job has",
        ),
        (
            "kubernetes.apply",
            {"manifest": {"apiVersion": "v1", "kind": "List", "metadata": {"name": "x"}}},
            "this cluster has no kind List in v1",
        ),
        ("kubernetes.apply", _config_map("team-b"), "with: manifest.metadata.namespace: is not te"),
        ("kubernetes.apply", _config_map(None), "a ConfigMap is in a namespace, and none is given"),
        (
            "kubernetes.apply",
            {"manifest": {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "made"}}},
            "/api/v1/namespaces/made is beyond namespace team-a, the only one that this rule may",
        ),
        (
            "kubernetes.delete",
            {"object": {"kind": "Secret", "namespace": "team-a", "name": "cdn"}},
            "a rule in a namespace has no Secret but as a parameter",
        ),
        (
            "kubernetes.delete",
            {"object": {"kind": "Namespace", "name": "team-a"}},
            "/api/v1/namespaces/team-a is beyond namespace team-a",
        ),
        (
            "kubernetes.delete",
            {"object": {"kind": "ConfigMap", "namespace": "team-a", "name": "../../team-b/x"}},
            "is no name in Kubernetes",
        ),
        (
            "kubernetes.event",
            {"object": {"kind": "Namespace", "name": "team-b"}},
            "is beyond namespace team-a",
        ),
    ],
)  # fmt: skip
def test_nothing_is_done_beyond_the_namespace(
    handler: str, parameters: dict[str, Any], told: str, kube: Kube, attempt: Attempt
) -> None:
    """Although Postsync's own service account could, as here in team-b."""
    outcome = attempt(handler, parameters)
    assert outcome.kind is OutcomeKind.PERMANENT
    assert told in outcome.reason
    assert kube.items("/apis/batch/v1/namespaces/team-b/jobs") == []
    assert kube.find("/api/v1/namespaces/team-b/configmaps/reached") is None
    assert kube.find("/api/v1/namespaces/made") is None


def test_a_grant_that_was_taken_back_counts_for_what_waits(attempt: Attempt) -> None:
    """Its attempts do not begin, and say why."""
    with peer() as there:
        parameters = {"method": "GET", "url": there.url}
        gone = attempt("http.request", parameters, namespaces=["team-b"])
        less = attempt("http.request", parameters, handlers=["log.message"])
    assert there.seen == []
    assert {gone.kind, less.kind} == {OutcomeKind.PERMANENT}
    assert "namespace team-a may have no rules: no entry of tenants.bounds" in gone.reason
    assert less.reason == (
        "handler http.request is not among those of namespace team-a (tenants.bounds[0].handlers) "
        "(ask who runs Postsync to add it)"
    )


def test_a_tenant_calls_the_hosts_that_are_granted_alone(attempt: Attempt) -> None:
    """And the API server of its namespace, which it does not name."""
    with peer() as there:
        elsewhere = there.url.replace("127.0.0.1", "localhost")
        parameters = {"method": "GET", "url": elsewhere}
        refused = attempt("http.request", parameters, hosts=["*.example.com"])
        taken = attempt("http.request", parameters, hosts=["localhost"])
    assert (refused.kind, taken.kind) == (OutcomeKind.PERMANENT, OutcomeKind.SUCCEEDED)
    assert refused.reason == (
        "host localhost is not among those that this rule may call (tenants.bounds[0].hosts) "
        "(ask who runs Postsync to add it)"
    )
    assert len(there.seen) == 1
    read = {"object": {"kind": "ConfigMap", "namespace": "team-a", "name": "kube-root-ca.crt"},
            "fields": {"name": "object.metadata.name"}}  # fmt: skip
    found = attempt("kubernetes.read", read, hosts=["*.example.com"])
    assert found.output == {"name": "kube-root-ca.crt"}, found.reason
