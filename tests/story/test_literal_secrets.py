"""What becomes of a secret that somebody wrote into a rule file as it is."""

from __future__ import annotations

import json
import os
import signal
from contextlib import closing
from pathlib import Path

import pytest
from commands import typed
from notifications import notification, resource
from service import Service, Target, serving, wait_for

from receiver.ledger.audit.key_values import RULES, put_value, store_rule_set
from receiver.ledger.engine.open import open_ledger
from receiver.rules.loading.load import rule_set_from

LITERAL = "hunter2-hunter2-hunter2"
CALL = """
version: 1
rules:
- name: call
  match: {{resources: [{{kind: ConfigMap}}]}}
  actions:
  - uses: http.request
    with:
      url: {url}
      headers: {{Authorization: {value}}}
      json: {{name: "${{{{ resource.name }}}}"}}
"""
REFERENCE = '{env: POSTSYNC_SECRET_CI, format: "Bearer {}"}'
PLACE = "rules.yaml:10:17: rules[0].actions[0].with.headers.Authorization: must be a reference"
WAY_OUT = 'write {env: POSTSYNC_SECRET_NAME} or {file: NAME}, with format: "Bearer {}"'


def _synced(service: Service, name: str) -> str:
    """Post a sync that changed one ConfigMap, and return its plan's state at the end."""
    status, answer = service.request("POST", "/v1/notifications", notification(resource(name)))
    assert status == 202, answer
    return str(service.ended(answer["sync"])["plans"][0]["state"])


@pytest.fixture
def written(target: Target) -> str:
    """The rules with the literal."""
    return CALL.format(url=target.url, value=f"Bearer {LITERAL}")


def test_it_is_refused_and_nothing_of_it_is_kept(
    tmp_path: Path, target: Target, written: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither ledger, log, page nor command has it; the rules before it stay in force."""
    monkeypatch.setenv("POSTSYNC_SECRET_CI", "a-token-of-the-ci")
    good = CALL.format(url=target.url, value=REFERENCE)
    with serving(tmp_path, good) as service:
        service.rules.write_text(written)
        assert service.process
        os.kill(service.process.pid, signal.SIGHUP)
        wait_for(lambda: bool(service.events("rules.refused")), 10, "the refusal")
        assert _synced(service, "a") == "succeeded"
        assert target.seen[0]["headers"]["Authorization"] == "Bearer a-token-of-the-ci"

        reason = service.events("rules.refused")[0]["reason"]
        ready = json.dumps(service.request("GET", "/readyz")[1])
        trail = typed(service, "export").stdout
        assert all(PLACE in text for text in (reason, ready, trail))
        assert WAY_OUT in reason
        assert service.query("SELECT count(*) FROM rule_sets") == [(1,)]  # they are compressed
        assert service.stop() == 0
    assert LITERAL not in ready + trail
    kept = [file for file in tmp_path.rglob("*") if file.is_file() and file != service.rules]
    assert [file for file in kept if LITERAL.encode() in file.read_bytes()] == []


@pytest.mark.parametrize("output", [[], ["--output", "json"]], ids=["text", "json"])
def test_check_tells_the_place_and_not_the_secret(
    tmp_path: Path, written: str, output: list[str]
) -> None:
    """Its report ends in the logs of a pipeline, where everybody reads it."""
    service = Service(tmp_path, written)
    done = typed(service, "check", *output)
    said = done.stdout + done.stderr
    assert done.returncode == 1
    assert LITERAL not in said
    assert "must be a reference to a secret" in said


def test_a_set_that_is_stored_already_stays_in_force(
    tmp_path: Path, target: Target, written: str
) -> None:
    """It was taken by an earlier release: its runs go on until its file is put right."""
    rule_set = rule_set_from([("rules.yaml", written)])
    with closing(open_ledger(tmp_path / "ledger.db")) as ledger, ledger.write() as connection:
        store_rule_set(connection, 1, rule_set.digest, rule_set.files)
        put_value(connection, RULES, {"digest": rule_set.digest, "rules": 1, "loadedAt": 1})
    with serving(tmp_path, written) as service:
        wait_for(lambda: bool(service.events("rules.refused")), 10, "the refusal of its file")
        assert _synced(service, "a") == "succeeded"
        assert target.seen[0]["headers"]["Authorization"] == f"Bearer {LITERAL}"
