from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from jobs import MANIFEST, SOURCES, Runs, running
from kube import PATIENCE, Json, Kube
from kubelet import Kubelet
from service import wait_for

from receiver.contract import Pending, PermanentError, Succeeded

pytestmark = pytest.mark.xdist_group("kubernetes")  # one control plane for all of them


@pytest.fixture(scope="module")
def runs(kube: Kube, node: Kubelet) -> Iterator[Runs]:
    with running(kube, node, "hooks") as made:
        yield made


def test_before_hook_creation_deletes_the_earlier_job_first(runs: Runs) -> None:
    """The new one is made when the old one, of the same action and target, is gone."""
    policy = {
        "manifest": {**MANIFEST, "metadata": {"name": "before"}},
        "deletePolicy": ["BeforeHookCreation"],
        "labels": {"postsync/series": "b"},
    }
    runs.start("r-before.1", **policy)
    outcomes: list[Any] = []

    def started() -> bool:
        outcomes.append(runs.attempt("r-after.1", **policy))
        return "name" in outcomes[-1].state

    wait_for(started, PATIENCE, "the new Job")
    assert outcomes[0].state == {"clearing": True}
    assert runs.job("before-r-before-1") is None
    runs.there("before-r-after-1")


def test_hook_succeeded_deletes_it_when_its_end_is_known(runs: Runs) -> None:
    """Its end is in the ledger before it is deleted, so that a crash in between loses nothing."""
    policy = {"deletePolicy": ["HookSucceeded"]}
    state = runs.start("r-clean.1", **policy)
    runs.node.end(runs.node.pod("hooks", "smoke-test-r-clean-1"))
    outcomes: list[Any] = [Pending(state, 1)]

    def known() -> bool:
        outcomes.append(runs.attempt("r-clean.1", outcomes[-1].state, **policy))
        return "ended" in outcomes[-1].state

    wait_for(known, PATIENCE, "its end")
    runs.there("smoke-test-r-clean-1")
    for _ in range(2):
        ended = runs.attempt("r-clean.1", outcomes[-1].state, **policy)
        assert isinstance(ended, Succeeded)
    wait_for(lambda: runs.job("smoke-test-r-clean-1") is None, PATIENCE, "its deletion")


@pytest.mark.parametrize("kind", SOURCES)
def test_a_job_is_made_of_what_lies_in_the_cluster(runs: Runs, kind: str) -> None:
    """A CronJob's is owned by it."""
    path, manifest, name = SOURCES[kind]
    runs.put(path, manifest)
    run = f"r-{kind.lower()}"
    state = runs.start(f"{run}.1", **{"from": {kind: name}})
    job = runs.there(state["name"])
    assert job["spec"]["template"]["spec"]["containers"][0]["image"] == "busybox"
    owners = [owner["kind"] for owner in job["metadata"].get("ownerReferences", [])]
    assert owners == (["CronJob"] if kind == "cronJob" else [])
    missing = {"name": "missing"} if kind == "configMap" else "missing"
    with pytest.raises(PermanentError, match=r"there is no \w+ hooks/missing"):
        runs.attempt(f"{run}.2", **{"from": {kind: missing}})


def test_a_short_ttl_is_made_longer(runs: Runs) -> None:
    """Else Kubernetes may delete it before its end was seen."""
    manifest: Json = {**MANIFEST, "spec": {**MANIFEST["spec"], "ttlSecondsAfterFinished": 0}}
    state = runs.start("r-ttl.1", manifest=manifest)
    assert runs.there(state["name"])["spec"]["ttlSecondsAfterFinished"] == 300
