"""`postsync explain`: which rules a notification matches, and why the others do not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import click

from receiver.cli.explain_page import Page
from receiver.cli.explain_steps import steps, terms
from receiver.cli.options import payload_option, read_payload
from receiver.cli.screen import write_json
from receiver.core.model import Json, Sync
from receiver.core.validation import did_you_mean
from receiver.notification.change_detection import list_gap
from receiver.notification.parse import read_notification
from receiver.rules.expressions.cel import Expressions
from receiver.rules.handlers.registry import Registry
from receiver.rules.loading.load import load_rules
from receiver.rules.matching.explanation import RuleExplanation, excerpt, quota
from receiver.rules.matching.matcher import Matcher
from receiver.rules.schema.rule_file import Rule
from receiver.settings.loading import load_settings


@click.command()
@payload_option
@click.option(
    "--rules",
    "paths",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A rule file or folder, several times; by default those of the settings.",
)
@click.option("--channel", default="sync", show_default=True, help="What it came by.")
@click.option("--sender", default="", help="The name of the token that it came with.")
@click.option("--rule", "name", help="Explain this rule only.")
@click.option("--resource", help="Explain this resource only, by its key.")
@click.option("--output", type=click.Choice(["table", "json"]), default="table", help="The format.")
def explain(
    *, payload: Path, paths: tuple[Path, ...], channel: str, sender: str, name: str | None,
    resource: str | None, output: str,
) -> None:  # fmt: skip
    """Show what the rules make of a notification: each rule on each resource, with the reason.

    It needs no server and does nothing. Of more than 10,000 verdicts it shows an excerpt; --rule
    and --resource show the rest. Exits 0 whether a rule matches or not, and 1 if the
    notification or the rules cannot be understood.

    \b
      postsync explain --payload config/examples/notification.json
      postsync explain --payload - --rule purge-shop-assets < notification.json
    """  # noqa: D301 click's \b keeps the lines
    sync = read_notification(read_payload(payload), sender=sender, channel=channel, query={}).sync
    expressions = Expressions()
    found = load_rules(paths or load_settings().rules, Registry.discover(), expressions)
    rules = _chosen(found.rules, name)
    _check_resource(sync, resource)
    explained = list(Matcher(rules, expressions).explain(sync))
    notes = list(_notes(rules, sync))
    if output == "json":
        write_json(_as_json(sync, explained, notes, resource or ""))
    else:
        Page(sync, resource or "").show(explained, notes)


def _chosen(rules: Sequence[Rule], name: str | None) -> Sequence[Rule]:
    if name is None:
        return rules
    chosen = [rule for rule in rules if rule.name == name]
    if not chosen:
        hint = did_you_mean(name, [rule.name for rule in rules])
        message = f"there is no rule {name}" + (f" ({hint})" if hint else "")
        raise click.BadParameter(message, param_hint="--rule")
    return chosen


def _check_resource(sync: Sync, resource: str | None) -> None:
    keys = [one.key for one in sync.resources]
    if resource is not None and resource not in keys:
        hint = did_you_mean(resource, keys)
        message = f"the sync lists no resource {resource}" + (f" ({hint})" if hint else "")
        raise click.BadParameter(message, param_hint="--resource")


def _notes(rules: Sequence[Rule], sync: Sync) -> Iterator[str]:
    if incomplete := list_gap(sync.retry_count, sync.options):
        yield f"The sync was {incomplete}."
    selectors = (selector for rule in rules for selector in rule.match.resources or ())
    if any(selector.image_changed is not None for selector in selectors):
        yield (
            "imageChanged is unknown here: only a server remembers the images of the sync before, "
            "and what failed ones had changed."
        )
    if not sync.sender and any(rule.match.sender is not None for rule in rules):
        yield "Some rules ask for a sender: name one with --sender."


def _as_json(
    sync: Sync, explained: Sequence[RuleExplanation], notes: list[str], resource: str
) -> Json:
    return {
        "application": sync.application.key,
        "channel": sync.channel,
        "phase": sync.phase,
        "resources": [
            {"resource": r.key, "change": r.change.verdict, "reason": r.change.reason}
            for r in sync.resources
            if resource in {"", r.key}
        ],
        "rules": [_rule_as_json(item, sync, len(explained), resource) for item in explained],
        "notes": list(notes),
    }


def _rule_as_json(item: RuleExplanation, sync: Sync, rules: int, resource: str) -> Json:
    shown = excerpt(item, sync.resources, rules, resource)
    cells: list[Json] = [
        {"resource": sync.resources[number].key, **asdict(finding)}
        for number, finding in shown.findings.items()
    ]
    more: dict[str, Json] = {**shown.more}
    would_run: list[Json] = [asdict(step) for step in steps(item, sync, quota(rules))]
    return {
        "rule": item.rule.name,
        **asdict(item.finding),
        "mode": item.rule.mode,
        "resources": cells,
        "more": more,
        "terms": list(terms(item)),
        "wouldRun": would_run,
    }
