"""Explains a sync afterwards: each rule's verdict on each resource, as it was when it was planned.

It is computed on request: the notification and the rule set are in the ledger, and matching is
pure. What was recalled of earlier syncs is stored as it was when the sync was planned.

It runs in the process that takes notifications, so it is bounded: in size, in time, and to one
sync at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, replace
from threading import Lock
from typing import Annotated, TypeAlias

from pydantic import Field
from typing_extensions import TypedDict

from receiver.core.errors import LedgerUnavailable, PostsyncError, RuleError
from receiver.core.interruption import TooLong
from receiver.core.model import Resource, Sync
from receiver.core.validation import did_you_mean
from receiver.inspection.explained import (
    Asked,
    ExplainedSync,
    NoSuchName,
    Unexplained,
    add_rules,
    check_rule,
    find_resource,
    gap_note,
    head_of,
    images_note,
    state_note,
)
from receiver.inspection.not_seen import not_seen
from receiver.inspection.stored_rules import StoredRules
from receiver.ledger.binding import Binding
from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.plans.load import planned_with, stored_sync
from receiver.ledger.queries.details import sync_state
from receiver.ledger.queries.rows import written_as_text
from receiver.ledger.queries.told import told_reason
from receiver.notification.recalled import with_recalled
from receiver.planning.planner import read_sync
from receiver.rules.matching.explanation import Excerpt, RuleExplanation, excerpt
from receiver.rules.matching.findings import Verdict
from receiver.rules.matching.matcher import Matcher
from receiver.rules.tenants.bounds import NO_TENANTS, Tenants
from receiver.rules.tenants.shares import Shares, expect, sharing

FindRules: TypeAlias = Callable[[Sync, str], Matcher]
"""Finds the rules for a sync, and one that is wanted by its name."""

LONGEST = 5.0
"""Processor seconds that one explanation may take: half of what planning the sync may take, since
notifications wait meanwhile."""

SCALE = 1 / 3
"""Of the shares that rules of namespaces have in planning, where parameters are rendered, too."""

BUSY = "other syncs are being explained: ask again"

PATIENCE = 2.0
"""Seconds that a request waits until another sync is explained."""


class ResourceFinding(TypedDict):
    """A rule's verdict on one resource."""

    resource: str
    verdict: Verdict
    reason: str


class RuleFinding(TypedDict):
    """A rule's verdict on a sync."""

    rule: str
    verdict: Verdict
    reason: str
    resources: Annotated[
        list[ResourceFinding],
        Field(description="In the sync's order. Empty where the sync itself decided."),
    ]
    more: Annotated[
        Mapping[Annotated[str, written_as_text(Verdict)], int],
        Field(description="How many of `resources` are left out, by verdict; what matched is told "
              "first."),
    ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Explanation:
    """Each rule's verdict on a sync.

    Attributes:
        rows: one for each rule; None for a sync that was not matched with any, or that cannot be
            matched again.
        note: what is left out and how to see it, "" if all is there.
        resources: those of the sync, each with what it did to them; none where there are no rows.
    """

    rows: list[RuleFinding] | None
    note: str = ""
    resources: Sequence[Resource] = ()


class Explainer:
    """Explains syncs of one ledger, by its ``rules``; ``lock`` is held while one is explained."""

    def __init__(self, ledger: Ledger, tenants: Tenants = NO_TENANTS) -> None:
        self._ledger = ledger
        self.rules = StoredRules(ledger, tenants)
        self.lock = Lock()

    def within(self, binding: Binding) -> Explainer:
        """Return who explains the same to a token of this binding, in the same turn."""
        bound = copy(self)
        bound.rules = self.rules.within(binding)
        return bound

    def explain(self, sync: str, *, rule: str = "", resource: str = "") -> Explanation:
        """Explain a sync: all of it where it is small, else an excerpt with a note.

        There are no rows if what is stored cannot be parsed or matched again: the other details of
        the sync are worth returning without them.

        ``rule`` is the only rule that counts, ``resource`` the only resource, by its key or by its
        kind and name; "" is all.

        Raises:
            LedgerUnavailable: the ledger cannot be read.
        """
        if not self.lock.acquire(timeout=PATIENCE):
            return Explanation(None, BUSY)
        try:
            return self._explain(sync, rule, resource)
        except LedgerUnavailable:
            raise
        except Exception:  # noqa: BLE001 whatever is wrong with one stored sync
            return Explanation(None)
        finally:
            self.lock.release()

    def _explain(self, sync: str, rule: str, resource: str) -> Explanation:
        with self._ledger.read() as connection:
            digest, recalled = planned_with(connection, sync)
            if digest is None:
                return Explanation(None)
            stored = stored_sync(connection, sync)
        judged = with_recalled(read_sync(stored), recalled)
        matcher = self.rules.planned_by(sync, digest)
        try:
            _check_rule_of_then(rule, matcher)
            resource = find_resource(resource, judged.resources)
        except NoSuchName as error:
            return Explanation([], str(error))
        found = _excerpts(matcher, judged, rule, resource)
        return replace(found, resources=judged.resources)

    def explain_in_force(self, sync: str, asked: Asked, connected: Container[str]) -> ExplainedSync:
        """Explain a sync by the rules that are in force now, with what would run.

        Args:
            sync: the id of one that there is.
            asked: what of it.
            connected: the senders that have a connection.

        Raises:
            NoSuchName: the rule or the resource that is asked for is not there.
            LedgerUnavailable: the ledger cannot be read.
            Unexplained: the rules or the sync cannot be read, or others are explained.
        """
        with self.turn():
            return self.explain_stored(sync, self.rules.in_force, asked, connected)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Have the place of the one sync that is explained.

        Raises:
            LedgerUnavailable: the ledger cannot be read.
            Unexplained: others are explained, or what is stored does not fit any more.
        """
        if not self.lock.acquire(timeout=PATIENCE):
            raise Unexplained(BUSY)
        try:
            yield
        except PostsyncError as error:
            if isinstance(error, LedgerUnavailable | NoSuchName | Unexplained | RuleError):
                raise
            raise Unexplained(f"what is stored of it cannot be matched again: {error}") from None
        finally:
            self.lock.release()

    def explain_stored(
        self, sync: str, find: FindRules, asked: Asked, connected: Container[str]
    ) -> ExplainedSync:
        """Explain a stored sync by the rules that are found; call it in one's `turn`."""
        with self._ledger.read() as connection:
            stored = stored_sync(connection, sync)
            state, reason = sync_state(connection, sync)
        plain = read_sync(stored)
        judged = with_recalled(plain, stored.recalled)
        matcher = find(judged, asked.rule)
        rules = [one.rule for one in matcher.compiled]
        check_rule(asked.rule, rules)
        asked = replace(asked, resource=find_resource(asked.resource, judged.resources))
        if asked.rule:
            matcher = self.rules.only(one for one in rules if one.name == asked.rule)
        found = bounded(head_of(judged), matcher, judged, asked)
        missing = not_seen(matcher, plain, stored.recalled, connected=stored.sender in connected)
        found["notes"] += [
            *gap_note(judged), *images_note(matcher, judged), *missing.note(state),
            *state_note(state, told_reason(state, reason, self.rules.binding)),
        ]  # fmt: skip
        return found


def bounded(found: ExplainedSync, matcher: Matcher, sync: Sync, asked: Asked) -> ExplainedSync:
    """Add rules as long as there is time."""
    try:
        with sharing(Shares(LONGEST, scale=SCALE)):
            expect(matcher.tenants_of(sync))
            add_rules(found, matcher, sync, asked)
    except TooLong:
        note = f"Explaining took more than {LONGEST:g} s of a core: it ends after "
        found["notes"].append(f"{note}{len(found['rules'])} of {len(matcher.compiled)} rules.")
    return found


def _excerpts(matcher: Matcher, sync: Sync, rule: str, resource: str) -> Explanation:
    rows: list[RuleFinding] = []
    rules, left_out = 1 if rule else len(matcher.compiled), 0

    def tell(item: RuleExplanation) -> None:
        nonlocal left_out
        chosen = excerpt(item, sync.resources, rules, resource)
        rows.append(_row(sync, item, chosen))
        left_out += sum(chosen.more.values())

    try:
        with sharing(Shares(LONGEST, scale=SCALE)):
            expect(matcher.tenants_of(sync))
            matcher.explain_each(sync, rule, tell)
    except TooLong:
        note = f"explaining took more than {LONGEST:g} s of a core: it ends after {len(rows)} of "
        return Explanation(rows, f"{note}{rules} rules; `rule=NAME` explains one")
    if left_out:
        return Explanation(rows, f"{left_out} findings are left out, see `more` of each rule; "
                           "`rule=NAME` tells more of one rule, `resource=KEY` all of one "
                           "resource")  # fmt: skip
    return Explanation(rows)


def _check_rule_of_then(wanted: str, matcher: Matcher) -> None:
    known = [one.rule.name for one in matcher.compiled]
    if wanted and wanted not in known:
        message = f"there was no rule {wanted} in force then"
        raise NoSuchName("rule", message, did_you_mean(wanted, known))


def _row(sync: Sync, item: RuleExplanation, chosen: Excerpt) -> RuleFinding:
    return {
        "rule": item.rule.name,
        "verdict": item.finding.verdict,
        "reason": item.finding.reason,
        "resources": [
            {"resource": sync.resources[number].key, "verdict": cell.verdict, "reason": cell.reason}
            for number, cell in chosen.findings.items()
        ],
        "more": chosen.more,
    }
