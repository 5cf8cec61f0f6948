"""A ledger whose file is damaged: at the start, while it is served, and for the web's doors."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from commands import synced, typed
from doors import AS_OPERATOR, AS_SENDER, doors
from forked import postsync
from notifications import notification, resource
from service import ROOT, TELL, Service, serving, wait_for

from receiver.core.errors import AttemptError, LedgerDamaged, LedgerError
from receiver.ledger.audit.key_values import put_value
from receiver.ledger.engine.open import open_ledger, prepare

PAGE = 4096
RUBBISH = b"\xde\xad\xbe\xef" * (PAGE // 4)
SYNCS, RESOURCES = 4, 250


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of an instance that made a thousand runs, and was stopped."""
    home = tmp_path_factory.mktemp("used")
    with serving(home, TELL) as service:
        for number in range(SYNCS):
            synced(service, *(f"{number}-{one}" for one in range(RESOURCES)))
        done = [(SYNCS * RESOURCES,)]
        wait_for(
            lambda: service.query("SELECT COUNT(*) FROM runs WHERE state = 'succeeded'") == done,
            60, "the runs",
        )  # fmt: skip
        assert service.stop() == 0
    with closing(sqlite3.connect(home / "ledger.db")) as ledger:
        ledger.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # all of it is in the file then
    return home


@pytest.fixture
def home(used: Path, tmp_path: Path) -> Path:
    """A copy of it, which a test may damage."""
    return Path(shutil.copytree(used, tmp_path / "home"))


def damage(home: Path, *names: str) -> bytes:
    """Write rubbish over the first page of these tables and indexes; the file as it is then."""
    file = home / "ledger.db"
    with closing(sqlite3.connect(file)) as ledger:
        pages = dict(ledger.execute("SELECT name, rootpage FROM sqlite_master"))
    with file.open("r+b") as raw:
        for name in names:
            raw.seek((pages[name] - 1) * PAGE)
            raw.write(RUBBISH)
    return file.read_bytes()


@pytest.fixture
def service(home: Path) -> Iterator[Service]:
    """An instance over that home, not started."""
    made = Service(home, TELL, log=home / "damaged.log")
    yield made
    if made.process and made.process.poll() is None:
        made.kill()


@pytest.mark.parametrize(
    "part", ["key_values", "runs", "runs_of_rule", "sqlite_autoindex_syncs_1", "alembic_version"]
)
def test_a_damaged_file_is_refused_at_the_start(service: Service, home: Path, part: str) -> None:
    """Wherever the damage is; the message has the way out, and the file stays as it is."""
    before = damage(home, part)
    service.start(ready=False)
    assert service.process
    assert service.process.wait(120) == 1
    told = service.log.read_text()
    assert told.count("\n") == 1
    assert f"postsync: the ledger {home / 'ledger.db'} is damaged: " in told
    assert f"cp BACKUP {home / 'ledger.db'}; rm -f {home / 'ledger.db'}-wal" in told
    assert (home / "ledger.db").read_bytes() == before


def test_a_file_whose_head_is_damaged_is_refused_likewise(home: Path) -> None:
    """SQLite then takes it for no database at all."""
    with (home / "ledger.db").open("r+b") as raw:
        raw.write(RUBBISH)
    for use in (prepare, open_ledger):
        with pytest.raises(LedgerError, match="file is not a database") as refused:
            use(home / "ledger.db")
        assert "cp BACKUP" in refused.value.hint


def test_a_backup_put_in_its_place_goes_on(service: Service, home: Path) -> None:
    """By the commands of the message, as they are printed."""
    service.start()
    backup = home / "backup.db"
    assert typed(service, "backup", str(backup)).returncode == 0
    service.stop()
    damage(home, "runs")
    refused = typed(service, "prune", "--keep-for", "7d")
    assert refused.returncode == 1
    commands = refused.stderr.split("`")[1].replace("BACKUP", str(backup))
    done = postsync("serve", cwd=ROOT, environ=service.environ)
    assert (done.returncode, "is damaged" in done.stderr) == (1, True)
    assert subprocess.run(["sh", "-c", commands], check=False).returncode == 0
    service.start()
    assert service.query("SELECT COUNT(*) FROM runs") == [(SYNCS * RESOURCES,)]


def test_damage_that_shows_while_it_is_served_ends_the_instance(
    service: Service, home: Path
) -> None:
    """With a line on the log that has the way out, without a traceback; and it stays refused."""
    service.start()
    damage(home, "plans_signalled", "runs_ready", "runs", "plans", "syncs_new", "syncs")
    body = notification(resource("late"))

    def ended() -> bool:
        assert service.process
        if service.process.poll() is None:
            with suppress(AttemptError):
                service.request("POST", "/v1/notifications", body)
        return service.process.poll() is not None

    wait_for(ended, 30, "the end of the instance")
    assert service.process
    assert service.process.returncode == 1
    lines = service.events("ledger.damaged")
    assert f"the ledger {home / 'ledger.db'} is damaged" in lines[0]["reason"]
    assert "cp BACKUP" in lines[0]["hint"]
    assert "Traceback" not in service.log.read_text()
    service.start(ready=False)
    assert service.process.wait(120) == 1


def test_the_doors_say_that_it_is_damaged_and_write_no_more(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A notification is answered 503 with the way out; the probes, that a restart will tell."""
    monkeypatch.setattr("receiver.web.health.DEAD_AFTER", 0.0)
    damage(home, "sqlite_autoindex_syncs_1")
    ledger = open_ledger(home / "ledger.db")
    with closing(ledger), doors(ledger, home) as web:
        assert web.client.get("/readyz").status_code == 200
        answer = web.client.post(
            "/v1/notifications", data=notification(resource("late")), headers=AS_SENDER
        )
        problem = answer.json or {}
        assert (answer.status_code, problem["reason"]) == (503, "ledger_unavailable")
        assert "is damaged" in problem["detail"]
        assert "cp BACKUP" in problem["hint"]
        line = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert (line["event"], line["reason"]) == ("ledger.damaged", problem["detail"])
        for probe in ("/readyz", "/healthz"):
            told = web.client.get(probe)
            assert told.status_code == 503
            assert "is damaged" in (told.json or {})["reasons"][0]
        assert web.client.get("/v1/plans", headers=AS_OPERATOR).status_code == 200
        with pytest.raises(LedgerDamaged), ledger.write():
            pass


def test_a_log_cut_off_under_a_running_instance_is_damage(tmp_path: Path) -> None:
    """Who has it open never reads it again, however often it is tried: only a start can."""
    prepare(tmp_path / "ledger.db")
    with closing(open_ledger(tmp_path / "ledger.db")) as intake:
        with intake.write() as connection:
            put_value(connection, "one", {"value": 1})
        with closing(open_ledger(tmp_path / "ledger.db")) as dispatcher:
            os.truncate(tmp_path / "ledger.db-wal", 0)
            with pytest.raises(LedgerDamaged, match="is damaged"), dispatcher.write() as connection:
                put_value(connection, "two", {"value": 2})
