"""One sync -> plans, and the next step of a plan that is under way."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from receiver.errors import ExpressionError
from receiver.expressions import Expressions, application_facts, parse_template, sync_facts
from receiver.ledger.planning import (
    Advance,
    NewPlan,
    Planning,
    RunChange,
    StoredPlan,
    StoredSync,
)
from receiver.matching import Matcher, RuleMatch
from receiver.model import ChangeVerdict, Event, Json, Resource, RunState, Sync, SyncState, new_id
from receiver.payload import read_notification
from receiver.render import Renderer, Scene
from receiver.rulebook import RuleSet, key_scope
from receiver.rules import Rule
from receiver.waves import Failure, PlanView, RunView, Wave, advance, first_runs

EVENT_TARGETS = 50
"""An event names so many resources of a plan; the plan in the ledger has all of them."""


class Planner:
    """Applies one rule set. Pure but for the ids that it makes."""

    def __init__(self, rule_set: RuleSet, expressions: Expressions, renderer: Renderer) -> None:
        self.rule_set = rule_set
        self._matcher = Matcher(rule_set.rules, expressions)
        self._expressions = expressions
        self._renderer = renderer

    def plan(
        self, sync: Sync, delivery: str, images: Mapping[str, str], *, refusal: str = ""
    ) -> Planning:
        """Match a sync and lay out its plans.

        Args:
            sync: the sync, with its id.
            delivery: the id of the delivery that brought it.
            images: what the ledger remembers of the application's resources.
            refusal: why the sync is not acted upon, "" if it is.
        """
        seen = {number: (r.key, _images(r)) for number, r in enumerate(sync.resources) if r.images}
        verdicts = {
            number: now != images[key] for number, (key, now) in seen.items() if key in images
        }
        sync = judged(sync, verdicts)
        planning = Planning(
            sync=sync.id,
            application=sync.application.key,
            state=SyncState.IGNORED if refusal else SyncState.PLANNED,
            reason=refusal,
            rule_set=self.rule_set.digest,
            changed=sum(r.change.verdict is ChangeVerdict.CHANGED for r in sync.resources),
            images=dict(seen.values()),
            verdicts=verdicts,
            images_of=images_key(sync),
            finished_at=int(sync.finished_at.timestamp() * 1000) if sync.finished_at else 0,
        )
        about: dict[str, Json] = {"application": sync.application.key}
        if refusal:
            event = Event("sync.ignored", about | {"reason": refusal}, delivery, sync.id)
            return replace(planning, events=(event,))
        found = self._matcher.match(sync)
        matches = [match for match in found if match.matched]
        plans = tuple(self._new_plan(sync, match) for match in matches)
        about |= {
            "resources": len(sync.resources),
            "rules": len(self.rule_set.rules),
            "matched": len(plans),
            "ruleSet": self.rule_set.digest[:12],
        }
        events = (
            Event("sync.planned", about, delivery, sync.id),
            *_error_events(sync, delivery, found),
            *_match_events(sync, delivery, matches, plans),
        )
        return replace(planning, plans=plans, events=events)

    def _new_plan(self, sync: Sync, match: RuleMatch) -> NewPlan:
        rule, plan = match.rule, new_id("p")
        targets = tuple((index, sync.resources[index].key) for index in match.resources)
        runs = first_runs(rule, targets)
        views = tuple(
            RunView(r.id, r.section, r.step, r.action, r.wave, r.target, r.target_index,
                    RunState.WAITING) for r in runs
        )  # fmt: skip
        view = PlanView(plan, sync.id, sync.application.key, rule, targets, views)
        key, limit = self._key(rule, sync)
        return NewPlan(
            id=plan,
            rule=rule.name,
            mode=rule.mode,
            targets=[
                {"index": index, "resource": name, "reason": reason}
                for (index, name), reason in zip(targets, match.reasons, strict=True)
            ],
            key=key,
            limit=limit,
            runs=runs,
            first=_advance(view, lambda: sync, self._renderer),
        )  # fmt: skip

    def _key(self, rule: Rule, sync: Sync) -> tuple[str | None, int | None]:
        """Render the concurrency key; without one, or if it fails, the rule has one of its own."""
        if rule.concurrency is None:
            return None, None
        facts = {"application": application_facts(sync.application), "sync": sync_facts(sync)}
        try:
            template = parse_template(
                rule.concurrency.key, lambda source: self._expressions.compile(source, key_scope())
            )
            rendered = (
                template
                if isinstance(template, str)
                else str(template.render(self._expressions.bind(facts)))
            )
        except ExpressionError:
            rendered = ""
        return rendered or f"rule {rule.name}", rule.concurrency.limit


def read_sync(stored: StoredSync) -> Sync:
    """Read a stored notification again; it was understood when it was accepted."""
    notification = read_notification(
        stored.body, sender=stored.sender, channel=stored.channel, query=stored.query
    )
    return replace(notification.sync, id=stored.id)


def images_key(sync: Sync) -> str:
    """Name the application whose images are remembered: of one sender's, for one is one cluster."""
    return f"{sync.sender} {sync.application.key}"


def judged(sync: Sync, verdicts: Mapping[int, bool]) -> Sync:
    """Return the sync with the verdicts on its resources' images, by their index."""
    if not verdicts:
        return sync
    resources = (
        replace(r, image_changed=verdicts.get(number)) for number, r in enumerate(sync.resources)
    )
    return replace(sync, resources=tuple(resources))


def step(plan: StoredPlan, rule: Rule, read: Callable[[], Sync], renderer: Renderer) -> Advance:
    """Work out the next step of a plan under way; ``read`` gives its sync if it is needed."""
    targets = tuple((item["index"], item["resource"]) for item in plan.targets)

    def sync() -> Sync:
        return judged(read(), plan.verdicts)

    views = tuple(_view(run) for run in plan.runs)
    view = PlanView(plan.id, plan.sync, plan.application, rule, targets, views)
    return _advance(view, sync, renderer)


def _advance(view: PlanView, sync: Callable[[], Sync], renderer: Renderer) -> Advance:
    """Advance a plan; its facts are only made if a wave is released."""
    scene: list[Scene] = []

    def release(wave: Wave, earlier: Sequence[RunView], failure: Failure | None) -> list[RunChange]:
        if not scene:
            scene.append(Scene.of(view.rule, sync(), [index for index, _ in view.targets]))
        return renderer.release(scene[0], wave, earlier, failure)

    return advance(view, release)


def _view(run: Mapping[Any, Any]) -> RunView:
    return RunView(
        id=run["id"],
        section=run["section"],
        step=run["step"],
        action=run["action"],
        wave=run["wave"],
        target=run["target"],
        target_index=run["target_index"],
        state=RunState(run["state"]),
        reason=run["reason"],
        output=json.loads(run["output"]) if run["output"] else None,
        attempts=run["attempts"],
    )


def _images(resource: Resource) -> str:
    return " ".join(sorted(resource.images))


def _error_events(sync: Sync, delivery: str, found: Sequence[RuleMatch]) -> Iterator[Event]:
    """Tell of each condition that could not be evaluated: no match there, but no silence."""
    for match in found:
        for error in match.errors[:EVENT_TARGETS]:
            where = "" if error.resource is None else sync.resources[error.resource].key
            data: dict[str, Json] = {"rule": match.rule.name, "reason": error.message}
            about = data | ({"resource": where} if where else {})
            yield Event("rule.error", about, delivery, sync.id)


def _match_events(
    sync: Sync, delivery: str, matches: Sequence[RuleMatch], plans: Sequence[NewPlan]
) -> Iterator[Event]:
    """Tell for each plan which rule matched, on which resources and why."""
    for match, plan in zip(matches, plans, strict=True):
        targets: list[Json] = [
            {"resource": sync.resources[index].key, "reason": reason}
            for index, reason in zip(match.resources, match.reasons, strict=True)
        ]
        data: dict[str, Json] = {
            "rule": match.rule.name,
            "mode": match.rule.mode,
            "targets": targets[:EVENT_TARGETS],
            "runs": len(plan.runs),
        }
        if len(targets) > EVENT_TARGETS:
            data["moreTargets"] = len(targets) - EVENT_TARGETS
        yield Event("rule.matched", data, delivery, sync.id, plan.id)
