from __future__ import annotations

import pytest
import yaml
from jobs import MANIFEST, ROLE, SOURCES, Runs, running
from kube import PATIENCE, Kube
from kubelet import Kubelet
from service import wait_for

from receiver.contract import Pending
from receiver.core.logs import configure_logs
from receiver.dispatcher.watches import Watches
from receiver.ledger.engine.sqlite import SqliteLedger

pytestmark = pytest.mark.xdist_group("kubernetes")


def test_the_shipped_role_has_what_is_asked_for_and_no_more(
    kube: Kube, node: Kubelet, file_ledger: SqliteLedger
) -> None:
    """By the API server's audit log, after Jobs of all sources and policies."""
    with running(kube, node, "rights") as runs:
        runs.watches = Watches(runs.outbound, file_ledger, lambda: None, configure_logs("json"))
        for kind, (path, manifest, name) in SOURCES.items():
            runs.put(path, manifest)
            runs.start(f"r-{kind.lower()}.1", **{"from": {kind: name}})
        _by_policy(runs)
        _without_a_pod(runs)
        wait_for(lambda: ("jobs", "watch") in kube.used("rights", "postsync"), PATIENCE, "a watch")
        runs.watches.stop()
    role = yaml.safe_load((ROLE / "role.yaml").read_text())
    granted = {
        (resource, verb)
        for rule in role["rules"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    assert kube.used("rights", "postsync") == granted


def _by_policy(runs: Runs) -> None:
    policy = {"deletePolicy": ["BeforeHookCreation", "HookSucceeded"]}
    runs.start("r-a.1", **policy, labels={"postsync/series": "one"})
    cleared = runs.attempt("r-b.1", **policy, labels={"postsync/series": "one"})
    assert isinstance(cleared, Pending)
    wait_for(lambda: runs.job("smoke-test-r-a-1") is None, PATIENCE, "the earlier Job's deletion")
    state = runs.start("r-b.1", **policy, labels={"postsync/series": "one"})
    runs.node.end(runs.node.pod("rights", state["name"]), log="done")
    runs.follow("r-b.1", state, **policy)


def _without_a_pod(runs: Runs) -> None:
    pod = {**MANIFEST["spec"]["template"]["spec"], "serviceAccountName": "nobody"}
    given = {"manifest": {**MANIFEST, "spec": {"template": {"spec": pod}}}}
    runs.attempt("r-c.1", runs.start("r-c.1", **given), **given)
