"""Argo CD's own engine sends to the service, with the config that `argocd-config` prints."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import argocd_engine
import pytest
from argocd_engine import Engine, Json
from notifications import resource
from service import TOKEN, Service, serving

from receiver.core.model import rfc3339

SENDER = TOKEN + "senders"

QUIET = """
version: 1
rules:
- name: tell
  match: {application: {name: told*}, resources: [{kind: ConfigMap}]}
  actions: [{uses: log.message, with: {text: "${{ resource.name }}"}}]
"""


def application(name: str, **state: Any) -> Json:
    """An Application whose operation has just ended."""
    tree = argocd_engine.application()
    tree["metadata"]["name"] = name
    now = datetime.now(UTC).replace(microsecond=0)
    tree["status"]["operationState"] |= {
        "startedAt": rfc3339(now - timedelta(minutes=1)),
        "finishedAt": rfc3339(now),
        **state,
    }
    return tree


def result(*resources: Json, **fields: Any) -> Json:
    return {"revision": "9f1c2ab", "source": {"repoURL": ""}, "resources": resources, **fields}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serving(tmp_path_factory.mktemp("home"), QUIET) as running:
        yield running


def sent(engine: Engine, service: Service, tree: Json) -> Json:
    """Send one Application and return the story of the sync that came of it."""
    (met,) = engine.send(service.url, SENDER, tree)
    assert {error for condition in met for error in condition["errors"]} == set()
    name = tree["metadata"]["name"]
    _, found = service.request("GET", f"/v1/syncs?application={name}", role="operators")
    assert len(found["syncs"]) == 1
    return service.ended(found["syncs"][0]["id"])


def test_what_is_sent_again_is_a_duplicate(engine: Engine, service: Service) -> None:
    """The trigger sends three times; one sync comes of it, and its rule runs once."""
    tree = application("told-once", syncResult=result(resource("assets")))
    for ahead in (0.0, 61, 601):
        told = engine.look(service.url, SENDER, tree, ahead=ahead)
        assert told == {"sent": 1, "failed": 0}
    story = sent(engine, service, tree)
    verdicts = [item["verdict"] for item in story["deliveries"]]
    assert verdicts == ["accepted", "duplicate", "duplicate", "duplicate"]
    assert [run["state"] for plan in story["plans"] for run in plan["runs"]] == ["succeeded"]


@pytest.mark.parametrize(
    ("name", "state", "resources"),
    [
        ("single-source", {}, 8),
        (
            "several-sources",
            {
                "syncResult": result(
                    resource("a"),
                    revision="",
                    revisions=["77aa", "1.4.2"],
                    sources=[{"repoURL": "https://git.example.com/a.git", "path": "a"}] * 2,
                )
            },
            1,
        ),
        ("no-result", {"syncResult": None, "phase": "Error", "message": "rpc error"}, 0),
        (
            "hard-text",
            {
                "message": 'say "hi"\n\tto {{ .app }} & <b>',
                "syncResult": result(resource("a", 'configmap/a "configured"\nby\\me')),
            },
            1,
        ),
        ("many", {"syncResult": result(*(resource(f"r-{n}") for n in range(3000)))}, 3000),
        ("failed", {"phase": "Failed", "message": "one or more objects failed to apply"}, 8),
        (
            "dry-run",
            {
                "operation": {"sync": {"dryRun": True}, "retry": {}, "initiatedBy": {}},
                "syncResult": result(resource("a", "configmap/a configured (dry run)")),
            },
            1,
        ),
    ],
)
def test_every_kind_of_application_is_accepted_and_understood(
    engine: Engine, service: Service, name: str, state: Json, resources: int
) -> None:
    """Whatever Argo CD has to say arrives as one sync with its phase and all its resources."""
    tree = application(name, **state)
    story = sent(engine, service, tree)
    told = tree["status"]["operationState"]
    assert (story["phase"], story["finishedAt"]) == (told["phase"], told["finishedAt"])
    assert (story["resources"], story["state"]) == (resources, "planned")


@pytest.mark.parametrize("phase", ["Running", "Terminating"])
def test_what_has_not_finished_is_not_sent(engine: Engine, service: Service, phase: str) -> None:
    """The trigger waits for the end of the operation."""
    running = application("running", phase=phase)
    never = application("never-synced")
    del never["status"]
    assert engine.send(service.url, SENDER, running, never) == [[], []]


def test_a_missing_token_is_told_to_the_controller(engine: Engine, service: Service) -> None:
    """The controller's log names the key that its Secret lacks."""
    (met,) = engine.send(service.url, "$postsync-token", application("no-token"))
    assert all("argocd-notifications-secret" in error for one in met for error in one["errors"])


def test_nothing_is_lost_while_the_receiver_is_down_when_a_sync_ends(
    engine: Engine, tmp_path: Path
) -> None:
    """The four tries at the end fail; the look a minute later finds the receiver that came back."""
    service = Service(tmp_path, QUIET)
    service.start()
    service.stop()
    tree = application("told-late", syncResult=result(resource("assets")))
    told = engine.look(service.url, SENDER, tree, ahead=0)
    assert told == {"sent": 0, "failed": 1}
    service.start()
    try:
        assert engine.look(service.url, SENDER, tree, ahead=30) == {"sent": 0, "failed": 0}
        assert engine.look(service.url, SENDER, tree, ahead=61) == {"sent": 1, "failed": 0}
        _, found = service.request("GET", "/v1/syncs", role="operators")
        (sync,) = found["syncs"]
        assert service.ended(sync["id"])["plans"][0]["state"] == "succeeded"
    finally:
        service.stop()
