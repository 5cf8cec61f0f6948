"""Our template, rendered by Argo CD's own engine over Applications of all kinds."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path

import argocd_engine
import pytest
from argocd_engine import Engine, Json

from receiver.notification.parse import read_notification
from receiver.notification.recovered import Wording, recovered_body

EXAMPLE = Path(__file__).parents[1] / "config/examples/notification.json"


@pytest.fixture
def application() -> Json:
    return argocd_engine.application()


def same(engine: Engine, application: Json) -> None:
    """Our template tells what the whole Application tells, and what is recovered from it."""
    ours, whole, recovered = (
        read_notification(body, sender="argocd", channel="sync", query={})
        for body in (
            engine.render(application),
            json.dumps(application).encode(),
            recovered_body(application, Wording()),
        )
    )
    assert (ours.shape, whole.shape, recovered.shape) == ("template", "application", "application")
    assert ours.sync == whole.sync == recovered.sync
    assert ours.identity == whole.identity == recovered.identity


def test_the_example_is_what_the_template_renders(engine: Engine, application: Json) -> None:
    """config/examples/notification.json is a real one, and has no secret in it."""
    body = engine.render(application)
    assert json.loads(body) == json.loads(EXAMPLE.read_bytes())
    assert b"hunter2" not in body
    assert b"hunter2" in json.dumps(application).encode()
    assert b"hunter2" not in recovered_body(application, Wording())
    same(engine, application)


@pytest.mark.parametrize(
    "path",
    [
        "metadata.labels",
        "metadata.uid",
        "metadata.namespace",
        "spec",
        "spec.project",
        "spec.destination",
        "status.operationState.message",
        "status.operationState.startedAt",
        "status.operationState.operation",
        "status.operationState.operation.initiatedBy",
        "status.operationState.operation.retry",
        "status.operationState.operation.sync",
        "status.operationState.operation.sync.syncOptions",
        "status.operationState.syncResult.resources",
        "status.operationState.syncResult.revision",
        "status.operationState.syncResult.source",
    ],
)
@pytest.mark.parametrize("empty", ["absent", "null", "{}"])
def test_whatever_is_missing_leaves_valid_json(
    engine: Engine, application: Json, path: str, empty: str
) -> None:
    """Argo CD leaves out what is empty; the template never breaks on it."""
    *parents, last = path.split(".")
    node = application
    for key in parents:
        node = node[key]
    if empty == "absent":
        del node[last]
    elif empty == "null" or isinstance(node[last], str | list):
        node[last] = None
    else:
        node[last] = {}
    same(engine, application)


def test_without_a_sync_result_the_failure_is_told(engine: Engine, application: Json) -> None:
    """A sync that failed before it began has no syncResult."""
    state = application["status"]["operationState"]
    del state["syncResult"]
    state["phase"], state["message"] = "Error", "ComparisonError: rpc error"
    same(engine, application)


def test_several_sources(engine: Engine, application: Json) -> None:
    """A multi-source Application has its sources and revisions in the plural."""
    result = application["status"]["operationState"]["syncResult"]
    source = result["source"]
    result |= {
        "revision": "",
        "source": {"repoURL": ""},
        "revisions": ["77aa", "1.4.2"],
        "sources": [source, {"repoURL": "https://charts.example.com", "chart": "shop"}],
    }
    same(engine, application)
    sources = json.loads(engine.render(application))["operationState"]["syncResult"]["sources"]
    assert [item["chart"] for item in sources] == [None, "shop"]


@pytest.mark.parametrize(
    "message", ['say "hi"', "one\ntwo\r\n\tthree", "a\\b", "<b>&\u2028", "{{ .app }}", "é😀", "\0"]
)
def test_no_message_breaks_the_json(engine: Engine, application: Json, message: str) -> None:
    """Quotes, line breaks and braces in messages and labels arrive as they are."""
    state = application["status"]["operationState"]
    state["message"] = state["syncResult"]["resources"][0]["message"] = message
    application["metadata"]["labels"]["note"] = message
    same(engine, application)


def test_a_dry_run_and_a_selective_sync_with_retries(engine: Engine, application: Json) -> None:
    """What decides about the verdicts is told as well."""
    state = application["status"]["operationState"]
    state["retryCount"] = 2
    state["operation"]["initiatedBy"] = {"username": "ada"}
    state["operation"]["sync"] |= {
        "dryRun": True,
        "resources": [{"group": "apps", "kind": "Deployment", "name": "shop"}],
    }
    same(engine, application)


def test_no_secret_of_the_application_is_sent(engine: Engine, application: Json) -> None:
    """Helm values, parameters, manifests and annotations stay where they are."""
    secret = {"helm": {"values": "S3CRET"}, "plugin": {"env": [{"value": "S3CRET"}]}}
    state = application["status"]["operationState"]
    state["operation"]["sync"] |= {"manifests": ["S3CRET"], "source": secret, "sources": [secret]}
    state["operation"]["info"] = [{"name": "a", "value": "S3CRET"}]
    state["syncResult"]["source"] |= secret
    state["syncResult"]["sources"] = [deepcopy(state["syncResult"]["source"])]
    state["syncResult"]["managedNamespaceMetadata"] = {"annotations": {"a": "S3CRET"}}
    application["metadata"]["annotations"] = {"a": "S3CRET"}
    application["spec"]["source"] |= secret
    assert b"S3CRET" not in engine.render(application)


def test_an_application_that_was_never_synced_is_valid_json(
    engine: Engine, application: Json
) -> None:
    """`argocd admin notifications` renders for any Application."""
    del application["status"]
    assert json.loads(engine.render(application))["operationState"] is None
