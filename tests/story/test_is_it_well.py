"""Whether all is well, asked of a running service beside an Argo CD that goes away."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from applications import Applications
from argocd_server import AWAY, ArgoCd
from commands import typed, typed_on_terminal
from connected_service import connection
from kube import Kube
from service import TELL, serving, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("kubernetes-services")]

PATIENCE = 60


def test_a_connection_that_fails_needs_a_person_until_it_works(
    tmp_path: Path, kube: Kube, argocd: ArgoCd
) -> None:
    """The exit code tells it, and a line says which, why, and what to do next."""
    apps = Applications(kube, kube.namespace("status"))
    argocd.projects = {"status"}
    apps.put("shop", project="status")
    setting = {"test": connection(tmp_path, kube, apps.namespace, argocd, "argocd")}
    with serving(tmp_path, TELL, argocd=json.dumps(setting)) as service:

        def code() -> int:
            return typed(service, "status").returncode

        def connected() -> bool:
            return "watch Applications: works" in typed(service, "status").stdout

        wait_for(connected, PATIENCE, "the watch")
        answer = typed(service, "status")
        assert answer.returncode == 0, answer.stdout + answer.stderr
        argocd.fault, argocd.cut_after = AWAY, 1
        apps.change("shop", {"reconciledAt": "2026-06-01T12:00:05Z"})
        wait_for(lambda: code() == 1, PATIENCE, "the failure")
        lines = typed(service, "status").stdout.splitlines()
        assert lines[0] == "1 thing needs a person:"
        assert lines[1].startswith("  test: cannot watch Applications since 20")
        assert lines[2] == "    postsync check --cluster"
        assert any("Argo CD's API: watch Applications: fails" in line for line in lines)
        assert "\x1b" not in "".join(lines)
        assert "\x1b[31m" in typed_on_terminal(service, "status", answer="")[1]
        argocd.fault = argocd.cut_after = None
        wait_for(lambda: code() == 0, PATIENCE, "its end")
        assert connected()
