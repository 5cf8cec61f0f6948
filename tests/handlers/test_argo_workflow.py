"""argo.workflow; the answers are those of the Argo server's swagger (WorkflowService)."""

from __future__ import annotations

import json
from typing import Any

from handlers.argo_workflow import handler
from receiver.contract import Json, Pending, PermanentError, Succeeded, TemporaryError
from receiver.testkit import Case, Fault, Reply, Subject, attempt, usual

GIVEN: dict[str, Any] = {
    "server": "https://argo-server.argo.svc:2746",
    "token": {"env": "POSTSYNC_SECRET_ARGO"},
    "namespace": "shop",
    "template": "smoke-test",
    "arguments": {"image": "shop:2"},
}
NAME = "smoke-test-r-kit-1"
ASKED: Json = {"name": NAME}


def workflow(phase: str, run: str = "r-kit.1") -> Reply:
    tree = {
        "metadata": {"name": NAME, "annotations": {"postsync/run": run}},
        "status": {"phase": phase, "message": "said so",
                   "outputs": {"parameters": [{"name": "rows", "value": "3"}]}},
    }  # fmt: skip
    return Reply(200, json.dumps(tree).encode())


CONFLICT = Reply(409, b'{"code": 6, "message": "already exists"}')
SUBJECTS = [
    Subject(
        handler,
        parameters=GIVEN,
        cases=[
            Case(workflow("Running"), Pending),
            Case(workflow(""), Pending, name="not seen by its controller yet"),
            Case(workflow("Pending"), Pending, state=ASKED, name="pending"),
            Case(workflow("Succeeded"), Succeeded, state=ASKED, name="succeeded"),
            Case(workflow("Failed"), PermanentError, state=ASKED, name="failed"),
            Case(workflow("Error"), PermanentError, state=ASKED, name="error"),
            Case([CONFLICT, workflow("Running")], Pending, name="created by a lost attempt"),
            Case(
                [CONFLICT, workflow("Running", "r-other.1")], PermanentError, name="somebody else's"
            ),
            Case(Fault.GARBLED, TemporaryError),
            *usual(without={409}),
        ],
    )
]


def test_a_workflow_is_created_under_the_runs_name() -> None:
    """From its template, with its arguments, and found again by that name."""
    made = attempt(SUBJECTS[0], [workflow("Succeeded")])
    create, look = made.seen
    assert (create.method, create.path) == ("POST", "/api/v1/workflows/shop")
    tree = json.loads(create.body)["workflow"]
    assert tree["metadata"]["name"] == NAME
    assert tree["spec"]["workflowTemplateRef"] == {"name": "smoke-test", "clusterScope": False}
    assert tree["spec"]["arguments"]["parameters"] == [{"name": "image", "value": "shop:2"}]
    assert (look.method, look.path) == ("GET", f"/api/v1/workflows/shop/{NAME}")
    output: Any = made.outcome.output
    assert output["outputs"] == {"rows": "3"}


def test_a_long_templates_name_is_cut_to_what_a_label_may_have() -> None:
    """63 characters, with the run's at the end."""
    made = attempt(SUBJECTS[0], [workflow("Running")], parameters=GIVEN | {"template": "t" * 80})
    name = json.loads(made.seen[0].body)["workflow"]["metadata"]["name"]
    assert len(name) <= 63
    assert name.endswith("-r-kit-1")


def test_without_waiting_it_succeeds_at_once() -> None:
    """Its name is the output."""
    made = attempt(SUBJECTS[0], [workflow("Running")], parameters=GIVEN | {"wait": False})
    assert (len(made.seen), made.outcome.output) == (1, {"name": NAME})
