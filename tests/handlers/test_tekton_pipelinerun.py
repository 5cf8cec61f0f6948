"""tekton.pipelinerun, against an API server that serves its kind; the test is the controller."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from kube import Json, Kube
from made import MADE, Maker, answered, documented, maker_subject, making, serve
from test_kubernetes_job import KUBECONFIG

from handlers.tekton_pipelinerun import handler
from receiver.contract import Pending, PermanentError, Succeeded
from receiver.testkit import Case, Reply


def _run(status: str) -> Reply:
    met = [{"type": "Succeeded", "status": status, "reason": "Why", "message": "said so"}]
    return answered({"conditions": met})


SUBJECTS = [
    maker_subject(
        handler,
        KUBECONFIG,
        [
            Case(answered({}), Pending, "not seen by its controller yet", state=MADE),
            Case(_run("Unknown"), Pending, "it runs", state=MADE),
            Case(_run("True"), Succeeded, "succeeded", state=MADE),
            Case(_run("False"), PermanentError, "failed", state=MADE),
        ],
        pipeline="smoke-test",
    )
]
pytestmark = pytest.mark.xdist_group("kubernetes")


@pytest.fixture(scope="module")
def tekton(kube: Kube) -> Iterator[Maker]:
    serve(kube, "pipelineruns.tekton.dev")
    with making(kube, "tekton", handler, "apis/tekton.dev/v1/pipelineruns") as made:
        yield made


def _say(tekton: Maker, name: str, status: str, reason: str, **more: Any) -> None:
    met = [{"type": "Succeeded", "status": status, "reason": reason, "message": "Tasks: 1"}]
    tekton.say(name, {"conditions": met, **more}, "/status")


def test_a_pipeline_is_run_and_its_end_is_told(tekton: Maker) -> None:
    """With its parameters, and where it comes from; its results are output."""
    given: Json = {
        "namespace": "tekton", "pipeline": "smoke-test", "params": {"image": "shop:1"},
        "serviceAccount": "ci",
    }  # fmt: skip
    state = tekton.start("r-one.1", **given)
    made = tekton.there("smoke-test-r-one-1")
    assert made["spec"] == {
        "pipelineRef": {"name": "smoke-test"}, "params": [{"name": "image", "value": "shop:1"}],
        "taskRunTemplate": {"serviceAccountName": "ci"},
    }  # fmt: skip
    assert made["metadata"]["labels"]["postsync/rule"] == "smoke"
    assert made["metadata"]["annotations"]["postsync/sync"] == "s-1"
    assert isinstance(tekton.attempt("r-one.1", state, **given), Pending)
    _say(tekton, state["name"], "Unknown", "Running")
    assert isinstance(tekton.attempt("r-one.1", state, **given), Pending)
    results = [{"name": "digest", "value": "sha256:1"}]
    _say(tekton, state["name"], "True", "Succeeded", results=results)
    assert tekton.attempt("r-one.1", state, **given) == Succeeded({
        "namespace": "tekton", "name": "smoke-test-r-one-1", "reason": "Succeeded",
        "message": "Tasks: 1", "results": {"digest": "sha256:1"},
    })  # fmt: skip


def test_a_failed_one_tells_why(tekton: Maker) -> None:
    """Tekton's reason and message are in the reason of the failure."""
    given: Json = {"namespace": "tekton", "pipeline": "smoke-test"}
    state = tekton.start("r-bad.1", **given)
    _say(tekton, state["name"], "False", "PipelineRunTimeout")
    with pytest.raises(PermanentError, match="smoke-test-r-bad-1 failed: PipelineRunTimeout: Tas"):
        tekton.attempt("r-bad.1", state, **given)


def test_a_manifest_is_taken_as_it_is(tekton: Maker) -> None:
    """Its name is where the name begins, its parameters stay, and other fields pass through."""
    manifest: Json = {
        "metadata": {"generateName": "restore-", "labels": {"team": "data"}},
        "spec": {
            "pipelineRef": {"resolver": "git"},
            "params": [{"name": "list", "value": ["a", "b"]}],
            "timeouts": {"pipeline": "10m"},
        },
    }
    state = tekton.start(
        "r-own.1", namespace="tekton", manifest=manifest, params={"list": "x", "image": "shop:1"}
    )
    made = tekton.there("restore-r-own-1")
    assert state["uid"] == made["metadata"]["uid"]
    assert made["metadata"]["labels"]["team"] == "data"
    image = {"name": "image", "value": "shop:1"}
    assert made["spec"] == {**manifest["spec"], "params": [image, *manifest["spec"]["params"]]}
    wrong = {"kind": "TaskRun", "spec": {}}
    with pytest.raises(PermanentError, match="is a TaskRun of"):
        tekton.attempt("r-own.2", namespace="tekton", manifest=wrong)


def test_a_lost_attempt_finds_it_again(tekton: Maker) -> None:
    """The same key names the same one; that of somebody else is left alone."""
    given: Json = {"namespace": "tekton", "pipeline": "again", "wait": False}
    first = tekton.attempt("r-lost.1", **given)
    assert tekton.attempt("r-lost.1", **given) == first
    tekton.kube.ask(
        "POST", tekton.collection,
        {
            "apiVersion": "tekton.dev/v1", "kind": "PipelineRun",
            "metadata": {"name": "again-r-lost-2"}, "spec": {},
        },
    )  # fmt: skip
    with pytest.raises(PermanentError, match="it is not of this run"):
        tekton.attempt("r-lost.2", **given)


def test_one_that_somebody_deletes_fails_the_run(tekton: Maker) -> None:
    """Nobody knows how it would have ended."""
    given: Json = {"namespace": "tekton", "pipeline": "smoke-test"}
    state = tekton.start("r-gone.1", **given)
    tekton.kube.ask("DELETE", f"{tekton.collection}/{state['name']}")
    with pytest.raises(PermanentError, match="is gone before its end was seen"):
        tekton.attempt("r-gone.1", state, **given)


def test_its_rights_are_those_of_the_page(kube: Kube) -> None:
    """Enough, and no more than it uses."""
    serve(kube, "pipelineruns.tekton.dev")
    with making(kube, "tekton-rights", handler, "apis/tekton.dev/v1/pipelineruns") as maker:
        given: Json = {"namespace": "tekton-rights", "pipeline": "smoke-test"}
        maker.attempt("r-one.1", maker.start("r-one.1", **given), **given)
    assert kube.used("tekton-rights", "maker") == documented(handler.name)
