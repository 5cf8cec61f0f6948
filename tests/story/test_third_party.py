"""A handler from a distribution of its own: installed, seen, checked, used; and a broken one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from forked import postsync
from notifications import notification, resource
from service import ROOT, serving

from receiver.testkit import Reply, Seen, peer

PACKAGE = ROOT / "examples/handler-package"
CHECK = "0c8983c9-9d73-446f-adb5-0641fdacc9d4"
RULE = """
version: 1
rules:
- name: pause
  match: {{resources: [{{kind: CronJob, status: [Pruned]}}]}}
  actions:
  - uses: healthchecks.pause
    with:
      checks: [{check}]
      apiKey: {{env: POSTSYNC_SECRET_HEALTHCHECKS}}
      site: {site}
"""
TELL = """
version: 1
rules:
- name: tell
  match: {}
  actions:
  - uses: log.message
    target: application
    with: {text: hello}
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example, installed from its own folder (a copy: a build leaves files behind)."""
    folder = tmp_path_factory.mktemp("installed")
    source = folder / "source"
    shutil.copytree(PACKAGE, source)
    site = folder / "site"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
         "--no-index", "--no-deps", "--no-build-isolation", "--target", site, source],
        check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    return site


def _postsync(site: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    environ = os.environ | {"PYTHONPATH": str(site)}
    return postsync(*words, cwd=ROOT, environ=environ)


@pytest.mark.slow
def test_the_commands_know_it(installed: Path, tmp_path: Path) -> None:
    """`handlers` tells where it is from, and `check` knows its parameters."""
    listed = _postsync(installed, "handlers")
    assert listed.returncode == 0, listed.stderr
    lines = [line.split(maxsplit=1) for line in listed.stdout.splitlines()]
    told = dict(lines)
    assert told["healthchecks.pause"].startswith("postsync-handler-healthchecks 1.0.0  Pause")
    assert told["log.message"].startswith("built-in ")
    page = json.loads(
        _postsync(installed, "handlers", "--output", "json", "healthchecks.pause").stdout
    )
    assert page["distribution"] == {"name": "postsync-handler-healthchecks", "version": "1.0.0"}
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULE.format(check=CHECK, site="https://healthchecks.io"))
    assert _postsync(installed, "check", rules).returncode == 0
    rules.write_text(RULE.format(check="all", site="https://healthchecks.io"))
    refused = _postsync(installed, "check", rules)
    assert refused.returncode == 1
    assert "rules[0].actions[0].with.checks[0]: must match" in refused.stderr


@pytest.mark.slow
def test_a_rule_uses_it(installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the notification to the request, with the secret there and nowhere else."""
    monkeypatch.setenv("PYTHONPATH", str(installed))
    monkeypatch.setenv("POSTSYNC_SECRET_HEALTHCHECKS", "hush-hush-0123456789")

    def echo(seen: Seen) -> Reply:
        return Reply(200, seen.headers["x-api-key"].encode())

    with (
        peer(echo) as there,
        serving(tmp_path, RULE.format(check=CHECK, site=there.url)) as service,
    ):
        body = notification(resource("backup", kind="CronJob", status="Pruned"))
        _, answer = service.request("POST", "/v1/notifications", body)
        story = service.ended(answer["sync"])
        assert [plan["state"] for plan in story["plans"]] == ["succeeded"]
        assert [(seen.method, seen.path) for seen in there.seen] == [
            ("POST", f"/api/v3/checks/{CHECK}/pause")
        ]
        assert there.seen[0].headers["x-api-key"] == "hush-hush-0123456789"
        assert service.stop() == 0
        assert "hush-hush" not in service.log.read_text() + json.dumps(story)


def broken(site: Path) -> None:
    """Install a distribution that cannot be imported."""
    info = site / "postsync_handler_broken-2.1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: postsync-handler-broken\n"
                                   "Version: 2.1\n")  # fmt: skip
    (info / "entry_points.txt").write_text("[postsync.handlers]\nbroken = broken_one:handler\n")
    (site / "broken_one.py").write_text("import no_such_library\n")


REASON = (
    "entry point postsync.handlers broken = broken_one:handler (postsync-handler-broken 2.1) is "
    "broken: ModuleNotFoundError: No module named 'no_such_library'"
)


@pytest.mark.slow
def test_a_broken_one_takes_nothing_else_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is one clear message; the others work, and the receiver starts."""
    broken(tmp_path / "site")
    listed = _postsync(tmp_path / "site", "handlers")
    assert listed.returncode == 1
    assert listed.stderr == f"postsync: {REASON}\n"
    assert "log.message" in listed.stdout
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    with serving(tmp_path / "home", TELL) as service:
        _, answer = service.request("POST", "/v1/notifications", notification(resource("a")))
        story = service.ended(answer["sync"])
        assert [plan["state"] for plan in story["plans"]] == ["succeeded"]
        assert service.events("handler.broken")[0]["reason"] == REASON
        assert service.stop() == 0


@pytest.mark.slow
def test_a_rule_that_names_a_broken_one_is_refused(tmp_path: Path) -> None:
    """With the reason, not as a name that nobody knows."""
    broken(tmp_path / "site")
    rules = tmp_path / "rules.yaml"
    rules.write_text(TELL.replace("log.message", "broken.act"))
    refused = _postsync(tmp_path / "site", "check", rules)
    assert refused.returncode == 1
    assert f"handler broken.act cannot be used: {REASON}" in refused.stderr
