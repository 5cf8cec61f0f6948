"""Every command that reads settings takes them by ``--settings`` and by POSTSYNC_SETTINGS."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from receiver.cli import COMMANDS, cli
from receiver.core.errors import SettingsError

WITHOUT = {"init", "argocd-config", "handlers", "convert", "schema"}
"""They read none."""


@pytest.mark.parametrize("name", sorted({*COMMANDS} - WITHOUT))
def test_each_command_has_the_option(name: str) -> None:
    """Also those that need of the settings the home alone, for its tokens."""
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    assert "--settings" in {option for one in command.params for option in one.opts}


@pytest.mark.parametrize(
    "words",
    [
        ["check"], ["explain", "n.json"], ["try", "a", "n.json"], ["backup", "copy.db"], ["prune"],
        ["migrate"], ["health"], ["send", "n.json"], ["serve"], ["status"],
    ],
    ids=" ".join,
)  # fmt: skip
@pytest.mark.parametrize("way", ["option", "variable"])
def test_the_file_that_is_named_is_read(
    words: list[str], way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One with a mistake is refused by each of them, before anything is done."""
    monkeypatch.chdir(tmp_path)
    example = import_module("receiver.notification.argocd_config").example_notification()
    Path("n.json").write_bytes(example)
    Path("s.yaml").write_text("prot: 1\n")
    option = ["--settings", "s.yaml"] if way == "option" else []
    if way == "variable":
        monkeypatch.setenv("POSTSYNC_SETTINGS", "s.yaml")
    with pytest.raises(SettingsError, match=r"settings file s\.yaml: prot is no setting"):
        CliRunner().invoke(cli, [*words, *option], catch_exceptions=False)
