"""A pooler between us and the database, set up as docs/postgresql.md says."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
from cluster import Worker
from commands import synced
from postgres import SERVER_USER, SUPERUSER, Databases
from service import ROOT, Service, free_port, wait_for
from shared_hosts import end

pytestmark = pytest.mark.slow

PAGE = (ROOT / "docs/postgresql.md").read_text()
INI = re.compile(r"<!-- pgbouncer -->\n```ini\n(.*?)```", re.DOTALL)
RULES = """
version: 1
rules:
- name: tell
  match: {application: {name: shop}}
  actions:
  - {uses: log.message, target: application, with: {text: hello}}
"""


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        return False
    return True


@pytest.fixture
def pooled(ledgers: Databases) -> Iterator[str]:
    """The URL of a ledger behind PgBouncer."""
    program = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin")
    if program is None:
        pytest.skip("PgBouncer is not installed (Debian: pgbouncer)")
    [text] = INI.findall(PAGE)
    with ledgers.database() as url, ExitStack() as stack:
        server, _, database = url.partition("@")[2].partition("/")
        host, _, port = server.partition(":")
        text = text.replace("db.example.com port=5432 dbname=postsync", f"{host} port={port}")
        text = text.replace("postsync = ", f"{database} = user={SUPERUSER} ")
        own = free_port()
        text += f"listen_addr = {host}\nlisten_port = {own}\nauth_type = any\nunix_socket_dir =\n"
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="postsync-pool-")))
        folder.chmod(0o755)  # its user may not look into those of pytest
        (folder / "pgbouncer.ini").write_text(text)
        process = subprocess.Popen(
            [program, "--quiet", str(folder / "pgbouncer.ini")], user=SERVER_USER,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        stack.callback(process.wait)
        stack.callback(process.kill)
        through = url.replace(f":{port}/", f":{own}/")
        wait_for(lambda: _answers(through), 10, "PgBouncer")
        yield through


def test_a_session_pooler_passes_all_that_is_needed(pooled: str, tmp_path: Path) -> None:
    """Locks, prepared statements and the notice that wakes a worker."""
    with ExitStack() as stack:
        intake = Service(tmp_path / "intake", RULES, database=pooled)
        worker = Worker(tmp_path / "worker", RULES, database=pooled)
        for part in (intake, worker):
            stack.callback(end, part)
            part.start(ready=False)
        for part in (intake, worker):
            wait_for(part._ready, 30, f"{part.home.name} to be ready")
        syncs = [synced(intake, f"config-{number}") for number in range(12)]
        for sync in syncs:
            assert intake.ended(sync)["plans"][0]["state"] == "succeeded"
        with psycopg.connect(pooled) as connection:
            query = "SELECT count(*) FROM pg_stat_activity WHERE query = 'LISTEN postsync'"
            assert connection.execute(query).fetchone() == (1,)
        assert not intake.events("ledger.unavailable")
        assert not worker.events("ledger.unavailable")
