"""The worked examples of config/examples/rules, from a notification to the call that arrives.

Only their addresses are led to a server on loopback that answers as the services do.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from service import ROOT, Service, serving, wait_for

from receiver.core.model import rfc3339
from receiver.testkit import Reply, Seen, peer

EXAMPLES = ROOT / "config/examples"
NOTIFICATION = json.loads((EXAMPLES / "notification.json").read_text())
SECRETS = ("SLACK", "CLOUDFLARE", "GITHUB", "ARGO")


def answered(seen: Seen) -> Reply:
    """As Slack, Cloudflare, GitHub and Argo Workflows answer."""
    if "/chat." in seen.path:
        return Reply(200, b'{"ok": true, "channel": "C1", "ts": "1503435956.000247"}')
    if seen.path.endswith("/dispatches"):
        return Reply(200, b'{"workflow_run_id": 7, "html_url": "https://github.com/7"}')
    if "/actions/runs/" in seen.path:
        return Reply(200, b'{"status": "completed", "conclusion": "success"}')
    if "/workflows/shop/" in seen.path:
        phase = "Failed" if "failing" in seen.path else "Succeeded"
        return Reply(200, json.dumps({"status": {"phase": phase}}).encode())
    return Reply(200, b'{"success": true, "errors": []}')


@contextmanager
def example(
    home: Path, name: str, change: Callable[[Any], None] = lambda _: None
) -> Iterator[tuple[Service, list[Seen]]]:
    """Serve an example; gives the service and what its services were asked."""
    tree = yaml.safe_load((EXAMPLES / "rules" / name).read_text())
    with peer(answered) as there:
        for rule in tree["rules"]:
            for action in [*rule["actions"], *rule.get("onFailure", ())]:
                address = "server" if action["uses"] == "argo.workflow" else "api"
                action["with"][address] = there.url
        change(tree["rules"][0])
        secrets: dict[str, Any] = {
            f"secret_{word.lower()}": f"hush-{word.lower()}" for word in SECRETS
        }
        with serving(home, yaml.safe_dump(tree), **secrets) as service:
            yield service, there.seen


def synced(service: Service, images: dict[str, str] | None = None, **names: str) -> str:
    """Post the shipped notification, finished just now; the sync's id."""
    body = deepcopy(NOTIFICATION)
    state = body["operationState"]
    finished = datetime.now(UTC)
    state["finishedAt"] = rfc3339(finished)
    state["startedAt"] = rfc3339(finished - timedelta(seconds=20))
    for entry in state["syncResult"]["resources"]:
        if images and entry["name"] in images:
            entry["images"] = [images[entry["name"]]]
        entry["name"] = names.get(entry["name"].replace("-", "_"), entry["name"])
    status, answer = service.request("POST", "/v1/notifications", json.dumps(body).encode())
    assert status == 202, answer
    return str(answer["sync"])


def test_a_purge_is_told_in_one_thread(tmp_path: Path) -> None:
    """The first message, the purge, and the answer in the first one's thread."""
    with example(tmp_path, "purge-and-tell-slack.yaml") as (service, seen):
        story = service.ended(synced(service))
        assert [plan["state"] for plan in story["plans"]] == ["succeeded"]
        begun, purge, done = (json.loads(one.body) for one in seen)
        assert begun["channel"] == "#deployments"
        assert purge == {"tags": ["shop-config"]}
        assert (done["thread_ts"], done["text"]) == ("1503435956.000247", "Purged 1 tags")
        assert "hush" not in service.log.read_text()


def test_a_resources_name_cannot_call_a_channel(tmp_path: Path) -> None:
    """What the rule writes is Slack's markup, what an expression gives is not."""

    def widen(rule: Any) -> None:
        rule["match"]["resources"] = [{"kind": "ConfigMap"}]
        rule["actions"][0]["with"]["text"] = "*${{ resources[0].name }}*"

    with example(tmp_path, "purge-and-tell-slack.yaml", widen) as (service, seen):
        service.ended(synced(service, shop_config="<!channel>"))
        assert json.loads(seen[0].body)["text"] == "*&lt;!channel&gt;*"


@pytest.mark.parametrize(
    ("template", "state", "text"),
    [("smoke-test", "succeeded", ":white_check_mark: tested"), ("failing", "failed", ":x: test")],
)
def test_one_message_says_running_and_then_how_it_ended(
    tmp_path: Path, template: str, state: str, text: str
) -> None:
    """The second text is written over the first one, by the channel's id and the message's ts."""

    def choose(rule: Any) -> None:
        rule["actions"][1]["with"]["template"] = template

    with example(tmp_path, "one-message-in-place.yaml", choose) as (service, seen):
        story = service.ended(synced(service))
        assert [plan["state"] for plan in story["plans"]] == [state]
        running, create, _, done = seen
        assert (running.path, create.method) == ("/chat.postMessage", "POST")
        told = json.loads(done.body)
        assert (done.path, told["channel"], told["ts"]) == (
            "/chat.update", "C1", "1503435956.000247",
        )  # fmt: skip
        assert told["text"].startswith(text)
        assert "hush" not in service.log.read_text()


def test_a_workflow_is_started_for_a_new_image_alone(tmp_path: Path) -> None:
    """Not at first sight, not for the same image; for another one, and its end is waited for."""

    def hurry(rule: Any) -> None:
        rule["actions"][0]["with"]["every"] = "5s"

    with example(tmp_path, "workflow-for-a-new-image.yaml", hurry) as (service, seen):
        for _ in range(2):
            story = service.ended(synced(service, {"shop": "ghcr.io/acme/shop:1"}))
            assert (story["state"], story["plans"]) == ("planned", [])
        story = service.ended(synced(service, {"shop": "ghcr.io/acme/shop:2"}))
        start, look = seen
        assert start.path == "/repos/acme/shop/actions/workflows/smoke-test.yaml/dispatches"
        assert json.loads(start.body)["inputs"]["image"] == "ghcr.io/acme/shop:2"
        assert look.path == "/repos/acme/shop/actions/runs/7"
        (plan,) = story["plans"]
        assert plan["runs"][0]["output"]["conclusion"] == "success"


def test_ten_syncs_become_one_purge(tmp_path: Path) -> None:
    """With the union of what they changed."""

    def hurry(rule: Any) -> None:
        rule["debounce"] = {"window": "2s", "maxWait": "20s"}

    with example(tmp_path, "one-purge-for-many-syncs.yaml", hurry) as (service, seen):
        syncs = [synced(service, shop_config=f"config-{n}") for n in range(10)]
        wait_for(lambda: bool(seen), 30, "the purge")
        story = service.ended(syncs[-1])
        assert [plan["state"] for plan in story["plans"]] == ["succeeded"]
        (purge,) = seen
        assert sorted(json.loads(purge.body)["tags"]) == sorted(f"config-{n}" for n in range(10))
