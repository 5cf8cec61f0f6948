"""`postsync backup`: copies the ledger, also while an instance uses it."""

from __future__ import annotations

from pathlib import Path

import click

from receiver.cli import options
from receiver.cli.progress import Progress
from receiver.cli.screen import write_answer
from receiver.core.plural import plural
from receiver.ledger.engine.backup import back_up
from receiver.settings.loading import load_settings

PAGE = 4096
"""Bytes; SQLite's default, and that of every ledger."""


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@options.settings
@options.database
@options.output()
def backup(file: Path, *, settings_file: Path | None, database: str | None, output: str) -> None:
    """Copy the ledger of POSTSYNC_HOME to FILE, which must not exist.

    An instance may go on using it: nobody waits, and the copy holds one consistent state with
    every notification that was accepted before. It is checked before it gets its name. To restore
    it, put it in the place of ledger.db while no instance runs.

    Of a ledger in PostgreSQL the copy is such a file as well, to look into or to go on with on one
    host; to restore a database, take pg_dump's.

    \b
      postsync backup /backups/postsync-monday.db
      postsync backup "/backups/postsync-$(date +%F).db" --output json
    """  # noqa: D301 click's \b keeps the lines
    ledger = load_settings(settings_file, database=database).ledger

    def copied(done: int, of: int) -> str:
        if isinstance(ledger, Path):
            return f"copied {_size(done * PAGE)} of {_size(of * PAGE)}"
        return f"copied {done:,} of {plural(of, 'row')}"

    with Progress() as progress:
        size = back_up(ledger, file, lambda done, of: progress.show(copied(done, of)))
    write_answer({"file": str(file), "bytes": size}, output, f"{file}: {_size(size)}, checked")


def _size(number: int) -> str:
    return f"{number / (1 << 20):,.1f} MiB"
