"""What would happen: a stored sync or a pasted notification, by rules in force or pasted ones.

As `postsync explain`, in the process that takes notifications: nothing is stored and nothing is
sent, no secret is resolved, and it has the bounds of `receiver.inspection.explain`.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from functools import cache

from receiver.core.interruption import TooLong, cpu_limit, interruptible
from receiver.core.model import Sync
from receiver.inspection.explain import LONGEST, Explainer, FindRules, bounded
from receiver.inspection.explained import (
    Asked,
    ExplainedSync,
    Unexplained,
    gap_note,
    head_of,
    payload_notes,
)
from receiver.notification.parse import read_notification
from receiver.rules.expressions.cel import Expressions
from receiver.rules.handlers.registry import Registry
from receiver.rules.loading.load import load_texts
from receiver.rules.matching.matcher import Matcher
from receiver.rules.schema.rule_file import Rule

FILE = "pasted.yaml"
"""The name of pasted rules where a mistake is told."""

LARGEST_RULES = 128 << 10
"""Bytes of pasted rules: the worst that was found of this size takes 1.6 s of a core to read."""

LARGEST_NOTIFICATION = 512 << 10
"""Bytes of a pasted notification: one of 1,000 resources has about 300 KiB."""

MOST_RESOURCES = 2000
MOST_VALUES = 50_000
"""Of a pasted notification."""


@dataclass(frozen=True, slots=True)
class Pasted:
    """A notification, and how it would have come."""

    body: bytes
    sender: str
    channel: str


registry = cache(Registry.discover)
"""The handlers, looked for when a pasted rule is checked for the first time."""


def what_if(
    explainer: Explainer, what: str | Pasted, rules: str, connected: Container[str]
) -> ExplainedSync:
    """Explain the stored sync of an id, or what is pasted, by a pasted rule file.

    Without a rule file ("") those in force count. ``connected`` are the senders that have a
    connection.

    Raises:
        RuleError: the rule file has mistakes.
        PayloadError: the notification cannot be read.
        LedgerUnavailable: the ledger cannot be read.
        Unexplained: there is nothing to explain it by, or it would take too long.
    """
    sync = what if isinstance(what, str) else _read(what)
    with explainer.turn():
        find = _pasted(rules, explainer) if rules.strip() else explainer.rules.in_force
        if isinstance(sync, str):
            return explainer.explain_stored(sync, find, Asked(), connected)
        matcher = find(sync, "")
        told = bounded(head_of(sync), matcher, sync, Asked())
        told["notes"] += [*gap_note(sync), *payload_notes(matcher, sync)]
        return told


def _read(pasted: Pasted) -> Sync:
    found = read_notification(
        pasted.body, sender=pasted.sender, channel=pasted.channel, query={},
        most=MOST_RESOURCES, values=MOST_VALUES,
    )  # fmt: skip
    if found.listed > MOST_RESOURCES:
        raise Unexplained(
            f"the notification lists more than {MOST_RESOURCES} resources",
            hint="let `postsync explain FILE` do it",
        )
    return found.sync


def _pasted(text: str, explainer: Explainer) -> FindRules:
    rules, expressions = load_pasted(text)
    matcher = Matcher(rules, expressions, explainer.rules.tenants)
    return lambda _sync, _wanted: matcher


def load_pasted(text: str) -> tuple[Sequence[Rule], Expressions]:
    """Load a pasted rule file, and what its conditions are compiled by.

    Raises:
        RuleError: it has mistakes.
        Unexplained: to check it takes too long.
    """
    expressions = Expressions()
    try:
        with interruptible(cpu_limit(LONGEST)):
            rules = load_texts(((FILE, text),), registry(), expressions).rules
    except TooLong:
        raise Unexplained(
            f"to check the rules takes more than {LONGEST:g} s of a core",
            hint="paste fewer, or let `postsync check` and `postsync explain --rules` do it",
        ) from None
    return rules, expressions
