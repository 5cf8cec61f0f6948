"""docs/operating.md keeps its word: its requests do in a real service what the page says."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from notifications import notification, resource
from service import ROOT, TOKEN, Service, Target, serving, wait_for

PAGE = (ROOT / "docs/operating.md").read_text()
ACTS = re.search(r"<!-- acts -->\n```sh\n(.*?)```", PAGE, re.DOTALL)
RULES = """
version: 1
rules:
- name: purge
  match: {{resources: [{{kind: ConfigMap}}]}}
  actions: [{{name: purge, uses: http.request, with: {{url: "{url}"}}}}]
- name: careful
  match: {{resources: [{{kind: Secret}}]}}
  limits: {{maxTargets: 1, otherwise: hold}}
  actions: [{{uses: log.message, with: {{text: done}}}}]
"""


@pytest.fixture
def service(tmp_path: Path, target: Target) -> Iterator[Service]:
    target.statuses = [404, 404]
    with serving(tmp_path, RULES.format(url=target.url)) as service:
        yield service


def send(service: Service, *names: str, kind: str) -> str:
    body = notification(*(resource(name, kind=kind) for name in names), application=names[0])
    return str(service.request("POST", "/v1/notifications", body)[1]["sync"])


def held(service: Service, name: str) -> str:
    """A plan that waits to be approved."""
    sync = send(service, name, f"{name}-2", kind="Secret")
    wait_for(lambda: bool(service.story(sync)["plans"]), 20, "a plan")
    plan = service.story(sync)["plans"][0]
    assert plan["state"] == "held"
    return str(plan["id"])


def run_page(service: Service, **names: str) -> list[dict[str, Any]]:
    """Run the page's requests in a shell; what was answered to each."""
    assert ACTS
    environ = service.environ | {"POSTSYNC_TOKEN": TOKEN + "operators"} | names
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", ACTS[1]], env=environ, capture_output=True, text=True,
        check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    decoder, text, answers = json.JSONDecoder(), done.stdout.strip(), []
    while text:
        answer, end = decoder.raw_decode(text)
        answers.append(answer)
        text = text[end:].strip()
    return answers


def test_an_outage_by_curl_as_the_page_has_it(service: Service, target: Target) -> None:
    """Every request succeeds, the dispatcher acts upon it, and the trail names who asked."""
    first, second = (send(service, name, kind="ConfigMap") for name in ("a", "b"))
    for sync in (first, second):
        assert service.ended(sync)["plans"][0]["state"] == "failed"
    plan, unwanted = held(service, "c"), held(service, "d")
    run = service.story(first)["plans"][0]["runs"][0]["id"]
    answers = run_page(service, SYNC=first, RUN=run, HELD=plan, UNWANTED=unwanted)
    assert answers[0]["pause"]["reason"] == "the CDN is down"
    assert (answers[1]["pauses"][0]["by"], answers[3]["run"]["id"]) == ("test", run)
    assert [answer.get("retried", answer.get("resumed")) for answer in answers[4:6]] == [1, True]
    assert [answer["plan"]["state"] for answer in answers[6:]] == ["active", "cancelled"]

    def done() -> bool:
        states = {state for (state,) in service.query("SELECT state FROM plans")}
        return states == {"succeeded", "cancelled"} and len(target.seen) == 5

    wait_for(done, 20, "the end of all plans")
    assert {event["by"] for event in service.events("run.retried")} == {"test"}
