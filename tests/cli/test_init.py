"""postsync init."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from receiver.cli.init import init
from receiver.core.errors import PostsyncError
from receiver.settings.loading import load_settings

FILES = {
    "settings.yaml", "rules/first-steps.yaml", "rules.schema.json", "notification.json",
    ".postsync/.gitignore", ".postsync/senders/argocd", ".postsync/operators/local",
}  # fmt: skip


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(init, [*map(str, words)])


def found(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_the_folder_has_all_to_begin_with(tmp_path: Path) -> None:
    """Tokens are for their user's eyes, differ, and stay out of a repository."""
    told = run(tmp_path / "new/shop")
    assert (told.exit_code, found(tmp_path / "new/shop")) == (0, FILES)
    home = tmp_path / "new/shop/.postsync"
    modes = {str(path.relative_to(home)): path.stat().st_mode & 0o777 for path in home.rglob("*")}
    assert {home.stat().st_mode & 0o777, modes["senders"], modes["operators"]} == {0o700}
    assert {modes["senders/argocd"], modes["operators/local"]} == {0o600}
    assert (home / "senders/argocd").read_text() != (home / "operators/local").read_text()
    assert (home / ".gitignore").read_text() == "*\n"


def test_its_settings_are_the_defaults_but_for_the_rules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They stand as comments, so that a later version's defaults count."""
    monkeypatch.chdir(tmp_path)
    run()
    made = load_settings(Path("settings.yaml")).model_dump()
    assert made == load_settings(rules=[Path("rules")]).model_dump()
    lines = Path("settings.yaml").read_text().splitlines()
    assert [one for one in lines if one and one[0] != "#"] == ["home: .postsync", "rules: [rules]"]


def test_what_is_there_is_told_and_stays(tmp_path: Path) -> None:
    """Also a link that leads nowhere; and then nothing else is written."""
    (tmp_path / "settings.yaml").symlink_to("nowhere")
    (tmp_path / "notes.txt").write_text("mine")
    told = run(tmp_path).exception
    assert isinstance(told, PostsyncError)
    assert str(told).startswith(f"{tmp_path} has settings.yaml already, and nothing was written (")
    assert found(tmp_path) == {"notes.txt"}


def test_what_cannot_be_written_is_told_and_nothing_is_left(tmp_path: Path) -> None:
    """As where a file stands in a folder's place."""
    (tmp_path / ".postsync").write_text("no folder")
    told = run(tmp_path).exception
    assert isinstance(told, PostsyncError)
    assert str(told).endswith("/.postsync cannot be made: File exists (none of the files is left)")
    assert found(tmp_path) == {".postsync"}
    told = run(tmp_path / ".postsync").exception
    assert str(told) == f"{tmp_path}/.postsync is no folder (`postsync init FOLDER` makes one)"


def test_a_program_is_told_of_files_and_commands(tmp_path: Path) -> None:
    """The same as people: what was made, what to type, and what beside the server."""
    answer = json.loads(run(tmp_path, "--output", "json").stdout)
    assert answer["folder"] == str(tmp_path)
    assert {*answer["files"]} == {str(tmp_path / name) for name in FILES}
    assert answer["next"][-1] == "postsync serve"
    assert answer["nextBeside"][-1] == "postsync show last --wait 10"
