"""What Postsync writes into a PostSyncRule, as `kubectl get` and `describe` show it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from kube import Kube
from postsyncrules import PostSyncRules, is_ready, known, said, serving, tell, tenants_of
from service import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("kubernetes-services")]

PATIENCE = 60
RBAC = "/apis/rbac.authorization.k8s.io/v1"
READ = {"apiGroups": ["postsync.dev"], "resources": ["postsyncrules"],
        "verbs": ["get", "list", "watch"]}  # fmt: skip
WRITE = {"apiGroups": ["postsync.dev"], "resources": ["postsyncrules/status"], "verbs": ["patch"]}


@pytest.fixture
def rules(kube: Kube) -> PostSyncRules:
    return PostSyncRules(kube, kube.namespace(f"status-{time.monotonic_ns()}"))


def ready(rules: PostSyncRules, name: str) -> dict[str, Any]:
    conditions = rules.status(name).get("conditions") or [{}]
    return dict(conditions[0])


def test_the_condition_says_what_is_wrong_and_when_it_is_well_again(
    tmp_path: Path, rules: PostSyncRules
) -> None:
    first = rules.put("a", "${{ nonsense }}")
    with serving(tmp_path, tenants_of(tmp_path, rules.kube.kubeconfig(), rules.namespace)):
        wait_for(lambda: ready(rules, "a").get("status") == "False", PATIENCE, "the condition")
        told = ready(rules, "a")
        assert (told["type"], told["reason"]) == ("Ready", "Invalid")
        assert told["message"].startswith("spec.actions[0].with.text: ")
        assert told["observedGeneration"] == first["metadata"]["generation"]
        second = rules.put("a")
        wait_for(lambda: ready(rules, "a").get("status") == "True", PATIENCE, "the mended rule")
        status = rules.status("a")
        assert status["observedGeneration"] == second["metadata"]["generation"]
        assert status["rule"] == f"{rules.namespace}/a"
        assert ready(rules, "a")["message"] == "the rule is in force"


def test_what_it_matched_last_is_told_once(tmp_path: Path, rules: PostSyncRules) -> None:
    """And what came of its plans; what has not changed is not written, also after a restart."""
    team = rules.namespace
    rules.put("a")
    with serving(tmp_path, tenants_of(tmp_path, rules.kube.kubeconfig(), team)) as service:
        wait_for(lambda: is_ready(service, f"{team}/a"), PATIENCE, "the rule")
        sync = tell(service, team)
        said(service, sync)
        wait_for(lambda: "lastMatched" in rules.status("a"), PATIENCE, "what it matched")
        status = rules.status("a")
        assert status["lastMatched"]["sync"] == sync
        assert status["lastMatched"]["application"] == "argocd/shop"
        assert status["counts"] == {"succeeded": 1, "failed": 0}
        before = rules.kube.find(rules.path("a"))
        service.kill()
        service.start()
        time.sleep(5)
        assert rules.kube.find(rules.path("a")) == before


def granted(kube: Kube, namespace: str, *rules: dict[str, Any]) -> str:
    """Make an account that has these rights in the namespace alone; its kubeconfig."""
    kubeconfig = kube.account("postsync", namespace=namespace)
    meta = {"metadata": {"name": "postsync"}}
    where = f"{RBAC}/namespaces/{namespace}"
    kube.ask("POST", f"{where}/roles", {**meta, "rules": list(rules)})
    kube.ask("POST", f"{where}/rolebindings", {
        **meta,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "postsync"},
        "subjects": [{"kind": "ServiceAccount", "name": "postsync", "namespace": namespace}],
    })  # fmt: skip
    return kubeconfig


def test_roles_in_the_namespaces_alone_are_enough(
    tmp_path: Path, kube: Kube, rules: PostSyncRules
) -> None:
    """Nothing of another namespace is read; each has a watch of its own."""
    stranger = PostSyncRules(kube, kube.namespace(f"stranger-{time.monotonic_ns()}"))
    team = rules.namespace
    rules.put("a")
    stranger.put("theirs")
    config = granted(kube, team, READ, WRITE)
    with serving(tmp_path, tenants_of(tmp_path, config, team)) as service:
        wait_for(lambda: ready(rules, "a").get("status") == "True", PATIENCE, "the condition")
        rules.put("b")
        wait_for(lambda: is_ready(service, f"{team}/b"), PATIENCE, "the watch")
        assert set(known(service)) == {f"{team}/a", f"{team}/b"}
        assert stranger.status("theirs") == {}


def test_a_right_that_is_missing_is_told(tmp_path: Path, kube: Kube, rules: PostSyncRules) -> None:
    """The rule is in force all the same; with a glob in the bounds, the whole cluster is asked."""
    team = rules.namespace
    rules.put("a")
    config = granted(kube, team, READ)
    with serving(tmp_path, tenants_of(tmp_path, config, team)) as service:
        wait_for(lambda: is_ready(service, f"{team}/a"), PATIENCE, "the rule")
        wait_for(lambda: bool(service.events("connection.failed")), PATIENCE, "the failure")
        (line,) = service.events("connection.failed")
        assert line["use"] == "write the status of PostSyncRules"
        assert "the right to patch on postsyncrules/status.postsync.dev" in line["reason"]
    other = tmp_path / "glob"
    other.mkdir()
    with serving(other, tenants_of(other, config, f"{team}*")) as service:
        wait_for(lambda: bool(service.events("connection.failed")), PATIENCE, "the failure")
        (line,) = service.events("connection.failed")
        assert "list on postsyncrules.postsync.dev" in line["reason"]
        assert "tenants.bounds has globs" in line["reason"]
