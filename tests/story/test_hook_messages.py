"""A hook speaks as the page tells, and the sync's story has its words."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from forked import postsync
from notifications import notification, resource
from service import ROOT, Service, free_port, serving

PAGE = (ROOT / "docs/hook-messages.md").read_text()
TOKEN = "token-of-the-hooks-012345"
RULES = """
version: 1
rules:
- name: tell
  match: {resources: [{kind: ConfigMap}]}
  actions: [{uses: log.message, with: {text: "told"}}]
"""


def manifest() -> Any:
    """The Job of the page."""
    found = re.search(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert found
    return yaml.safe_load(found[1])


def say(
    text: bytes, url: str, folder: Path, token: str = TOKEN
) -> subprocess.CompletedProcess[str]:
    """Run the container's script, with the pod's volume and the Service's name as they are here."""
    script = manifest()["spec"]["template"]["spec"]["containers"][0]["command"][2]
    (folder / "text").write_bytes(text)
    script = script.replace("/said", str(folder)).replace("http://postsync.postsync.svc:8080", url)
    return subprocess.run(
        ["sh", "-ec", script], text=True, capture_output=True, check=False, timeout=120,
        env={"PATH": "/usr/bin:/bin", "TOKEN": token, "JOB": "shop-migrate-x7k2p"},
    )  # fmt: skip


@pytest.fixture
def curl() -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")


def shown(service: Service, *arguments: str) -> str:
    done = postsync("show", *arguments, cwd=ROOT, environ=service.environ)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.usefixtures("curl")
def test_the_hook_of_the_page_is_heard_in_its_syncs_story(tmp_path: Path) -> None:
    """Its words come first, then the notification and what was done; on stdout as well."""
    home = tmp_path / "home"
    (home / "messengers").mkdir(parents=True)
    (home / "messengers/shop").write_text(TOKEN)
    with serving(home, RULES) as service:
        answer = say(b"applied 2 migrations\nin 3 s\n", service.url, tmp_path)
        assert (answer.returncode, answer.stderr) == (0, "")
        assert '"message":' in answer.stdout
        [line] = service.events("message.received")
        assert (line["text"], line["name"]) == (
            "applied 2 migrations\nin 3 s",
            "shop-migrate-x7k2p",
        )
        body = notification(resource("a"))
        _, receipt = service.request("POST", "/v1/notifications", body)
        names = [event["event"] for event in service.ended(receipt["sync"])["events"]]
        assert names[:2] == ["message.received", "notification.accepted"]
        story = shown(service, receipt["sync"])
        assert 'text="applied 2 migrations\\nin 3 s"' in story
        assert story.index("message.received") < story.index("notification.accepted")
        _, page = service.request("GET", f"/v1/events?sync={receipt['sync']}", role="operators")
        assert [event["event"] for event in page["events"]] == names


@pytest.mark.usefixtures("curl")
def test_the_hook_ends_well_whatever_becomes_of_its_message(tmp_path: Path) -> None:
    """Nobody listens, or the token is not known: the sync goes on."""
    home = tmp_path / "home"
    gone = say(b"hello", f"http://127.0.0.1:{free_port()}", tmp_path)
    assert (gone.returncode, "Failed to connect" in gone.stderr) == (0, True)
    with serving(home, RULES) as service:
        refused = say(b"hello", service.url, tmp_path, "unknown-token-0123456789")
        assert (refused.returncode, "unauthenticated" in refused.stdout) == (0, True)


def test_the_job_of_the_page_is_a_hook_that_cannot_hang() -> None:
    """A PreSync hook of one try, whose message has a time limit."""
    job = manifest()
    assert job["metadata"]["annotations"]["argocd.argoproj.io/hook"] == "PreSync"
    assert "--max-time 5" in PAGE
    assert job["spec"]["template"]["spec"]["restartPolicy"] == "Never"
