"""postsync schema."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from receiver.cli.schema import schema
from receiver.core.errors import PostsyncError

ROOT = Path(__file__).parent.parent.parent


def test_print() -> None:
    """The schema is printed for whoever wants it elsewhere."""
    answer = CliRunner().invoke(schema)
    assert answer.exit_code == 0
    assert json.loads(answer.stdout)["title"] == "Rules of postsync"


def test_definition_for_a_cluster() -> None:
    """The definition of PostSyncRule is what the component has."""
    answer = CliRunner().invoke(schema, ["--crd"])
    assert answer.exit_code == 0
    shipped = ROOT / "k8s/components/postsyncrules/definition.yaml"
    assert answer.stdout == shipped.read_text()


def test_generated_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A generated file that was edited, or is not there, is found; writing it anew helps."""
    monkeypatch.chdir(tmp_path)
    stale = CliRunner().invoke(schema, ["--check"])
    assert isinstance(stale.exception, PostsyncError)
    assert str(stale.exception) == (
        "not as generated: config/rules.schema.json, docs/handlers.md, "
        "config/examples/notification.json, config/rules/first-steps.yaml, "
        "config/settings.example.yaml, k8s/components/postsyncrules/definition.yaml "
        "(run `make generate`)"
    )
    assert CliRunner().invoke(schema, ["--write"]).exit_code == 0
    assert CliRunner().invoke(schema, ["--check"]).exit_code == 0
    (tmp_path / "docs/handlers.md").write_text("edited")
    assert CliRunner().invoke(schema, ["--check"]).exception is not None
