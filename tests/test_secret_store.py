from __future__ import annotations

from pathlib import Path

import pytest

from receiver.core.errors import TemporaryError
from receiver.rules.handlers.secret_refs import SecretRef
from receiver.settings.secrets import Secrets


def test_a_variable_is_read_at_each_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A rotated secret counts from the next attempt on; the format is not applied."""
    ref = SecretRef("env", "POSTSYNC_SECRET_A", "Bearer {}")
    monkeypatch.setenv("POSTSYNC_SECRET_A", "one")
    assert Secrets(tmp_path).resolve(ref) == "one"
    monkeypatch.setenv("POSTSYNC_SECRET_A", "two")
    assert Secrets(tmp_path).resolve(ref) == "two"


@pytest.mark.parametrize(
    ("written", "value"),
    [
        (b"a", "a"),
        (b"a\n", "a"),
        (b"a\r\n", "a"),
        (b"a\n\n", "a\n"),
        (b" a ", " a "),
        (b"a\r\nb", "a\r\nb"),
    ],
)
def test_a_file_is_read_without_one_newline_at_its_end(
    tmp_path: Path, written: bytes, value: str
) -> None:
    """Editors add it; all else belongs to the secret."""
    (tmp_path / "token").write_bytes(written)
    assert Secrets(tmp_path).resolve(SecretRef("file", "token")) == value


def test_a_mounted_secret_is_followed_within_its_folder(tmp_path: Path) -> None:
    """Kubernetes links each key through ..data to a folder with a time in its name."""
    mount = tmp_path / "secrets" / "cdn"
    (mount / "..2026_06_01").mkdir(parents=True)
    (mount / "..2026_06_01" / "token").write_text("hush")
    (mount / "..data").symlink_to("..2026_06_01")
    (mount / "token").symlink_to("..data/token")
    assert Secrets(tmp_path / "secrets").resolve(SecretRef("file", "cdn/token")) == "hush"


@pytest.mark.parametrize("name", ["out", "../outside", "/etc/hostname"])
def test_nothing_outside_the_folder_is_read(tmp_path: Path, name: str) -> None:
    """Neither by a link, nor by dots, nor by a whole path."""
    folder = tmp_path / "secrets"
    folder.mkdir()
    (tmp_path / "outside").write_text("no")
    (folder / "out").symlink_to(tmp_path / "outside")
    with pytest.raises(TemporaryError, match="leads out of the secrets folder"):
        Secrets(folder).resolve(SecretRef("file", name))


def test_what_is_missing_is_temporary_and_says_where_it_belongs(tmp_path: Path) -> None:
    """An operator can add it while the retries go on."""
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    (tmp_path / "folder").mkdir()
    for ref, words in (
        (SecretRef("env", "POSTSYNC_SECRET_NONE"), "{env: POSTSYNC_SECRET_NONE} is not set"),
        (SecretRef("env", "HOME"), "{env: HOME} is no POSTSYNC_SECRET_* variable"),
        (SecretRef("file", "none"), f"does not exist (put it into {tmp_path}"),
        (
            SecretRef("file", "circle"),
            "{file: circle} cannot be read: Too many levels of symbolic links",
        ),
        (SecretRef("file", "bytes"), "it is no UTF-8 text"),
        (SecretRef("file", "folder"), "Is a directory"),
    ):
        with pytest.raises(TemporaryError) as caught:
            Secrets(tmp_path).resolve(ref)
        assert words in str(caught.value)


def test_an_empty_secret_is_as_good_as_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is sent with an empty token."""
    monkeypatch.setenv("POSTSYNC_SECRET_A", "")
    (tmp_path / "token").write_text("\n")
    for ref in (SecretRef("env", "POSTSYNC_SECRET_A"), SecretRef("file", "token")):
        with pytest.raises(TemporaryError, match="is empty"):
            Secrets(tmp_path).resolve(ref)


def test_a_variable_that_is_no_text_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytes that are no UTF-8 could not be masked."""
    monkeypatch.setenv("POSTSYNC_SECRET_A", "caf\udce9")
    with pytest.raises(TemporaryError, match="POSTSYNC_SECRET_A} is no UTF-8 text"):
        Secrets(tmp_path).resolve(SecretRef("env", "POSTSYNC_SECRET_A"))
