"""docs/api.md: each request of the page is answered by a real service as it is printed."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from notifications import notification, resource
from service import ROOT, TOKEN, Service, Target, serving, wait_for

from receiver.web.openapi_document import OPERATIONS
from receiver.web.operation import Operation

PAGE = (ROOT / "docs/api.md").read_text()
REQUESTS = "".join(re.findall(r"<!-- requests -->\n```sh\n(.*?)```", PAGE, re.DOTALL))
HEAD = 'API="$POSTSYNC_URL/v1"\nAS="Authorization: Bearer $POSTSYNC_TOKEN"\n'
RULES = """
version: 1
rules:
- name: purge
  match: {{resources: [{{kind: ConfigMap}}]}}
  actions: [{{uses: http.request, with: {{url: "{url}"}}}}]
- name: sleep
  match: {{resources: [{{kind: Job}}]}}
  retry: {{initialDelay: 30m, maxDelay: 30m}}
  actions: [{{uses: http.request, with: {{url: "http://127.0.0.1:9/"}}}}]
- name: careful
  match: {{resources: [{{kind: Secret}}]}}
  limits: {{maxTargets: 1}}
  actions: [{{uses: log.message, with: {{text: done}}}}]
- name: ask
  match: {{resources: [{{kind: Service}}]}}
  actions: [{{uses: log.message, suspend: true, with: {{text: done}}}}]
"""


@pytest.fixture
def service(tmp_path: Path, target: Target) -> Iterator[Service]:
    target.statuses = [404, 404]
    with serving(tmp_path, RULES.format(url=target.url)) as service:
        yield service


def sent(service: Service, kind: str, *names: str) -> str:
    body = notification(*(resource(name, kind=kind) for name in names), application=names[0])
    return str(service.request("POST", "/v1/notifications", body)[1]["sync"])


def first(service: Service, kind: str, query: str) -> str:
    """Wait for the first row of a list."""
    found: list[str] = []

    def there() -> bool:
        answer = service.request("GET", f"/v1/{kind}?{query}", role="operators")[1]
        found[:] = [row["id"] for row in answer[kind]]
        return bool(found)

    wait_for(there, 20, f"{kind} with {query}")
    return found[0]


def test_the_page_runs_from_top_to_bottom(service: Service, tmp_path: Path) -> None:
    """In a shell that stops at the first refusal."""
    sync = sent(service, "ConfigMap", "shop")
    run = first(service, "runs", "state=failed")
    held, unwanted = (sent(service, "Secret", name, f"{name}-2") for name in ("b", "c"))
    sent(service, "Service", "d")
    again = sent(service, "ConfigMap", "f")
    sent(service, "Job", "sleepy")
    body = tmp_path / "notification.json"
    body.write_bytes(notification(resource("e")))
    names = {
        "POSTSYNC_TOKEN": TOKEN + "operators",
        "SENDER_TOKEN": TOKEN + "senders",
        "EXTENSION_TOKEN": TOKEN + "extensions",
        "NOTIFICATION": str(body),
        "SYNC": sync,
        "RUN": run,
        "FAILED_RUN": first(service, "runs", f"sync={again}&state=failed"),
        "SLEEPING_RUN": first(service, "runs", "rule=sleep&state=due"),
        "PLAN": first(service, "plans", f"sync={sync}"),
        "HELD_PLAN": first(service, "plans", f"sync={held}&state=held"),
        "UNWANTED_PLAN": first(service, "plans", f"sync={unwanted}&state=held"),
        "HELD_RUN": first(service, "runs", "state=held"),
    }
    done = subprocess.run(
        ["bash", "-euxo", "pipefail", "-c", HEAD + REQUESTS], env=service.environ | names,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.name)
def test_each_operation_has_an_example(operation: Operation) -> None:
    """On the page, in a block that is run."""
    path = operation.path.replace("/v1", "$API", 1) if operation.tag != "probes" else operation.path
    pattern = re.sub(r"\\\{\w+\\\}", r"[$\\w.]+", re.escape(path))
    method = "" if operation.method in {"get", "post"} else f"-X {operation.method.upper()} "
    assert re.search(rf'{method}.*{pattern}["?]', REQUESTS)
