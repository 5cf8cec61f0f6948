"""A ledger whose file goes away while it is served: nothing more is accepted, and all is kept."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from forked import postsync
from notifications import notification, resource
from service import ROOT, TELL, Service, serving


def post(service: Service, name: str) -> tuple[int, dict[str, str]]:
    status, answer = service.request("POST", "/v1/notifications", notification(resource(name)))
    return status, dict(answer)


def copy_of(home: Path) -> Path:
    (copy,) = home.glob("ledger.rescued-*.db")
    return copy


def syncs(file: Path) -> list[str]:
    with closing(sqlite3.connect(file)) as ledger:
        return [row[0] for row in ledger.execute("SELECT id FROM syncs ORDER BY id")]


def removed(home: Path) -> None:
    (home / "ledger.db").unlink()


def without_log(home: Path) -> None:
    (home / "ledger.db-wal").unlink()


def without_index(home: Path) -> None:
    (home / "ledger.db-shm").unlink()


def replaced(home: Path) -> None:
    with closing(sqlite3.connect(home / "other.db")) as other:
        other.execute("CREATE TABLE t (c)")
    (home / "other.db").replace(home / "ledger.db")


@pytest.mark.parametrize("lose", [removed, without_log, without_index, replaced])
def test_nothing_is_accepted_any_more_and_all_is_copied(
    tmp_path: Path, lose: Callable[[Path], None]
) -> None:
    """The answers, both probes and the log say what was lost, and where the copy is."""
    with serving(tmp_path, TELL) as service:
        _, answer = post(service, "a")
        service.ended(answer["sync"])
        lose(tmp_path)
        status, refusal = post(service, "b")
        assert (status, refusal["reason"]) == (503, "ledger_unavailable")
        assert "was removed or replaced while it is open" in refusal["detail"]
        copy = copy_of(tmp_path)
        assert str(copy) in refusal["hint"]
        assert syncs(copy) == [answer["sync"]]
        assert oct(copy.stat().st_mode & 0o777) == "0o600"
        for probe in ("/readyz", "/healthz"):
            status, body = service.request("GET", probe)
            assert status == 503
            assert str(copy) in body["reasons"][0]
        assert service.events("ledger.gone")


def test_what_was_kept_goes_on_where_it_ended(tmp_path: Path) -> None:
    """The next start is refused with the commands, so that no empty ledger takes its place."""
    with serving(tmp_path, TELL) as service:
        _, first = post(service, "a")
        service.ended(first["sync"])
        removed(tmp_path)
        assert post(service, "b")[0] == 503
        service.stop()
        refused = postsync("serve", cwd=ROOT, environ=service.environ)
        copy = copy_of(tmp_path)
        assert refused.returncode != 0
        assert f"{copy} has all that it had" in refused.stderr
        assert f"mv {copy} {tmp_path / 'ledger.db'}" in refused.stderr
        for name in ("ledger.db", "ledger.db-wal", "ledger.db-shm"):
            (tmp_path / name).unlink(missing_ok=True)
        copy.rename(tmp_path / "ledger.db")
        service.start()
        assert service.story(first["sync"])["state"] == "planned"
        _, second = post(service, "b")
        assert len(service.ended(second["sync"])["plans"]) == 1


def test_a_file_that_comes_back_is_used_again(tmp_path: Path) -> None:
    """Whoever moved it by mistake moves it back, and nothing has happened."""
    with serving(tmp_path, TELL) as service:
        aside = tmp_path / "aside"
        aside.mkdir()
        names = ("ledger.db", "ledger.db-wal", "ledger.db-shm")
        for name in names:
            (tmp_path / name).rename(aside / name)
        assert post(service, "a")[0] == 503
        for name in names:
            os.replace(aside / name, tmp_path / name)  # noqa: PTH105 over whatever is there
        status, answer = post(service, "b")
        assert status == 202
        assert len(service.ended(answer["sync"])["plans"]) == 1


def test_a_home_that_is_gone_leaves_its_ledger_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its folder, the place beside it is gone as well."""
    elsewhere, home = tmp_path / "elsewhere", tmp_path / "home"
    elsewhere.mkdir()
    monkeypatch.setenv("TMPDIR", str(elsewhere))
    with serving(home, TELL) as service:
        _, answer = post(service, "a")
        service.ended(answer["sync"])
        shutil.rmtree(home)
        status, body = service.request("GET", "/readyz")
        assert status == 503
        copies = list(elsewhere.glob("postsync-*/ledger.rescued-*.db"))
        assert [str(copy) in body["reasons"][0] for copy in copies].count(True) == 1
        assert [syncs(copy) for copy in copies] == [[answer["sync"]]] * len(copies)
