"""kubernetes.event, against a real API server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from jobs import FACTS
from kube import Json, Kube
from made import PAGE, Maker, documented, making
from test_kubernetes_job import KUBECONFIG

from handlers.kubernetes.event import complete, handler
from receiver.contract import PermanentError, Succeeded, TemporaryError
from receiver.rules.expressions.cel import Expressions
from receiver.rules.handlers.registry import Registry
from receiver.rules.loading.load import load_rules
from receiver.testkit import Case, Fault, Reply, Subject, usual

SUBJECTS = [
    Subject(
        handler,
        parameters={
            "cluster": {"kubeconfig": {"file": "eu.kubeconfig"}},
            "object": {"apiVersion": "v1", "kind": "ConfigMap", "namespace": "shop", "name": "a"},
            "uid": "u-1",
            "note": "done",
        },
        secrets={"eu.kubeconfig": KUBECONFIG},
        cases=[
            Case(Reply(201, b"{}"), Succeeded),
            Case(Reply(409, b'{"reason": "AlreadyExists"}'), Succeeded, "made before"),
            Case(Fault.GARBLED, TemporaryError),
            *usual(),
        ],
    )
]
GETS = frozenset({("configmaps", "get")})
pytestmark = pytest.mark.xdist_group("kubernetes")


def _ran(**states: str) -> Json:
    """What is known of actions that ended so."""
    return {
        name: {"runs": [{"state": state, "reason": "no answer", "target": "batch"}]}
        for name, state in states.items()
    }


def _about(name: str = "web", **actions: str) -> Json:
    resource = {"group": "", "version": "v1", "kind": "ConfigMap", "namespace": "events"}
    return {**FACTS, "resource": {**resource, "name": name}, "actions": _ran(**actions)}


@pytest.fixture(scope="module")
def events(kube: Kube) -> Iterator[Maker]:
    with making(kube, "events", handler, "api/v1/events", GETS) as made:
        yield made


def _shown(events: Maker, uid: str) -> list[Json]:
    """What `kubectl describe` and Argo CD's page ask for."""
    selector = quote(f"involvedObject.uid={uid}")
    items: list[Json] = events.kube.ask("GET", f"{events.collection}?fieldSelector={selector}")[
        "items"
    ]
    return items


def _config(events: Maker, name: str) -> str:
    path = f"/api/v1/namespaces/{events.namespace}/configmaps"
    return str(events.kube.ask("POST", path, {"metadata": {"name": name}})["metadata"]["uid"])


def test_the_resource_tells_what_was_done(events: Maker) -> None:
    """Found by its uid, with the times that the pages show, and what leads back."""
    uid = _config(events, "web")
    events.attempt("r-one.1", facts=_about(purge="succeeded", tell="succeeded", skip="skipped"))
    (event,) = _shown(events, uid)
    assert event["metadata"]["name"] == "web-r-one-1"
    assert event["metadata"]["annotations"]["postsync/sync"] == "s-1"
    assert (event["type"], event["reason"]) == ("Normal", "PostSyncSucceeded")
    assert event["message"] == "Rule smoke: purge, tell succeeded"
    assert event["firstTimestamp"] == event["lastTimestamp"] == "2026-06-01T12:00:00Z"
    assert (event["count"], event["source"]) == (1, {"component": "postsync"})
    path = f"/apis/events.k8s.io/v1/namespaces/events/events/{event['metadata']['name']}"
    newer = events.kube.find(path)
    assert newer is not None
    assert (newer["note"], newer["reportingController"]) == (event["message"], "postsync")


def test_a_failure_is_a_warning_with_its_reason(events: Maker) -> None:
    """Of the first action that failed, cut to what Kubernetes takes."""
    uid = _config(events, "bad")
    facts = _about("bad", purge="succeeded", test="failed", tell="skipped")
    facts["actions"]["test"]["runs"][0]["reason"] = "exit code 7 " + "xä" * 700
    events.attempt("r-bad.1", facts=facts)
    (event,) = _shown(events, uid)
    assert (event["type"], event["reason"]) == ("Warning", "PostSyncFailed")
    assert event["message"].startswith("Rule smoke: test (batch) failed: exit code 7 x")
    assert event["message"].endswith("x…")
    assert len(event["message"].encode()) == 1024


def test_a_lost_attempt_tells_nothing_twice(events: Maker) -> None:
    """The name is the run's."""
    uid = _config(events, "twice")
    for _ in range(2):
        events.attempt("r-twice.1", facts=_about("twice"), reason="Told", note="once")
    (event,) = _shown(events, uid)
    assert (event["reason"], event["message"]) == ("Told", "once")


def test_the_application_is_told_of_without_asking_for_it(events: Maker) -> None:
    """Its uid came with the notification; here no such kind is served at all."""
    application = {"name": "shop", "namespace": "events", "project": "web", "uid": "u-shop"}
    facts = {**FACTS, "resource": None, "application": application, "actions": {}}
    events.attempt("r-app.1", facts=facts)
    (event,) = _shown(events, "u-shop")
    assert event["involvedObject"] == {
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "namespace": "events",
        "name": "shop", "uid": "u-shop",
    }  # fmt: skip
    assert event["message"] == "Rule smoke: sync s-1"


def test_what_is_gone_is_told_of_all_the_same(events: Maker) -> None:
    """A pruned resource, for example; nobody knows its uid any more."""
    events.attempt("r-gone.1", facts=_about("gone"))
    assert "uid" not in events.there("gone-r-gone-1")["involvedObject"]


def test_what_is_in_no_namespace_has_its_events_in_default(kube: Kube, events: Maker) -> None:
    """Kubernetes wants it so; a Namespace is such a thing."""
    facts = _about("events")
    facts["resource"] |= {"kind": "Namespace"}  # Argo CD gives it a namespace all the same
    cluster = {"kubeconfig": kube.kubeconfig()}
    ended: Any = events.attempt("r-wide.1", facts=facts, cluster=cluster)
    assert ended.output == {"namespace": "default", "name": "events-r-wide-1"}


def test_what_the_rule_says_is_said() -> None:
    """Nothing of it is written over."""
    given = {"object": {"kind": "ConfigMap", "name": "a"}, "note": "n", "type": "Warning"}
    told = complete(given, _about(purge="succeeded"))
    assert told.items() >= (given | {"reason": "PostSyncSucceeded"}).items()
    assert "uid" not in told


def test_without_an_object_the_run_says_so() -> None:
    """As an action that was checked without knowing what it is about."""
    params = handler.params.model_validate({"note": "n"})
    with pytest.raises(PermanentError, match="object is missing"):
        handler.run(params, None)  # type: ignore[arg-type] # it asks nobody


def test_its_rights_are_those_of_the_page(kube: Kube) -> None:
    """Enough, and no more than it uses."""
    with making(kube, "event-rights", handler, "api/v1/events", GETS) as maker:
        facts = _about("any")
        facts["resource"]["namespace"] = "event-rights"
        maker.attempt("r-one.1", facts=facts)
    assert kube.used("event-rights", "maker") == documented(handler.name) | GETS


def test_the_pages_example_passes_check(tmp_path: Path) -> None:
    """As it stands."""
    (rules,) = re.findall(r"```yaml\n(version: 1\ndefaults:.*?)```", PAGE, re.DOTALL)
    (tmp_path / "rules.yaml").write_text(rules)
    (rule,) = load_rules([tmp_path], Registry.discover(), Expressions()).rules
    assert rule.actions[-1].uses == handler.name
