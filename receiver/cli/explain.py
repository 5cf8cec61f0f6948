"""`postsync explain`: which rules a notification matches, and why the others do not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click
from click.core import ParameterSource

from receiver.cli import options
from receiver.cli.client import Client
from receiver.cli.explain_page import Page
from receiver.cli.known_tenants import known_tenants
from receiver.cli.screen import write_json
from receiver.cli.stored import StoredNotification, fetch_stored
from receiver.core.model import Sync
from receiver.inspection.explained import (
    Asked,
    ExplainedSync,
    NoSuchName,
    add_rules,
    check_rule,
    find_resource,
    gap_note,
    head_of,
    images_note,
    payload_notes,
    state_note,
)
from receiver.inspection.not_seen import not_seen
from receiver.notification.parse import read_notification
from receiver.rules.expressions.cel import Expressions
from receiver.rules.handlers.registry import Registry
from receiver.rules.loading.load import load_rules
from receiver.rules.matching.matcher import Matcher
from receiver.settings.loading import load_settings, settings_if_any


@click.command()
@click.option("--sync", default="", help="A sync that a server has stored: its id, or `last`.")
@options.payload
@options.came_by
@options.rules
@click.option("--rule", "name", default="", help="Explain this rule only.")
@click.option("--resource", default="", help="Explain this resource only: its key, or KIND/NAME.")
@click.option("--matched", is_flag=True, help="Leave out what did not match.")
@options.output("table")
@options.server_if_asked
@click.pass_context
def explain(
    context: click.Context, /, *, name: str, resource: str, matched: bool, output: str,
    **source: Any,
) -> None:  # fmt: skip
    """Show what the rules make of a notification: each rule on each resource, with the reason.

    Of a sync that a server has stored (--sync), by the rules that are in force there now, or by
    files that are not yet (--rules); `show` has what its own rules made of it. What live objects
    told when it was planned counts; what nobody asked them then is unknown, and noted.

    Or of a FILE, by rule files alone: that needs no server. Nothing is done either way.
    Of more than 10,000 verdicts it shows an excerpt; --rule and --resource show the rest.

    \b
      postsync explain --sync last --rule purge-shop-assets
      postsync explain --sync last --rules rules/ --matched
      postsync explain notification.json
    """  # noqa: D301 click's \b keeps the lines
    _check_source(context, source["sync"], source["payload"])
    try:
        found = _find(Asked(name, resource, matched), **source)
    except NoSuchName as error:
        raise click.BadParameter(str(error), param_hint=f"--{error.kind}") from None
    write_json(found) if output == "json" else Page(found).show()


def _find(
    asked: Asked, *, sync: str, payload: Path | None, paths: tuple[Path, ...], channel: str,
    sender: str, connect: Callable[[], Client], settings_file: Path | None,
) -> ExplainedSync:  # fmt: skip
    """Explain the payload, or a stored sync: here by files, or where it is by the rules in force.

    Raises:
        NoSuchName: there is no such rule or resource.
    """
    if payload is not None:
        body = options.read_payload(payload)
        read = read_notification(body, sender=sender, channel=channel, query={}).sync
        return _of_payload(read, _load(paths, settings_file, asked), asked)
    if paths:
        stored = fetch_stored(connect(), sync)
        return _of_stored(stored, _load(paths, settings_file, asked), asked)
    return _in_force(connect(), sync, asked)


def _check_source(context: click.Context, sync: str, payload: Path | None) -> None:
    if bool(sync) == (payload is not None):
        raise click.UsageError("say what is explained: --sync SYNC, or the FILE of a notification")
    for one in ("channel", "sender"):
        if sync and context.get_parameter_source(one) is not ParameterSource.DEFAULT:
            raise click.UsageError(f"--{one} is for a FILE: a stored sync has its own")


def _in_force(client: Client, sync: str, asked: Asked) -> ExplainedSync:
    path = f"/v1/syncs/{quote(sync, safe='')}/explanation"
    query = {"rule": asked.rule, "resource": asked.resource}
    found: ExplainedSync = client.get(path, query | ({"matched": "true"} if asked.matched else {}))
    return found


def _of_stored(stored: StoredNotification, matcher: Matcher, asked: Asked) -> ExplainedSync:
    found = _explained(matcher, stored.judged, asked)
    missing = not_seen(matcher, stored.sync, stored.recalled, connected=stored.connected)
    state, reason = stored.outcome["state"], stored.outcome["reason"]
    found["notes"] += [*images_note(matcher, stored.judged), *missing.note(state)]
    found["notes"] += state_note(state, reason)
    return found


def _of_payload(sync: Sync, matcher: Matcher, asked: Asked) -> ExplainedSync:
    found = _explained(matcher, sync, asked)
    found["notes"] += payload_notes(matcher, sync)
    return found


def _load(paths: Sequence[Path], settings_file: Path | None, asked: Asked) -> Matcher:
    registry, expressions = Registry.discover(), Expressions()
    files = paths or load_settings(settings_file).rules
    found = load_rules(files, registry, expressions, in_force=not paths).rules
    check_rule(asked.rule, found)
    rules = [rule for rule in found if asked.rule in {"", rule.name}]
    tenants = known_tenants(registry, settings_if_any(settings_file))
    return Matcher(rules, expressions, tenants)


def _explained(matcher: Matcher, sync: Sync, asked: Asked) -> ExplainedSync:
    key = find_resource(asked.resource, sync.resources)
    found = head_of(sync)
    add_rules(found, matcher, sync, Asked(asked.rule, key, asked.matched))
    found["notes"] += gap_note(sync)
    return found
