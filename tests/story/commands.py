"""`postsync COMMAND` as an operator types it, against a service under test."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from contextlib import suppress
from typing import Any

from forked import Forked, begin_postsync
from in_process import run_command
from notifications import notification, resource
from service import ROOT, Service

RULES = """
version: 1
rules:
- name: purge-shop-assets
  match: {{application: {{name: shop}}, resources: [{{kind: ConfigMap}}]}}
  actions:
  - name: purge
    uses: http.request
    with: {{url: "{url}", json: {{name: "${{{{ resource.name }}}}"}}}}
  - {{name: tell, uses: log.message, target: application, wave: 1, with: {{text: purged}}}}
- name: guarded
  match: {{application: {{name: blog}}, resources: [{{kind: ConfigMap}}]}}
  limits: {{maxTargets: 1}}
  actions:
  - {{uses: log.message, with: {{text: "let through ${{{{ resource.name }}}}"}}}}
"""
"""One rule whose target may fail, and one that holds a plan of more than one resource."""

Done = subprocess.CompletedProcess[str]


def typed(service: Service, *arguments: str, answer: str = "") -> Done:
    """Run a command, but none that forks; ``answer`` is what is typed when it asks."""
    return run_command(arguments, environ=service.environ, folder=ROOT, answer=answer)


def typed_on_terminal(service: Service, *arguments: str, answer: str) -> tuple[int, str]:
    """Run a command on a terminal; return its exit code, and all that the terminal showed."""
    ours, its = pty.openpty()
    process = Forked(
        begin_postsync, *arguments, cwd=ROOT, environ=service.environ, streams=(its, its, its)
    )
    os.close(its)
    os.write(ours, answer.encode())
    shown = b""
    with suppress(OSError):  # the other end is closed
        while piece := os.read(ours, 4096):
            shown += piece
    os.close(ours)
    return process.wait(60), shown.decode()


def told(service: Service, *arguments: str) -> Any:
    """Run a command that must succeed, and return its JSON."""
    done = typed(service, *arguments, "--output", "json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def synced(service: Service, *names: str, application: str = "shop") -> str:
    """Post a sync that changed these ConfigMaps, and return its id."""
    body = notification(*(resource(name) for name in names), application=application)
    status, answer = service.request("POST", "/v1/notifications", body)
    assert status == 202, answer
    return str(answer["sync"])


def failed(service: Service, *names: str) -> str:
    """Post a sync whose purges fail, as the target was told to answer, and return its id."""
    sync = synced(service, *names)
    service.ended(sync)
    return sync
