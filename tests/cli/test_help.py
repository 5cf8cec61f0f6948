"""`--help` and completion: what a shell shows without a server."""

from __future__ import annotations

import os
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from forked import postsync
from service import ROOT

from receiver.cli import COMMANDS, TOPICS, cli

RULES = """
version: 1
rules:
- {name: purge-assets, match: {}, actions: [{uses: log.message, with: {text: x}}]}
- {name: purge-pages, match: {}, actions: [{uses: log.message, with: {text: x}}]}
- {name: tell, match: {}, actions: [{uses: log.message, with: {text: x}}]}
"""


def completed(words: str, home: Path, **environ: str) -> list[str]:
    """Return what bash offers for the last of these words."""
    asked = {
        "_POSTSYNC_COMPLETE": "bash_complete", "COMP_WORDS": words,
        "COMP_CWORD": str(words.count(" ")), "POSTSYNC_HOME": str(home),
    }  # fmt: skip
    done = postsync(cwd=ROOT, environ=os.environ | environ | asked)
    assert (done.returncode, done.stderr) == (0, "")
    return [line.partition(",")[2] for line in done.stdout.split()]


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_explains_itself_with_an_example(name: str) -> None:
    """Every option has its words, and an example begins with the command's name."""
    result = CliRunner().invoke(cli, [name, "--help"], prog_name="postsync")
    assert result.exit_code == 0
    assert f"\n    postsync {name}" in result.output
    command = cli.get_command(None, name)  # type: ignore[arg-type]  # no context is needed
    assert command
    options = [one for one in command.params if isinstance(one, click.Option)]
    assert [one.name for one in options if not one.help] == []


def test_the_commands_stand_under_their_topics() -> None:
    """In the order in which they are met."""
    output = CliRunner().invoke(cli, ["--help"], prog_name="postsync").output
    places = [output.index(f"\n{topic}:\n") for topic in TOPICS]
    assert places == sorted(places)
    assert all(f"\n  {name} " in output for name in COMMANDS)


def test_rules_handlers_states_and_commands_are_completed(tmp_path: Path) -> None:
    """From the files of the settings, without a server."""
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES)
    environ = {"POSTSYNC_RULES": f'["{rules}"]'}
    assert completed("postsync retry --rule pur", tmp_path, **environ) == [
        "purge-assets", "purge-pages"
    ]  # fmt: skip
    assert completed("postsync try t", tmp_path, **environ) == ["tell"]
    assert completed("postsync pause --handler log", tmp_path) == ["log.message"]
    assert completed("postsync runs --state fa", tmp_path) == ["failed"]
    assert completed("postsync re", tmp_path) == ["retry", "replay", "resume"]


def test_completion_is_silent_about_mistakes(tmp_path: Path) -> None:
    """A broken rule file offers nothing, and no traceback stands in the prompt."""
    rules = tmp_path / "rules.yaml"
    for text in ("version: 1\nrules: 3", "rules: [{name: [1]}]", ":", "\x00"):
        rules.write_text(text)
        environ = {"POSTSYNC_RULES": f'["{rules}"]'}
        assert completed("postsync retry --rule p", tmp_path, **environ) == []
    assert completed("postsync retry --rule p", tmp_path, POSTSYNC_RULES="no json") == []


def test_a_command_that_was_mistyped_is_guessed() -> None:
    """As its options are."""
    done = CliRunner().invoke(cli, ["sho"])
    assert done.exit_code == 2
    assert "No such command 'sho' (did you mean show?)" in done.output
    assert "did you mean" not in CliRunner().invoke(cli, ["frobnicate"]).output
