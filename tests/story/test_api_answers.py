"""The API's answers about real syncs, held to what its document says of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from notifications import notification, resource
from service import Service, serving, wait_for
from test_service import send

from receiver.web.openapi_document import OPERATIONS, openapi_document

RULES = """
version: 1
rules:
- name: tell
  match: {resources: [{kind: ConfigMap, name: good*}]}
  actions: [{uses: log.message, with: {text: "${{ resource.name }}"}}]
- name: fall
  match: {resources: [{kind: ConfigMap, name: good*}]}
  retry: {for: 1s, initialDelay: 50ms, maxDelay: 50ms}
  actions:
  - {uses: http.request, with: {url: "http://127.0.0.1:9/"}}
  - {name: then, uses: log.message, wave: 1, with: {text: never}}
  onFailure: [{uses: log.message, with: {text: "${{ failure.message }}"}}]
- name: ask
  match: {resources: [{kind: ConfigMap, name: asked}]}
  actions: [{uses: log.message, suspend: true, with: {text: approved}}]
- name: gather
  match: {resources: [{kind: ConfigMap, name: gathered}]}
  debounce: {window: 1h, maxWait: 2h}
  actions: [{uses: log.message, target: batch, with: {text: gathered}}]
"""

DOCUMENT = openapi_document()
BY_NAME = {operation.name: operation for operation in OPERATIONS}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serving(tmp_path_factory.mktemp("home"), RULES) as running:
        yield running


def ask(service: Service, name: str, path: str = "", body: bytes | None = None) -> Any:
    """Ask for an operation of the document, and check the answer against its model."""
    operation = BY_NAME[name]
    status, answer = service.request(
        operation.method.upper(), path or operation.path, body, role="operators"
    )
    model = operation.answers.get(status)
    assert model is not None, (status, answer)
    schema = {**DOCUMENT, "$ref": f"#/components/schemas/{model.__name__}"}
    Draft202012Validator(schema).validate(answer)
    return answer


def test_lists_stories_and_acts_are_as_documented(service: Service) -> None:
    """Of syncs that succeed, fail, wait for approval, and gather others."""
    sync = send(service, "good-one", "good-two")["sync"]
    story = service.ended(sync)
    failed = next(plan for plan in story["plans"] if plan["rule"] == "fall")
    run = next(run for run in failed["runs"] if run["state"] == "failed")
    for name in ("listSyncs", "listPlans", "listRuns", "listEvents", "listPauses", "readyz"):
        ask(service, name)
    ask(service, "getSync", f"/v1/syncs/{sync}")
    ask(service, "explainSync", f"/v1/syncs/{sync}/explanation")
    ask(service, "getDelivery", f"/v1/deliveries/{sync}")
    ask(service, "listDeliveries")
    ask(service, "getPlan", f"/v1/plans/{failed['id']}")
    ask(service, "getRun", f"/v1/runs/{run['id']}")
    ask(service, "pauseRule", "/v1/pauses/rules/fall", b'{"reason": "its target is down"}')
    ask(service, "listPauses")
    ask(service, "retryRun", f"/v1/runs/{run['id']}/retry")
    ask(service, "retryRuns", body=b'{"rule": "fall"}')
    ask(service, "cancelRun", f"/v1/runs/{run['id']}/cancel")
    ask(service, "cancelSync", f"/v1/syncs/{sync}/cancel")
    ask(service, "resumeRule", "/v1/pauses/rules/fall")
    ask(service, "replaySync", f"/v1/syncs/{sync}/replay", b'{"rule": "tell"}')


def test_what_is_held_and_what_collects_is_as_documented(service: Service) -> None:
    """A held run is approved, a collecting plan is told and cancelled."""
    send(service, "asked")
    held = _wait_for_run(service, "held")
    assert ask(service, "approveRun", f"/v1/runs/{held}/approve")["run"]["state"] == "due"
    for finished in range(2):
        body = notification(resource("gathered"), retryCount=finished)
        service.request("POST", "/v1/notifications", body)
    plan = _wait_for_plan(service, "collecting")
    ask(service, "getPlan", f"/v1/plans/{plan}")
    assert ask(service, "cancelPlan", f"/v1/plans/{plan}/cancel")["plan"]["state"] == "cancelled"


def _wait_for_run(service: Service, state: str) -> str:
    return _wait_for(service, "listRuns", f"/v1/runs?state={state}", "runs")


def _wait_for_plan(service: Service, state: str) -> str:
    return _wait_for(service, "listPlans", f"/v1/plans?state={state}", "plans")


def _wait_for(service: Service, name: str, path: str, key: str) -> str:
    found: list[str] = []

    def there() -> bool:
        found[:] = [row["id"] for row in ask(service, name, path)[key]]
        return bool(found)

    wait_for(there, 20, f"{key} of {path}")
    return found[0]
