"""Chooses what of a sync's story is told: that of a rule, of a run, or what failed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from receiver.core.states import PlanState, RunState, Trait
from receiver.ledger.queries.rows import Event, PlanWithRuns, RunWithTries

if TYPE_CHECKING:  # it needs much of the server, which a command need not load
    from receiver.web.responses import SyncStory

FAILED_RUNS = RunState.where(Trait.FAILURE)


@dataclass(frozen=True, slots=True)
class Choice:
    """What is told; "" is all."""

    rule: str = ""
    run: str = ""
    failed: bool = False

    def of(self, story: SyncStory) -> SyncStory:
        """Return the story without what is not chosen."""
        if not (self.rule or self.run or self.failed):
            return story
        plans = [kept for plan in story["plans"] if (kept := self._plan(plan))]
        chosen = self._events(plans)
        explanation = None if self.run or self.failed else story["explanation"]
        events = [event for event in story["events"] if chosen(event)]
        return {**story, "plans": plans, "events": events, "explanation": explanation}

    def _plan(self, plan: PlanWithRuns) -> PlanWithRuns | None:
        runs = [run for run in plan["runs"] if self._wants(run)]
        if self.rule not in {"", plan["rule"]}:
            return None
        if runs or not (self.run or self.failed):
            return {**plan, "runs": runs}
        failed = plan["state"] == PlanState.FAILED and not self.run
        return {**plan, "runs": []} if failed else None

    def _wants(self, run: RunWithTries) -> bool:
        if self.run not in {"", run["id"]}:
            return False
        return not self.failed or run["state"] in FAILED_RUNS

    def _events(self, plans: list[PlanWithRuns]) -> Callable[[Event], bool]:
        """Return which events are told: of plans and runs; with a rule alone, the sync's, too."""
        of_plans = {plan["id"] for plan in plans}
        of_runs = {run["id"] for plan in plans for run in plan["runs"]}

        def chosen(event: Event) -> bool:
            if "run" in event:
                return event["run"] in of_runs
            if "plan" in event:
                return event["plan"] in of_plans
            return not (self.run or self.failed) and event.get("rule", self.rule) == self.rule

        return chosen
