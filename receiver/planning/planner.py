"""One sync -> plans, and the next step of a plan that is under way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from itertools import chain
from operator import attrgetter

from receiver.core.model import ChangeVerdict, Event, Json, Resource, Sync, from_ms
from receiver.core.states import PlanState, SyncState
from receiver.ledger.plans.records import Advance, NewPlan, Planning, StoredPlan, StoredSync
from receiver.notification.application_memory import (
    Memory,
    MemoryUpdate,
    recall,
    unlisted,
    update_from,
)
from receiver.notification.change_detection import list_gap
from receiver.notification.parse import read_notification
from receiver.notification.recalled import Recalled, with_recalled
from receiver.planning.parameters import Renderer, Scene
from receiver.planning.plan_builder import PlanMaker, advance_with
from receiver.planning.plan_view import PlanView
from receiver.planning.sync_size import within_size
from receiver.planning.truth import find_unlisted, find_wanted, leave_to_verify
from receiver.rules.expressions.cel import Expressions
from receiver.rules.expressions.seen import one_line
from receiver.rules.loading.load import RuleSet, place_in_files
from receiver.rules.matching.compiled import CompiledSet
from receiver.rules.matching.index import ResourceIndex
from receiver.rules.matching.matcher import Matcher, RuleMatch, without
from receiver.rules.matching.questions import AskedFields, Wanted
from receiver.rules.schema.rule_file import Rule
from receiver.rules.tenants.names import tenant_of
from receiver.rules.tenants.shares import expect, for_each, used_up

ERRORS = 3
"""So many resources on which a condition failed are named, and so many rules in a sync's reason."""

EVENT_TARGETS = 50
"""An event names so many resources of a plan; the plan in the ledger has all of them."""


class Planner:
    """Applies the rule files' set, and any number of others. Pure but for the ids that it makes.

    Attributes:
        rule_set: the rule files' set.
        custom: the sets of custom resources, of one rule each, by the rule's name.
        fields: what all of them ask of fields.
        matcher: applies all of them.
    """

    def __init__(
        self, own: CompiledSet, expressions: Expressions, renderer: Renderer,
        custom: Sequence[CompiledSet] = (),
    ) -> None:  # fmt: skip
        self.rule_set = own.rule_set
        self.custom = {rule.name: one.rule_set for one in custom for rule in one.rule_set.rules}
        compiled = [*own.rules, *chain.from_iterable(one.rules for one in custom)]
        self.fields = AskedFields.of(one.rule for one in compiled)
        self.matcher = Matcher((), expressions, compiled=compiled)
        self._plans = PlanMaker(expressions, renderer)
        self._place = cache(self._place_of_condition)

    @property
    def names(self) -> list[str]:
        """The names of all rules."""
        return [*(rule.name for rule in self.rule_set.rules), *self.custom]

    def set_of(self, rule: str) -> RuleSet:
        """Return the rule set that a rule comes from."""
        return self.custom.get(rule, self.rule_set)

    def _place_of_condition(self, rule: str) -> str:
        return place_in_files(self.set_of(rule), rule, ("match", "condition"))

    def plan(
        self,
        sync: Sync,
        delivery: str,
        memory: Memory,
        *,
        refusal: str = "",
        verify_until: int | None = None,
    ) -> Planning:
        """Match a sync and lay out its plans, or leave it to be verified first.

        Args:
            sync: the sync, with its id.
            delivery: the id of the delivery that brought it.
            memory: what the ledger remembers of the application.
            refusal: why the sync is not acted upon, "" if it is.
            verify_until: how long it may wait for what its live objects tell, in milliseconds;
                None where nobody can ask.
        """
        expect(self.matcher.tenants_of(sync))
        recalled = recall(sync, memory, all_images=self.matcher.asks_of_images(sync))
        told, sync = sync, with_recalled(sync, recalled)
        index = ResourceIndex(sync.resources)
        watched = self.matcher.watched_images(sync, index)
        update = update_from(sync, watched, acted=not refusal)
        planning = self._planned(sync, recalled, update)
        about: dict[str, Json] = {"application": sync.application.key}
        if refusal:
            event = Event("sync.ignored", about | {"reason": refusal}, delivery, sync.id)
            ignored = SyncState.IGNORED
            return replace(planning, state=ignored, reason=refusal, events=(event,))
        about |= _carried(recalled, update, unlisted(sync, memory, update))
        if verify_until and (wanted := self.wanted(sync)):
            # The objects may leave open what messages told, and images would tell then.
            planning = replace(planning, recalled=recall(told, memory))
            return leave_to_verify(
                planning, wanted, Event("sync.verifying", about, delivery), verify_until
            )
        found = self.matcher.match(sync, index)
        return self._laid_out(planning, sync, found, Event("sync.planned", about, delivery))

    def plan_verified(self, sync: Sync, delivery: str, recalled: Recalled) -> Planning:
        """Lay out the plans of a sync that has waited for what its live objects tell.

        Args:
            sync: the sync, with its id.
            delivery: the id of the delivery that brought it.
            recalled: what was recalled when it was to be planned first, and observed since.
        """
        sync = with_recalled(sync, recalled)
        about = {"application": sync.application.key, **_carried(recalled, None, ())}
        expect(self.matcher.tenants_of(sync))
        found = self.matcher.match(sync)
        planned = Event("sync.planned", about, delivery)
        return self._laid_out(self._planned(sync, recalled), sync, found, planned)

    def wanted(self, sync: Sync) -> Wanted:
        """Return which live objects decide; the sync has its verdicts by message."""
        expect(self.matcher.tenants_of(sync))
        return find_wanted(self.matcher, sync)

    def unlisted(self, sync: Sync, others: Sequence[Resource]) -> list[Resource]:
        """Return those of its Application's resources that it does not list and a rule selects."""
        return find_unlisted(self.matcher, sync, others)

    def _planned(
        self, sync: Sync, recalled: Recalled, update: MemoryUpdate | None = None
    ) -> Planning:
        verdicts = list(map(attrgetter("change.verdict"), sync.resources))
        return Planning(
            sync=sync.id,
            application=sync.application.key,
            state=SyncState.PLANNED,
            reason="",
            rule_set=self.rule_set.digest,
            changes={one.value: verdicts.count(one) for one in ChangeVerdict},
            recalled=recalled,
            memory_key=memory_key(sync),
            memory_update=update,
        )

    def replay(
        self, sync: Sync, delivery: str, *, rule: str, about: Mapping[str, Json],
        verify_until: int | None = None,
    ) -> Planning:  # fmt: skip
        """Lay out new plans of a sync that was planned before, or leave it to be verified first.

        Args:
            sync: the sync, with its id, judged as at its first planning.
            delivery: the id of the delivery that brought it.
            rule: the only rule that counts, "" for all of them.
            about: what its event has about the replay.
            verify_until: as for `plan`, where its live objects could not be asked before.
        """
        planning = Planning(
            sync.id, sync.application.key, SyncState.PLANNED, "", self.rule_set.digest, asked=True
        )
        expect(self.matcher.tenants_of(sync))
        found = self.matcher.match(sync, only=rule)
        data = {**about, "application": sync.application.key}
        if verify_until and (wanted := self.wanted(sync)):
            return leave_to_verify(
                planning, wanted, Event("sync.verifying", data, delivery), verify_until
            )
        return self._laid_out(planning, sync, found, Event("sync.replayed", data, delivery))

    def _laid_out(
        self, planning: Planning, sync: Sync, found: Sequence[RuleMatch], first: Event
    ) -> Planning:
        found, plans = self._made(sync, within_size(found))
        data: dict[str, Json] = {
            **first.data,
            "resources": len(sync.resources),
            "rules": len(self.rule_set.rules) + len(self.custom),
            "matched": len(plans),
            "ruleSet": self.rule_set.digest[:12],
        }
        if incomplete := list_gap(sync.retry_count, sync.options):
            data["incomplete"] = incomplete
        events = (
            Event(first.name, data, first.delivery, sync.id),
            *self._error_events(sync, first.delivery, found),
            *_match_events(sync, first.delivery, plans),
        )
        left_out = {one.rule.name: one.left_out for one in found if one.left_out}
        reason = self._left_out(found)
        return replace(planning, reason=reason, plans=plans, events=events, left_out=left_out)

    def _made(
        self, sync: Sync, found: Sequence[RuleMatch]
    ) -> tuple[Sequence[RuleMatch], tuple[NewPlan, ...]]:
        """Make the plans; return them with what was found, less whose share was used up by it."""

        def make(match: RuleMatch) -> NewPlan:
            return self._plans.make(sync, match, self.set_of(match.rule.name).digest)

        plans = for_each([match for match in found if match.matched], make)
        if why := used_up():
            found = without(found, why)
            plans = [plan for plan in plans if tenant_of(plan.rule) not in why]
        return found, tuple(plans)

    def _left_out(self, found: Sequence[RuleMatch]) -> str:
        """Return why rules that might match did not: there are none, or their condition failed."""
        if not (self.rule_set.rules or self.custom):
            return "there are no rules: no rule file in force has one"
        failed = [
            f"rule {match.rule.name}: {match.left_out}"
            if match.left_out
            else f"rule {match.rule.name}: condition failed, {len(match.errors)} times: "
            f"{match.errors[0].message}"
            for match in found
            if match.errors or match.left_out
        ]
        return "; ".join(failed[:ERRORS]) + ("; ..." if len(failed) > ERRORS else "")

    def _error_events(
        self, sync: Sync, delivery: str, found: Sequence[RuleMatch]
    ) -> Iterator[Event]:
        """Yield an event for each rule without a plan for want of a condition's value, or room."""
        for match in found:
            if not match.errors and not match.left_out:
                continue
            on = [sync.resources[e.resource].key for e in match.errors if e.resource is not None]
            data: dict[str, Json] = {
                "rule": match.rule.name,
                "reason": match.left_out or match.errors[0].message,
                "expression": one_line(match.rule.match.condition or ""),
                "place": self._place(match.rule.name),
                "times": len(match.errors) or 1,
            }
            resources: list[Json] = [*on[:ERRORS]]
            data |= {"resources": resources} if on else {}
            yield Event("rule.error", data, delivery, sync.id)


def read_sync(stored: StoredSync) -> Sync:
    """Read a stored notification again; it was understood when it was accepted."""
    notification = read_notification(
        stored.body, sender=stored.sender, channel=stored.channel, query=stored.query
    )
    received = from_ms(stored.received_at)
    return replace(notification.sync, id=stored.id, received_at=received)


def memory_key(sync: Sync) -> tuple[str, str, str]:
    """Return the key of the memory of a sync's application; each sender, a cluster, has its own."""
    return sync.sender, sync.channel, sync.application.key


def step(
    stored: StoredPlan, rule: Rule, read: Callable[[str], Sync], renderer: Renderer
) -> Advance:
    """Work out the next step of a plan; ``read`` gives a sync by its id if it is needed."""
    plan = stored.plan
    targets = tuple((index, item["resource"]) for index, item in enumerate(plan.targets))
    view = PlanView(
        plan.id, plan.sync, plan.application, rule, targets, stored.runs, plan.newer,
        plan.failure or "",
    )  # fmt: skip
    if plan.state is not PlanState.ACTIVE:
        return Advance(plan.id, plan.sync, view.flow)

    def scene() -> Scene:
        syncs = [with_recalled(read(planned.id), planned.recalled) for planned in stored.syncs]
        return Scene.of(
            rule, syncs, [(item.get("sync", plan.sync), item["index"]) for item in plan.targets]
        )

    return advance_with(view, scene, renderer)


def _carried(
    recalled: Recalled, update: MemoryUpdate | None, missed: Sequence[str]
) -> dict[str, Json]:
    """Return the event data about failed syncs before this one, and changes left to a later one."""
    data: dict[str, Json] = {}
    if update and update.failed:
        data["carryOver"] = len(update.failed)
    if recalled.failed:
        data["carriedOver"] = len(recalled.failed)
        data["failedSyncs"] = [*sorted({trace.sync for trace in recalled.failed.values()})]
    if missed:
        data["notListed"] = [*missed[:EVENT_TARGETS]]
    return data


def _match_events(sync: Sync, delivery: str, plans: Sequence[NewPlan]) -> Iterator[Event]:
    """Yield an event for each plan: which rule matched, on which resources and why."""
    for plan in plans:
        targets: list[Json] = [
            {"resource": target["resource"], "reason": target["reason"]}
            for target in plan.targets[:EVENT_TARGETS]
        ]
        data: dict[str, Json] = {"rule": plan.rule, "mode": plan.mode, "targets": targets}
        if not plan.collect:
            data["runs"] = len(plan.runs)
        if (more := len(plan.targets) - EVENT_TARGETS) > 0:
            data["moreTargets"] = more
        yield Event("rule.matched", data, delivery, sync.id, plan.id)
