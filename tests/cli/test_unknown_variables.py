"""A setting that is misspelt is told of by each process that reads it."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest
from forked import postsync


@pytest.mark.parametrize(
    "words", [["serve"], ["work", "--database", "postgresql://127.0.0.1/x"]], ids=["serve", "work"]
)
def test_a_variable_that_is_no_setting_is_warned_of(tmp_path: Path, words: list[str]) -> None:
    """With the one that was meant, and before anything else can go wrong."""
    (tmp_path / "senders").mkdir()
    (tmp_path / "senders/argocd").write_text("token-0123456789abcdef")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        environ = os.environ | {
            "POSTSYNC_HOME": str(tmp_path), "POSTSYNC_LOG_FORMAT": "json",
            "POSTSYNC_PORT": str(taken.getsockname()[1]), "POSTSYNC_MAXBODY": "1",
        }  # fmt: skip
        done = postsync(*words, cwd=tmp_path, environ=environ)
    assert "cannot listen on" in done.stderr
    warned = [json.loads(line) for line in done.stdout.splitlines() if "settings.unknown" in line]
    assert [(line["variable"], line["hint"]) for line in warned] == [
        ("POSTSYNC_MAXBODY", "did you mean POSTSYNC_MAX_BODY?")
    ]
