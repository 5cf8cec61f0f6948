"""Puts the rules of namespaces into force one by one; the ledger keeps what is known of them.

What the API server tells is noted by whoever asks it, and taken up here in a thread of its own: a
burst of changes is one transaction, and one new index of all rules. A rule is in force only after
its set is in the ledger, to which plans refer. A rule that cannot be in force keeps itself out
alone; its last good version stays, as of rule files, unless the bounds of today do not allow it.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from receiver.core.logs import Log
from receiver.core.model import Event, Json
from receiver.core.storable import dumps
from receiver.core.validation import first_line
from receiver.dispatcher.companion import IDLE, CompanionThread
from receiver.dispatcher.rule_sets import RulesInForce, outline_of
from receiver.dispatcher.tenants.inbox import Inbox, News
from receiver.dispatcher.tenants.judge import BEYOND, TOO_MANY, Judge, Judged
from receiver.dispatcher.tenants.seen_rule import SeenRule
from receiver.dispatcher.tenants.version_quota import EACH, VersionQuota
from receiver.ledger.audit.key_values import store_rule_set
from receiver.ledger.engine.ledger import Ledger, LockMode
from receiver.ledger.engine.unit_of_work import UnitOfWork
from receiver.ledger.plans.custom_rules import (
    CustomRule,
    Files,
    Key,
    delete_custom_rule,
    read_custom_rules,
    read_custom_sets,
    store_custom_rule,
)
from receiver.rules.loading.load import RuleSet, rule_set_from
from receiver.rules.matching.compiled import CompiledSet
from receiver.rules.tenants.names import cron_job_of, full_name

BATCH = 500
"""Rules that are judged, stored and put into force together: about half a second of a core."""
LONGEST = 1.0
"""Seconds after which no other is judged with them: a large one that is wrong takes as long."""

UNSEEN = "?"
"""In place of what a rule says that the ledger knows: whatever is seen of it is news."""

ANEW = "it is judged anew when it is seen"
HELD = (
    "a newer version of it is held back, for its namespace has changed its rules too often: the "
    "newest comes into force as soon as there is room, within an hour"
)
STAYS = "the version before it stays in force"


@dataclass(frozen=True, slots=True)
class _Change:
    """What becomes of one: the row that is known of it, and its set if that is a new one.

    ``held``: nothing becomes of it now, and its row says so.
    """

    key: Key
    row: CustomRule | None
    rule_set: RuleSet | None = None
    held: bool = False


class CustomRules(CompanionThread):
    """What is known of all PostSyncRules.

    Args:
        judge: says which may be in force.
        rules: takes those that are.
        ledger: keeps what is known.
        wake: called when it has changed.
        log: gets the lines of the trail.

    Attributes:
        changed: called when what is known of a rule has changed.
    """

    def __init__(
        self, judge: Judge, rules: RulesInForce, ledger: Ledger, wake: Callable[[], None], log: Log
    ) -> None:
        super().__init__("custom-rules", ledger, wake, log)
        self._judge = judge
        self._rules = rules
        self.changed: Callable[[], None] = lambda: None
        self._inbox = Inbox()
        self._quota = VersionQuota(judge.most_rules)
        self._number = 0
        # Of this thread alone; it is not started when `restore` is called.
        self._rows: dict[Key, CustomRule] = {}
        self._sets: dict[Key, RuleSet] = {}
        self._taken = defaultdict[str, set[str]](set)  # names in force, by namespace
        self._waiting: dict[Key, SeenRule] = {}
        self._lapsed: list[_Change] = []

    def restore(self) -> list[RuleSet]:
        """Return the rules that were in force last and may still be: the API server may be away."""
        with self._ledger.read() as connection:
            rows = read_custom_rules(connection)
            files = read_custom_sets(connection)
        self._rows, self._sets, self._lapsed = {}, {}, []
        for row in rows:
            self._rows[row.key] = row
            found, reason, message = self._restored(row, files)
            if found is not None:
                self._sets[row.key] = found
                self._taken[row.namespace].add(row.name)
            elif row.digest:
                lapsed = replace(
                    row, digest=None, ready=False, reason=reason, message=message, outline=""
                )
                self._lapsed.append(_Change(row.key, lapsed))
        return [*self._sets.values()]

    def _restored(
        self, row: CustomRule, files: Mapping[str, Files]
    ) -> tuple[RuleSet | None, str, str]:
        """Return a rule that was in force if it may still be, else why not."""
        kept = files.get(row.digest or "")
        if kept is None:
            return None, row.reason, row.message
        try:
            found = rule_set_from(kept)
        except Exception as error:  # noqa: BLE001 of an older version of ours; the others may stay
            why = first_line(str(error)) or type(error).__name__
            return None, "Invalid", f"this version of Postsync cannot read it: {why}; {ANEW}"
        if self._judge.may_stay(found, row.namespace, self._others(row.key)):
            return found, "", ""
        return None, BEYOND, f"its bounds do not allow it any more; {ANEW}"

    def known(self, *, cron_jobs: bool = False) -> dict[str, SeenRule]:
        """Return those that the ledger knows, for their watch to find out which are gone."""
        return {
            full_name(*key): SeenRule(*key, row.uid, row.generation, UNSEEN)
            for key, row in [*self._rows.items()]
            if bool(cron_job_of(row.name)) is cron_jobs
        }

    def note(self, news: Iterable[News], *, awaited: bool = False) -> None:
        """Note what was seen; a sync may have ``awaited`` it."""
        self._inbox.note(news, awaited=awaited)
        self.notify()

    def note_absence(self, key: Key) -> None:
        """Note that an object is not there now."""
        row = self._rows.get(key)
        self._inbox.note_absence(key, row.uid if row else "")
        self.notify()

    def settled(self, keys: Collection[Key]) -> int | None:
        """Return the number of the rules that have what was noted of some; None: not yet."""
        return None if self._inbox.waits(keys) else self._number

    def _round(self) -> float:
        """Take up what was noted; return the seconds until the next round."""
        batch, noted = self._inbox.take(BATCH, self._within_quota())
        try:
            left = batch[self._take(batch) :]
        except BaseException:
            self._inbox.put_back(batch, noted=noted)
            raise
        more = self._inbox.put_back(left)
        if noted or batch:
            self._wake()
        return 0.0 if more else IDLE

    def _take(self, batch: Sequence[News]) -> int:
        """Take up some while there is time; return how many."""
        changes, taken = [*self._lapsed, *self._held()], 0
        until = time.monotonic() + LONGEST
        for taken, news in enumerate(batch, 1):  # noqa: B007 it is returned
            if change := self._change(news):
                changes.append(change)
            if time.monotonic() > until:
                break
        if changes:
            self._put(changes)
        return taken

    def _within_quota(self) -> Callable[[News], bool]:
        """Return what says whether one more may be taken up now."""
        left: dict[str, float] = {}

        def may(news: News) -> bool:
            size, namespace = self._size(news), news.seen.namespace
            if not size:
                return True
            there = left.get(namespace, self._quota.left(namespace))
            left[namespace] = there - size
            return there > 0

        return may

    def _size(self, news: News) -> int:
        """Return what a version counts; none that is known already, or of a rule that is gone."""
        seen, row = news.seen, self._rows.get(news.seen.place)
        known = row and (row.uid, row.generation) == (seen.uid, seen.generation)
        return 0 if known or news.gone else len(seen.said) + EACH

    def _held(self) -> Iterator[_Change]:
        """Tell of rules of which a newer version is held back, each once."""
        for key in self._inbox.held:
            row = self._rows.get(key)
            if row and not row.message.endswith(HELD):
                yield _Change(key, replace(row, message=f"{row.message}\n{HELD}"), held=True)

    def _put(self, changes: Sequence[_Change]) -> None:
        """Store changes, and put them into force."""
        self._commit(lambda uow: _store(uow, changes), LockMode.EXCLUSIVE)
        self.changed()
        self._lapsed = []
        compiled: dict[str, CompiledSet | None] = {}
        for one in changes:
            self._keep(one)
            if one.rule_set is not None:
                compiled[full_name(*one.key)] = self._rules.compile(one.rule_set)
            elif not one.held and (one.row is None or one.row.digest is None):
                compiled[full_name(*one.key)] = None
        if compiled:
            self._number = self._rules.put_custom(compiled)
        self._make_room(changes)

    def _keep(self, change: _Change) -> None:
        """Remember what is stored."""
        if change.row is None:
            self._rows.pop(change.key, None)
        else:
            self._rows[change.key] = change.row
        if change.rule_set is not None:
            self._sets[change.key] = change.rule_set
        elif change.row is None or change.row.digest is None:
            self._sets.pop(change.key, None)

    def _change(self, news: News) -> _Change | None:
        """Return what becomes of a rule, None where that is known already."""
        seen, key = news.seen, news.seen.place
        if size := self._size(news):
            self._quota.take(seen.namespace, size)
        self._waiting.pop(key, None)
        before = self._rows.get(key)
        same = before if before and before.uid == seen.uid else None
        if news.gone:
            self._taken[seen.namespace].discard(seen.name)
            return _Change(key, None) if same else None
        if not seen.said:  # a CronJob, whose annotations are gone
            self._taken[seen.namespace].discard(seen.name)
            return _Change(key, None) if before else None
        judged = self._judge.judge(seen, self._others(key))
        if judged.reason == TOO_MANY:
            self._waiting[key] = seen
        found = self._outcome(seen, judged, same)
        if before and replace(before, since=0) == found.row:
            return None
        return found

    def _outcome(self, seen: SeenRule, judged: Judged, same: CustomRule | None) -> _Change:
        """Return what becomes of a rule that was judged; ``same`` is what was known of it."""
        key, rule_set = seen.place, judged.rule_set
        last = same.digest if same and key in self._sets else None
        digest = rule_set.digest if rule_set else last
        stays = f"\n{STAYS}" if last and rule_set is None else ""
        in_force = self._taken[seen.namespace]
        (in_force.add if digest else in_force.discard)(seen.name)
        row = CustomRule(
            *key, seen.uid, seen.generation, digest, rule_set is not None, judged.reason,
            judged.message + stays, _outline(rule_set) or (same.outline if last and same else ""),
        )  # fmt: skip
        return _Change(key, row, None if digest == last else rule_set)

    def _others(self, key: Key) -> int:
        """Return how many other rules of its namespace are in force."""
        namespace, name = key
        return len(self._taken[namespace] - {name})

    def _make_room(self, changes: Sequence[_Change]) -> None:
        """Judge those again that had no room, where a rule of their namespace has gone."""
        left = {one.key[0] for one in changes if one.row is None or one.row.digest is None}
        self._inbox.note_again(seen for key, seen in self._waiting.items() if key[0] in left)


def _outline(rule_set: RuleSet | None) -> str:
    return dumps(next(outline_of(rule_set))) if rule_set else ""


def _store(uow: UnitOfWork, changes: Sequence[_Change]) -> None:
    """Store what has changed, unless another dispatcher has stored it, or something newer."""
    namespaces = {one.key[0] for one in changes}
    stored = {row.key: row for row in read_custom_rules(uow.connection, namespaces)}
    for one in changes:
        before = stored.get(one.key)
        if one.row is None:
            if before is not None:
                delete_custom_rule(uow, one.key)
                uow.events.append(Event("postsyncrule.removed", {"rule": full_name(*one.key)}))
            continue
        if one.rule_set is not None:
            store_rule_set(uow.connection, uow.now, one.rule_set.digest, one.rule_set.files)
        if before and (replace(before, since=0) == one.row or _is_newer(before, one.row)):
            continue
        store_custom_rule(uow, one.row)
        if not one.held:
            uow.events.append(_event(one.row))


def _is_newer(before: CustomRule, row: CustomRule) -> bool:
    return before.uid == row.uid and before.generation > row.generation


def _event(row: CustomRule) -> Event:
    about: dict[str, Json] = {"rule": full_name(*row.key), "generation": row.generation}
    if row.ready:
        return Event("postsyncrule.loaded", {**about, "ruleSet": (row.digest or "")[:12]})
    in_force = row.digest[:12] if row.digest else None
    return Event("postsyncrule.refused", {**about, "reason": row.message, "inForce": in_force})
