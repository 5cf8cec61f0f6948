"""Jobs that are gone, or might go, before their end was seen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from jobs import CRON, MANIFEST, Runs, running
from kube import PATIENCE, Json, Kube
from kubelet import Kubelet
from service import wait_for

from receiver.contract import PermanentError, Succeeded

pytestmark = pytest.mark.xdist_group("kubernetes")


@pytest.fixture(scope="module")
def runs(kube: Kube, node: Kubelet) -> Iterator[Runs]:
    with running(kube, node, "vanished") as made:
        yield made


def _path(runs: Runs, name: str = "") -> str:
    return f"/apis/batch/v1/namespaces/{runs.namespace}/jobs/{name}".rstrip("/")


def _as_kubectl(runs: Runs, name: str, cron: str) -> None:
    """Make a Job as `kubectl create job --from=cronjob/CRON NAME` does: the CronJob controls it."""
    found = runs.kube.ask("GET", f"/apis/batch/v1/namespaces/{runs.namespace}/cronjobs/{cron}")
    owner = {
        "apiVersion": "batch/v1", "kind": "CronJob", "name": cron,
        "uid": found["metadata"]["uid"], "controller": True,
    }  # fmt: skip
    meta = {"name": name, "ownerReferences": [owner]}
    spec = found["spec"]["jobTemplate"]["spec"]
    runs.kube.ask("POST", _path(runs), {"metadata": meta, "spec": spec})


@pytest.mark.parametrize(("limits", "kept"), [({}, 3), ({"successfulJobsHistoryLimit": 0}, 0)])
def test_a_cronjob_prunes_no_job_whose_end_was_not_seen(
    runs: Runs, limits: Json, kept: int
) -> None:
    """Six of ours and four of kubectl's end well: its controller takes those of kubectl alone."""
    cron = f"each-{kept}"
    spec = {**CRON["spec"], **limits}
    runs.put("apis/batch/v1/cronjobs", {"metadata": {"name": cron}, "spec": spec})
    given = {"from": {"cronJob": cron}}
    states = {f"r-{cron}{n}.1": runs.start(f"r-{cron}{n}.1", **given) for n in range(6)}
    theirs = [f"theirs-{kept}-{n}" for n in range(4)]
    for name in theirs:
        _as_kubectl(runs, name, cron)
    for name in [*(state["name"] for state in states.values()), *theirs]:
        runs.node.end(runs.node.pod(runs.namespace, name))
    pruned = f"the history of {cron}"
    wait_for(lambda: sum(map(bool, map(runs.job, theirs))) == kept, PATIENCE, pruned)
    outputs: list[Any] = [runs.follow(key, state, **given).output for key, state in states.items()]
    assert [one["exitCode"] for one in outputs] == [0] * 6


def test_a_cronjob_owns_its_job(runs: Runs) -> None:
    """It is shown under it, and deleted with it, as that of `kubectl create job --from`."""
    runs.put("apis/batch/v1/cronjobs", {**CRON, "metadata": {"name": "owner"}})
    state = runs.start("r-owned.1", **{"from": {"cronJob": "owner"}})
    (owner,) = runs.there(state["name"])["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner.get("controller")) == ("CronJob", "owner", None)
    runs.kube.ask("DELETE", f"/apis/batch/v1/namespaces/{runs.namespace}/cronjobs/owner")
    wait_for(lambda: runs.job(state["name"]) is None, PATIENCE, "its deletion")


def _deleted_after(runs: Runs, state: Any, condition: str, code: int) -> None:
    """Let a Job end, and be deleted before anybody looks, when its Event is there."""
    name = state["name"]
    runs.node.end(runs.node.pod(runs.namespace, name), code)
    events = f"/api/v1/namespaces/{runs.namespace}/events?fieldSelector=reason={condition}"
    uid = state["uid"]

    def told() -> bool:
        items = runs.kube.ask("GET", events)["items"]
        return any(one["involvedObject"]["uid"] == uid for one in items)

    wait_for(told, PATIENCE, f"the Event {condition}")
    runs.kube.ask("DELETE", _path(runs, name), {"propagationPolicy": "Background"})
    wait_for(lambda: runs.job(name) is None, PATIENCE, "its deletion")


def test_a_job_that_is_gone_has_ended_as_its_events_say(runs: Runs) -> None:
    """They outlive it: one that ended well is no failure, whose retry would do its work twice."""
    state = runs.start("r-well.1")
    _deleted_after(runs, state, "Completed", 0)
    ended = runs.attempt("r-well.1", state)
    assert isinstance(ended, Succeeded)
    output: Any = ended.output
    assert (output["succeeded"], output["condition"], output["log"]) == (True, "Completed", [])
    assert runs.said[-1].endswith("is gone; by its Events: Job completed")


def test_a_failed_job_that_is_gone_tells_why(runs: Runs) -> None:
    """What only its pods knew is lost."""
    given = {"manifest": {**MANIFEST, "spec": {**MANIFEST["spec"], "backoffLimit": 0}}}
    state = runs.start("r-badly.1", **given)
    _deleted_after(runs, state, "BackoffLimitExceeded", 1)
    with pytest.raises(PermanentError) as caught:
        runs.attempt("r-badly.1", state, **given)
    assert str(caught.value) == (
        "Job vanished/smoke-test-r-badly-1 failed: BackoffLimitExceeded (Job has reached the "
        "specified backoff limit)"
    )


def _hint_of_a_gone_one(runs: Runs) -> str:
    """Delete a Job under a run; what the run says when it looks, and that it makes no other."""
    state = runs.start("r-gone.1")
    runs.kube.ask("DELETE", _path(runs, state["name"]))
    wait_for(lambda: runs.job(state["name"]) is None, PATIENCE, "its deletion")
    with pytest.raises(PermanentError, match="is gone before its end was seen") as caught:
        runs.attempt("r-gone.1", state)
    assert runs.job(state["name"]) is None
    return caught.value.hint


def test_a_job_of_which_nobody_knows_how_it_ended_is_not_started_again(runs: Runs) -> None:
    """The run fails, and says what a retry means."""
    assert "a retry runs it anew, so look first at what it has done" in _hint_of_a_gone_one(runs)


def test_a_missing_right_is_told_where_it_would_have_told(kube: Kube, node: Kubelet) -> None:
    """With the verb to grant."""
    with running(kube, node, "unseen", without=("events",)) as runs:
        hint = _hint_of_a_gone_one(runs)
    assert "grant the verb list on events in namespace unseen" in hint
