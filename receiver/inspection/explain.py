"""Explains a sync afterwards: each rule's verdict on each resource, as it was when it was planned.

It is computed on request: the notification and the rule set are in the ledger, and matching is
pure. What was recalled of earlier syncs is stored as it was when the sync was planned.

It runs in the process that takes notifications, so it is bounded: in size, in time, and to one
sync at a time.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, replace
from functools import lru_cache
from threading import Lock
from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from receiver.core.errors import LedgerUnavailable, PostsyncError, RuleError
from receiver.core.interruption import TooLong, cpu_limit, interruptible
from receiver.core.model import Resource, Sync
from receiver.core.validation import did_you_mean
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
    state_note,
)
from receiver.inspection.not_seen import not_seen
from receiver.ledger.audit.key_values import RULES, get_rule_set, get_value
from receiver.ledger.binding import UNBOUND, Binding
from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.plans.custom_rules import Files, read_custom_rules
from receiver.ledger.plans.load import planned_with, sets_of_plans, stored_sync
from receiver.ledger.queries.details import sync_state
from receiver.ledger.queries.rows import written_as_text
from receiver.ledger.queries.told import told_reason
from receiver.notification.recalled import with_recalled
from receiver.planning.planner import read_sync
from receiver.rules.expressions.cel import Expressions
from receiver.rules.loading.load import rule_set_from
from receiver.rules.matching.compiled import RuleCompiler
from receiver.rules.matching.explanation import Excerpt, RuleExplanation, excerpt
from receiver.rules.matching.findings import Verdict
from receiver.rules.matching.matcher import Matcher
from receiver.rules.schema.rule_file import Rule
from receiver.rules.tenants.bounds import NO_TENANTS, Tenants
from receiver.rules.tenants.names import full_name

MATCHERS = 4
"""Rule sets whose matcher is cached: most requests are for what happened lately."""

LONGEST = 5.0
"""Processor seconds that one explanation may take: half of what planning the sync may take, since
notifications wait meanwhile."""

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


class Unexplained(PostsyncError):
    """A sync that cannot be explained, or not now."""


class Explainer:
    """Explains syncs of one ledger; ``lock`` is held while one is explained.

    ``tenants`` says what the rules of namespaces see, by the settings of today. Of these rules,
    those that may see a sync are explained; to a token that is bound, its own alone.
    """

    def __init__(self, ledger: Ledger, tenants: Tenants = NO_TENANTS) -> None:
        self._ledger = ledger
        self.tenants = tenants
        self.binding = UNBOUND
        self._expressions = Expressions()
        self._matcher = lru_cache(maxsize=MATCHERS)(self._make_matcher)
        self.lock = Lock()

    def within(self, binding: Binding) -> Explainer:
        """Return who explains the same to a token of this binding, in the same turn."""
        bound = copy(self)
        bound.binding = binding
        return bound

    def explain(self, sync: str, *, rule: str = "", resource: str = "") -> Explanation:
        """Explain a sync: all of it where it is small, else an excerpt with a note.

        There are no rows if what is stored cannot be parsed or matched again: the other details of
        the sync are worth returning without them.

        ``rule`` is the only rule that counts, ``resource`` the key of the only resource; "" is all.

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
        of_files = self._matcher("" if self.binding.bound else digest)
        rules, matcher = self._with(*of_files, self._planned_by(sync))
        if unknown := _unknown(rules, judged, rule, resource):
            return Explanation([], unknown)
        found = _excerpts(matcher, judged, 1 if rule else len(rules), rule, resource)
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
            return self.explain_stored(sync, *self.in_force(), asked, connected, tenants=True)

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

    def in_force(self) -> tuple[Sequence[Rule], Matcher]:
        """Return the rules that are in force now; call it in one's `turn`."""
        if self.binding.bound:
            return self._matcher("")
        with self._ledger.read() as connection:
            digest = (get_value(connection, RULES) or {}).get("digest")
        if not digest:
            raise Unexplained("no rules are in force")
        return self._matcher(digest)

    def explain_stored(
        self, sync: str, rules: Sequence[Rule], matcher: Matcher, asked: Asked,
        connected: Container[str], *, tenants: bool = False,
    ) -> ExplainedSync:  # fmt: skip
        """Explain a stored sync by these rules, and those of tenants; call it in one's `turn`."""
        with self._ledger.read() as connection:
            stored = stored_sync(connection, sync)
            state, reason = sync_state(connection, sync)
        plain = read_sync(stored)
        judged = with_recalled(plain, stored.recalled)
        if tenants:
            rules, matcher = self.with_tenants(rules, matcher, judged, asked.rule)
        check_rule(asked.rule, rules)
        asked = replace(asked, resource=find_resource(asked.resource, judged.resources))
        if asked.rule:
            rules = [one for one in rules if one.name == asked.rule]
            matcher = Matcher(rules, self._expressions, self.tenants)
        found = bounded(head_of(judged), matcher, judged, asked, len(rules))
        missing = not_seen(matcher, plain, stored.recalled, connected=stored.sender in connected)
        found["notes"] += [
            *gap_note(judged), *images_note(rules, judged), *missing.note(state),
            *state_note(state, told_reason(state, reason, self.binding)),
        ]  # fmt: skip
        return found

    def with_tenants(
        self, rules: Sequence[Rule], matcher: Matcher, sync: Sync, wanted: str = ""
    ) -> tuple[Sequence[Rule], Matcher]:
        """Add the rules in force of tenants that may see a sync, or the one that is wanted."""
        with self._ledger.read() as connection:
            rows = [
                one for one in read_custom_rules(connection)
                if one.digest and self.binding.owns(full_name(*one.key))
            ]  # fmt: skip
            namespaces = {one.namespace for one in rows}
            near = {name: not self.tenants.refusal(name, sync) for name in namespaces}
            digests = [
                one.digest for one in rows if near[one.namespace] or full_name(*one.key) == wanted
            ]
            files = [get_rule_set(connection, digest or "") or () for digest in digests]
        return self._with(rules, matcher, files)

    def _planned_by(self, sync: str) -> Sequence[Files]:
        """Return the sets of tenants that a sync has plans of."""
        with self._ledger.read() as connection:
            sets = sets_of_plans(connection, sync, self.binding)
            return [get_rule_set(connection, one) or () for one in sets]

    def _with(
        self, rules: Sequence[Rule], matcher: Matcher, sets: Sequence[Files]
    ) -> tuple[Sequence[Rule], Matcher]:
        if not sets:
            return rules, matcher
        more = [rule for files in sets for rule in rule_set_from(files).rules]
        compiled = RuleCompiler(self._expressions, self.tenants).compile(more)
        both = [*matcher.compiled, *compiled]
        return [*rules, *more], Matcher((), self._expressions, compiled=both)

    def _make_matcher(self, digest: str) -> tuple[Sequence[Rule], Matcher]:
        with self._ledger.read() as connection:
            files = get_rule_set(connection, digest) or ()
        rules = rule_set_from(files).rules if files else ()
        return rules, Matcher(rules, self._expressions, self.tenants)


def bounded(
    found: ExplainedSync, matcher: Matcher, sync: Sync, asked: Asked, rules: int
) -> ExplainedSync:
    """Add rules as long as there is time."""
    try:
        with interruptible(cpu_limit(LONGEST)):
            for _ in add_rules(found, matcher, sync, asked, rules):
                pass
    except TooLong:
        note = f"Explaining took more than {LONGEST:g} s of a core: it ends after "
        found["notes"].append(f"{note}{len(found['rules'])} of {rules} rules.")
    return found


def _excerpts(matcher: Matcher, sync: Sync, rules: int, rule: str, resource: str) -> Explanation:
    rows: list[RuleFinding] = []
    left_out = 0
    try:
        with interruptible(cpu_limit(LONGEST)):
            for item in matcher.explain(sync, rule):
                chosen = excerpt(item, sync.resources, rules, resource)
                rows.append(_row(sync, item, chosen))
                left_out += sum(chosen.more.values())
    except TooLong:
        note = f"explaining took more than {LONGEST:g} s of a core: it ends after {len(rows)} of "
        return Explanation(rows, f"{note}{rules} rules; `rule=NAME` explains one")
    if left_out:
        return Explanation(rows, f"{left_out} findings are left out, see `more` of each rule; "
                           "`rule=NAME` tells more of one rule, `resource=KEY` all of one "
                           "resource")  # fmt: skip
    return Explanation(rows)


def _unknown(rules: Sequence[Rule], sync: Sync, rule: str, resource: str) -> str:
    """Return that a filter names what does not exist, "" if it exists."""
    for kind, wanted, known in (
        ("rule", rule, [one.name for one in rules]),
        ("resource", resource, [one.key for one in sync.resources]),
    ):
        if wanted and wanted not in known:
            hint = did_you_mean(wanted, known)
            where = "in force then" if kind == "rule" else "in the sync"
            return f"there was no {kind} {wanted} {where}" + (f" ({hint})" if hint else "")
    return ""


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
