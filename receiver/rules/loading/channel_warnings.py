"""Warnings of what no notification of our own can have, in rules for the channel `postsync`."""

from __future__ import annotations

from collections.abc import Iterator

from receiver.core.validation import Path as Place
from receiver.notification.own import OWN_CHANNEL
from receiver.rules.schema.rule_file import Rule

Warned = tuple[Place, str, str]
"""Where, below the rule, what, and the way out."""


def channel_warnings(rule: Rule) -> Iterator[Warned]:
    """Yield a warning for each key of `match` by which a rule keeps out what its channel has."""
    if OWN_CHANNEL not in rule.match.channel:
        return
    if rule.match.resources is not None:
        message = f"nothing on channel {OWN_CHANNEL} lists resources, so nothing there matches"
        hint = "leave it out; sync.held.targets has the names of what is held"
        yield ("match", "resources"), message, hint
    if "phases" in rule.match.model_fields_set:
        message = f"nothing on channel {OWN_CHANNEL} has a phase, so nothing there matches"
        yield ("match", "phases"), message, "leave it out"
