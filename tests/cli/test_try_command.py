"""`try`: one rule, once, for real, against a target on loopback."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from in_process import run_command
from notifications import notification, resource
from service import ROOT, Target

RULES = """
version: 1
rules:
- name: purge
  mode: observe
  limits: {{maxTargets: 1}}
  match: {{resources: [{{kind: ConfigMap}}]}}
  actions:
  - name: first
    uses: http.request
    suspend: true
    with:
      url: "{url}"
      headers: {{Authorization: {{env: POSTSYNC_SECRET_CDN, format: "Bearer {{}}"}}}}
      json: {{name: "${{{{ resource.name }}}}"}}
  - name: then
    uses: http.request
    wave: 1
    target: application
    with: {{url: "{url}", json: {{status: "${{{{ actions.first.runs[0].output.status }}}}"}}}}
  onFailure:
  - uses: http.request
    with: {{url: "{url}", json: {{alarm: true}}}}
- name: failures
  match: {{phases: [Failed]}}
  actions: [{{uses: log.message, with: {{text: "failed"}}}}]
"""
SECRET = "s3cr3t-of-the-cdn"


class Trying:
    """Runs `postsync try` in a folder of its own."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        (folder / "rules.yaml").write_text(RULES.format(url=url))
        (folder / "payload.json").write_bytes(notification(resource("a"), resource("b")))

    def __call__(
        self, *arguments: str, typed: str = "", **environ: str
    ) -> subprocess.CompletedProcess[str]:
        defaults = ["--rules", str(self.folder / "rules.yaml")]
        if "--payload" not in arguments:
            defaults += ["--payload", str(self.folder / "payload.json")]
        home = {"POSTSYNC_HOME": str(self.folder / "home"), "POSTSYNC_SECRET_CDN": SECRET}
        words = ("try", *arguments, *defaults)
        return run_command(words, environ={**home, **environ}, folder=ROOT, answer=typed)


@pytest.fixture
def trying(tmp_path: Path, target: Target) -> Trying:
    return Trying(tmp_path, target.url)


def bodies(target: Target) -> list[Any]:
    return [json.loads(call["body"]) for call in target.seen]


def test_it_sends_for_real_and_once_though_the_rule_only_observes(
    trying: Trying, target: Target
) -> None:
    """One resource, then the next wave with the output of the first; the secret is not shown."""
    done = trying("purge", "--yes")
    assert done.returncode == 0, done.stderr
    assert bodies(target) == [{"name": "a"}, {"status": 200}]
    assert target.seen[0]["headers"]["Authorization"] == f"Bearer {SECRET}"
    assert SECRET not in done.stdout + done.stderr
    assert "Authorization: Bearer [secret]" in done.stdout
    assert "not acted on: ConfigMap/shop/b" in done.stdout
    assert "first: succeeded" in done.stdout
    assert not (trying.folder / "home").exists()


def test_another_resource_can_be_chosen(trying: Trying, target: Target) -> None:
    """By its name or its key; one that does not match is refused with those that do."""
    for name in ("b", "ConfigMap/shop/b"):
        assert trying("purge", "--yes", "--target", name).returncode == 0
    assert [body for body in bodies(target) if "name" in body] == [{"name": "b"}, {"name": "b"}]
    done = trying("purge", "--yes", "--target", "c")
    assert (done.returncode, len(target.seen)) == (1, 4)
    assert "ConfigMap/shop/a, ConfigMap/shop/b" in done.stderr


def test_it_asks_before_each_wave(trying: Trying, target: Target) -> None:
    """A no sends nothing; a yes and a no send the first wave only."""
    for typed, sent in (("n\n", 0), ("y\nn\n", 1)):
        done = trying("purge", typed=typed)
        assert (done.returncode, len(target.seen)) == (1, sent)
        assert "Send this for real?" in done.stderr


def test_a_failure_ends_with_1_and_is_not_tried_again(trying: Trying, target: Target) -> None:
    """Neither a later wave nor onFailure is sent."""
    target.statuses = [503]
    done = trying("purge", "--yes", "--output", "json")
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["succeeded"], len(target.seen)) == (1, False, 1)
    assert [(run["action"], run["state"]) for run in answer["runs"]] == [
        ("first", "temporary"),
        ("then", "skipped"),
    ]
    assert answer["runs"][0]["parameters"]["headers"] == {"Authorization": "Bearer [secret]"}


def test_a_missing_secret_is_named(trying: Trying, target: Target) -> None:
    """As a server would name it."""
    done = trying("purge", "--yes", POSTSYNC_SECRET_CDN="")
    assert (done.returncode, target.seen) == (1, [])
    assert "POSTSYNC_SECRET_CDN" in done.stdout


@pytest.mark.parametrize(
    ("rule", "words"),
    [("failures", "does not match this notification"), ("purges", "did you mean purge?")],
)
def test_a_rule_that_has_nothing_to_do_says_why(trying: Trying, rule: str, words: str) -> None:
    """And where to look."""
    done = trying(rule, "--yes")
    assert done.returncode == 1
    assert words in done.stderr


def test_a_payload_from_stdin_needs_yes(trying: Trying) -> None:
    """There is nobody left to ask."""
    done = trying("purge", "--payload", "-")
    assert done.returncode == 2
    assert "add --yes" in done.stderr
