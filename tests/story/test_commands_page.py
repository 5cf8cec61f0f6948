"""Each example of docs/commands.md runs as it is printed, after one another."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import RULES, failed, synced, told
from forked_shell import forking_postsync
from postgres import Databases
from service import ROOT, Service, Target, free_port, wait_for

from receiver.cli import COMMANDS

PAGE = (ROOT / "docs/commands.md").read_text()
BLOCK = re.compile(r"<!-- commands -->\n```sh\n(.*?)```", re.DOTALL)
SHARED = re.compile(r"<!-- on postgresql -->\n```sh\n(.*?)```", re.DOTALL)
STARTED = """
until postsync health && postsync health --url http://127.0.0.1:8081; do sleep 0.2; done
"""
ENDED = """
started=$(jobs -p); kill $started; for one in $started; do wait "$one"; done
"""
EXAMPLE = "1m7y9gr9ez7egy539n"
"""The id of the page, of a sync, a plan, a run or a delivery."""
UNWANTED = "s-1m7y9h0c2k8b4w6dnt"
"""The id of a sync that is cancelled."""
SLEEPING = "r-1m7y9h4k3p9c5x7eqv"
"""The id of a run that waits for its next attempt."""
SLEEPER = """
- name: sleep
  match: {application: {name: zoo}, resources: [{kind: ConfigMap}]}
  retry: {initialDelay: 30m, maxDelay: 30m}
  actions: [{uses: http.request, with: {url: "http://127.0.0.1:9/"}}]
"""


@pytest.fixture
def service(tmp_path: Path, target: Target) -> Iterator[Service]:
    """A service with a rule that fails, and a plan that is held."""
    service = Service(tmp_path / "home", RULES.format(url=target.url))
    service.rules.write_text(service.rules.read_text() + SLEEPER + _first_steps())
    try:
        service.start()
        yield service
    finally:
        service.kill()


def _first_steps() -> str:
    """The rules of the checkout, which some examples name."""
    text = (ROOT / "config/rules/first-steps.yaml").read_text()
    return text.partition("rules:\n")[2]


def test_the_examples_run(service: Service, target: Target, tmp_path: Path) -> None:
    """In a shell that stops at the first error; the page's ids stand for real ones."""
    target.statuses = [404, 404]
    sync = failed(service, "a", "b")
    run = told(service, "runs", "--state", "failed", "--limit", "1")[0]["id"]
    held = synced(service, "c", "d", application="blog")
    wait_for(lambda: bool(service.story(held)["plans"]), 10, "the held plan")
    plan = service.story(held)["plans"][0]["id"]
    delivery = service.story(sync)["deliveries"][0]["id"]
    ids = {"s": sync, "r": run, "p": plan, "d": delivery}
    script = "".join(BLOCK.findall(PAGE))
    unwanted = synced(service, "e", "f", application="blog")
    wait_for(lambda: bool(service.story(unwanted)["plans"]), 10, "what is to be cancelled")
    asleep = synced(service, "g", application="zoo")
    wait_for(lambda: len(_sleeping(service, asleep)) == 1, 10, "a run that waits for a time")
    script = script.replace(UNWANTED, unwanted).replace(SLEEPING, _sleeping(service, asleep)[0])
    script = re.sub(rf"\b([srpd])-{EXAMPLE}", lambda found: ids[found[1]], script)
    done = _run(script, tmp_path, service)
    assert done.returncode == 0, done.stdout
    lines = (tmp_path / "trail.jsonl").read_text().splitlines()
    assert len(lines) > len(set(lines)) > 10


def _sleeping(service: Service, sync: str) -> list[str]:
    """The runs of a sync that have failed for the time being."""
    runs = told(service, "runs", "--sync", sync, "--state", "due")
    return [run["id"] for run in runs if run["waitsFor"].startswith("its next attempt")]


def test_the_examples_on_postgresql_run(ledgers: Databases, tmp_path: Path) -> None:
    """The same database by two processes; the page's hosts and ports stand for real ones."""
    service = Service(tmp_path / "home", (ROOT / "config/rules/first-steps.yaml").read_text())
    before, after = SHARED.findall(PAGE)
    script = before + STARTED + after + ENDED
    with ledgers.database(blank=False) as url:
        script = re.sub(r"postgresql://\S+", url, script).replace("8081", str(free_port()))
        done = _run(script, tmp_path, service)
    assert done.returncode == 0, done.stdout
    assert "plan.succeeded" in done.stdout
    assert (tmp_path / "ledger-of-all.db").stat().st_size > 0


def _run(script: str, folder: Path, service: Service) -> subprocess.CompletedProcess[str]:
    """Run it in a shell that stops at the first error, beside the checkout's `config`."""
    (folder / "config").symlink_to(ROOT / "config")
    with forking_postsync(folder) as programs:
        path = f"{programs}{os.pathsep}{os.environ['PATH']}"
        return subprocess.run(
            ["bash", "-euxo", "pipefail", "-c", script], cwd=folder, text=True, timeout=120,
            env=service.environ | {"PATH": path}, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip


def test_each_command_has_an_example() -> None:
    """In a block that is run here."""
    script = "".join(BLOCK.findall(PAGE) + SHARED.findall(PAGE))
    missing = [name for name in COMMANDS if not re.search(rf"postsync {name}\b", script)]
    assert missing == []
