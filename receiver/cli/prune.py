"""`postsync prune`: deletes now what retention would delete later, also beside a server."""

from __future__ import annotations

import getpass
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import click

from receiver.cli import options
from receiver.cli.progress import Progress
from receiver.cli.screen import confirm, write_answer, write_line
from receiver.contract.durations import duration_text, seconds
from receiver.core.errors import LedgerError
from receiver.core.plural import plural
from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.engine.open import open_ledger, prepare
from receiver.ledger.engine.sqlite import SqliteLedger
from receiver.ledger.engine.vacuum import empty_log, shrink, size
from receiver.ledger.retention.delete import Counts
from receiver.ledger.retention.job import Preview, RetentionJob, by_event_key
from receiver.ledger.retention.policy import Policy
from receiver.settings.loading import load_settings
from receiver.settings.model import Settings

T = TypeVar("T")

BREATH = 0.02
"""Seconds between two slices in which the ledger is free for others."""


def duration(text: str) -> float:
    """Read a duration like ``7d``, in seconds; click shows this function's name in the help."""
    try:
        value: float = seconds(text)
    except ValueError as error:
        raise click.BadParameter(f"{text!r} {error}") from None
    return value


@click.command()
@click.option(
    "--keep-for", type=duration, help="What ended longer ago goes (default: the setting)."
)
@options.settings
@options.yes
@options.output()
def prune(keep_for: float | None, *, settings_file: Path | None, yes: bool, output: str) -> None:
    """Delete syncs whose plans have all ended, with all that belongs to them.

    Also refused notifications, lines of the trail without a sync, and rule sets that nothing
    refers to any more. It works on the ledger of POSTSYNC_HOME, also beside a running
    `postsync serve`, which does the same by itself after `keepFor` (30 days). It shows what
    would go, asks, and gives the space back.

    \b
      postsync prune --keep-for 7d
      postsync prune --yes --output json
    """  # noqa: D301 click's \b keeps the lines
    settings = _settings(settings_file, keep_for)
    policy = Policy(settings.keep_for, settings.keep_syncs, settings.max_age)
    with closing(_open(settings.ledger)) as ledger:
        if not yes:
            _ask(ledger, policy)
        counts = by_event_key(_prune(ledger, policy))
        freed = _give_back(ledger) if isinstance(ledger, SqliteLedger) else 0
    text = f"deleted {_list(counts)}; gave back {freed / (1 << 20):,.1f} MiB"
    write_answer({"deleted": counts, "freedBytes": freed}, output, text)


def _settings(file: Path | None, keep_for: float | None) -> Settings:
    """Read the settings, with the option in their place.

    Raises:
        click.BadParameter: a sync would be deleted that, sent again, would be acted upon anew.
    """
    settings = load_settings(file)
    if keep_for is None:
        return settings
    if keep_for <= settings.max_age:
        least = duration_text(settings.max_age)
        raise click.BadParameter(
            f"it must be longer than {least}: so long a sync that Argo CD sends again must still "
            "be known (the setting maxAge)",
            param_hint="--keep-for",
        )
    return load_settings(file, keep_for=keep_for)


def _open(place: Path | str) -> Ledger:
    if isinstance(place, Path) and not place.is_file():
        raise LedgerError(
            f"there is no ledger {place}", hint="set POSTSYNC_HOME to the home of the instance"
        )
    prepare(place)
    return open_ledger(place)


def _ask(ledger: Ledger, policy: Policy) -> None:
    """Show what would be deleted, and ask; only a yes goes on."""
    seen, age = Preview(), duration_text(policy.keep_for)
    with Progress() as progress:
        for seen in RetentionJob(ledger, policy).preview():
            progress.show(f"looked at {plural(seen.examined, 'sync')}")
    if not any(seen.goes.values()):
        write_line(f"nothing ended more than {age} ago", err=True)
        raise click.exceptions.Exit(0)
    kept = f" (of {plural(seen.stored, 'sync')})" if seen.goes["syncs"] else ""
    confirm(f"Delete what ended more than {age} ago: {_list(seen.goes)}{kept}?")


def _prune(ledger: Ledger, policy: Policy) -> Counts:
    """Delete in rounds until nothing is left: a sync may keep another one for a round."""
    job, total = RetentionJob(ledger, policy), Counts()
    with Progress() as progress:
        try:
            while done := _round(job, total, progress):
                total += done
                if not done["syncs"]:
                    break
        finally:
            job.record(_me())
    return total


def _give_back(ledger: SqliteLedger) -> int:
    """Give space back to the file system, and return its bytes; PostgreSQL keeps it for later."""
    before = size(ledger)
    with Progress() as progress:
        for pages in _with_pauses(shrink(ledger, slack=0)):
            progress.show(f"gives back the space: {plural(pages, 'page')} to go")
        empty_log(ledger, limit=0)
    return before - size(ledger)


def _round(job: RetentionJob, total: Counts, progress: Progress) -> Counts:
    done = Counts()
    for counts in _with_pauses(job.slices()):
        done += counts
        progress.show(f"deleted {_list(by_event_key(total + done))}")
    return done


def _with_pauses(slices: Iterable[T]) -> Iterator[T]:
    """Pause after each slice for as long as it took, so that others can write."""
    began = time.monotonic()
    for one in slices:
        yield one
        time.sleep(max(BREATH, time.monotonic() - began))
        began = time.monotonic()


def _me() -> str:
    try:
        return f"prune by {getpass.getuser()}"
    except (KeyError, OSError):  # a container's user has no name
        return f"prune by uid {os.getuid()}"


_WORDS = {"syncs": "sync", "refused": "refused notification", "deliveries": "notification",
          "replays": "replay", "plans": "plan", "runs": "run", "attempts": "attempt",
          "events": "line of the trail", "messages": "message", "ruleSets": "rule set"}  # fmt: skip


def _list(counts: Mapping[str, int]) -> str:
    named = [_many(number, _WORDS[name]) for name, number in counts.items() if number]
    return ", ".join(named) or "nothing"


def _many(number: int, word: str) -> str:
    head, of, rest = word.partition(" of ")
    return plural(number, head) + of + rest
