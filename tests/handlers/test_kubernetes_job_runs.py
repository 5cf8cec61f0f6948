from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from jobs import MANIFEST, POD, Runs, running
from kube import PATIENCE, Json, Kube
from kubelet import Kubelet
from service import wait_for

from receiver.contract import Pending, PermanentError, Succeeded

pytestmark = pytest.mark.xdist_group("kubernetes")  # one control plane for all of them


@pytest.fixture(scope="module")
def runs(kube: Kube, node: Kubelet) -> Iterator[Runs]:
    with running(kube, node, "shop") as made:
        yield made


def test_a_job_is_run_and_its_end_is_told(runs: Runs) -> None:
    """Exit code, duration and the last lines of the log are output for later actions."""
    state = runs.start("r-one.1", log_lines=2)
    pod = runs.node.pod("shop", "smoke-test-r-one-1")
    runs.node.end(pod, log="one\ntwo\nthree\n")
    output: Any = runs.follow("r-one.1", state, log_lines=2).output
    assert output.pop("seconds") >= 0
    assert output == {
        "namespace": "shop", "name": "smoke-test-r-one-1", "succeeded": True,
        "condition": "CompletionsReached", "message": "Reached expected number of succeeded pods",
        "container": "main", "exitCode": 0, "reason": "Completed", "log": ["two", "three"],
    }  # fmt: skip


def test_the_pod_knows_what_the_run_is_about(runs: Runs) -> None:
    """As plain environment variables; those of the rule are added, those of the manifest win."""
    own = [{"name": "POSTSYNC_PHASE", "value": "mine"}]
    pod = {"containers": [{"name": "main", "image": "busybox", "env": own}]}
    manifest = {"metadata": {"name": "env"}, "spec": {"template": {"spec": pod}}}
    runs.start("r-env.1", manifest=manifest, env={"SHELL_LIKE": "$(POSTSYNC_RULE)"})
    spec = runs.node.pod("shop", "env-r-env-1")["spec"]
    found = {one["name"]: one["value"] for one in spec["containers"][0]["env"]}
    assert found == {
        "POSTSYNC_APPLICATION": "shop", "POSTSYNC_APPLICATION_NAMESPACE": "argocd",
        "POSTSYNC_PHASE": "mine", "POSTSYNC_PROJECT": "web", "POSTSYNC_RESOURCE_GROUP": "apps",
        "POSTSYNC_RESOURCE_IMAGES": "shop:1 sidecar:2", "POSTSYNC_RESOURCE_KIND": "Deployment",
        "POSTSYNC_RESOURCE_NAME": "web", "POSTSYNC_RESOURCE_NAMESPACE": "shop",
        "POSTSYNC_RESOURCE_VERSION": "v1", "POSTSYNC_REVISION": "4c5e", "POSTSYNC_RULE": "smoke",
        "POSTSYNC_RUN": "r-env", "POSTSYNC_SYNC": "s-1", "SHELL_LIKE": "$$(POSTSYNC_RULE)",
    }  # fmt: skip
    assert spec["restartPolicy"] == "Never"


def test_a_job_leads_back_to_sync_rule_and_run(runs: Runs) -> None:
    """By labels to select and annotations to read; and it does not stay for ever."""
    runs.start("r-back.1")
    job = runs.there("smoke-test-r-back-1")
    labels, annotations = job["metadata"]["labels"], job["metadata"]["annotations"]
    assert labels["app.kubernetes.io/managed-by"] == "postsync"
    assert (labels["postsync/rule"], labels["postsync/application"]) == ("smoke", "shop")
    assert annotations == {
        "postsync/action": "test", "postsync/application": "argocd/shop", "postsync/rule": "smoke",
        "postsync/run": "r-back.1", "postsync/sync": "s-1",
        "postsync/target": "apps/Deployment/shop/web",
    }  # fmt: skip
    assert job["spec"]["ttlSecondsAfterFinished"] == 86_400


def test_a_failed_job_tells_why(runs: Runs) -> None:
    """The exit code, the reason and the last line are in the reason of the failure."""
    manifest: Json = {**MANIFEST, "spec": {**MANIFEST["spec"], "backoffLimit": 0}}
    state = runs.start("r-oom.1", manifest=manifest)
    pod = runs.node.pod("shop", "smoke-test-r-oom-1")
    runs.node.end(pod, 137, "OOMKilled", log="allocating\n")
    with pytest.raises(PermanentError) as caught:
        runs.follow("r-oom.1", state, manifest=manifest)
    assert str(caught.value) == (
        "Job shop/smoke-test-r-oom-1 failed: BackoffLimitExceeded (Job has reached the specified "
        "backoff limit); main ended with exit code 137, OOMKilled; its last line: allocating"
    )


def test_why_a_pod_never_started_is_kept_when_it_is_gone(runs: Runs) -> None:
    """Its deadline deletes the pod, and with it the reason: it was seen before."""
    state = runs.start("r-pull.1")
    pod = runs.node.pod("shop", "smoke-test-r-pull-1")
    waiting = {"reason": "ImagePullBackOff", "message": "no such image"}
    runs.node.run(pod, {"waiting": waiting}, "Pending")
    outcome = runs.attempt("r-pull.1", state)
    assert isinstance(outcome, Pending)
    assert runs.said[-1] == "its pod does not start: ImagePullBackOff: no such image"
    job = "/apis/batch/v1/namespaces/shop/jobs/smoke-test-r-pull-1"
    runs.kube.merge(job, {"spec": {"activeDeadlineSeconds": 1}})
    path = f"/api/v1/namespaces/shop/pods/{pod['metadata']['name']}"
    wait_for(lambda: _gone(runs.kube, path), PATIENCE, "the pod's end")
    with pytest.raises(PermanentError, match=r"DeadlineExceeded .*ImagePullBackOff: no such image"):
        runs.follow("r-pull.1", outcome.state)


def _gone(kube: Kube, path: str) -> bool:
    """Whether a pod is gone; its node removes it, once it is asked to go."""
    pod = kube.find(path)
    if pod is not None and "deletionTimestamp" in pod["metadata"]:
        kube.remove(path)
    return pod is None


def test_a_lost_attempt_finds_its_job_again(runs: Runs) -> None:
    """The same key names the same Job; a new one, after a failure, makes another."""
    first = runs.start("r-lost.1")
    assert runs.start("r-lost.1") == first
    assert runs.start("r-lost.2")["uid"] != first["uid"]


def test_a_job_of_somebody_else_is_left_alone(runs: Runs) -> None:
    """Also where it has our name."""
    meta = {"name": "smoke-test-r-theirs-1"}
    spec = {"template": {"spec": {**POD, "restartPolicy": "Never"}}}
    runs.put("apis/batch/v1/jobs", {"metadata": meta, "spec": spec})
    with pytest.raises(PermanentError, match="is not of this run"):
        runs.attempt("r-theirs.1")


def test_a_typo_in_the_manifest_is_refused_with_its_place(runs: Runs) -> None:
    """Kubernetes would pass over it without being told to be strict."""
    manifest: Json = {
        "metadata": {"name": "typo"},
        "spec": {"backofLimit": 1, "template": {"spec": POD}},
    }
    with pytest.raises(PermanentError, match=r'unknown field "spec.backofLimit"'):
        runs.attempt("r-typo.1", manifest=manifest)


def test_a_missing_right_is_named(runs: Runs) -> None:
    """With the verb to grant."""
    bare = runs.kube.account("bare", namespace="shop")
    with pytest.raises(PermanentError) as caught:
        runs.attempt("r-bare.1", cluster={"kubeconfig": bare})
    assert "grant the verb create on jobs.batch in namespace shop" in str(caught.value)


def test_a_missing_namespace_is_named(runs: Runs) -> None:
    """It is not made."""
    with pytest.raises(PermanentError, match="the namespace must be there before"):
        runs.attempt("r-no.1", namespace="nowhere", cluster={"kubeconfig": runs.kube.kubeconfig()})


def test_without_wait_it_is_only_started(runs: Runs) -> None:
    """Its name is output."""
    ended = runs.attempt("r-go.1", wait=False)
    assert isinstance(ended, Succeeded)
    assert runs.there("smoke-test-r-go-1")["metadata"]["uid"] == dict(ended.output)["uid"]  # type: ignore[arg-type] # a mapping
