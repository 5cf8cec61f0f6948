"""argo.workflow through an API server that serves its kind; the test is the controller."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from kube import Json, Kube
from made import MADE, Maker, answered, documented, maker_subject, making, serve
from pydantic import ValidationError
from test_kubernetes_job import KUBECONFIG

from handlers.argo_workflow import ArgoWorkflow, handler
from receiver.contract import Pending, PermanentError, Succeeded
from receiver.testkit import Case

SUBJECTS = [
    maker_subject(
        handler,
        KUBECONFIG,
        [
            Case(answered({"phase": "Running"}), Pending, "it runs", state=MADE),
            Case(answered({"phase": "Succeeded"}), Succeeded, "succeeded", state=MADE),
            Case(answered({"phase": "Error"}), PermanentError, "failed", state=MADE),
        ],
        template="smoke-test",
    )
]
GIVEN: Json = {"namespace": "argo", "template": "smoke-test", "arguments": {"image": "shop:1"}}
pytestmark = pytest.mark.xdist_group("kubernetes")


@pytest.fixture(scope="module")
def argo(kube: Kube) -> Iterator[Maker]:
    serve(kube, "workflows.argoproj.io")
    with making(kube, "argo", handler, "apis/argoproj.io/v1alpha1/workflows") as made:
        yield made


def test_a_workflow_is_created_and_its_end_is_told(argo: Maker) -> None:
    """With its arguments, and where it comes from; its outputs are output."""
    state = argo.start("r-one.1", **GIVEN)
    made = argo.there("smoke-test-r-one-1")
    assert made["spec"]["workflowTemplateRef"] == {"name": "smoke-test", "clusterScope": False}
    assert made["spec"]["arguments"]["parameters"] == [{"name": "image", "value": "shop:1"}]
    assert made["metadata"]["labels"]["postsync/rule"] == "smoke"
    assert made["metadata"]["annotations"]["postsync/run"] == "r-one.1"
    argo.say(state["name"], {"phase": "Running"})
    assert isinstance(argo.attempt("r-one.1", state, **GIVEN), Pending)
    outputs = {"parameters": [{"name": "rows", "value": "3"}]}
    argo.say(state["name"], {"phase": "Succeeded", "outputs": outputs})
    ended = Succeeded(
        {"name": "smoke-test-r-one-1", "phase": "Succeeded", "outputs": {"rows": "3"}}
    )
    assert argo.attempt("r-one.1", state, **GIVEN) == ended


def test_a_failed_one_tells_why(argo: Maker) -> None:
    """Its message is in the reason of the failure."""
    state = argo.start("r-bad.1", **GIVEN)
    argo.say(state["name"], {"phase": "Failed", "message": "child failed"})
    with pytest.raises(PermanentError, match="smoke-test-r-bad-1 ended with Failed: child failed"):
        argo.attempt("r-bad.1", state, **GIVEN)


def test_a_lost_attempt_finds_it_again(argo: Maker) -> None:
    """The same key names the same one; without wait nothing is asked."""
    first = argo.attempt("r-lost.1", **GIVEN, wait=False)
    assert first == Succeeded({"name": "smoke-test-r-lost-1"})
    assert argo.attempt("r-lost.1", **GIVEN, wait=False) == first


def test_one_that_is_gone_fails_the_run(argo: Maker) -> None:
    """Its ttlStrategy was too short, or somebody has deleted it."""
    state = argo.start("r-gone.1", **GIVEN)
    argo.kube.ask("DELETE", f"{argo.collection}/{state['name']}")
    with pytest.raises(PermanentError, match=r"is gone before its end was seen .*ttlStrategy"):
        argo.attempt("r-gone.1", state, **GIVEN)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"server": "https://a", "cluster": {"kubeconfig": "k"}}, "give server or cluster"),
        ({"token": "t"}, "token and authority belong to server"),
    ],
)
def test_one_way_is_chosen(given: dict[str, Any], told: str) -> None:
    """What belongs to the other one is a mistake."""
    with pytest.raises(ValidationError, match=told):
        ArgoWorkflow.model_validate({"namespace": "argo", "template": "t", **given})


def test_its_rights_are_those_of_the_page(kube: Kube) -> None:
    """Enough, and no more than it uses."""
    serve(kube, "workflows.argoproj.io")
    with making(kube, "argo-rights", handler, "apis/argoproj.io/v1alpha1/workflows") as maker:
        given: Json = {"namespace": "argo-rights", "template": "smoke-test"}
        maker.attempt("r-one.1", maker.start("r-one.1", **given), **given)
    assert kube.used("argo-rights", "maker") == documented(handler.name)
