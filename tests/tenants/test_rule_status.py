"""What Postsync writes into a PostSyncRule, as `kubectl get` and `describe` show it."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

import pytest
from kube import Kube
from notifications import resource
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


OPERATORS = """
version: 1
rules:
- name: operators-own
  match: {resources: [{kind: ConfigMap}]}
  actions: [{uses: log.message, target: application, with: {text: by the operator}}]
"""
TEXT = "".join(random.Random(1).choices("ab", k=9000))  # noqa: S311 no secret
SLOW = f"resource.name != '' && !'{TEXT}'.matches('((a?b?){{30}}){{30}}[cd]')"


def test_a_slow_rule_is_told_and_keeps_no_other_from_the_sync(
    tmp_path: Path, rules: PostSyncRules
) -> None:
    """Of one sync that two teams and the operator follow, two are done; the third learns why."""
    kube, slow = rules.kube, rules.namespace
    good = PostSyncRules(kube, kube.namespace(f"good-{time.monotonic_ns()}"))
    rules.put("slow", match={"resources": [{"kind": "ConfigMap"}], "condition": SLOW})
    good.put("quick", "by the other team")
    tenants = tenants_of(tmp_path, kube.kubeconfig(), slow, good.namespace, projects=["web"])
    with serving(tmp_path, tenants, OPERATORS) as service:
        wait_for(lambda: is_ready(service, f"{slow}/slow"), PATIENCE, "the slow rule")
        theirs = good.namespace  # ready is what is stored, and in force a moment later
        wait_for(lambda: bool(said(service, tell(service, theirs))[1:]), PATIENCE, "the other")
        resources = [resource(f"c{number}") for number in range(40)]
        sync = tell(service, slow, *resources, project="web")
        assert said(service, sync) == ["by the operator", "by the other team"]
        (line,) = service.events("rule.error")
        assert (line["rule"], line["sync"]) == (f"{slow}/slow", sync)
        assert line["reason"].startswith(f"namespace {slow} has used up its share")
        _, told = service.request("GET", f"/v1/syncs/{sync}/explanation", role="operators")
        assert any(line["reason"] in note for note in told["notes"])
        rules.put("another")  # what is told of it is written with the rest
        wait_for(lambda: bool(rules.status("slow").get("lastLeftOut")), PATIENCE, "the status")
        status = rules.status("slow")
        assert status["lastLeftOut"]["sync"] == sync
        assert status["lastLeftOut"]["message"] == line["reason"]
        assert status["conditions"][0]["status"] == "True"
        rules.put("slow")
        wait_for(lambda: not rules.status("slow").get("lastLeftOut"), PATIENCE, "the mended rule")
