"""A PostgreSQL of a test's own: Debian's server in a folder of its own, on loopback."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import psycopg
import pytest
from service import free_port

from receiver.ledger import tables
from receiver.ledger.engine.postgres import migrate_postgres

SUPERUSER = "postsync"


@dataclass
class Postgres:
    """A server that can be killed and started again; ``port`` stays the same.

    It listens on ``host``, in the network namespace of that file, if one is named.
    """

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None
    options: list[str] = field(default_factory=list)
    host: str = "127.0.0.1"
    namespace: Path | None = None

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://{SUPERUSER}@{self.host}:{self.port}/{database}"

    def activity(self) -> str:
        """What its sessions do, asked beside the network: a line each, for a test that fails."""
        local = psycopg.connect(
            host=str(self.folder), port=self.port, user=SUPERUSER, dbname="postgres"
        )
        with local as connection:
            rows = connection.execute(
                "SELECT pid, state, wait_event, now() - xact_start, left(query, 120) "
                "FROM pg_stat_activity WHERE application_name = 'postsync'"
            ).fetchall()
        return "\n".join(map(str, rows))

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        command = [
            str(_program("postgres")), "-D", str(self.folder / "data"), "-p", str(self.port),
            "-c", f"listen_addresses={self.host}", "-c", f"unix_socket_directories={self.folder}",
            "-c", "max_connections=300", "-c", "shared_buffers=64MB", *self.options,
        ]  # fmt: skip
        log = (self.folder / "log").open("ab")
        self.process = self._started(command, log)
        log.close()
        until = time.monotonic() + 30
        ready = [str(_program("pg_isready")), "-q", "-h", self.host, "-p", str(self.port)]
        while subprocess.run(ready, check=False).returncode:
            if self.process.poll() is not None or time.monotonic() > until:
                raise RuntimeError((self.folder / "log").read_text()[-2000:])
            time.sleep(0.05)

    def _started(self, command: list[str], log: IO[bytes]) -> subprocess.Popen[bytes]:
        if self.namespace is None:
            return subprocess.Popen(command, stdout=log, stderr=log, user=SERVER_USER)
        assert SERVER_USER  # only root may enter a namespace
        user = pwd.getpwnam(SERVER_USER)
        enter = ["nsenter", f"--net={self.namespace}", f"-S{user.pw_uid}", f"-G{user.pw_gid}"]
        return subprocess.Popen([*enter, *command], stdout=log, stderr=log)

    def kill(self) -> None:
        """Kill the server with all its processes, as a power cut would, and see them gone."""
        assert self.process
        self.process.send_signal(signal.SIGSTOP)
        os.waitpid(self.process.pid, os.WUNTRACED)  # else it may begin one that is not killed
        children = _children(self.process.pid)
        self.process.kill()
        self.process.wait()
        for child in children:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        until = time.monotonic() + 30
        while any(map(_runs, children)):  # as long as one has its memory, no other server starts
            assert time.monotonic() < until, "a process of the server outlives SIGKILL"
            time.sleep(0.01)

    def stop(self) -> None:
        """Stop it at once, its connections cut; it keeps what was committed."""
        assert self.process
        self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=30)

    def follow(self, primary: Postgres) -> None:
        """Become the standby of a server: copy it, then stream from it."""
        source = f"host={primary.host} port={primary.port} user={SUPERUSER}"
        command = [str(_program("pg_basebackup")), "-D", str(self.folder / "data"), "-R"]
        _run([*command, "-d", f"{source} application_name=standby", "--checkpoint=fast"])
        self.start()

    def run(self, statement: str, database: str = "postgres") -> str:
        """Run a statement by psql and return what it prints."""
        command = [str(_program("psql")), "-X", "-q", "-A", "-t", "-d", self.url(database)]
        done = subprocess.run(
            [*command, "-v", "ON_ERROR_STOP=1", "-c", statement],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        return done.stdout.strip()


CUT = (
    "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid() AND (state <> 'idle'"
    " OR pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory'))"
)
"""Ends who is amid something, as a task; a connection that is idle may serve the next test."""
EMPTY = "; ".join(
    [
        *(f"DELETE FROM {table}" for table in tables.metadata.sorted_tables),
        "INSERT INTO key_values SELECT * FROM at_first.key_values",
        "SELECT setval(oid, 1, false) FROM pg_class WHERE relkind = 'S'",
    ]
)
LARGE = 24 << 20
"""Bytes of a database that is not emptied but removed; an empty one has 8 MiB."""


class Databases:
    """Makes new ledgers on a server, by copying one that has been migrated."""

    def __init__(self, server: Postgres) -> None:
        self.server = server
        self._made = 0
        self._used: list[str] = []
        self._brooms: dict[str, psycopg.Connection[Any]] = {}
        server.run("CREATE DATABASE blank")
        migrate_postgres(server.url("blank"))
        for table in ("plans", "runs"):  # in which order rows were made, as SQLite tells
            server.run(f"ALTER TABLE {table} ADD COLUMN rowid BIGSERIAL", "blank")
        server.run(
            "CREATE SCHEMA at_first; CREATE TABLE at_first.key_values AS TABLE key_values", "blank"
        )

    @contextmanager
    def database(self, *, blank: bool = True) -> Iterator[str]:
        """Make a database, with an empty ledger or with nothing, and give its URL."""
        name = self._create("blank" if blank else "template0")
        yield self.server.url(name)
        self._drop(name)

    @contextmanager
    def emptied(self) -> Iterator[str]:
        """Give the URL of a ledger whose rows are deleted afterwards, for the next one to use.

        Making a database takes twenty times as long; a test that changes tables or settings
        of its database makes one.
        """
        name = self._used.pop() if self._used else self._create("blank")
        yield self.server.url(name)
        broom = self._broom(name)
        broom.execute(CUT)
        broom.execute(EMPTY.encode())
        size = broom.execute("SELECT pg_database_size(current_database())").fetchone()
        if size and size[0] < LARGE:
            self._used.append(name)
        else:
            self._brooms.pop(name).close()
            self._drop(name)

    def _broom(self, name: str) -> psycopg.Connection[Any]:
        """Return the connection that empties a ledger; a new one takes the server 10 ms."""
        if name not in self._brooms:
            self._brooms[name] = psycopg.connect(self.server.url(name), autocommit=True)
        return self._brooms[name]

    def close(self) -> None:
        """Close what was kept open."""
        for broom in self._brooms.values():
            broom.close()

    def _create(self, template: str) -> str:
        self._made += 1
        name = f"ledger_{self._made}"
        self._execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def _drop(self, name: str) -> None:
        self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    def _execute(self, statement: str) -> None:
        with psycopg.connect(self.server.url(), autocommit=True) as connection:
            connection.execute(statement.encode())


@contextmanager
def standby_of(primary: Postgres) -> Iterator[Postgres]:
    """Start a server that has all that the other has committed, before that says so."""
    folder = Path(tempfile.mkdtemp(prefix="postsync-pg-"))
    server = Postgres(folder, free_port(), options=primary.options)
    try:
        _give(folder)
        server.follow(primary)
        primary.run("ALTER SYSTEM SET synchronous_standby_names = 'standby'")
        primary.run("SELECT pg_reload_conf()")
        yield server
    finally:
        _end(server)


@contextmanager
def postgres_server(
    *, durable: bool = False, host: str = "127.0.0.1", namespace: Path | None = None
) -> Iterator[Postgres]:
    """Start a server; skip the test where there is none, with the reason.

    Args:
        durable: whether a commit waits for the disk, as it does in earnest.
        host: the address that it listens on; who is in the same network is let in.
        namespace: the network namespace where that address is, if it is not ours.
    """
    if _program("initdb") is None:
        pytest.skip("no PostgreSQL server is installed (Debian: postgresql)")
    folder = Path(tempfile.mkdtemp(prefix="postsync-pg-"))  # where its user may look
    fast = ["-c", "fsync=off", "-c", "full_page_writes=off"]
    server = Postgres(folder, free_port(), None, [] if durable else fast, host, namespace)
    try:
        _give(folder)
        command = [str(_program("initdb")), "-D", str(folder / "data"), "-U", SUPERUSER]
        how = ["--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8"]
        _run([*command, *how])
        with (folder / "data/pg_hba.conf").open("a") as let_in:
            let_in.write("host all all samenet trust\n")
        server.start()
        yield server
    finally:
        _end(server)


def _end(server: Postgres) -> None:
    if server.process is not None and server.process.poll() is None:
        server.stop()
    shutil.rmtree(server.folder, ignore_errors=True)


def _run(command: list[str]) -> None:
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, user=SERVER_USER) as process:
        assert process.wait() == 0, command


def _program(name: str) -> Path | None:
    """Find a program of the newest PostgreSQL that Debian has installed, or one on the PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    if found:
        return found[-1]
    elsewhere = shutil.which(name)
    return Path(elsewhere) if elsewhere else None


def _user() -> str | None:
    """Say as whom the server runs: it refuses to be root's."""
    if os.geteuid() != 0:
        return None
    known = {one.pw_name for one in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"


SERVER_USER = _user()


def _give(folder: Path) -> None:
    if SERVER_USER is not None:
        shutil.chown(folder, SERVER_USER)


def _children(parent: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            if int(_fields(stat)[1]) == parent:
                found.append(int(stat.parent.name))
    return found


def _runs(pid: int) -> bool:
    """Whether it has not ended; one that nobody waited for has."""
    with suppress(OSError):
        return _fields(Path("/proc", str(pid), "stat"))[0] not in "ZX"
    return False


def _fields(stat: Path) -> list[str]:
    """What stands after the name of the program: the state, the parent, ..."""
    return stat.read_text().rpartition(")")[2].split()
