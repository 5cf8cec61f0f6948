"""Named tokens in a folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from receiver.core.errors import SettingsError
from receiver.core.logs import configure_logs
from receiver.settings.tokens import Keyring, Tokens

OLD, NEW = "old-token-0123456789", "new-token-0123456789"


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def write(folder: Path, name: str, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)


def keyring(home: Path, clock: Clock | None = None) -> Keyring:
    return Keyring(home, configure_logs("json"), monotonic=clock or Clock())


def read(home: Path, clock: Clock | None = None) -> Tokens:
    return keyring(home, clock).senders


def test_every_line_of_a_file_is_valid_while_a_token_is_rotated(tmp_path: Path) -> None:
    """Empty lines and spaces around a token are no part of one."""
    write(tmp_path / "senders", "argocd", f"{OLD}\n\n  {NEW}  \n")
    tokens = read(tmp_path)
    assert (tokens.owner(OLD), tokens.owner(NEW)) == ("argocd", "argocd")
    assert tokens.owner("") is None
    assert tokens.owner(OLD + "x") is None


def test_a_demanded_name_must_be_the_tokens(tmp_path: Path) -> None:
    """Basic auth names who it is."""
    write(tmp_path / "senders", "argocd", OLD)
    tokens = read(tmp_path)
    assert tokens.owner(OLD, name="argocd") == "argocd"
    assert tokens.owner(OLD, name="other") is None


def test_a_folder_that_is_not_there_has_no_tokens(tmp_path: Path) -> None:
    """Whether that will do is for the caller to say."""
    assert read(tmp_path).names == []


def test_the_machinery_of_a_secret_mount_is_no_token(tmp_path: Path) -> None:
    """Kubernetes links each key to a hidden folder that it swaps at once."""
    folder = tmp_path / "senders"
    first, second = folder / "..1", folder / "..2"
    write(first, "argocd", OLD)
    write(second, "argocd", NEW)
    (folder / "..data").symlink_to("..1")
    (folder / "argocd").symlink_to("..data/argocd")
    clock = Clock()
    tokens = read(tmp_path, clock)
    assert tokens.names == ["argocd"]
    (folder / "..new").symlink_to("..2")
    (folder / "..new").rename(folder / "..data")
    clock.now += 1
    assert (tokens.owner(OLD), tokens.owner(NEW)) == (None, "argocd")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("argocd", "short\n", "argocd, line 1: the token is shorter than 16 characters"),
        ("argocd~", OLD, "its name must match"),
        ("other", OLD, "other, line 1: the same token stands in .*argo, line 1 too"),
        (
            "other",
            "pass-w\u00f6rd-0123456789",
            "line 1: the token has characters outside printable ASCII",
        ),
        ("other", f"{NEW}\u00a0", "line 1: the token has characters outside printable ASCII"),
        ("other", "with\x1b[2Jcontrol-0123456789", "outside printable ASCII"),
    ],
)
def test_a_mistake_stops_the_start(tmp_path: Path, name: str, text: str, message: str) -> None:
    """The message names the file, the line and what is wrong, and never a token."""
    write(tmp_path / "senders", "argo", OLD)
    write(tmp_path / "senders", name, text)
    with pytest.raises(SettingsError, match=message) as caught:
        read(tmp_path)
    assert OLD not in str(caught.value)


def test_a_change_takes_effect_within_a_second_and_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The folder is looked at once a second at most, not for each request."""
    write(tmp_path / "senders", "argocd", OLD)
    clock = Clock()
    tokens = read(tmp_path, clock)
    write(tmp_path / "senders", "argocd", f"{NEW}\n")
    write(tmp_path / "senders", "second", "another-token-0123456789")
    assert tokens.owner(OLD) == "argocd"
    clock.now += 1
    assert (tokens.owner(OLD), tokens.owner(NEW)) == (None, "argocd")
    lines = map(json.loads, capsys.readouterr().out.splitlines())
    ours = [one for one in lines if one.get("folder") == str(tmp_path / "senders")]
    assert [one["names"] for one in ours] == [["argocd", "second"]]


def test_a_mistake_later_is_left_out_and_a_removed_token_ends(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A typo in one file must keep no revoked token of another one alive."""
    write(tmp_path / "senders", "argocd", OLD)
    clock = Clock()
    tokens = read(tmp_path, clock)
    (tmp_path / "senders" / "argocd").unlink()
    write(tmp_path / "senders", "typo", f"short\n{NEW}\n")
    clock.now += 1
    assert (tokens.owner(OLD), tokens.owner(NEW)) == (None, "typo")
    assert "tokens.refused" in capsys.readouterr().out


def test_a_token_of_two_roles_is_refused_when_it_appears(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whose it was keeps it; nobody becomes an operator by a line that is also a sender's."""
    write(tmp_path / "senders", "argocd", OLD)
    clock = Clock()
    keys = keyring(tmp_path, clock)
    write(tmp_path / "operators", "ann", f"{OLD}\n{NEW}\n")
    clock.now += 1
    assert (keys.senders.owner(OLD), keys.operators.owner(OLD)) == ("argocd", None)
    assert keys.operators.owner(NEW) == "ann"
    [line] = [line for line in capsys.readouterr().out.splitlines() if "tokens.refused" in line]
    reason = json.loads(line)["reason"]
    assert f"{tmp_path}/operators/ann, line 1: the same token stands in" in reason
    assert f"{tmp_path}/senders/argocd, line 1 too, which had it before and keeps it" in reason
    clock.now += 1
    assert keys.operators.owner(OLD) is None
    (tmp_path / "senders" / "argocd").unlink()
    clock.now += 1
    assert (keys.senders.owner(OLD), keys.operators.owner(OLD)) == (None, "ann")


def test_a_token_that_comes_twice_at_once_is_nobodys(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It could mean either, and neither of them had it before."""
    write(tmp_path / "senders", "argocd", OLD)
    clock = Clock()
    keys = keyring(tmp_path, clock)
    write(tmp_path / "operators", "ann", NEW)
    write(tmp_path / "viewers", "bob", NEW)
    clock.now += 1
    assert (keys.operators.owner(NEW), keys.viewers.owner(NEW)) == (None, None)
    assert capsys.readouterr().out.count("and is taken for neither") == 2


def test_a_folder_that_goes_away_is_told_and_comes_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its tokens are not known meanwhile, and nobody takes that for their removal."""
    write(tmp_path / "home/senders", "argocd", OLD)
    clock = Clock()
    keys = keyring(tmp_path / "home", clock)
    (tmp_path / "home").rename(tmp_path / "away")
    clock.now += 1
    assert keys.senders.owner(OLD) is None
    assert keys.unreadable
    clock.now += 1
    assert keys.senders.owner(OLD) is None
    assert capsys.readouterr().out.count('"tokens.away"') == 1
    (tmp_path / "away").rename(tmp_path / "home")
    clock.now += 1
    assert (keys.senders.owner(OLD), keys.unreadable) == ("argocd", [])


def test_a_file_that_cannot_be_read_costs_no_other_name(tmp_path: Path) -> None:
    """What is not known is said; what is known goes on."""
    write(tmp_path / "senders", "argocd", OLD)
    clock = Clock()
    keys = keyring(tmp_path, clock)
    (tmp_path / "senders" / "second").mkdir()
    clock.now += 1
    assert keys.senders.owner(OLD) == "argocd"
    assert "second cannot be read" in keys.unreadable[0]


def test_without_a_look_no_new_file_is_seen(tmp_path: Path) -> None:
    """The thread that accepts connections waits for no disk."""
    write(tmp_path / "senders", "argocd", OLD)
    clock = Clock()
    keys = keyring(tmp_path, clock)
    write(tmp_path / "senders", "second", NEW)
    clock.now += 1
    assert (keys.contains(NEW, reload=False), keys.contains(NEW, reload=True)) == (False, True)
