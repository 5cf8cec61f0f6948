"""Files that users name: whatever is at the path, it is read in bounds or refused."""

from __future__ import annotations

import io
import os
import socket
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from receiver.cli import cli
from receiver.core.errors import (
    PostsyncError,
    RuleError,
    SettingsError,
    TemporaryError,
    UnreadableFile,
)
from receiver.core.logs import configure_logs
from receiver.core.user_files import read_bytes, read_stream, read_text
from receiver.rules.handlers.secret_refs import SecretRef
from receiver.settings.loading import load_settings
from receiver.settings.secrets import Secrets
from receiver.settings.tokens import Keyring


def pipe(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def door(path: Path) -> None:
    with closing(socket.socket(socket.AF_UNIX)) as made:
        made.bind(str(path))


Place = Callable[[Path], None]
STRANGE = pytest.mark.parametrize("place", [pipe, device], ids=["pipe", "device"])


@pytest.mark.parametrize("place", [pipe, device])
def test_what_is_no_file_is_refused_without_waiting(tmp_path: Path, place: Place) -> None:
    """A pipe that nobody writes to, a device without an end."""
    path = tmp_path / "named.yaml"
    place(path)
    with pytest.raises(UnreadableFile) as caught:
        read_bytes(path)
    assert str(caught.value) == f"{path} is no regular file"


def test_a_socket_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system does not even open it."""
    monkeypatch.chdir(tmp_path)  # a socket's path is short
    door(Path("named"))
    with pytest.raises(UnreadableFile, match="cannot be read"):
        read_bytes(Path("named"))


def test_a_file_is_read_up_to_its_bound(tmp_path: Path) -> None:
    """Its size is not believed, but counted: it may grow meanwhile, and some files say 0."""
    path = tmp_path / "named"
    path.write_bytes(b"x" * 1024)
    assert read_bytes(path, 1024) == b"x" * 1024
    with pytest.raises(UnreadableFile, match="is larger than"):
        read_bytes(path, 1023)
    assert read_bytes(Path("/proc/self/status"))


def test_a_name_that_is_no_path_is_refused() -> None:
    """YAML can write it."""
    with pytest.raises(UnreadableFile, match="NUL"):
        read_bytes(Path("a\0b"))


def test_a_text_is_utf_8_and_its_mark_is_left_out(tmp_path: Path) -> None:
    """What is not says where."""
    path = tmp_path / "named"
    path.write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert read_text(path) == "a: 1\n"
    path.write_bytes(b"a: 1\nb: \xff\n")
    with pytest.raises(UnreadableFile) as caught:
        read_text(path)
    assert str(caught.value) == f"{path}:2:4 is not UTF-8"


def _rules(path: Path) -> None:
    from receiver.rules.expressions.cel import Expressions
    from receiver.rules.handlers.registry import Registry
    from receiver.rules.loading.load import load_rules

    load_rules([path], Registry.discover(), Expressions())


@STRANGE
@pytest.mark.parametrize(
    ("read", "error"),
    [
        pytest.param(load_settings, SettingsError, id="settings"),
        pytest.param(_rules, RuleError, id="rules"),
    ],
)
def test_each_file_that_is_named_is_read_so(
    tmp_path: Path, place: Place, read: Callable[[Path], None], error: type[Exception]
) -> None:
    """Settings and rules."""
    path = tmp_path / "named.yaml"
    place(path)
    with pytest.raises(error, match="is no regular file"):
        read(path)


def test_a_secret_is_read_so(tmp_path: Path) -> None:
    """A pipe would keep the attempt's thread."""
    pipe(tmp_path / "token")
    with pytest.raises(TemporaryError, match="token} is no regular file"):
        Secrets(tmp_path).resolve(SecretRef("file", "token"))


@STRANGE
def test_a_token_file_is_read_so(tmp_path: Path, place: Place) -> None:
    """Tokens are read by those who answer requests: one pipe would hold all of them."""
    (tmp_path / "senders").mkdir()
    place(tmp_path / "senders" / "argocd")
    with pytest.raises(SettingsError, match="argocd is no regular file"):
        Keyring(tmp_path, configure_logs("json"))


@STRANGE
@pytest.mark.parametrize(
    "words", [["explain", "--payload"], ["try", "rule", "--payload"], ["send"]]
)
def test_each_command_reads_its_notification_so(
    tmp_path: Path, place: Place, words: list[str]
) -> None:
    """One message that names it."""
    path = tmp_path / "named.json"
    place(path)
    result = CliRunner().invoke(cli, [*words, str(path)])
    assert isinstance(result.exception, PostsyncError)
    assert result.exception.message == f"{path} is no regular file"


def test_a_notification_from_stdin_is_bounded_too() -> None:
    """A pipe into a command may have no end either."""
    with pytest.raises(UnreadableFile, match="stdin is larger than 1 KiB"):
        read_stream(Path("stdin"), io.BytesIO(b"x" * 4096), 1024)
