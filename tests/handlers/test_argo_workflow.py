"""argo.workflow; the answers are those of the Argo server's swagger (WorkflowService)."""

from __future__ import annotations

import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from certificates import make, needs_openssl
from peers import call, door

from handlers.argo_workflow import ArgoWorkflow, handler
from receiver.contract import Json, Pending, PermanentError, Succeeded, TemporaryError
from receiver.outbound import Outbound
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


def told(code: int, message: str) -> bytes:
    """An error as the server's gateway writes it: a code of gRPC beside the status of HTTP."""
    return json.dumps({"code": code, "message": message}).encode()


NOT_FOUND = told(5, 'workflows.argoproj.io "x" not found')
REFUSED = {
    "3 InvalidArgument": (400, told(3, "templates.main: template not found")),
    "16 Unauthenticated": (401, told(16, "token not valid. see https://argo-workflows...")),
    "7 PermissionDenied": (403, told(7, "workflows.argoproj.io is forbidden")),
    "5 NotFound": (404, told(5, 'workflowtemplates.argoproj.io "smoke-test" not found')),
    "12 Unimplemented": (501, told(12, "not implemented")),
}
BUSY = {
    "8 ResourceExhausted": (429, told(8, "rate limit exceeded")),
    "13 Internal": (500, told(13, "etcdserver: request timed out")),
    "14 Unavailable": (503, told(14, "connection error")),
    "4 DeadlineExceeded": (504, told(4, "context deadline exceeded")),
}
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
            Case(Reply(404, NOT_FOUND), PermanentError, state=ASKED, name="removed meanwhile"),
            *(
                Case(Reply(status, text), PermanentError, name=name)
                for name, (status, text) in REFUSED.items()
            ),
            *(
                Case(Reply(status, text), TemporaryError, name=name)
                for name, (status, text) in BUSY.items()
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


def test_a_lost_attempt_without_waiting_is_done_when_its_workflow_is_there() -> None:
    """The name is the run's: created once, however often it is asked for."""
    made = attempt(
        SUBJECTS[0], [CONFLICT, workflow("Running")], parameters=GIVEN | {"wait": False}, number=2
    )
    assert made.outcome.output == {"name": NAME}
    assert [seen.method for seen in made.seen] == ["POST", "GET"]


def test_a_cluster_template_labels_and_a_service_account_go_along() -> None:
    """As the Workflow's manifest has them, with the run as an annotation."""
    given = {"kind": "ClusterWorkflowTemplate", "labels": {"team": "web"}, "serviceAccount": "ci"}
    made = attempt(SUBJECTS[0], [workflow("Running")], parameters=GIVEN | given)
    tree = json.loads(made.seen[0].body)["workflow"]
    assert tree["spec"]["workflowTemplateRef"]["clusterScope"] is True
    assert tree["spec"]["serviceAccountName"] == "ci"
    assert tree["metadata"]["labels"] == {"team": "web"}
    assert tree["metadata"]["annotations"] == {"postsync/run": "r-kit.1"}


@pytest.mark.parametrize("prefix", ["", "Bearer "])
def test_the_token_may_stand_as_argo_prints_it(prefix: str) -> None:
    """`argo auth token` prints it with the word before it."""
    token = {"env": "POSTSYNC_SECRET_ARGO", "format": prefix + "{}"}
    made = attempt(SUBJECTS[0], [workflow("Running")], parameters=GIVEN | {"token": token})
    assert made.seen[0].headers["authorization"].startswith("Bearer hush")


def test_what_a_failed_workflow_says_is_told() -> None:
    """Its message, and how it ended."""
    reason = attempt(SUBJECTS[0], [workflow("Failed")], state=ASKED).outcome.reason
    assert reason == f"Workflow {NAME} ended with Failed: said so"


class _Server(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        answer = workflow("Running").body
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: Any) -> None:
        return


@needs_openssl
def test_a_server_with_a_certificate_of_its_own_is_trusted_when_told(tmp_path: Path) -> None:
    """The Argo server makes itself one; it is checked all the same."""
    certificate, key = make(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    outbound = Outbound()
    with ThreadingHTTPServer(("127.0.0.1", 0), _Server) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        given = GIVEN | {"server": f"https://localhost:{server.server_port}", "token": "t"}
        told = call(door(outbound), idempotency_key="r-kit.1")
        given |= {"wait": False}
        with pytest.raises(PermanentError, match="certificate"):
            handler.run(ArgoWorkflow.model_validate(given), told)
        trusted = given | {"authority": certificate.read_text()}
        outcome = handler.run(ArgoWorkflow.model_validate(trusted), told)
        server.shutdown()
    outbound.close()
    assert outcome == Succeeded({"name": NAME})


@pytest.mark.parametrize("namespace", ["..", "a/b", "a%2Fb"])
def test_a_namespace_never_leads_to_another_path(namespace: str) -> None:
    """It comes of an expression, at times."""
    made = attempt(SUBJECTS[0], [], parameters=GIVEN | {"namespace": namespace})
    assert "is no name in Kubernetes" in made.outcome.reason
    assert not made.seen
