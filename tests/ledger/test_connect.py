"""Opening the ledger: its schema, its lock, and the places where it must not be."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from service import ROOT
from sqlalchemy import create_engine, inspect

from receiver.core.errors import LedgerError, LedgerGone, LedgerInUse, LedgerUnavailable
from receiver.ledger import tables
from receiver.ledger.audit.key_values import CREATED, get_value, put_value
from receiver.ledger.engine.folder import file_system_of, lock_ledger
from receiver.ledger.engine.open import open_ledger
from receiver.ledger.engine.sqlite import SqliteLedger

HOLDER = """
import sys
from pathlib import Path
from receiver.ledger.engine.folder import lock_ledger
lock = lock_ledger(Path(sys.argv[1]))
print("locked", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def ledger(file_ledger: SqliteLedger) -> SqliteLedger:
    """Only a file has this."""
    return file_ledger


def test_a_fresh_file_has_all_tables_and_the_time_of_its_creation(tmp_path: Path) -> None:
    """Only its owner may read it, and syncs from before its creation can be recognised."""
    with closing(open_ledger(tmp_path / "fresh.db")) as ledger, ledger.read() as connection:
        assert set(tables.metadata.tables) <= set(inspect(connection).get_table_names())
        assert abs(get_value(connection, CREATED) - time.time() * 1000) < 60_000
    assert ledger.path.stat().st_mode & 0o777 == 0o600


def test_opening_it_again_keeps_what_is_in_it(ledger: SqliteLedger) -> None:
    """A restart migrates nothing, and the creation stays."""
    with ledger.read() as connection:
        created = get_value(connection, CREATED)
    again = open_ledger(ledger.path)
    with again.read() as connection:
        assert get_value(connection, CREATED) == created
    again.close()


def test_the_migrations_lead_to_the_tables_that_the_code_uses(ledger: SqliteLedger) -> None:
    """A column that a later migration forgets would be found by a user otherwise."""
    with ledger.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), tables.metadata) == []


def test_partial_indexes_are_the_same_in_the_migrations_and_in_the_code(tmp_path: Path) -> None:
    """Alembic does not compare their conditions, on which the queue's speed rests."""
    migrated = open_ledger(tmp_path / "migrated.db")
    with migrated.read() as connection:
        found = _indexes(connection.connection.driver_connection)
    migrated.close()
    made = create_engine("sqlite://")
    with made.begin() as connection:
        tables.metadata.create_all(connection)
        assert _indexes(connection.connection.driver_connection) == found
    made.dispose()


def _indexes(connection: object) -> dict[str, str]:
    assert isinstance(connection, sqlite3.Connection)
    rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index'")
    return {name: " ".join(sql.split()) for name, sql in rows if sql}


def test_the_code_names_the_newest_migration() -> None:
    """`open_ledger` leaves alembic out when the file says this revision."""
    config = Config()
    config.set_main_option("script_location", str(Path(tables.__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(config).get_heads() == [tables.REVISION]


def test_a_file_of_a_newer_postsync_is_refused_with_the_way_out(ledger: SqliteLedger) -> None:
    """An older one would not know what it must keep right."""
    with closing(sqlite3.connect(ledger.path)) as file, file:
        file.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(LedgerError, match="revision 9999, this postsync knows up to") as refused:
        open_ledger(ledger.path)
    assert "newer postsync" in refused.value.hint


def test_a_file_of_before_the_first_release_is_refused_at_the_start(ledger: SqliteLedger) -> None:
    """Notifications would be accepted into it, and never planned."""
    with closing(sqlite3.connect(ledger.path)) as file, file:
        file.execute("DROP TABLE planning_attempts")
        file.execute("ALTER TABLE runs DROP COLUMN claims")
    with pytest.raises(LedgerError, match=r"made by an earlier postsync: it has no \w+\.\w+") as no:
        open_ledger(ledger.path)
    assert "begin anew" in no.value.hint


@pytest.mark.parametrize(
    "change", ["UPDATE alembic_version SET version_num = '9999'", "DROP TABLE planning_attempts"]
)
def test_what_is_refused_is_not_kept_open(ledger: SqliteLedger, change: str) -> None:
    """Who tries again and again would run out of files."""
    with closing(sqlite3.connect(ledger.path)) as file, file:
        file.execute(change)
    ledger.close()
    with pytest.raises(LedgerError):
        open_ledger(ledger.path)
    files = {one.resolve() for one in Path("/proc/self/fd").iterdir()}
    assert ledger.path.resolve() not in files


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    """It is left as it is."""
    path = tmp_path / "ledger.db"
    path.write_text("something else, long enough to be looked at by SQLite" * 20)
    with pytest.raises(LedgerError, match=r"ledger\.db cannot be opened: file is not a database"):
        open_ledger(path)
    assert path.read_text().startswith("something else")


def test_a_place_that_is_a_folder_is_named(tmp_path: Path) -> None:
    """So is any other thing that SQLite cannot open."""
    (tmp_path / "ledger.db").mkdir()
    with pytest.raises(LedgerError, match="cannot be opened: unable to open database file"):
        open_ledger(tmp_path / "ledger.db")


def test_a_second_instance_is_told_who_has_the_ledger(tmp_path: Path) -> None:
    """And may have it as soon as the first has ended, however that was."""
    path = tmp_path / "ledger.db"
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "locked\n"
        with pytest.raises(LedgerInUse, match=f"process {holder.pid}"):
            lock_ledger(path)
        holder.kill()
    lock_ledger(path).close()


MOUNTS = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:40 / {folder} rw,relatime shared:2 - nfs4 files.example.com:/export rw,vers=4.2
31 30 8:2 / {folder}/a\\040disk rw,relatime - xfs /dev/sdb1 rw
"""


def test_the_file_system_is_that_of_the_nearest_mount(tmp_path: Path) -> None:
    """The longest mount point that holds the folder counts, its spaces being escaped."""
    mountinfo = tmp_path / "mountinfo"
    mountinfo.write_text(MOUNTS.format(folder=tmp_path / "share"))
    places = ("share/postsync", "share", "share/a disk/home", "shared", "")
    found = [file_system_of(tmp_path / place, mountinfo) for place in places]
    assert found == ["nfs4", "nfs4", "xfs", "ext4", "ext4"]
    assert file_system_of(tmp_path, tmp_path / "absent") == ""


def test_a_network_file_system_is_refused(tmp_path: Path) -> None:
    """SQLite's log does not hold there, and the loss would show much later."""
    mountinfo = tmp_path / "mountinfo"
    mountinfo.write_text(MOUNTS.format(folder=tmp_path / "share"))
    with pytest.raises(LedgerError, match=r"network file system \(nfs4\)") as refused:
        lock_ledger(tmp_path / "share" / "ledger.db", mountinfo)
    assert "POSTSYNC_HOME" in refused.value.hint
    lock_ledger(tmp_path / "home" / "ledger.db", mountinfo).close()


def test_a_lock_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    """Here a folder has its name; a volume of another user looks the same."""
    (tmp_path / "ledger.lock").mkdir()
    with pytest.raises(LedgerError, match=r"ledger\.lock cannot be opened") as refused:
        lock_ledger(tmp_path / "ledger.db")
    assert "POSTSYNC_HOME" in refused.value.hint


@pytest.fixture
def closed(tmp_path: Path) -> Iterator[Path]:
    """A folder that takes no file, not even one of root."""
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o500)
    if os.geteuid() != 0:
        yield folder
        return
    command = ["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"a read-only disk cannot be mounted: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_folder_that_takes_no_file_is_told_with_the_way_out(closed: Path) -> None:
    """As a volume of another user, or one that is mounted read-only."""
    with pytest.raises(LedgerError, match=r"ledger\.db cannot be opened") as refused:
        open_ledger(closed / "ledger.db")
    assert refused.value.hint == "set POSTSYNC_HOME to a folder that this user may write"


@pytest.mark.parametrize("use", [open_ledger, lock_ledger])
def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, use: object) -> None:
    """A file stands where the folder should be."""
    assert callable(use)
    (tmp_path / "home").write_text("")
    with pytest.raises(LedgerError, match="home") as refused:
        use(tmp_path / "home" / "ledger.db")
    assert "POSTSYNC_HOME" in refused.value.hint


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
@pytest.mark.parametrize("use", [open_ledger, lock_ledger])
def test_a_folder_that_is_not_writable_is_named(tmp_path: Path, use: object) -> None:
    """A volume that belongs to another user is met at the start."""
    assert callable(use)
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(LedgerError, match="ledger"):
            use(tmp_path / "ledger.db")
    finally:
        tmp_path.chmod(0o700)


def test_a_transaction_that_fails_leaves_nothing(ledger: SqliteLedger) -> None:
    """Whatever the error was, it comes out as it is."""

    def half() -> None:
        with ledger.write() as connection:
            put_value(connection, "half", 1)
            raise ValueError("boom")

    with pytest.raises(ValueError, match="boom"):
        half()
    with ledger.read() as connection:
        assert get_value(connection, "half") is None


def test_reading_goes_on_while_another_process_writes(ledger: SqliteLedger) -> None:
    """A reader takes no lock; a writer waits its time and then says that it could not."""
    patient = open_ledger(ledger.path, busy_timeout=0.05)
    with closing(sqlite3.connect(ledger.path)) as other:
        other.execute("BEGIN IMMEDIATE")
        with patient.read() as connection:
            assert get_value(connection, CREATED)
        with pytest.raises(LedgerUnavailable, match="locked"), patient.write():
            pass
    patient.close()


def test_no_empty_ledger_takes_the_place_of_one_that_was_lost(tmp_path: Path) -> None:
    """A process that starts meanwhile would take notifications that no other one sees."""
    path = tmp_path / "ledger.db"
    with closing(open_ledger(path)) as ledger:
        path.unlink()
        with pytest.raises(LedgerGone, match=r"ledger\.db of the ledger"), ledger.read():
            pass
        with pytest.raises(LedgerError, match="has all that it had"):
            open_ledger(path)
        assert not path.exists()


def test_what_cannot_be_copied_is_told_with_where_it_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as the process does, its open files have it."""
    home = tmp_path / "home"
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    with closing(open_ledger(home / "ledger.db")) as ledger:
        shutil.rmtree(home)
        with pytest.raises(LedgerGone) as caught, ledger.write():
            pass
    assert "could not be copied" in caught.value.hint
    assert f"see /proc/{os.getpid()}/fd" in caught.value.hint
