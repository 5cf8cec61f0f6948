"""`kubernetes.restart`, `kubernetes.read` and `kubernetes.wait` against a real API server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from kube import Kube
from kubelet import MERGE
from objects import WEB, Objects, objects
from service import wait_for

from handlers.kubernetes.read import handler as read
from handlers.kubernetes.restart import RESTARTED_AT
from handlers.kubernetes.restart import handler as restart
from handlers.kubernetes.wait import handler as wait
from receiver.contract import Pending, PermanentError

pytestmark = pytest.mark.xdist_group("kubernetes")
DEPLOYMENTS = "apps/v1/deployments"


@pytest.fixture(scope="module")
def here(kube: Kube) -> Iterator[Objects]:
    with objects(kube, kube.namespace("looks")) as made:
        made.put(DEPLOYMENTS, "web", WEB)
        yield made


def _template(here: Objects) -> dict[str, object]:
    template: dict[str, object] = here.there(DEPLOYMENTS, "web")["spec"]["template"]
    return template


def _pods(here: Objects) -> set[str]:
    return {pod["metadata"]["name"] for pod in here.kube.items(here.path("pods"))}


def test_a_deployment_is_waited_for_until_its_pods_are_ready(here: Objects) -> None:
    """Its health is asked for anew each time; the trail says once what is missing."""
    ref = here.ref("Deployment", "web", "apps/v1")
    wait_for(lambda: len(_pods(here)) == 2, 30, "its pods")
    state = here.state(wait, object=ref)
    assert "Progressing" in state["why"]
    here.say_ready()
    output = here.end(wait, state, object=ref)
    assert (output["kind"], output["name"], output["generation"]) == ("Deployment", "web", 1)


def test_a_restart_makes_new_pods_and_waits_for_them(here: Objects) -> None:
    """By the annotation of kubectl; it has ended when the old pods are gone, too."""
    ref = {"kind": "Deployment", "namespace": here.namespace, "name": "web"}
    here.say_ready()
    old = _pods(here)
    state = here.state(restart, object=ref)
    assert "annotations" not in here.there(DEPLOYMENTS, "web")["spec"]["template"]["metadata"]
    state = here.state(restart, state, object=ref)

    def through() -> bool:
        here.say_ready()
        return not isinstance(here.attempt(restart, state, object=ref), Pending)

    wait_for(through, 60, "the rollout")
    output = here.end(restart, state, object=ref)
    assert output["restartedAt"] == "2026-06-01T12:00:00+00:00"
    assert not _pods(here) & old


def test_a_lost_attempt_restarts_once(here: Objects) -> None:
    """The time in the annotation was stored before, so that the second patch is the same."""
    ref = {"group": "apps", "kind": "Deployment", "namespace": here.namespace, "name": "web"}
    state = here.state(restart, object=ref) | {"at": "2026-06-02T12:00:00+00:00"}
    generations = {here.end(restart, state, object=ref, wait=False)["generation"] for _ in range(2)}
    assert len(generations) == 1
    assert _template(here)["metadata"] == {
        "labels": {"app": "web"}, "annotations": {RESTARTED_AT: "2026-06-02T12:00:00+00:00"},
    }  # fmt: skip


def test_what_cannot_be_restarted_says_why(here: Objects) -> None:
    """A paused Deployment, and one that is not there."""
    here.put(DEPLOYMENTS, "paused", {"spec": {**WEB["spec"], "paused": True, "replicas": 0}})
    ref = {"kind": "Deployment", "namespace": here.namespace}
    with pytest.raises(PermanentError, match="Deployment looks/paused is paused"):
        here.attempt(restart, object={**ref, "name": "paused"})
    with pytest.raises(PermanentError, match="there is no Deployment looks/nobody"):
        here.attempt(restart, object={**ref, "name": "nobody"})


def test_a_rollout_that_does_not_come_on_is_a_failure(here: Objects) -> None:
    """Its progressDeadlineSeconds ends the waiting, for the restart and for the wait."""
    spec = {**WEB["spec"], "progressDeadlineSeconds": 1, "selector": {"matchLabels": {"app": "s"}}}
    spec["template"] = {**spec["template"], "metadata": {"labels": {"app": "s"}}}
    here.put(DEPLOYMENTS, "stuck", {"spec": spec})
    ref = here.ref("Deployment", "stuck", "apps/v1")
    with pytest.raises(PermanentError, match="looks/stuck is degraded: its progressDeadlineSec"):
        here.end(wait, object=ref)
    state = {"path": here.path(DEPLOYMENTS, "stuck"), "at": "x", "restarted": True}
    with pytest.raises(PermanentError, match="looks/stuck is degraded"):
        here.end(restart, state, object=ref)


def test_fields_are_read_for_later_actions(here: Objects) -> None:
    """Paths and whatever else CEL can say, each under its name, with its type."""
    fields = {
        "replicas": "object.spec.replicas",
        "image": "object.spec.template.spec.containers[0].image",
        "tier": "object.metadata.?labels.?tier.orValue('none')",
        "names": "object.spec.template.spec.containers.map(c, c.name)",
    }
    output = here.end(read, object=here.ref("Deployment", "web", "apps/v1"), fields=fields)
    assert output == {"replicas": 2, "image": "busybox", "tier": "none", "names": ["main"]}


def test_what_cannot_be_read_says_why(here: Objects) -> None:
    """With the field, and the way out."""
    here.put("configmaps", "settings", {"data": {"a": "x" * 70_000}})
    ref = here.ref("ConfigMap", "settings")
    with pytest.raises(PermanentError, match=r'fields.b: there is no key "b" \(object.\?a'):
        here.attempt(read, object=ref, fields={"b": "object.data.b"})
    with pytest.raises(PermanentError, match="the fields have more than 65536 characters"):
        here.attempt(read, object=ref, fields={"a": "object.data.a"})
    with pytest.raises(PermanentError, match="there is no ConfigMap looks/nobody"):
        here.attempt(read, object=here.ref("ConfigMap", "nobody"), fields={"a": "1"})


def test_what_is_not_there_yet_is_waited_for(here: Objects) -> None:
    """And then for its condition; a field that is missing may come."""
    asked = {"object": here.ref("ConfigMap", "later"), "until": "object.data.ready == 'yes'"}
    state = here.state(wait, **asked)
    assert here.said[-1] == "waiting for ConfigMap looks/later: it is not there yet"
    here.put("configmaps", "later")
    state = here.state(wait, state, **asked)
    assert here.said[-1].endswith('until cannot be evaluated yet: until: there is no key "data"')
    path = here.path("configmaps", "later")
    here.kube.ask("PATCH", path, {"data": {"ready": "no"}}, MERGE)
    state = here.state(wait, here.state(wait, state, **asked), **asked)
    assert here.said[-1].endswith("until does not hold")
    assert here.said.count(here.said[-1]) == 1
    here.kube.ask("PATCH", path, {"data": {"ready": "yes"}}, MERGE)
    assert here.end(wait, state, **asked)["name"] == "later"


def test_a_condition_can_say_that_it_has_failed(here: Objects) -> None:
    """Then nothing is waited for any more."""
    here.put("configmaps", "broken", {"data": {"state": "broken"}})
    asked = {"object": here.ref("ConfigMap", "broken"), "until": "object.data.state == 'done'"}
    here.state(wait, **asked, failed="object.data.stage == 'broken'")
    with pytest.raises(PermanentError, match="looks/broken has failed: object"):
        here.attempt(wait, **asked, failed="object.data.state == 'broken'")
    with pytest.raises(PermanentError, match="until gives neither true nor false"):
        here.attempt(wait, object=asked["object"], until="object.data.state")
