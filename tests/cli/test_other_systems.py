"""The commands on files run where what only Unix has is not there, as on Windows."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import other_system
import pytest
from click.testing import CliRunner

from receiver.cli.init import init

RULES = "rules/first-steps.yaml"
LOCAL = [
    ["check"],
    ["check", RULES, "--output", "json"],
    ["explain", "notification.json", "--output", "json"],
    ["convert", RULES, "--namespace", "shop"],
    ["schema"],
    ["schema", "--crd"],
    ["handlers"],
    ["argocd-config"],
]


def elsewhere(commands: list[list[str]]) -> list[list[object]]:
    """Run them in a Python of another system; code, output and error of each."""
    done = subprocess.run(
        [sys.executable, "-P", other_system.__file__, json.dumps(commands)],
        check=False, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told: list[list[object]] = json.loads(done.stdout)
    return told


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POSTSYNC_SETTINGS", "settings.yaml")
    CliRunner().invoke(init, [])
    return tmp_path


@pytest.mark.usefixtures("folder")
def test_the_commands_on_files_say_the_same() -> None:
    """No module or function that is missing there is on their way."""
    here = [list(one) for one in other_system.run(LOCAL)]
    assert [code for code, _, _ in here] == [0] * len(LOCAL)
    assert elsewhere(LOCAL) == here


@pytest.mark.usefixtures("folder")
def test_what_needs_linux_says_so() -> None:
    """In one message, with what there is instead; a folder to begin with can be made."""
    [served, begun, tried] = elsewhere(
        [["serve"], ["init", "new"], ["try", "shop-config-changed", "notification.json", "--yes"]]
    )
    assert "postsync serve does not run on" in str(served[2])
    assert "it runs on Linux" in str(served[2])
    assert (begun[0], tried[0]) == (0, 0)
