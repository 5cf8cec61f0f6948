"""`prune`, on a ledger that somebody else has open."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from house import House
from sqlalchemy import text

from receiver.cli import cli
from receiver.core.errors import LedgerError
from receiver.ledger.engine.sqlite import SqliteLedger

RULES = """
- name: tell
  match: {resources: [{kind: ConfigMap}]}
  actions: [{uses: log.message, with: {text: x}}]
"""
DAY_MS = 86_400_000
AGES = {
    "syncs": "received_at = :at, finished_at = :at WHERE id",
    "plans": "ended_at = :at WHERE sync_id",
}


@pytest.fixture
def ledger(file_ledger: SqliteLedger) -> SqliteLedger:
    """Only a file has this."""
    return file_ledger


@pytest.fixture
def house(ledger: SqliteLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    """A home with syncs that ended 10, 40 and 40 days ago."""
    monkeypatch.setenv("POSTSYNC_HOME", str(tmp_path))
    house = House.of(ledger, RULES)
    for number, days in enumerate((40, 40, 10)):
        sync = house.sync("a", "b", at=number)
        house.work()
        moment = int(datetime.now(UTC).timestamp() * 1000) - days * DAY_MS
        about = {"at": moment, "sync": sync}
        with ledger.write() as connection:
            connection.execute(
                text("UPDATE syncs SET received_at = :at, finished_at = :at WHERE id = :sync"),
                about,
            )
            connection.execute(text("UPDATE plans SET ended_at = :at WHERE sync_id = :sync"), about)
    house.sync("c", at=9)
    return house


def prune(*arguments: str, says: str = "") -> Result:
    return CliRunner().invoke(cli, ["prune", *arguments], input=says)


def test_it_shows_what_would_go_asks_and_deletes(house: House) -> None:
    """By the setting's time if nothing else is said; the trail tells who it was."""
    done = prune(says="y\n")
    assert done.exit_code == 0
    assert "Delete what ended more than 30d ago: 2 syncs (of 4 syncs)? [y/N]" in done.stderr
    assert done.stdout.startswith("deleted 2 syncs, 2 notifications, 2 plans, 4 runs, 4 attempts, ")
    assert len(house.query("SELECT id FROM syncs")) == 2
    assert house.events("ledger.pruned")[0]["by"].startswith("prune by ")


def test_nothing_is_deleted_without_a_yes(house: House) -> None:
    """It exits 1, as every question that is answered by no."""
    done = prune(says="n\n")
    assert (done.exit_code, done.stdout) == (1, "")
    assert len(house.query("SELECT id FROM syncs")) == 4


def test_a_shorter_time_deletes_more_and_programs_read_the_counts(house: House) -> None:
    """`--yes` asks nothing; the space is given back."""
    done = prune("--keep-for", "7d", "--yes", "--output", "json")
    told = json.loads(done.stdout)
    assert (told["deleted"]["syncs"], told["deleted"]["runs"]) == (3, 6)
    assert told["freedBytes"] >= 0
    assert done.stderr == ""
    assert len(house.query("SELECT id FROM syncs")) == 1


def test_nothing_to_delete_is_said_and_not_asked(house: House) -> None:
    """And the ledger is left alone."""
    done = prune("--keep-for", "90d")
    assert (done.exit_code, done.stderr) == (0, "nothing ended more than 90d ago\n")
    assert house.events("ledger.pruned") == []


@pytest.mark.parametrize("age", ["1m", "2h"])
def test_what_could_be_acted_upon_again_is_never_deleted(house: House, age: str) -> None:
    """The time must be longer than the age at which a sync is not acted upon any more."""
    done = prune("--keep-for", age, "--yes")
    assert done.exit_code == 2
    assert "--keep-for: it must be longer than 1d" in done.stderr
    assert "POSTSYNC" not in done.stderr
    assert len(house.query("SELECT id FROM syncs")) == 4


def test_a_time_without_a_unit_is_wrong_usage() -> None:
    """As everywhere."""
    done = prune("--keep-for", "7")
    assert done.exit_code == 2
    assert "'7' is no duration" in done.stderr


def test_a_home_without_a_ledger_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """None is made."""
    monkeypatch.setenv("POSTSYNC_HOME", str(tmp_path / "nowhere"))
    done = prune("--yes")
    assert isinstance(done.exception, LedgerError)
    assert "there is no ledger" in str(done.exception)
    assert not (tmp_path / "nowhere").exists()
