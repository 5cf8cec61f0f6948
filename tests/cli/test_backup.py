"""`backup`, of a ledger that is in use."""

from __future__ import annotations

import json
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from forked import postsync
from notifications import notification, resource
from service import ROOT, Service, serving
from sqlalchemy import insert, text

from receiver.cli import cli
from receiver.core.errors import LedgerError
from receiver.ledger import tables
from receiver.ledger.engine.backup import back_up
from receiver.ledger.engine.open import open_ledger
from receiver.ledger.engine.sqlite import SqliteLedger
from receiver.ledger.queries.reader import Reader

RULES = """
version: 1
rules:
- name: tell
  match: {resources: [{kind: ConfigMap}]}
  actions: [{uses: log.message, with: {text: x}}]
"""


@pytest.fixture
def ledger(file_ledger: SqliteLedger) -> SqliteLedger:
    """Only a file has this."""
    return file_ledger


@pytest.fixture
def home(ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("POSTSYNC_HOME", str(ledger.path.parent))
    return ledger.path.parent


def backup(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["backup", *arguments])


def send(service: Service, name: str) -> str:
    status, answer = service.request(
        "POST", "/v1/notifications", notification(resource(name), application=name)
    )
    assert status == 202
    return str(answer["sync"])


def test_a_backup_of_a_busy_instance_has_all_that_was_accepted_before(tmp_path: Path) -> None:
    """It is a ledger like any other: an instance starts on it and goes on."""
    copy = tmp_path / "copy" / "ledger.db"
    copy.parent.mkdir()
    with serving(tmp_path / "home", RULES) as service:
        before = [send(service, f"before-{number}") for number in range(20)]
        stop = threading.Event()
        during: list[str] = []

        def load() -> None:
            while not stop.is_set():
                during.append(send(service, f"during-{len(during)}"))

        sender = threading.Thread(target=load)
        sender.start()
        try:
            done = postsync("backup", copy, "--output", "json", cwd=ROOT, environ=service.environ)
        finally:
            stop.set()
            sender.join()
        assert json.loads(done.stdout) == {"file": str(copy), "bytes": copy.stat().st_size}
        assert service.ended(during[-1])["state"] == "planned"
    with closing(open_ledger(copy)) as ledger:
        found = [row["id"] for row in Reader(ledger).syncs(limit=1000)]
    assert set(before) <= set(found) <= {*before, *during}
    with serving(copy.parent, RULES) as restored:
        assert restored.ended(before[0])["plans"][0]["state"] == "succeeded"


def test_it_is_one_checked_file_for_its_owner_alone(home: Path) -> None:
    """Nothing is left beside it."""
    done = backup(str(home / "copy.db"))
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.endswith("MiB, checked\n")
    assert (home / "copy.db").stat().st_mode & 0o777 == 0o600
    assert {path.name for path in home.iterdir() if "copy" in path.name} == {"copy.db"}


def test_a_file_that_exists_is_never_replaced(home: Path) -> None:
    """Whatever is in it."""
    (home / "copy.db").write_text("mine")
    done = backup(str(home / "copy.db"))
    assert isinstance(done.exception, LedgerError)
    assert "copy.db exists already (name a file that does not)" in str(done.exception)
    assert (home / "copy.db").read_text() == "mine"


def test_a_folder_that_is_not_there_is_named(home: Path) -> None:
    """None is made: it may be a disk that is not mounted."""
    done = backup(str(home / "absent" / "copy.db"))
    assert "cannot be written: No such file or directory" in str(done.exception)


def test_without_a_ledger_nothing_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a copy nor a ledger."""
    monkeypatch.setenv("POSTSYNC_HOME", str(tmp_path / "nowhere"))
    done = backup(str(tmp_path / "copy.db"))
    assert "there is no ledger" in str(done.exception)
    assert list(tmp_path.iterdir()) == []


def test_a_ledger_that_is_damaged_gives_no_backup(ledger: SqliteLedger, tmp_path: Path) -> None:
    """A copy that nobody could restore is worse than none."""
    with ledger.write() as connection:
        connection.execute(
            insert(tables.key_values), [{"name": f"n{i}", "value": "x" * 900} for i in range(200)]
        )
        root = connection.scalar(
            text("SELECT rootpage FROM sqlite_master WHERE name = 'key_values'")
        )
    ledger.close()
    with ledger.path.open("r+b") as file:
        file.seek((root - 1) * 4096 + 8)
        file.write(b"\xff" * 2000)
    with pytest.raises(LedgerError, match=r"damaged|malformed"):
        back_up(ledger.path, tmp_path / "copy.db", lambda _done, _pages: None)
    assert not (tmp_path / "copy.db").exists()


def test_a_writer_meanwhile_neither_waits_nor_shows(ledger: SqliteLedger, tmp_path: Path) -> None:
    """The copy is of the moment at which it began, however long it takes."""
    fill = [{"name": f"n{i}", "value": "x" * 900} for i in range(20_000)]
    with ledger.write() as connection:
        connection.execute(insert(tables.key_values), fill)
    steps: list[int] = []

    def write(done: int, _pages: int) -> None:
        with ledger.write() as connection:
            connection.execute(insert(tables.key_values), {"name": f"late{done}", "value": ""})
        steps.append(done)

    back_up(ledger.path, tmp_path / "copy.db", write)
    assert len(steps) > 3
    assert steps == sorted(steps)
    with closing(sqlite3.connect(tmp_path / "copy.db")) as copy:
        late = copy.execute("SELECT COUNT(*) FROM key_values WHERE name LIKE 'late%'").fetchone()
    assert late == (0,)
