"""Two teams over one real service, each with a token that is bound to its namespace."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from kube import Kube
from postsyncrules import PostSyncRules, is_ready, said, serving, tell, tenants_of
from service import TOKEN, wait_for

from receiver.rules.tenants.names import full_name

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("kubernetes-services")]

RULES = """
version: 1
rules:
- name: operators-own
  match: {resources: [{kind: ConfigMap}]}
  actions: [{uses: log.message, target: application, with: {text: by the operator}}]
"""


def test_neither_team_sees_the_others_syncs_and_runs(tmp_path: Path, kube: Kube) -> None:
    """What each can ask for names its own alone; the operator sees both."""
    teams = [
        PostSyncRules(kube, kube.namespace(f"{name}-{time.monotonic_ns()}"))
        for name in ("red", "blue")
    ]
    names = [team.namespace for team in teams]
    tenants = tenants_of(tmp_path, kube.kubeconfig(), *names)
    tenants["tokens"] = {name: [name] for name in names}
    (tmp_path / "operators").mkdir()
    for team in teams:
        team.put("tell", f"word of {team.namespace}")
        (tmp_path / "operators" / team.namespace).write_text(TOKEN + team.namespace)
    with serving(tmp_path, tenants, RULES) as service:
        for name in names:
            wait_for(lambda name=name: is_ready(service, full_name(name, "tell")), 60, name)  # type: ignore[misc]  # a default
        syncs = {name: tell(service, name) for name in names}
        for name, sync in syncs.items():
            assert said(service, sync) == ["by the operator", f"word of {name}"]
        for mine, other in (names, names[::-1]):
            told = {
                path: service.request("GET", f"/v1/{path}", role=mine)
                for path in ("syncs", "plans", "runs", "rules", "deliveries", "events",
                             f"syncs/{syncs[mine]}")
            }  # fmt: skip
            assert {status for status, _ in told.values()} == {200}
            text = json.dumps(told)
            assert f"word of {mine}" in text
            assert other not in text
            assert syncs[other] not in text
            assert "operator" not in text
            assert service.request("GET", f"/v1/syncs/{syncs[other]}", role=mine)[0] == 404
            status, problem = service.request("GET", "/v1/status", role=mine)
            assert (status, problem["reason"]) == (403, "bound_token")
        body = json.dumps({"rule": full_name(names[0], "tell"), "reason": "again"}).encode()
        path = f"/v1/syncs/{syncs[names[0]]}/replay"
        assert service.request("POST", path, body, role=names[1])[0] == 404
        assert service.request("POST", path, body, role=names[0])[0] == 202
        wait_for(lambda: len(said(service, syncs[names[0]])) == 3, 60, "the replay")
        (asked,) = service.events("sync.replay_asked")
    assert (asked["by"], asked["reason"]) == (names[0], "again")
