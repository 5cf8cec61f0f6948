"""The commands that take rule files, with PostSyncRules in files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from service import ROOT

from receiver.cli.check import check
from receiver.cli.explain import explain
from receiver.cli.try_ import try_
from receiver.core.errors import RuleError

PAYLOAD = ROOT / "config/examples/notification.json"
"""Of an Application of project web with destination namespace shop."""
RULE = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: assets}
---
apiVersion: postsync.dev/v1alpha1
kind: PostSyncRule
metadata: {name: tell, namespace: shop}
spec:
  match: {resources: [{kind: ConfigMap}]}
  actions: [{uses: log.message, with: {text: hello}}]
"""
BOUNDS = {"namespaces": ["team-*"], "projects": ["web"], "handlers": ["log.message"]}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "shop.yaml"


def explained(file: Path, text: str) -> Result:
    file.write_text(text)
    return CliRunner(env={"COLUMNS": "200"}).invoke(
        explain, ["--payload", str(PAYLOAD), "--rules", str(file)]
    )


def test_check_counts_it(file: Path) -> None:
    """A file with other objects beside it is fine."""
    file.write_text(RULE)
    answer = CliRunner().invoke(check, [str(file)])
    assert (answer.exit_code, answer.stderr) == (0, "")
    assert answer.stdout.startswith("1 rule in 1 file, digest ")


def test_check_tells_its_mistakes(file: Path) -> None:
    """With line, column and the path in the resource."""
    file.write_text(RULE.replace("log.message", "log.massage"))
    answer = CliRunner().invoke(check, [str(file)])
    assert answer.exit_code == 1
    assert answer.stderr == (
        f"{file}:10:14: spec.actions[0].uses: there is no handler log.massage "
        "(did you mean log.message?)\n"
    )


def test_check_tells_what_oversteps_the_bounds(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there are settings with tenants; a rule that is too large for them, too."""
    granted = {"namespaces": ["shop"], "handlers": ["slack.message"], "maxRuleSize": 1024}
    setting = {"kubernetes": {"inCluster": True}, "bounds": [granted]}
    monkeypatch.setenv("POSTSYNC_TENANTS", json.dumps(setting))
    file.write_text(RULE.replace("hello", "x" * 1000))
    answer = CliRunner().invoke(check, [str(file)])
    assert answer.exit_code == 1
    size, handler = answer.stderr.splitlines()
    assert "spec: the rule has 1" in size
    assert "spec.actions[0].uses: handler log.message is not among those of namespace shop" in (
        handler
    )


def test_rule_files_of_the_settings_have_none(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a server would refuse is refused here."""
    file.write_text(RULE)
    monkeypatch.setenv("POSTSYNC_RULES", json.dumps([str(file)]))
    answer = CliRunner().invoke(check)
    assert answer.exit_code == 1
    assert "is a PostSyncRule of Kubernetes, and no rule file" in answer.stderr
    told = CliRunner().invoke(explain, ["--payload", str(PAYLOAD)])
    assert isinstance(told.exception, RuleError)


def test_explain_judges_by_the_namespace(file: Path) -> None:
    """A rule sees what goes to its namespace; one of another says what it is for."""
    assert "shop/tell" in explained(file, RULE).stdout
    page = explained(file, RULE.replace("namespace: shop", "namespace: other")).stdout
    assert "other/tell: tenant wants namespace other" in page
    assert "Nothing would run" in page


def test_explain_judges_by_what_the_settings_grant(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there are settings with tenants, projects count, and a namespace without bounds not."""
    granted = {"kubernetes": {"inCluster": True}, "bounds": [BOUNDS]}
    monkeypatch.setenv("POSTSYNC_TENANTS", json.dumps(granted))
    page = explained(file, RULE.replace("namespace: shop", "namespace: team-a")).stdout
    assert "wave 0: log.message -> resource: ConfigMap/shop/shop-config" in page
    assert "its namespace may have no rules" in explained(file, RULE).stdout


def test_try_runs_one(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its whole name, for real."""
    monkeypatch.setenv("POSTSYNC_HOME", str(tmp_path / "home"))
    file.write_text(RULE)
    arguments = ["shop/tell", "--payload", str(PAYLOAD), "--rules", str(file), "--yes"]
    answer = CliRunner().invoke(try_, arguments)
    assert answer.exit_code == 0, answer.output
    assert "log_message: succeeded" in answer.stdout
