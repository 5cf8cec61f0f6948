"""`postsync explain`: which rules a notification matches, and why the others do not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import click

from receiver.cli import options
from receiver.cli.explain_page import Page
from receiver.cli.explain_steps import steps, terms
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
from receiver.rules.schema.match import ResourceMatch
from receiver.rules.schema.rule_file import Rule
from receiver.settings.loading import load_settings


@click.command()
@options.payload
@options.rules
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
    body = options.read_payload(payload)
    sync = read_notification(body, sender=sender, channel=channel, query={}).sync
    expressions = Expressions()
    found = load_rules(paths or load_settings().rules, Registry.discover(), expressions)
    _check_known(name, [rule.name for rule in found.rules], "--rule", "there is no rule")
    rules = [rule for rule in found.rules if name in {None, rule.name}]
    keys = [one.key for one in sync.resources]
    _check_known(resource, keys, "--resource", "the sync lists no resource")
    explained = list(Matcher(rules, expressions).explain(sync))
    notes = list(_notes(rules, sync))
    if output == "json":
        write_json(_as_json(sync, explained, notes, resource or ""))
    else:
        Page(sync, resource or "").show(explained, notes)


def _check_known(name: str | None, known: Sequence[str], option: str, message: str) -> None:
    if name is not None and name not in known:
        hint = did_you_mean(name, known)
        raise click.BadParameter(
            f"{message} {name}" + (f" ({hint})" if hint else ""), param_hint=option
        )


def _notes(rules: Sequence[Rule], sync: Sync) -> Iterator[str]:
    if incomplete := list_gap(sync.retry_count, sync.options):
        yield f"The sync was {incomplete}."
    selectors = [selector for rule in rules for selector in rule.match.resources or ()]
    if any(selector.image_changed is not None for selector in selectors):
        yield (
            "imageChanged is unknown here: only a server remembers the images of the sync before, "
            "and what failed ones had changed."
        )
    if any(map(_needs_object, selectors)):
        yield (
            "What only live objects know (labels, annotations, fields, and health that the "
            "notification does not tell) is unknown here: a server with a connection reads it when "
            "a sync comes."
        )
    if not sync.sender and any(rule.match.sender is not None for rule in rules):
        yield "Some rules ask for a sender: name one with --sender."


def _needs_object(selector: ResourceMatch) -> bool:
    return bool(selector.live_keys or selector.health)


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
        "notes": [*notes],
    }


def _rule_as_json(item: RuleExplanation, sync: Sync, rules: int, resource: str) -> Json:
    shown = excerpt(item, sync.resources, rules, resource)
    return {
        "rule": item.rule.name,
        **asdict(item.finding),
        "mode": item.rule.mode,
        "resources": [
            {"resource": sync.resources[number].key, **asdict(finding)}
            for number, finding in shown.findings.items()
        ],
        "more": {**shown.more},
        "terms": [*terms(item)],
        "wouldRun": [asdict(step) for step in steps(item, sync, quota(rules))],
    }
