"""Decides a plan's next step from the state of its runs. Pure: it reads and writes nothing.

A wave is a barrier over all targets of a plan: it is released when every run of the waves
before has ended well, or where an action's ``when`` says otherwise. `onFailure` starts once,
when all that had started has ended, and has waves of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from receiver.ledger.planning import Advance, NewRun, RunChange
from receiver.model import Event, Json, PlanState, RunState, new_id
from receiver.rules import Action, FailureAction, Rule, Target, When

ACTIONS = "actions"
ON_FAILURE = "onFailure"


@dataclass(frozen=True, slots=True)
class RunView:
    """A run as far as waves need it; ``output`` is JSON, None until it has succeeded."""

    id: str
    section: str
    step: int
    action: str
    wave: int
    target: str
    target_index: int | None
    state: RunState
    reason: str = ""
    output: Json = None
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class PlanView:
    """A plan as far as waves need it; ``targets`` are indexes and keys of its resources."""

    id: str
    sync: str
    application: str
    rule: Rule
    targets: tuple[tuple[int, str], ...]
    runs: tuple[RunView, ...]

    @property
    def share(self) -> str:
        """Whose turn it is: all runs of one rule for one application queue together."""
        return f"{self.rule.name} {self.application}"


@dataclass(frozen=True, slots=True)
class Failure:
    """The first failure of a plan, as ``failure`` in expressions."""

    wave: int
    run: RunView

    def facts(self, rule: str) -> dict[str, Json]:
        """Return it as expressions see it."""
        return {
            "message": self.run.reason,
            "rule": rule,
            "action": self.run.action,
            "resource": self.run.target if self.run.target_index is not None else None,
        }


Wave = Sequence[tuple[RunView, FailureAction]]
Release = Callable[[Wave, Sequence[RunView], Failure | None], list[RunChange]]
"""Renders the runs of a wave, given those that ended before and the failure, if there is one:
each becomes due, skipped (its ``if`` is false) or failed."""


def first_runs(rule: Rule, targets: Sequence[tuple[int, str]]) -> tuple[NewRun, ...]:
    """Make the runs of a new plan: each action for each of its targets."""
    return tuple(
        _new_run(ACTIONS, step, action, name, index)
        for step, action in enumerate(rule.actions)
        for index, name in _targets_of(action, targets)
    )


def advance(plan: PlanView, release: Release) -> Advance:
    """Take the plan's next step: release a wave, start `onFailure`, end it, or nothing yet."""
    step = _Step(plan, release)
    if step.run_section(ACTIONS, plan.rule.actions):
        failure = step.failure
        if failure and plan.rule.on_failure:
            step.start_on_failure()
            if not step.run_section(ON_FAILURE, plan.rule.on_failure):
                return step.result()
        step.end(failure)
    return step.result()


def _targets_of(
    action: Action, targets: Sequence[tuple[int, str]]
) -> Iterator[tuple[int | None, str]]:
    if action.target is Target.RESOURCE:
        yield from targets
    else:
        yield None, action.target.value


def _new_run(
    section: str, step: int, action: FailureAction, target: str, index: int | None
) -> NewRun:
    retry = action.retry
    policy = {
        "for": retry.for_,
        "initialDelay": retry.initial_delay,
        "factor": retry.factor,
        "maxDelay": retry.max_delay,
        "timeout": action.timeout,
        "deadline": action.deadline,
    }
    return NewRun(
        new_id("r"), section, step, action.name, action.uses, action.wave, target, index, policy
    )


class _Step:
    """One step under way: the runs as they become, and what has to be written."""

    def __init__(self, plan: PlanView, release: Release) -> None:
        self._plan = plan
        self._release = release
        self._runs = {run.id: run for run in plan.runs}
        self._new: list[NewRun] = []
        self._changes: list[RunChange] = []
        self._events: list[Event] = []
        self._end: PlanState | None = None
        self._reason = ""
        self.failure = self._first_failure()

    def run_section(self, section: str, actions: Sequence[FailureAction]) -> bool:
        """Go through the waves of a section; whether all of its runs have ended."""
        waves = sorted({run.wave for run in self._of(section)})
        for wave in waves:
            waiting = [run for run in self._of(section, wave) if run.state is RunState.WAITING]
            if waiting:
                self._release_wave(section, wave, waiting, actions)
            if not all(run.state.ended for run in self._of(section, wave)):
                return False
            self.failure = self.failure or self._first_failure()
        return True

    def start_on_failure(self) -> None:
        """Make the runs of `onFailure`, unless they are there."""
        if self._of(ON_FAILURE):
            return
        for step, action in enumerate(self._plan.rule.on_failure):
            run = _new_run(ON_FAILURE, step, action, Target.APPLICATION.value, None)
            self._new.append(run)
            self._runs[run.id] = RunView(
                run.id, run.section, step, run.action, run.wave, run.target, None, RunState.WAITING
            )

    def end(self, failure: Failure | None) -> None:
        """End the plan."""
        self._end = PlanState.FAILED if failure else PlanState.SUCCEEDED
        data: dict[str, Json] = {"rule": self._plan.rule.name}
        if failure:
            self._reason = f"{failure.run.action} ({failure.run.target}): {failure.run.reason}"
            data["reason"] = self._reason
        self._say(f"plan.{self._end}", data)

    def result(self) -> Advance:
        """Return what is to be written."""
        plan = self._plan
        return Advance(
            plan.id, plan.sync, plan.share, tuple(self._new), tuple(self._changes), self._end,
            self._reason, tuple(self._events),
        )  # fmt: skip

    def _of(self, section: str, wave: int | None = None) -> list[RunView]:
        return [
            run
            for run in self._runs.values()
            if run.section == section and (wave is None or run.wave == wave)
        ]

    def _first_failure(self) -> Failure | None:
        """Find the failed run that counts: of the lowest wave, without continueOnError."""
        failed = [
            run
            for run in self._of(ACTIONS)
            if run.state is RunState.FAILED
            and not self._plan.rule.actions[run.step].continue_on_error
        ]
        first = min(failed, key=lambda run: run.wave, default=None)
        return Failure(first.wave, first) if first else None

    def _release_wave(
        self,
        section: str,
        wave: int,
        waiting: Sequence[RunView],
        actions: Sequence[FailureAction],
    ) -> None:
        earlier = [run for run in self._runs.values() if run.state.ended]
        failure = self.failure
        refused = {
            run.id: reason
            for run in waiting
            if section == ACTIONS and (reason := _when(actions[run.step], failure))
        }
        wanted = [(run, actions[run.step]) for run in waiting if run.id not in refused]
        changes = [RunChange(run, RunState.SKIPPED, why) for run, why in refused.items()]
        changes += self._release(wanted, earlier, failure) if wanted else []
        due = sum(change.state is RunState.DUE for change in changes)
        if due:
            data: dict[str, Json] = {"rule": self._plan.rule.name, "wave": wave, "runs": due}
            self._say("wave.released", data | ({"section": section} if section != ACTIONS else {}))
        for change in changes:
            run = self._runs[change.run]
            self._runs[run.id] = replace(run, state=change.state, reason=change.reason)
            self._changes.append(change)
            self._tell(run, change)

    def _tell(self, run: RunView, change: RunChange) -> None:
        if change.state is RunState.DUE:
            return
        data: dict[str, Json] = {
            "rule": self._plan.rule.name,
            "action": run.action,
            "target": run.target,
            "reason": change.reason,
        }
        if change.parameters is not None:
            data["parameters"] = change.parameters
        self._say(f"run.{change.state}", data, run.id)

    def _say(self, name: str, data: Mapping[str, Json], run: str = "") -> None:
        self._events.append(Event(name, data, sync=self._plan.sync, plan=self._plan.id, run=run))


def _when(action: FailureAction, failure: Failure | None) -> str:
    """Return why the action does not run in this state of the earlier waves, "" if it does."""
    when = action.when if isinstance(action, Action) else When.ALWAYS
    if when is When.SUCCESS and failure:
        return f"wave {failure.wave} failed"
    if when is When.FAILURE and not failure:
        return "no earlier wave failed"
    return ""
