"""Decides a plan's next step from the state of its runs. Pure: it reads and writes nothing.

A wave is a barrier over all targets of a plan: it is released when every run of the waves
before has ended well, or where an action's ``when`` says otherwise. `onFailure` starts once,
when all that had started has ended, and has waves of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from receiver.contract.durations import duration_text
from receiver.core.model import Event, Json
from receiver.core.states import PlanState, RunState, SkipCause, Trait
from receiver.ledger.plans.records import Advance, RunChange
from receiver.ledger.plans.run import Run
from receiver.ledger.plans.supersede import superseded_event, superseded_reason
from receiver.planning.plan_view import (
    ACTIONS,
    BEFORE_ALL,
    ON_FAILURE,
    Failure,
    PlanView,
    Release,
    first_runs,
    new_run,
)
from receiver.rules.handlers.secret_refs import with_references
from receiver.rules.schema.rule_file import Action, FailureAction, Target, When


def advance(plan: PlanView, release: Release) -> Advance:
    """Take the plan's next step: release a wave, start `onFailure`, end it, or nothing yet."""
    step = _Step(plan, release)
    if plan.newer:
        step.end_superseded(plan.newer)
        return step.result()
    step.start_actions()
    if step.run_section(ACTIONS, plan.rule.actions):
        failure = step.failure
        if failure and plan.rule.on_failure:
            step.start_on_failure()
        elif not failure:
            step.drop_on_failure()
        if step.run_section(ON_FAILURE, plan.rule.on_failure):
            step.end(failure)
    return step.result()


class _Step:
    """The runs as a step leaves them, and what it has to write."""

    def __init__(self, plan: PlanView, release: Release) -> None:
        self._plan = plan
        self._release = release
        self._runs = {run.id: run for run in plan.runs}
        self._new: list[Run] = []
        self._changes: list[RunChange] = []
        self._events: list[Event] = []
        self._end: PlanState | None = None
        self._reason = ""
        self.failure = self._first_failure()

    def run_section(self, section: str, actions: Sequence[FailureAction]) -> bool:
        """Go through the waves of a section; whether all of its runs have ended."""
        waves = sorted({run.wave for run in self._of(section)})
        for wave in waves:
            while waiting := self._next(section, wave):
                self._release_wave(section, wave, waiting, actions)
                self.failure = self._first_failure()
            if not all(run.state.ended for run in self._of(section, wave)):
                return False
        return True

    def start_actions(self) -> None:
        """Make the runs of a plan that has collected its targets, unless they are there."""
        if not self._runs:
            for run in first_runs(self._plan):
                self._add(run)

    def start_on_failure(self) -> None:
        """Make the runs of `onFailure`, unless they are there."""
        if self._of(ON_FAILURE):
            return
        for step, action in enumerate(self._plan.rule.on_failure):
            self._add(new_run(self._plan, ON_FAILURE, step, action, Target.APPLICATION.value, None))

    def drop_on_failure(self) -> None:
        """Skip what is left of `onFailure` when a retry has made the failure good."""
        reason, cause = "nothing has failed any more", SkipCause.FAILURE_RECOVERED
        for run in self._of(ON_FAILURE):
            if run.state is RunState.WAITING:
                self._change(RunChange(run.id, RunState.SKIPPED, reason, skip_cause=cause))

    def end_superseded(self, newer: tuple[str, str]) -> None:
        """End the plan as superseded when all that has started has ended."""
        if all(run.state.ended for run in self._runs.values()):
            self._end = PlanState.SUPERSEDED
            self._reason = superseded_reason(newer)
            plan = self._plan
            self._events.append(superseded_event(plan.rule.name, plan.sync, plan.id, newer))

    def end(self, failure: Failure | None) -> None:
        """End the plan."""
        self._end = PlanState.FAILED if failure else PlanState.SUCCEEDED
        data: dict[str, Json] = {"rule": self._plan.rule.name}
        if failure:
            self._reason = str(failure)
            data["reason"] = self._reason
        self._emit(f"plan.{self._end}", data)

    def result(self) -> Advance:
        """Return what is to be written."""
        plan = self._plan
        return Advance(
            plan.id, plan.sync, plan.flow, tuple(self._new), tuple(self._changes), self._end,
            self._reason, tuple(self._events),
        )  # fmt: skip

    def _next(self, section: str, wave: int) -> list[Run]:
        """Return the runs of a wave that are to be released now.

        These are all that wait, or with ``otherwise: batch`` those of the next targets, when
        the targets before have ended.
        """
        runs = self._of(section, wave)
        waiting = [run for run in runs if run.state is RunState.WAITING]
        limits = self._plan.rule.limits
        if limits is None or not self._in_batches:
            return waiting
        batch = {None, *_next_targets(runs, limits.max_targets)}
        return [run for run in waiting if run.target_index in batch]

    def _of(self, section: str, wave: int | None = None) -> list[Run]:
        return [
            run
            for run in self._runs.values()
            if run.section == section and (wave is None or run.wave == wave)
        ]

    def _first_failure(self) -> Failure | None:
        """Find the failure that counts: of the lowest wave, without continueOnError.

        A run that somebody has cancelled has not done its work either.
        """
        if self._plan.failure:
            return Failure(self._plan.failure)
        failed = [
            Failure.of(run)
            for run in self._of(ACTIONS)
            if run.state.has(Trait.FAILURE)
            and not self._plan.rule.actions[run.step].continue_on_error
        ]
        return min(failed, key=lambda failure: failure.wave, default=None)

    def _failure_before(self, section: str, wave: int) -> Failure | None:
        """Return the failure that counts when a wave is released.

        In batches that is also one of the wave itself: what fails for some resources is not
        tried for all of them.
        """
        failure = self.failure
        if failure is None or section == ON_FAILURE or failure.wave < wave:
            return failure
        return failure if failure.wave == wave and self._in_batches else None

    @property
    def _in_batches(self) -> bool:
        limits = self._plan.rule.limits
        return limits is not None and limits.otherwise == "batch"

    def _release_wave(
        self, section: str, wave: int, waiting: Sequence[Run], actions: Sequence[FailureAction]
    ) -> None:
        earlier = [run for run in self._runs.values() if run.state.ended]
        failure = self._failure_before(section, wave)
        asked = waiting if section == ACTIONS else ()
        causes = ((run.id, _skip_cause(actions[run.step], wave, failure)) for run in asked)
        refused = {run: cause for run, cause in causes if cause}
        wanted = [(run, actions[run.step]) for run in waiting if run.id not in refused]
        changes = [
            RunChange(run, RunState.SKIPPED, reason, skip_cause=cause)
            for run, (cause, reason) in refused.items()
        ]
        changes += self._release(wanted, earlier, failure) if wanted else []
        self._apply(section, wave, changes)

    def _apply(self, section: str, wave: int, changes: Sequence[RunChange]) -> None:
        due = sum(change.state.has(Trait.RELEASED) for change in changes)
        if due:
            data: dict[str, Json] = {"rule": self._plan.rule.name, "wave": wave, "runs": due}
            self._emit("wave.released", data | ({"section": section} if section != ACTIONS else {}))
        for change in changes:
            self._change(change)

    def _add(self, run: Run) -> None:
        self._new.append(run)
        self._runs[run.id] = run

    def _change(self, change: RunChange) -> None:
        run = self._runs[change.run]
        self._runs[run.id] = replace(run, state=change.state, reason=change.reason)
        self._changes.append(change)
        if change.state is RunState.DUE:
            return
        data: dict[str, Json] = {
            "rule": self._plan.rule.name,
            "action": run.action,
            "target": run.target,
            "reason": change.reason,
        }
        if change.parameters is not None:
            data["parameters"] = with_references(change.parameters, change.secrets)
        if change.expires:
            data["within"] = duration_text(change.expires)
        self._emit(f"run.{change.state}", data, run.id)

    def _emit(self, name: str, data: Mapping[str, Json], run: str = "") -> None:
        self._events.append(Event(name, data, sync=self._plan.sync, plan=self._plan.id, run=run))


def _next_targets(runs: Sequence[Run], most: int) -> list[int]:
    """Return the next batch of targets, none while runs of the one before are open."""
    own = [(run.target_index, run.state) for run in runs if run.target_index is not None]
    if any(state.has(Trait.RELEASED) for _, state in own):
        return []
    return sorted({target for target, state in own if state is RunState.WAITING})[:most]


def _skip_cause(
    action: FailureAction, wave: int, failure: Failure | None
) -> tuple[SkipCause, str] | None:
    """Return why the action does not run in this state of the earlier waves, None if it does."""
    when = action.when if isinstance(action, Action) else When.ALWAYS
    before = failure is not None and failure.wave < wave
    if when is When.SUCCESS and failure:
        batch = "" if before else "an earlier batch of "
        what = f"{batch}wave {failure.wave}" if failure.wave > BEFORE_ALL else "what it waited for"
        return SkipCause.EARLIER_FAILURE, f"{what} failed"
    if when is When.FAILURE and not before:
        return SkipCause.NO_EARLIER_FAILURE, "no earlier wave failed"
    return None
