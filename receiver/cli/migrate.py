"""`postsync migrate`: brings the ledger to the tables of this version."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

import click

from receiver.cli import options
from receiver.cli.progress import Progress
from receiver.cli.screen import write_answer
from receiver.core.errors import LedgerUnavailable
from receiver.core.plural import plural
from receiver.ledger import tables
from receiver.ledger.engine.open import open_ledger, prepare
from receiver.settings.loading import load_settings


@click.command()
@options.settings
@options.database
@click.option("--from", "source", metavar="FILE",
              type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="Fill the database, which is empty, with the ledger of this file.")  # fmt: skip
@click.option("--wait", type=click.FloatRange(min=0), default=0, metavar="SECONDS",
              help="Wait so long for a database that is away.")  # fmt: skip
@options.output()
def migrate(
    *, settings_file: Path | None, database: str | None, source: Path | None, wait: float,
    output: str,
) -> None:  # fmt: skip
    """Bring the ledger to the tables that this version needs; once, before it is started.

    Only a ledger in PostgreSQL needs it: a SQLite file is migrated by whoever opens it. Migrations
    go forward only, and add: instances of the version before may go on while they are replaced.

    With --from, the database goes on where a SQLite file ended: syncs, trail, open runs and all. No
    instance may use the file meanwhile; a backup will do as well.

    \b
      postsync migrate --database postgresql://postsync@db/postsync
      postsync migrate --database postgresql://postsync@db/postsync --from ledger.db
    """  # noqa: D301 click's \b keeps the lines
    place = load_settings(settings_file, database=database).ledger
    if isinstance(place, Path):
        if source is not None:
            raise click.UsageError("--from fills a database: name it by --database")
        prepare(place)
        at: str | None = tables.REVISION
    else:
        _wait_for_server(place, wait)
        at = _migrate(place, source)
    done = {"from": at, "to": tables.REVISION}
    text = "there was nothing to do" if at == tables.REVISION else f"was {at or 'empty'}"
    write_answer(done, output, f"the ledger is at revision {tables.REVISION} ({text})")


def _wait_for_server(url: str, patience: float) -> None:
    """Wait until a database answers, whatever is in it; at most ``patience`` seconds.

    Raises:
        LedgerUnavailable: it did not.
        LedgerError: the URL is none of PostgreSQL, or psycopg is not installed.
    """
    until = time.monotonic() + patience
    with closing(open_ledger(url)) as ledger:
        while True:
            try:
                with ledger.read():
                    return
            except LedgerUnavailable:
                if time.monotonic() >= until:
                    raise
                time.sleep(min(1.0, patience))


def _migrate(database: str, source: Path | None) -> str | None:
    from receiver.ledger.engine.postgres import migrate_postgres
    from receiver.ledger.engine.transfer import copy_to_postgres

    at = migrate_postgres(database)
    if source is not None:
        with Progress() as progress:
            copy_to_postgres(
                database, source,
                lambda done, of: progress.show(f"copied {done:,} of {plural(of, 'row')}"),
            )  # fmt: skip
    return at
