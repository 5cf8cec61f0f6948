"""Makes the plan of one rule that matched one sync."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache

from receiver.core.errors import ExpressionError
from receiver.core.index_key import index_key
from receiver.core.model import Json, Sync, new_id
from receiver.ledger.plans.awaited import Awaited
from receiver.ledger.plans.plan import Gate
from receiver.ledger.plans.records import Advance, Collect, NewPlan, RunChange
from receiver.ledger.plans.run import Run
from receiver.notification.application_memory import finished_ms
from receiver.planning.parameters import Renderer, Scene
from receiver.planning.plan_view import Failure, PlanView, Wave, first_runs
from receiver.planning.waves import advance
from receiver.rules.expressions.cel import Expressions
from receiver.rules.expressions.facts import application_facts, sync_facts
from receiver.rules.expressions.template import parse_template
from receiver.rules.loading.scopes import KEY_SCOPE
from receiver.rules.matching.matcher import RuleMatch
from receiver.rules.schema.debounce import Debounce
from receiver.rules.schema.rule_file import Rule, Target
from receiver.rules.tenants.names import tenant_of
from receiver.rules.tenants.shares import charge

MOST_RUNS = 20_000
MOST_TARGETS = 100_000
"""What the plans of one sync may have together: a run costs some 5 KB until it is stored, a target
0.6 KB (measured), so the dispatcher stays below 260 MB."""

MOST_COLLECTED = 10_000
"""Targets of a plan that collects syncs: no expression could go over more, see
`receiver.rules.expressions.bounds`."""


class PlanMaker:
    """Lays plans out; pure but for the ids that it makes."""

    def __init__(self, expressions: Expressions, renderer: Renderer) -> None:
        self._expressions = expressions
        self._renderer = renderer

    def make(self, sync: Sync, match: RuleMatch, rule_set: str) -> NewPlan:
        """Make a plan with its runs, and the first wave rendered if it may start at once.

        ``rule_set`` is the digest of the set that the rule comes from.
        """
        rule, plan = match.rule, new_id("p")
        key, limit = self._concurrency(rule, sync)
        collect = self._collect(rule, sync)
        series = f"{rule.name} {self._group(rule, sync)}" if rule.on_newer == "supersede" else None
        origin = {} if collect is None else _origin(sync)
        targets: list[dict[str, Json]] = [
            {"index": at, "resource": sync.resources[at].key, "reason": match.reason(at), **origin}
            for at in match.resources
        ]
        charge(sum(len(str(item["reason"])) for item in targets))
        numbered = tuple((place, str(item["resource"])) for place, item in enumerate(targets))
        view = PlanView(plan, sync.id, sync.application.key, rule, numbered, ())
        made = NewPlan(
            id=plan, rule=rule.name, rule_set=rule_set, mode=rule.mode, targets=targets,
            key=key, limit=limit, runs=(), first=Advance(plan, sync.id, view.flow),
            sync_finished_at=finished_ms(sync), series=series, hold_above=_hold_above(rule),
            gate=_gate(rule), collect=collect,
        )  # fmt: skip
        return made if collect else self._with_runs(made, view, sync, match.resources)

    def _with_runs(
        self, plan: NewPlan, view: PlanView, sync: Sync, indexes: Sequence[int]
    ) -> NewPlan:
        runs = first_runs(view)
        if plan.hold or plan.gate:
            return replace(plan, runs=runs)

        def scene() -> Scene:
            return Scene.of(view.rule, [sync], [(sync.id, index) for index in indexes])

        first = advance_with(replace(view, runs=runs), scene, self._renderer)
        return replace(plan, runs=runs, first=first)

    def _concurrency(self, rule: Rule, sync: Sync) -> tuple[str | None, int | None]:
        """Return the key and its limit; one that fails or is empty leaves the rule its own."""
        if rule.on_newer == "queue":
            return f"queue {rule.name} {self._group(rule, sync)}", 1
        if rule.concurrency is None:
            return None, None
        rendered, tenant = self._render(rule.concurrency.key, sync), tenant_of(rule.name)
        if rendered and tenant:  # rules share keys, but no tenant those of others
            rendered = f"tenant {tenant} {rendered}"
        return rendered or f"rule {rule.name}", rule.concurrency.limit

    def _collect(self, rule: Rule, sync: Sync) -> Collect | None:
        """Return how the rule collects; only plans of one and the same rule are shared."""
        debounce, throttle = rule.debounce, rule.throttle
        if debounce is None and throttle is None:
            return None
        written = hashlib.sha256(rule.model_dump_json().encode()).hexdigest()
        key = f"{rule.name} {written[:16]} {self._group(rule, sync)}"
        if debounce is None:
            every = _ms(throttle.every) if throttle else 0
            return Collect(key, every, every, _most_targets(rule), every=every)
        window, longest = _ms(debounce.window), _ms(debounce.max_wait)
        return Collect(key, window, longest, _most_targets(rule), _awaited(debounce, sync))

    def _group(self, rule: Rule, sync: Sync) -> str:
        """Return what a rule takes together: an application of one sender, or by its own key."""
        collects = rule.debounce or rule.throttle
        rendered = self._render(collects.key, sync) if collects else ""
        return f"key {rendered}" if rendered else f"of {sync.sender} {sync.application.key}"

    def _render(self, text: str, sync: Sync) -> str:
        """Render a key; "" if that fails, for no key may let everything run at once."""
        facts = {"application": application_facts(sync.application), "sync": sync_facts(sync)}
        try:
            template = parse_template(
                text, lambda source: self._expressions.compile(source, KEY_SCOPE)
            )
            if isinstance(template, str):
                return index_key(template)
            return index_key(str(template.render(self._expressions.bind(facts))))
        except ExpressionError:
            return ""


def advance_with(view: PlanView, scene: Callable[[], Scene], renderer: Renderer) -> Advance:
    """Advance a plan; its scene is only made if a wave is released."""
    scene = cache(scene)

    def release(wave: Wave, earlier: Sequence[Run], failure: Failure | None) -> list[RunChange]:
        return renderer.release(scene(), wave, earlier, failure)

    return advance(view, release)


def _origin(sync: Sync) -> dict[str, Json]:
    return {"sync": sync.id, "sender": sync.sender, "application": sync.application.key}


def _awaited(debounce: Debounce, sync: Sync) -> Awaited | None:
    """Return the Applications that a plan waits for; at no revision there are none."""
    until, revisions = debounce.until, sync.revisions or (sync.revision,)
    if until is None or not any(revisions):
        return None
    which = until.applications.model_dump(by_alias=True, exclude_defaults=True)
    return Awaited(sync.sender, revisions, which, until.otherwise, _ms(debounce.window))


def _hold_above(rule: Rule) -> int | None:
    limits = rule.limits
    return limits.max_targets if limits and limits.otherwise == "hold" else None


def _gate(rule: Rule) -> Gate | None:
    wanted = rule.wait_for
    return Gate(_ms(wanted.healthy), wanted.otherwise) if wanted else None


def _most_targets(rule: Rule) -> int:
    """Return how many targets a plan that collects may have, that its runs are not too many."""
    each = sum(action.target is Target.RESOURCE for action in rule.actions)
    once = len(rule.actions) - each
    return min(MOST_COLLECTED, (MOST_RUNS - once) // each) if each else MOST_COLLECTED


def _ms(seconds: float) -> int:
    return int(seconds * 1000)
