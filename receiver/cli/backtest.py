"""`postsync backtest`: the last syncs against edited rules: what would have run, and what not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from receiver.cli import options
from receiver.cli.backtest_page import lines
from receiver.cli.client import Client
from receiver.cli.known_tenants import known_tenants
from receiver.cli.progress import Progress
from receiver.cli.screen import write_json, write_line
from receiver.cli.stored import connected_senders, read_stored
from receiver.core.errors import PayloadError, ServerError
from receiver.core.plural import plural
from receiver.core.validation import did_you_mean
from receiver.inspection.backtest import Backtest, RuleBacktest
from receiver.ledger.queries.delivery_rows import DeliveryStory
from receiver.rules.expressions.cel import Expressions
from receiver.rules.handlers.registry import Registry
from receiver.rules.loading.load import load_rules
from receiver.rules.schema.rule_file import Rule
from receiver.settings.loading import settings_if_any

ALL = 1 << 62
"""More syncs than there are."""


@click.command()
@options.rule_files
@click.option("--since", default="7d", show_default=True, help="The syncs since: 2h, 7d, a time.")
@click.option("--until", default="", help="The syncs before: 2h, 7d, or a time.")
@options.application
@options.rule
@options.output()
@options.server_if_asked
def backtest(
    *, files: tuple[Path, ...], rule: str, connect: Callable[[], Client],
    settings_file: Path | None, output: str, **query: str,
) -> None:  # fmt: skip
    """Show what the edited rules of FILES would have made of the last syncs.

    Each stored sync is matched with the rules of the files, and compared with the plans that were
    made of it: what would have run in addition, and what no longer. A rule that is not in the
    files counts as gone: give all of them, or name one with --rule. What actions send is not
    compared, and nothing is done.

    What live objects told when a sync was planned counts. What nobody asked them then cannot be
    known, and is counted apart. A sync that was not acted upon (too old, given up) is left out.

    \b
      postsync backtest rules/
      postsync backtest new.yaml --rule purge-shop-assets --since 24h
    """  # noqa: D301 click's \b keeps the lines
    if not files:
        raise click.UsageError("name the files or folders of the edited rules")
    client, registry, expressions = connect(), Registry.discover(), Expressions()
    rules = load_rules(files, registry, expressions).rules
    tenants = known_tenants(registry, settings_if_any(settings_file))
    work = Backtest(rules, expressions, [rule] if rule else (), tenants)
    times = _judge_all(work, client, query)
    _check_rule(rule, rules, work.rows)
    if output == "json":
        write_json(_as_json(work, times))
        return
    for line in lines(work, *times):
        write_line(*line)


def _judge_all(work: Backtest, client: Client, query: dict[str, str]) -> tuple[str, str]:
    """Judge sync after sync, the newest first; return when the first and the last one came."""
    connected = connected_senders(client)
    oldest = newest = ""
    number = 0
    with Progress() as progress:
        query |= {"verdict": "accepted", "fields": "*"}
        found = client.pages("/v1/deliveries", "deliveries", query, ALL)
        for one in found:
            _judge(work, one, connected)
            oldest, newest, number = one["receivedAt"], newest or one["receivedAt"], number + 1
            progress.show(f"{plural(number, 'sync')}, back to {oldest}")
    return oldest, newest


def _judge(work: Backtest, one: DeliveryStory, connected: set[str]) -> None:
    try:
        stored = read_stored(one, connected)
    except (PayloadError, ServerError) as error:
        work.leave_out("unreadable", one["sync"] or "", str(error))
        return
    work.judge(stored.sync, stored.recalled, stored.outcome, connected=stored.connected)


def _check_rule(wanted: str, rules: Sequence[Rule], rows: Sequence[RuleBacktest]) -> None:
    """Check that the only rule that counts is one of the files, or was one.

    Raises:
        click.BadParameter: it is neither.
    """
    if wanted and not rows:
        hint = did_you_mean(wanted, [rule.name for rule in rules])
        raise click.BadParameter(
            f"the files have no rule {wanted}, and no plan of these syncs is of one"
            + (f" ({hint})" if hint else ""),
            param_hint="--rule",
        )


def _as_json(work: Backtest, times: tuple[str, str]) -> dict[str, Any]:
    oldest, newest = times
    return {
        "syncs": work.syncs, "oldest": oldest or None, "newest": newest or None,
        "leftOut": work.left_out, "rules": work.rows,
    }  # fmt: skip
