"""Starts intakes and workers on a PostgreSQL of the bench's own, as if each were a host.

Needs Debian's package `postgresql`; commits wait for the disk, as they do in earnest.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from subprocess import Popen

from stage import ROOT, free_port, keys, program, until_ready

from receiver.ledger.engine.postgres import migrate_postgres

sys.path += [str(ROOT / "tests"), str(ROOT / "tests/story")]
from postgres import Postgres, postgres_server

__all__ = ["Postgres", "Replicas", "database_server", "new_ledger", "replicas"]

_NUMBERS = count(1)


@dataclass(frozen=True)
class Replicas:
    """Ports and processes of what was started, and the database that they share."""

    database: str
    ports: tuple[int, ...]
    intakes: tuple[Popen[bytes], ...]
    workers: tuple[Popen[bytes], ...]


@contextmanager
def database_server() -> Iterator[Postgres]:
    """A server that keeps what it commits, for as long as the block lasts."""
    with postgres_server(durable=True) as server:
        yield server


@contextmanager
def new_ledger(server: Postgres) -> Iterator[str]:
    """The URL of a database with an empty ledger; dropped in the end."""
    name = f"bench_{next(_NUMBERS)}"
    server.run(f"CREATE DATABASE {name}")
    migrate_postgres(server.url(name))
    try:
        yield server.url(name)
    finally:
        server.run(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def replicas(
    database: str, rules: str, *launcher: str, intakes: int, workers: int, **environ: str
) -> Iterator[Replicas]:
    """So many `postsync serve` and `postsync work` on the ledger there, each with a home.

    The ``launcher`` is a command that does as `postsync` does.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "rules.yaml").write_text(rules)
        settings = {
            "POSTSYNC_DATABASE": database,
            "POSTSYNC_RULES": json.dumps([str(folder / "rules.yaml")]),
        }
        started: dict[str, list[tuple[int, Popen[bytes]]]] = {"work": [], "serve": []}
        for command in ("work",) * workers + ("serve",) * intakes:
            home, port = folder / str(next(_NUMBERS)), free_port()
            keys(home)
            own = {"POSTSYNC_HOME": str(home), "POSTSYNC_PORT": str(port)}
            line = (*(launcher or (str(ROOT / ".venv/bin/postsync"),)), command)
            process = stack.enter_context(program(*line, port=port, **settings, **own, **environ))
            started[command].append((port, process))
        for port, _ in started["work"]:
            until_ready(port)
        yield Replicas(
            database,
            tuple(port for port, _ in started["serve"]),
            tuple(process for _, process in started["serve"]),
            tuple(process for _, process in started["work"]),
        )
