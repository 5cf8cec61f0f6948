"""`postsync migrate`, as an init container or an operator runs it."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from pathlib import Path

import pytest
from forked import postsync
from postgres import Databases, postgres_server
from service import ROOT

from receiver.ledger import tables

Done = subprocess.CompletedProcess[str]


def migrate(*arguments: str, **environ: str) -> Done:
    return postsync("migrate", *arguments, cwd=ROOT, environ=os.environ | environ)


def test_it_says_what_it_did(ledgers: Databases) -> None:
    """From where to where; the second time there is nothing to do."""
    with ledgers.database(blank=False) as url:
        first = migrate("--output", "json", POSTSYNC_DATABASE=url)
        assert json.loads(first.stdout) == {"from": None, "to": tables.REVISION}, first.stderr
        again = migrate("--database", url)
        assert f"revision {tables.REVISION} (there was nothing to do)" in again.stdout


def test_a_file_is_made_where_there_is_none(tmp_path: Path) -> None:
    """As `serve` makes it by itself."""
    done = migrate(POSTSYNC_HOME=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "ledger.db").is_file()


def test_a_database_is_filled_from_a_file(ledgers: Databases, tmp_path: Path) -> None:
    """By the file's name; where there is no database to fill, it says what is missing."""
    migrate(POSTSYNC_HOME=str(tmp_path))
    file = str(tmp_path / "ledger.db")
    with ledgers.database(blank=False) as url:
        done = migrate("--database", url, "--from", file)
        assert done.returncode == 0, done.stderr
        assert f"the ledger is at revision {tables.REVISION} (was empty)" in done.stdout
    done = migrate("--from", file, POSTSYNC_HOME=str(tmp_path))
    assert done.returncode == 2
    assert "name it by --database" in done.stderr


@pytest.mark.slow
def test_a_database_that_is_away_is_waited_for_if_that_is_asked() -> None:
    """Without --wait it says so at once; a password never stands in what it says."""
    with postgres_server() as server:
        server.stop()
        url = server.url().replace("@", ":hunter2secret@")
        done = migrate("--database", url)
        assert done.returncode == 1
        assert "Connection refused" in done.stderr
        assert "hunter2secret" not in done.stderr
        back = threading.Timer(3.0, server.start)
        back.start()
        done = migrate("--database", url, "--wait", "60")
        back.join()
        assert (done.returncode, done.stderr) == (0, "")
