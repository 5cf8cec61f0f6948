"""Named tokens in a folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from receiver.errors import SettingsError
from receiver.logs import configure_logs
from receiver.tokens import Tokens

OLD, NEW = "old-token-0123456789", "new-token-0123456789"


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def write(folder: Path, name: str, text: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)


def read(folder: Path, clock: Clock | None = None) -> Tokens:
    return Tokens(folder, configure_logs("json"), monotonic=clock or Clock())


def test_every_line_of_a_file_is_valid_while_a_token_is_rotated(tmp_path: Path) -> None:
    """Empty lines and spaces around a token are no part of one."""
    write(tmp_path, "argocd", f"{OLD}\n\n  {NEW}  \n")
    tokens = read(tmp_path)
    assert (tokens.owner(OLD), tokens.owner(NEW)) == ("argocd", "argocd")
    assert tokens.owner("") is None
    assert tokens.owner(OLD + "x") is None


def test_a_demanded_name_must_be_the_tokens(tmp_path: Path) -> None:
    """Basic auth names who it is."""
    write(tmp_path, "argocd", OLD)
    tokens = read(tmp_path)
    assert tokens.owner(OLD, name="argocd") == "argocd"
    assert tokens.owner(OLD, name="other") is None


def test_a_folder_that_is_not_there_has_no_tokens(tmp_path: Path) -> None:
    """Whether that will do is for the caller to say."""
    assert read(tmp_path / "none").names == []


def test_the_machinery_of_a_secret_mount_is_no_token(tmp_path: Path) -> None:
    """Kubernetes links each key to a hidden folder that it swaps at once."""
    first, second = tmp_path / "..1", tmp_path / "..2"
    write(first, "argocd", OLD)
    write(second, "argocd", NEW)
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "argocd").symlink_to("..data/argocd")
    clock = Clock()
    tokens = read(tmp_path, clock)
    assert tokens.names == ["argocd"]
    (tmp_path / "..new").symlink_to("..2")
    (tmp_path / "..new").rename(tmp_path / "..data")
    clock.now += 1
    assert (tokens.owner(OLD), tokens.owner(NEW)) == (None, "argocd")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("argocd", "short\n", "argocd, line 1: the token is shorter than 16 characters"),
        ("argocd~", OLD, "its name must match"),
        ("other", OLD, "other, line 1: the same token stands in argo too"),
    ],
)
def test_a_mistake_stops_the_start(tmp_path: Path, name: str, text: str, message: str) -> None:
    """The message names the file, the line and what is wrong, and never a token."""
    write(tmp_path, "argo", OLD)
    write(tmp_path, name, text)
    with pytest.raises(SettingsError, match=message) as caught:
        read(tmp_path)
    assert OLD not in str(caught.value)


def test_a_change_takes_effect_within_a_second_and_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The folder is looked at once a second at most, not for each request."""
    write(tmp_path, "argocd", OLD)
    clock = Clock()
    tokens = read(tmp_path, clock)
    write(tmp_path, "argocd", f"{NEW}\n")
    write(tmp_path, "second", "another-token-0123456789")
    assert tokens.owner(OLD) == "argocd"
    clock.now += 1
    assert (tokens.owner(OLD), tokens.owner(NEW)) == (None, "argocd")
    [line] = capsys.readouterr().out.splitlines()
    assert json.loads(line)["names"] == ["argocd", "second"]


def test_a_mistake_later_is_left_out_and_a_removed_token_ends(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A typo in one file must keep no revoked token of another one alive."""
    write(tmp_path, "argocd", OLD)
    clock = Clock()
    tokens = read(tmp_path, clock)
    (tmp_path / "argocd").unlink()
    write(tmp_path, "typo", f"short\n{NEW}\n")
    clock.now += 1
    assert (tokens.owner(OLD), tokens.owner(NEW)) == (None, "typo")
    assert "tokens.refused" in capsys.readouterr().out
