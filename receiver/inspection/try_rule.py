"""Runs one rule once for one target, in memory: nothing is stored and nothing is tried again."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from receiver.core.model import Outcome, OutcomeKind, Sync, new_id
from receiver.core.states import RunState
from receiver.core.storable import dumps
from receiver.ledger.plans.records import RunChange
from receiver.ledger.plans.run import Run
from receiver.ledger.queue.claim import ClaimedRun
from receiver.planning.parameters import Renderer, Scene
from receiver.planning.plan_view import PlanView
from receiver.planning.waves import advance
from receiver.rules.schema.rule_file import Rule

STATES = {
    OutcomeKind.SUCCEEDED: RunState.SUCCEEDED,
    OutcomeKind.PENDING: RunState.PENDING,
    OutcomeKind.TEMPORARY: RunState.FAILED,
    OutcomeKind.PERMANENT: RunState.FAILED,
}
"""The state of a run after its single attempt."""


@dataclass(frozen=True, slots=True)
class Released:
    """A run whose wave has come, and what became of it: due, skipped or failed."""

    run: Run
    change: RunChange


class Trial:
    """One rule on its way through its waves.

    Args:
        rule: the rule; what would hold it up (mode, limits, debounce, concurrency, suspend) is
            left out, and so is `onFailure`, which would report a failure that is none.
        sync: the sync, with an id.
        targets: the places of the resources that the rule is to act on.
        renderer: makes the parameters.
        attempt: makes an attempt.
    """

    def __init__(
        self, rule: Rule, sync: Sync, targets: Sequence[int], renderer: Renderer,
        attempt: Callable[[ClaimedRun], Outcome],
    ) -> None:  # fmt: skip
        rule = _once(rule)
        named = tuple((place, sync.resources[at].key) for place, at in enumerate(targets))
        self._plan = PlanView(new_id("p"), sync.id, sync.application.key, rule, named, ())
        scene = Scene.of(rule, [sync], [(sync.id, at) for at in targets])
        self._release = partial(renderer.release, scene)
        self._attempt = attempt

    def release(self) -> list[Released]:
        """Release what comes next; empty at the end, or if the other side still works on it."""
        step = advance(self._plan, self._release)
        runs = {run.id: run for run in self._plan.runs}
        runs |= {run.id: run for run in step.runs}
        for change in step.changes:
            runs[change.run] = replace(runs[change.run], state=change.state, reason=change.reason)
        self._plan = replace(self._plan, runs=tuple(runs.values()))
        return [Released(runs[change.run], change) for change in step.changes]

    def run(self, released: Released) -> Outcome:
        """Make the one attempt of a run that is due."""
        outcome = self._attempt(self._claimed(released))
        ended = replace(
            released.run, state=STATES[outcome.kind], reason=outcome.reason,
            output=dumps(outcome.output), attempts=1,
        )  # fmt: skip
        runs = (ended if run.id == ended.id else run for run in self._plan.runs)
        self._plan = replace(self._plan, runs=tuple(runs))
        return outcome

    def _claimed(self, released: Released) -> ClaimedRun:
        run, change = released.run, released.change
        return ClaimedRun(
            id=run.id, plan=run.plan, sync=run.sync, rule=run.rule, action=run.action,
            handler=run.handler, target=run.target, target_index=run.target_index,
            lane=change.lane, parameters=change.parameters, secrets=change.secrets,
            policy=run.policy, attempt=1, claim=1, failures=0, key_number=1, state=None,
            pending=False, reason="", first_attempt_at=int(time.time() * 1000),
        )  # fmt: skip


def _once(rule: Rule) -> Rule:
    plain: dict[str, Any] = {
        "mode": "run", "limits": None, "debounce": None, "throttle": None, "concurrency": None,
        "on_failure": (),
        "actions": tuple(action.model_copy(update={"suspend": False}) for action in rule.actions),
    }  # fmt: skip
    return rule.model_copy(update=plain)
