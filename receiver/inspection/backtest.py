"""What edited rules would have made of past syncs, beside what was recorded of them; pure.

A rule has run for a sync if a plan of it was made, whatever became of that: it is compared by the
rule's name and by the resources. What its actions send is not.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Literal

from typing_extensions import TypedDict

from receiver.core.model import Sync
from receiver.core.states import UNPLANNED_SYNCS, SyncState
from receiver.inspection.not_seen import not_seen
from receiver.ledger.queries.delivery_rows import DeliveredSync, MadePlan
from receiver.notification.recalled import Recalled, with_recalled
from receiver.rules.expressions.cel import Expressions
from receiver.rules.matching.matcher import Matcher, RuleMatch
from receiver.rules.schema.rule_file import Rule
from receiver.rules.tenants.bounds import NO_TENANTS, Tenants

EXAMPLES = 3
"""Syncs that are named of each kind of difference: enough to look into, however many there are."""

NAMED = 5
"""Resources that are named of each of these."""

NOT_YET = "not planned yet"

ITSELF = ""
"""Stands for the sync itself, on which a rule without `resources` acts."""


class Example(TypedDict):
    """One sync of a difference."""

    sync: str
    application: str
    finishedAt: str | None
    resources: list[str]
    more: int


class Difference(TypedDict):
    """In how many syncs something is different, and of how many resources."""

    syncs: int
    resources: int
    examples: list[Example]


class Doubt(TypedDict):
    """What cannot be known, or was left out: of how many syncs, and one of them with its reason."""

    what: str
    syncs: int
    sync: str
    reason: str


class RuleBacktest(TypedDict):
    """A rule over all syncs.

    ``mode`` is that of the files, None if they have no such rule; ``ran`` and ``wouldRun`` are
    numbers of syncs, ``wouldObserve`` those for which it would only have said what it would do.
    """

    rule: str
    mode: Literal["run", "observe"] | None
    ran: int
    wouldRun: int
    wouldObserve: int
    inAddition: Difference
    noLonger: Difference
    unknown: list[Doubt]
    byMessageAlone: int
    failed: list[Doubt]


def tells(row: RuleBacktest) -> bool:
    """Whether there is more to say of a rule than that it is the same as before."""
    return bool(
        row["inAddition"]["syncs"] or row["noLonger"]["syncs"] or row["wouldObserve"]
        or row["unknown"] or row["failed"]
    )  # fmt: skip


class Backtest:
    """Takes one sync after the other; what it keeps does not grow with them.

    Args:
        rules: the edited ones.
        expressions: compiles their conditions.
        only: the names of the only rules that count, none for all.
        tenants: what the rules of namespaces see.
    """

    def __init__(
        self, rules: Sequence[Rule], expressions: Expressions, only: Collection[str] = (),
        tenants: Tenants = NO_TENANTS,
    ) -> None:  # fmt: skip
        rules = [_without_actions(rule) for rule in rules if not only or rule.name in only]
        self._only = only
        self._matcher = Matcher(rules, expressions, tenants)
        self._alone = {rule.name: Matcher([rule], expressions, tenants) for rule in rules}
        self._imaging = [rule.name for rule in rules if _asks_for_images(rule)]
        self._rows = {rule.name: _row(rule.name, rule.mode) for rule in rules}
        self.syncs = 0
        self.left_out: list[Doubt] = []

    @property
    def rows(self) -> list[RuleBacktest]:
        """The rules of the files in their order, then those that there were."""
        return [*self._rows.values()]

    def leave_out(self, what: str, sync: str, reason: str) -> None:
        """Count a sync that is not compared."""
        _count(self.left_out, what, sync, reason)

    def judge(
        self, sync: Sync, recalled: Recalled, outcome: DeliveredSync, *, connected: bool
    ) -> None:
        """Compare what the rules make of a sync with what was made of it.

        One that was not planned in its time, as it was too old or was given up, would not be now;
        of one that is not planned yet nothing was made. It counts as a whole or, if an
        interruption ends this, not at all.

        Args:
            sync: as its notification tells it.
            recalled: what is stored with it.
            outcome: what became of it.
            connected: whether its sender has a connection.
        """
        if outcome["state"] != SyncState.PLANNED:
            state = NOT_YET if outcome["state"] in UNPLANNED_SYNCS else outcome["state"]
            self.leave_out(state, sync.id, outcome["reason"])
            return
        judged = with_recalled(sync, recalled)
        matches = {match.rule.name: match for match in self._matcher.match(judged)}
        had = _had(outcome["plans"], self._only)
        unknown, alone = self._unknown(sync, recalled, judged, connected=connected)
        self.syncs += 1
        for name in had:
            self._rows.setdefault(name, _row(name, None))
        for name in alone & {*matches, *had}:
            self._rows[name]["byMessageAlone"] += 1
        for name, row in self._rows.items():
            before, match = had.get(name, set()), matches.get(name)
            if match is not None and match.errors:
                _count(row["failed"], "condition failed", sync.id, match.errors[0].message)
            row["ran"] += bool(before)
            if what := unknown.get(name):
                _count(row["unknown"], what, sync.id)
            else:
                self._compare(row, judged, before, match, outcome)

    def _compare(
        self, row: RuleBacktest, sync: Sync, before: set[str], match: RuleMatch | None,
        outcome: DeliveredSync,
    ) -> None:  # fmt: skip
        found = _targets(sync, match)
        observed = row["mode"] == "observe"
        row["wouldObserve"] += observed and bool(found)
        after = set[str]() if observed else found
        row["wouldRun"] += bool(after)
        for key, targets in (("inAddition", after - before), ("noLonger", before - after)):
            if targets:
                _differ(row[key], sync.id, outcome, targets)  # type: ignore[literal-required]  # the two above

    def _unknown(
        self, sync: Sync, recalled: Recalled, judged: Sync, *, connected: bool
    ) -> tuple[Mapping[str, str], set[str]]:
        """Return of which rules the verdict on a sync cannot be known, and for want of what.

        And those for which only the change is not known by live objects, where messages decide.
        """
        found, alone = dict[str, str](), set[str]()
        if not_seen(self._matcher, sync, recalled, connected=connected):
            for name, matcher in self._alone.items():
                missing = not_seen(matcher, sync, recalled, connected=connected)
                if missing.asked:
                    found[name] = ", ".join(missing.asked)
                elif missing:
                    alone.add(name)
        if any(one.images and one.image_changed is None for one in judged.resources):
            for name in self._imaging:
                if self._depends_on_images(name, judged):
                    found[name] = ", ".join(filter(None, (found.get(name), "images of before")))
        return found, alone

    def _depends_on_images(self, name: str, sync: Sync) -> bool:
        """Whether a rule's verdict is another one if the images that are not known had changed."""
        targets = []
        for changed in (True, False):
            resources = tuple(
                one._replace(image_changed=changed)
                if one.images and one.image_changed is None
                else one
                for one in sync.resources
            )
            either = replace(sync, resources=resources)
            match = next(iter(self._alone[name].match(either)), None)
            targets.append(_targets(either, match))
        return targets[0] != targets[1]


def _row(rule: str, mode: Literal["run", "observe"] | None) -> RuleBacktest:
    return {
        "rule": rule, "mode": mode, "ran": 0, "wouldRun": 0, "wouldObserve": 0,
        "inAddition": {"syncs": 0, "resources": 0, "examples": []},
        "noLonger": {"syncs": 0, "resources": 0, "examples": []},
        "unknown": [], "byMessageAlone": 0, "failed": [],
    }  # fmt: skip


def _without_actions(rule: Rule) -> Rule:
    """Leave of a rule what it matches: what its actions ask of live objects decides nothing."""
    return rule.model_copy(
        update={"actions": (), "finally_": (), "on_failure": (), "debounce": None, "throttle": None}
    )


def _asks_for_images(rule: Rule) -> bool:
    return any(one.image_changed is not None for one in rule.match.resources or ())


def _had(plans: Sequence[MadePlan], only: Collection[str]) -> dict[str, set[str]]:
    """Return for what each rule has run, also by replays; one that observes has not."""
    found: dict[str, set[str]] = {}
    for plan in plans:
        if plan["mode"] == "run" and (not only or plan["rule"] in only):
            found.setdefault(plan["rule"], set()).update(plan["targets"] or [ITSELF])
    return found


def _targets(sync: Sync, match: RuleMatch | None) -> set[str]:
    if match is None or not match.matched:
        return set()
    return {sync.resources[number].key for number in match.resources} or {ITSELF}


def _differ(found: Difference, sync: str, outcome: DeliveredSync, targets: set[str]) -> None:
    found["syncs"] += 1
    found["resources"] += len(targets - {ITSELF})
    if len(found["examples"]) < EXAMPLES:
        keys = sorted(targets - {ITSELF})
        found["examples"].append({
            "sync": sync, "application": outcome["application"],
            "finishedAt": outcome["finishedAt"], "resources": keys[:NAMED],
            "more": len(keys[NAMED:]),
        })  # fmt: skip


def _count(doubts: list[Doubt], what: str, sync: str, reason: str = "") -> None:
    for doubt in doubts:
        if doubt["what"] == what:
            doubt["syncs"] += 1
            return
    doubts.append({"what": what, "syncs": 1, "sync": sync, "reason": reason})
