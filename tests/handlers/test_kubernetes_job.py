from __future__ import annotations

import json
from typing import Any

from jobs import MANIFEST

from handlers.kubernetes.job import handler
from receiver.contract import Json, Pending, PermanentError, Succeeded, TemporaryError
from receiver.testkit import Case, Fault, Reply, Subject, usual

KUBECONFIG = json.dumps({
    "current-context": "it",
    "clusters": [{"name": "it", "cluster": {"server": "https://api.eu.example.com:6443"}}],
    "users": [{"name": "it", "user": {"token": "Zq8Wk3vXn5TrLmB7"}}],
    "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
})  # fmt: skip
JOB: dict[str, Any] = {
    "metadata": {"namespace": "shop", "name": "smoke-test-r-kit-1", "uid": "u-1"}
}
STATE: Json = {"namespace": "shop", "name": "smoke-test-r-kit-1", "uid": "u-1", "trouble": ""}


def _job(condition: str = "", **status: Any) -> Reply:
    met = [{"type": condition, "status": "True"}] if condition else []
    body = JOB | {"status": {"conditions": met, **status}}
    return Reply(200, json.dumps(body).encode())


PODS = Reply(200, b'{"items": []}')

SUBJECTS = [
    Subject(
        handler,
        parameters={
            "cluster": {"kubeconfig": {"file": "eu.kubeconfig"}},
            "namespace": "shop",
            "manifest": MANIFEST,
        },
        secrets={"eu.kubeconfig": KUBECONFIG},
        cases=[
            Case(_job(), Pending),
            Case(Fault.GARBLED, TemporaryError),
            *usual(),
            Case(_job(active=1, ready=1), Pending, "it runs", state=STATE),
            Case(_job("SuccessCriteriaMet", active=0), Pending, "not quite", state=STATE),
            Case([_job("Complete"), PODS], Succeeded, "complete", state=STATE),
            Case([_job("Failed"), PODS], PermanentError, "failed", state=STATE),
            Case(Fault.GARBLED, TemporaryError, state=STATE),
            *(Case(case.answers, case.ends, state=STATE) for case in usual()),
        ],
    )
]
