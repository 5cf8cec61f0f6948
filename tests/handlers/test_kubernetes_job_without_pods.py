"""Jobs whose pods cannot be made: what is told of them, and when they are given up."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import yaml
from jobs import MANIFEST, ROLE, Runs, running
from kube import PATIENCE, Json, Kube
from kubelet import Kubelet
from service import wait_for

from receiver.contract import Pending, PermanentError

pytestmark = pytest.mark.xdist_group("kubernetes")

MERGE = "application/merge-patch+json"
MISSING = "nobody"


def _manifest(**pod: Any) -> Json:
    spec = {**MANIFEST["spec"]["template"]["spec"], **pod}
    return {**MANIFEST, "spec": {"template": {"spec": spec}}}


REFUSED = _manifest(serviceAccountName=MISSING)
"""A Job whose pods are refused: their service account is not there."""


@pytest.fixture(scope="module")
def runs(kube: Kube, node: Kubelet) -> Iterator[Runs]:
    with running(kube, node, "podless") as made:
        yield made


def _quota(runs: Runs) -> None:
    hard = {"hard": {"limits.cpu": "1"}}
    runs.put("api/v1/resourcequotas", {"metadata": {"name": "full"}, "spec": hard})
    path = f"/api/v1/namespaces/{runs.namespace}/resourcequotas/full/status"
    runs.kube.ask("PATCH", path, {"status": hard}, MERGE)  # as the quota's own controller does


def _restricted(runs: Runs) -> None:
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    path = f"/api/v1/namespaces/{runs.namespace}"
    runs.kube.ask("PATCH", path, {"metadata": {"labels": labels}}, MERGE)


CAUSES: dict[str, Any] = {
    "quota": (_quota, MANIFEST, "failed quota: full: must specify limits.cpu"),
    "security": (_restricted, MANIFEST, 'violates PodSecurity "restricted:latest"'),
    "account": (lambda _: None, REFUSED, 'serviceaccount "nobody" not found'),
}


def _told(runs: Runs, key: str, state: Any, **given: Any) -> Pending:
    """Ask until it says why."""
    asked: list[Pending] = [Pending(state, 1)]

    def why() -> bool:
        outcome = runs.attempt(key, asked[-1].state, **given)
        assert isinstance(outcome, Pending), outcome
        asked.append(outcome)
        return bool(outcome.why)

    wait_for(why, PATIENCE, "the reason")
    return asked[-1]


def _given_up(runs: Runs, key: str, state: Any, **given: Any) -> str:
    """Ask on to the end of its patience; why it has failed."""
    early = runs.attempt(key, state, **given)
    assert isinstance(early, Pending)
    runs.now += timedelta(minutes=5)
    late = runs.attempt(key, early.state, **given)
    assert isinstance(late, Pending)
    with pytest.raises(PermanentError) as caught:
        runs.attempt(key, late.state, **given)
    return str(caught.value)


@pytest.mark.parametrize("cause", CAUSES)
def test_why_no_pod_can_be_made_is_told(kube: Kube, node: Kubelet, cause: str) -> None:
    """On the trail and with the run that waits, in the job controller's own words."""
    prepare, manifest, words = CAUSES[cause]
    with running(kube, node, f"podless-{cause}") as runs:
        prepare(runs)
        state = runs.start("r-one.1", manifest=manifest)
        told = _told(runs, "r-one.1", state, manifest=manifest)
    assert told.why.startswith("FailedCreate: Error creating: ")
    assert words in told.why
    assert told.ask_again_in <= 5
    assert runs.said == [f"its pod does not start: {told.why}"]


def test_a_job_without_a_pod_fails_by_a_deadline_of_its_own(runs: Runs) -> None:
    """With the controller's reason; it is deleted, for else it might begin beside a retry."""
    given = {"manifest": REFUSED}
    told = _told(runs, "r-late.1", runs.start("r-late.1", **given), **given)
    why = _given_up(runs, "r-late.1", told.state, **given)
    assert why.startswith("Job podless/smoke-test-r-late-1 had no pod for 300 s: FailedCreate: ")
    assert 'serviceaccount "nobody" not found' in why
    wait_for(lambda: runs.job("smoke-test-r-late-1") is None, PATIENCE, "its deletion")


def test_the_deadline_is_that_of_the_rule(runs: Runs) -> None:
    """Not before it has passed."""
    given = {"manifest": REFUSED, "podDeadline": "10m"}
    told = _told(runs, "r-rule.1", runs.start("r-rule.1", **given), **given)
    runs.now += timedelta(seconds=599)
    early = runs.attempt("r-rule.1", told.state, **given)
    assert isinstance(early, Pending)
    assert early.why == told.why


def test_a_job_that_is_suspended_is_not_given_up(runs: Runs) -> None:
    """It has no pod because somebody wants it so; who waits for it is told."""
    given = {"manifest": {**MANIFEST, "spec": {**MANIFEST["spec"], "suspend": True}}}
    told = _told(runs, "r-hold.1", runs.start("r-hold.1", **given), **given)
    assert told.why == "Suspended: Job suspended"
    runs.now += timedelta(minutes=5)
    assert isinstance(runs.attempt("r-hold.1", told.state, **given), Pending)
    runs.there("smoke-test-r-hold-1")


def test_a_pod_in_time_ends_the_count(runs: Runs) -> None:
    """Also one that fails: until the next one Kubernetes waits, for longer and longer."""
    state = runs.start("r-slow.1")
    pod = runs.node.pod("podless", state["name"])
    waited = {**state, "withoutPod": "2026-01-01T00:00:00+00:00"}
    wait_for(lambda: runs.there(state["name"])["status"].get("active"), PATIENCE, "its pod")
    assert runs.attempt("r-slow.1", waited) == Pending(state, 5)
    runs.node.end(pod, 1)
    wait_for(lambda: runs.there(state["name"])["status"].get("failed"), PATIENCE, "its failure")
    assert runs.attempt("r-slow.1", waited) == Pending(state, 5)


def test_without_the_right_to_list_events_it_goes_on(kube: Kube, node: Kubelet) -> None:
    """It says what it may not do, and is given up all the same."""
    given = {"manifest": REFUSED}
    with running(kube, node, "blind", without=("events",)) as runs:
        state = runs.start("r-blind.1", **given)
        why = _given_up(runs, "r-blind.1", state, **given)
    told = "Postsync may not read Events: grant the verb list on events in namespace blind"
    assert told in why
    assert [line for line in runs.said if told in line] == [runs.said[0]]


def test_a_job_that_may_not_be_deleted_has_failed_all_the_same(kube: Kube, node: Kubelet) -> None:
    """That a right is missing hides no reason."""
    given = {"manifest": REFUSED}
    with running(kube, node, "kept") as runs:
        told = _told(runs, "r-kept.1", runs.start("r-kept.1", **given), **given)
        role = yaml.safe_load((ROLE / "role.yaml").read_text())
        role["rules"][0]["verbs"].remove("delete")
        roles = "/apis/rbac.authorization.k8s.io/v1/namespaces/kept/roles"
        kube.ask("PUT", f"{roles}/{role['metadata']['name']}", role)
        why = _given_up(runs, "r-kept.1", told.state, **given)
    assert "FailedCreate: " in why
    assert "grant the verb delete on jobs.batch in namespace kept" in runs.said[-1]
