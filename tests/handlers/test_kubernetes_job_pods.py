"""What reaches a Job as its manifest says it, and what is kept of its log."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from jobs import MANIFEST, POD, Runs, running
from kube import PATIENCE, Json, Kube
from kubelet import Kubelet
from service import wait_for

from receiver.contract import Pending, PermanentError

pytestmark = pytest.mark.xdist_group("kubernetes")


@pytest.fixture(scope="module")
def runs(kube: Kube, node: Kubelet) -> Iterator[Runs]:
    with running(kube, node, "pods") as made:
        yield made


def _manifest(**spec: Any) -> Json:
    return {**MANIFEST, "spec": {**MANIFEST["spec"], **spec}}


def test_what_a_job_may_say_passes_through(runs: Runs) -> None:
    """Every field of Kubernetes has its own meaning; we read none but the ttl."""
    on_exit = {"containerName": "main", "operator": "In", "values": [42]}
    said: Json = {
        "activeDeadlineSeconds": 600,
        "backoffLimit": 3,
        "podFailurePolicy": {"rules": [{"action": "FailJob", "onExitCodes": on_exit}]},
        "suspend": True,
        "ttlSecondsAfterFinished": 4000,
    }
    state = runs.start("r-pass.1", manifest=_manifest(**said))
    spec = runs.there(state["name"])["spec"]
    assert {name: spec[name] for name in said} == said


def test_a_suspended_job_is_waited_for(runs: Runs) -> None:
    """Whoever resumes it, a queue for example, says when it runs."""
    given = {"manifest": _manifest(suspend=True)}
    state = runs.start("r-hold.1", **given)
    assert isinstance(runs.attempt("r-hold.1", state, **given), Pending)
    path = f"/apis/batch/v1/namespaces/pods/jobs/{state['name']}"
    runs.kube.ask("PATCH", path, {"spec": {"suspend": False}}, "application/merge-patch+json")
    runs.node.end(runs.node.pod("pods", state["name"]))
    runs.follow("r-hold.1", state, **given)


def test_a_policy_for_failed_pods_is_told_as_the_reason(runs: Runs) -> None:
    """Its exit code ended the Job before its other tries."""
    on_exit = {"containerName": "main", "operator": "In", "values": [42]}
    policy = {"rules": [{"action": "FailJob", "onExitCodes": on_exit}]}
    given = {"manifest": _manifest(podFailurePolicy=policy, backoffLimit=3)}
    state = runs.start("r-policy.1", **given)
    runs.node.end(runs.node.pod("pods", state["name"]), 42)
    with pytest.raises(PermanentError, match=r"PodFailurePolicy .*exit code 42, Error"):
        runs.follow("r-policy.1", state, **given)


def test_of_a_long_log_the_last_lines_are_kept(runs: Runs) -> None:
    """Whole ones, as many as fit."""
    state = runs.start("r-long.1", log_lines=200)
    pod = runs.node.pod("pods", state["name"])
    runs.node.end(pod, log="".join(f"{number:03} {'x' * 200}\n" for number in range(300)))
    output: Any = runs.follow("r-long.1", state, log_lines=200).output
    assert {len(line) for line in output["log"]} == {204}
    assert [line[:3] for line in output["log"]] == [f"{number:03}" for number in range(220, 300)]


def test_a_line_without_an_end_is_cut(runs: Runs) -> None:
    """Of one that fits nowhere, the end is kept."""
    state = runs.start("r-line.1")
    pod = runs.node.pod("pods", state["name"])
    runs.node.end(pod, log="x" * 20_000 + "the end\n")
    output: Any = runs.follow("r-line.1", state).output
    (line,) = output["log"]
    assert (len(line), line[-8:]) == (16_384, "xthe end")


def test_hook_failed_deletes_what_failed_and_nothing_else(runs: Runs) -> None:
    """With Argo CD's meaning; the reason is kept."""
    given = {"manifest": _manifest(backoffLimit=0), "deletePolicy": ["HookFailed"]}
    good, bad = runs.start("r-good.1", **given), runs.start("r-bad.1", **given)
    runs.node.end(runs.node.pod("pods", good["name"]))
    runs.node.end(runs.node.pod("pods", bad["name"]), 1)
    with pytest.raises(PermanentError, match="exit code 1"):
        runs.follow("r-bad.1", bad, **given)
    wait_for(lambda: runs.job(bad["name"]) is None, PATIENCE, "its deletion")
    runs.follow("r-good.1", good, **given)
    runs.there(good["name"])


def test_the_first_container_that_failed_is_told(runs: Runs) -> None:
    """An init container too."""
    init = [{"name": "first", "image": "busybox"}]
    pod = {**POD, "initContainers": init}
    given = {"manifest": _manifest(backoffLimit=0, template={"spec": pod})}
    state = runs.start("r-init.1", **given)
    made = runs.node.pod("pods", state["name"])
    assert {one["name"] for one in made["spec"]["initContainers"][0]["env"]} >= {"POSTSYNC_RUN"}
    runs.node.fail_early(made, 3)
    with pytest.raises(PermanentError, match="first ended with exit code 3, Error"):
        runs.follow("r-init.1", state, **given)
