"""Prepares `postsync try`: finds the rule and the resource, and builds the parts of a service."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import structlog

from receiver.app.composition import build_outbound
from receiver.core.errors import PostsyncError
from receiver.core.logs import Log, escape
from receiver.core.model import Sync, new_id
from receiver.core.validation import did_you_mean
from receiver.dispatcher.attempt import Runner
from receiver.inspection.try_rule import Trial
from receiver.notification.parse import read_notification
from receiver.planning.parameters import Renderer
from receiver.rules.expressions.cel import Expressions
from receiver.rules.handlers.registry import Registry
from receiver.rules.loading.load import load_rules
from receiver.rules.matching.matcher import Matcher
from receiver.rules.schema.rule_file import Rule
from receiver.settings.loading import load_settings
from receiver.settings.secrets import Secrets

LISTED = 10
"""Resources that a message lists."""


def prepare(
    name: str, payload: bytes, paths: Sequence[Path], target: str, *, sender: str, channel: str
) -> tuple[Trial, list[str]]:
    """Return the trial, and the keys of the resources that match and are not acted on.

    Raises:
        PostsyncError: there is no such rule, it does not match, or not this resource.
    """
    settings = load_settings()
    registry, expressions = Registry.discover(), Expressions()
    rules = load_rules(paths or settings.rules, registry, expressions).rules
    rule = _named(name, rules).model_copy(update={"enabled": True})
    sync = read_notification(payload, sender=sender, channel=channel, query={}).sync
    sync = replace(sync, id=new_id("s"), received_at=datetime.now(UTC))
    found = _matched(rule, sync, expressions)
    chosen = _chosen(sync, found, target)
    outbound = build_outbound(settings)
    runner = Runner(registry, expressions, Secrets(settings.secrets), outbound, _log())
    trial = Trial(rule, sync, chosen, Renderer(expressions, registry), runner.run)
    return trial, [sync.resources[at].key for at in found if at not in chosen]


def _named(name: str, rules: Sequence[Rule]) -> Rule:
    for rule in rules:
        if rule.name == name:
            return rule
    hint = did_you_mean(name, [rule.name for rule in rules]) or "`postsync check` finds the rules"
    raise PostsyncError(f"there is no rule {name}", hint=hint)


def _matched(rule: Rule, sync: Sync, expressions: Expressions) -> tuple[int, ...]:
    matcher = Matcher([rule], expressions)
    for match in matcher.match(sync):
        if match.matched:
            return match.resources
    reason = next(matcher.explain(sync)).finding.reason
    raise PostsyncError(
        f"rule {rule.name} does not match this notification: {reason}",
        hint=f"`postsync explain --payload FILE --rule {rule.name}` shows each resource",
    )


def _chosen(sync: Sync, found: Sequence[int], target: str) -> tuple[int, ...]:
    """Return the one resource to act on; none for a rule that matches the sync itself."""
    if not target:
        return tuple(found[:1])
    for at in found:
        if target in {sync.resources[at].key, sync.resources[at].name}:
            return (at,)
    keys = ", ".join(sync.resources[at].key for at in found[:LISTED]) or "the sync itself"
    raise PostsyncError(f"the rule does not match {target}", hint=f"it matches {keys}")


def _log() -> Log:
    """Return a log on stderr, for the traceback of a handler that raises."""
    logger = structlog.wrap_logger(
        structlog.PrintLogger(sys.stderr),
        processors=[escape, structlog.dev.ConsoleRenderer(colors=False)],
        wrapper_class=structlog.make_filtering_bound_logger("info"),
    )
    return cast("Log", logger)
