"""The contract of the handlers for objects."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from test_kubernetes_job import KUBECONFIG

from handlers.kubernetes.apply import handler as apply
from handlers.kubernetes.delete import handler as delete
from handlers.kubernetes.patch import handler as patch
from handlers.kubernetes.read import handler as read
from handlers.kubernetes.restart import handler as restart
from handlers.kubernetes.wait import handler as wait
from receiver.contract import (
    Handler,
    Json,
    Pending,
    PermanentError,
    Succeeded,
    TemporaryError,
)
from receiver.testkit import Case, Fault, Reply, Subject, usual

CLUSTER = {"cluster": {"kubeconfig": {"file": "eu.kubeconfig"}}}
CONFIG: dict[str, Any] = {"apiVersion": "v1", "kind": "ConfigMap", "namespace": "shop", "name": "a"}
WORKLOAD = {"kind": "Deployment", "namespace": "shop", "name": "web"}
MANIFEST = {
    "apiVersion": "v1", "kind": "ConfigMap",
    "metadata": {"namespace": "shop", "name": "a"}, "data": {"k": "v"},
}  # fmt: skip


def _reply(body: Any, status: int = 200) -> Reply:
    return Reply(status, json.dumps(body).encode())


KINDS = _reply({"resources": [
    {"name": "configmaps", "kind": "ConfigMap", "namespaced": True},
    {"name": "deployments", "kind": "Deployment", "namespaced": True},
    {"name": "deployments/scale", "kind": "Scale", "namespaced": True},
]})  # fmt: skip
FOUND = _reply({**MANIFEST, "metadata": {"namespace": "shop", "name": "a", "uid": "u-1"}})
WEB: dict[str, Any] = {
    "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"uid": "u-1", "generation": 2},
}  # fmt: skip
ROLLING = _reply({**WEB, "status": {"observedGeneration": 1}})
COUNTS = {"replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}
ROLLED = _reply({**WEB, "spec": {}, "status": {"observedGeneration": 2, **COUNTS}})
GONE = _reply({"kind": "Status", "reason": "NotFound", "message": 'configmaps "a" not found'}, 404)


def _refused(reason: str, status: int = 409, cause: str = "") -> Reply:
    details: Json = {"causes": [{"reason": cause}]} if cause else {}
    return _reply(
        {"kind": "Status", "reason": reason, "message": "why", "details": details}, status
    )


CHANGED_MEANWHILE = Case([KINDS, _refused("Conflict")], TemporaryError, "changed meanwhile")


def _subject(
    handler: Handler[Any], fields: Mapping[str, Any], *cases: Case, asking: Json = None
) -> Subject:
    """A handler whose first attempt, and that with a state, meets all refusals."""
    garbled = Case(Fault.GARBLED, TemporaryError)
    refused = [*usual(), garbled]
    first = [Case([KINDS, *case.script], case.ends) for case in refused]
    later = [Case(case.answers, case.ends, state=asking) for case in refused]
    return Subject(
        handler,
        parameters=CLUSTER | dict(fields),
        secrets={"eu.kubeconfig": KUBECONFIG},
        uses_key=False,
        cases=[*cases, garbled, *first, *(later if asking is not None else [])],
    )


DELETING: dict[str, Json] = {"path": "/api/v1/namespaces/shop/configmaps", "found": {"a": "u-1"}}
DELETED: Json = {**DELETING, "left": ["a"], "why": ""}
WAITING: Json = {"path": "/api/v1/namespaces/shop/configmaps/a", "why": ""}
RESTARTING: dict[str, Json] = {
    "path": "/apis/apps/v1/namespaces/shop/deployments/web",
    "at": "2026-06-01",
}
RESTARTED: Json = {**RESTARTING, "restarted": True}

MANY = {**CLUSTER, "object": {"kind": "ConfigMap", "namespace": "shop", "labels": {"a": "b"}}}

SUBJECTS = [
    _subject(
        apply,
        {"manifest": MANIFEST},
        Case([KINDS, FOUND], Succeeded),
        Case([KINDS, _refused("Conflict", cause="FieldManagerConflict")], PermanentError, "theirs"),
        CHANGED_MEANWHILE,
    ),
    _subject(
        patch,
        {"object": CONFIG, "patch": {"data": {"k": "v"}}},
        Case([KINDS, FOUND], Succeeded),
        CHANGED_MEANWHILE,
        Case([KINDS, GONE], PermanentError, "gone"),
        Case([KINDS, _refused("UnsupportedMediaType", 415)], PermanentError, "not in that way"),
    ),
    _subject(
        delete,
        {"object": CONFIG},
        Case([KINDS, FOUND], Pending),
        Case([KINDS, GONE], Succeeded, "gone already"),
        Case([KINDS, _reply({"items": [{}] * 101})], PermanentError, "too many", parameters=MANY),
        Case(FOUND, Pending, "is deleted", state=DELETING),
        Case(GONE, Pending, "is gone meanwhile", state=DELETING),
        Case(FOUND, Pending, "is still there", state=DELETED),
        Case(GONE, Succeeded, "is gone", state=DELETED),
        asking=DELETED,
    ),
    _subject(
        restart,
        {"object": WORKLOAD},
        Case([KINDS, ROLLED], Pending),
        Case([KINDS, GONE], PermanentError, "gone"),
        Case(ROLLING, Pending, "is patched", state=RESTARTING),
        Case(ROLLING, Pending, "is not through", state=RESTARTED),
        Case(ROLLED, Succeeded, "is through", state=RESTARTED),
        Case(GONE, PermanentError, "gone", state=RESTARTED),
        asking=RESTARTED,
    ),
    _subject(
        read,
        {"object": CONFIG, "fields": {"key": "object.data.k"}},
        Case([KINDS, FOUND], Succeeded),
        Case([KINDS, GONE], PermanentError, "gone"),
    ),
    _subject(
        wait,
        {"object": CONFIG, "until": "object.data.k == 'v'"},
        Case([KINDS, FOUND], Succeeded),
        Case([KINDS, GONE], Pending, "not there yet"),
        Case(FOUND, Succeeded, "it holds", state=WAITING),
        Case(GONE, Pending, "not there yet", state=WAITING),
        asking=WAITING,
    ),
]
