"""Renders a wave's parameters when it is released, with the outputs of the waves before."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from receiver.contract.durations import duration_text
from receiver.core import interruption
from receiver.core.errors import PostsyncError
from receiver.core.model import Json, Sync
from receiver.core.states import RunState, SkipCause, Trait
from receiver.ledger.plans.records import RunChange
from receiver.ledger.plans.run import Run
from receiver.planning.plan_view import ON_FAILURE, Failure, Wave
from receiver.planning.prepared_action import PreparedAction, PreparedActions
from receiver.rules.expressions.bounds import SizeBudget
from receiver.rules.expressions.cel import Bindings, Expressions
from receiver.rules.expressions.facts import application_facts, resource_facts, sync_facts
from receiver.rules.handlers.registry import Registry
from receiver.rules.matching.questions import paths_of
from receiver.rules.schema.rule_file import Rule
from receiver.rules.tenants.bounds import NO_TENANTS, Tenants
from receiver.rules.tenants.names import tenant_of
from receiver.rules.tenants.shares import charge

LARGEST_WAVE = 32 << 20
"""Characters of all parameters that are rendered for one wave together: they are in memory until
they are stored."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What the expressions of one plan see, beside the outputs of its actions."""

    rule: Rule
    application: Json
    syncs: list[Json]
    resources: Sequence[Json]

    @classmethod
    def of(cls, rule: Rule, syncs: Sequence[Sync], targets: Sequence[tuple[str, int]]) -> Scene:
        """Prepare the facts of a plan.

        Args:
            rule: the plan's.
            syncs: those that it covers, the newest last.
            targets: of each target its sync's id, and its resource's place in that.
        """
        by_id = {sync.id: sync for sync in syncs}
        paths = paths_of(rule)
        resources: list[Json] = [
            resource_facts(by_id[sync].resources[index], paths) for sync, index in targets
        ]
        facts: list[Json] = [sync_facts(sync) for sync in syncs]
        return cls(rule, application_facts(syncs[-1].application), facts, resources)

    def facts(self, index: int | None) -> dict[str, Json]:
        """Return what a run on this target sees, or on all of them for None."""
        facts = {"application": self.application, "sync": self.syncs[-1], "syncs": self.syncs}
        if index is None:
            return facts | {"resources": list(self.resources)}
        return facts | {"resource": self.resources[index]}


class Renderer:
    """Makes runs due. It is shared by all plans."""

    def __init__(
        self, expressions: Expressions, registry: Registry, tenants: Tenants = NO_TENANTS
    ) -> None:
        self._expressions = expressions
        self._registry = registry
        self._tenants = tenants
        self._actions = PreparedActions(expressions, registry)

    def release(
        self, scene: Scene, wave: Wave, earlier: Sequence[Run], failure: Failure | None
    ) -> list[RunChange]:
        """Render each run of a wave; what cannot be rendered fails with the path and the reason."""
        outputs = _Outputs(earlier)
        changes, budget = [], SizeBudget(LARGEST_WAVE)
        for run, action in wave:
            interruption.checkpoint()
            try:
                prepared = self._actions.get(scene.rule, action)
                facts = scene.facts(run.target_index) | {"actions": outputs.seen_by(run)}
                about = {"rule": scene.rule.name, "action": run.action, "target": run.target}
                if failure and run.section == ON_FAILURE:
                    bindings = self._expressions.bind(facts | _failure_facts(failure, scene.rule))
                else:
                    bindings = self._expressions.bind(facts)
                change = self._render(prepared, run, bindings, facts | about)
                budget.take_tree(change.parameters)
                changes.append(change)
            except PostsyncError as error:
                changes.append(RunChange(run.id, RunState.FAILED, f"not rendered: {error}"))
            charge(len(changes[-1].reason))
        charge(budget.taken)
        return changes

    def _render(
        self, prepared: PreparedAction, run: Run, bindings: Bindings, about: Mapping[str, Json]
    ) -> RunChange:
        if not prepared.wanted(bindings):
            reason, cause = f"if is false: {prepared.action.if_}", SkipCause.CONDITION_FALSE
            return RunChange(run.id, RunState.SKIPPED, reason, skip_cause=cause)
        handler, secrets = prepared.handler, prepared.secrets
        tree: Any = handler.complete(prepared.render(bindings), about)
        found = self._registry.check_parameters(handler, tree, self._expressions, secrets=secrets)
        if tenant := tenant_of(prepared.rule.name):
            found += self._tenants.overstepping(tenant, handler, tree, secrets)
        if found:
            reason = "not rendered: " + "; ".join(map(str, found))
            return RunChange(run.id, RunState.FAILED, reason, tree)
        if prepared.rule.mode == "observe":
            reason, cause = "observed only, nothing was sent", SkipCause.OBSERVE_MODE
            return RunChange(run.id, RunState.SKIPPED, reason, tree, skip_cause=cause)
        lane = prepared.lane(tree)
        if prepared.suspends:
            expires = run.policy.get("expires")
            within = f" within {duration_text(expires)}" if expires else ""
            why = f"waits to be approved{within}"
            return RunChange(run.id, RunState.HELD, why, tree, secrets, lane, expires=expires)
        return RunChange(run.id, RunState.DUE, "", tree, secrets, lane)


class _Outputs:
    """``actions`` in expressions: what earlier runs left, computed once for a whole wave."""

    def __init__(self, earlier: Sequence[Run]) -> None:
        self._whole: dict[str, Json] = {}
        self._own: dict[int, dict[str, Json]] = {}
        by_action: dict[str, list[Run]] = {}
        for run in earlier:
            by_action.setdefault(run.action, []).append(run)
        for action, runs in by_action.items():
            facts = [_run_facts(run) for run in runs]
            whole = _together(runs, facts)
            if runs[0].target_index is None:
                whole |= facts[0]
            for run, one in zip(runs, facts, strict=True):
                if run.target_index is not None:
                    own = self._own.setdefault(run.target_index, {})
                    own[action] = one | _together([run], [one])
            self._whole[action] = whole

    def seen_by(self, run: Run) -> Json:
        """Return them for one run: the same target's where an earlier action had it too."""
        if run.target_index is None:
            return self._whole
        return self._whole | self._own.get(run.target_index, {})


def _failure_facts(failure: Failure, rule: Rule) -> dict[str, Json]:
    facts: dict[str, Json] = {
        "message": failure.reason,
        "rule": rule.name,
        "action": failure.action,
        "resource": failure.target if failure.of_resource else None,
    }
    return {"failure": facts}


def _run_facts(run: Run) -> dict[str, Json]:
    return {
        "state": run.state.value,
        "output": json.loads(run.output) if run.output else None,
        "reason": run.reason,
        "target": run.target,
    }


def _together(runs: Sequence[Run], facts: Sequence[dict[str, Json]]) -> dict[str, Json]:
    return {
        "succeeded": all(run.state.has(Trait.SUCCESS) for run in runs),
        "failed": any(run.state.has(Trait.FAILURE) for run in runs),
        "runs": list(facts),
    }
