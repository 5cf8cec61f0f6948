"""A plan's next step, from the state of its runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from receiver.core.states import PlanState, RunState, SkipCause
from receiver.ledger.plans.records import Advance, RunChange
from receiver.ledger.plans.run import Run
from receiver.planning.plan_view import Failure, PlanView, Wave, first_runs
from receiver.planning.waves import advance
from receiver.rules.loading.load import rule_set_from
from receiver.rules.schema.rule_file import Rule

TARGETS = ((0, "ConfigMap/shop/a"), (1, "ConfigMap/shop/b"))


def rule(actions: str, on_failure: str = "[]") -> Rule:
    text = (
        "version: 1\nrules:\n- name: r\n  match: {resources: [{kind: ConfigMap}]}\n"
        f"  actions: {actions}\n  onFailure: {on_failure}\n"
    )
    return rule_set_from([("r.yaml", text)]).rules[0]


class Plan:
    """A plan that is advanced by hand: runs end as the test says."""

    def __init__(self, of: Rule, targets: Sequence[tuple[int, str]] = TARGETS) -> None:
        self.causes: dict[str, SkipCause | None] = {}
        self.view = PlanView("p-1", "s-1", "argocd/shop", of, tuple(targets), ())
        self._add(first_runs(self.view))

    def _add(self, runs: Sequence[Run]) -> None:
        self.view = replace(self.view, runs=(*self.view.runs, *runs))

    def step(self) -> Advance:
        """Advance, with every run that may start becoming due."""
        result = advance(self.view, self._release)
        self._add(result.runs)
        for change in result.changes:
            self._set(change.run, change.state, change.reason)
            self.causes[change.run] = change.skip_cause
        return result

    def _release(
        self, wave: Wave, earlier: Sequence[Run], failure: Failure | None
    ) -> list[RunChange]:
        del earlier, failure
        return [RunChange(run.id, RunState.DUE) for run, _ in wave]

    def end(self, action: str, state: RunState = RunState.SUCCEEDED, target: str = "") -> None:
        for run in self.view.runs:
            if run.action == action and target in run.target and not run.state.ended:
                self._set(run.id, state, "boom" if state is RunState.FAILED else "")

    def _set(self, run: str, state: RunState, reason: str) -> None:
        runs = [replace(r, state=state, reason=reason) if r.id == run else r
                for r in self.view.runs]  # fmt: skip
        self.view = replace(self.view, runs=tuple(runs))

    def states(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for run in self.view.runs:
            found.setdefault(run.action, []).append(run.state.value)
        return found


TWO_WAVES = "[{uses: log.message, name: a}, {uses: log.message, name: b, wave: 1, target: batch}]"


def test_an_action_per_resource_has_a_run_for_each_target() -> None:
    """And one for the batch or the application has a single run."""
    plan = Plan(rule(TWO_WAVES))
    assert plan.states() == {"a": ["waiting"] * 2, "b": ["waiting"]}


def test_a_wave_waits_for_every_target_of_the_wave_before() -> None:
    """A wave is a barrier over all targets of its plan."""
    plan = Plan(rule(TWO_WAVES))
    plan.step()
    plan.end("a", target="/a")
    assert plan.step().changes == ()
    plan.end("a", target="/b")
    plan.step()
    assert plan.states() == {"a": ["succeeded"] * 2, "b": ["due"]}


def test_a_plan_succeeds_when_its_last_wave_has() -> None:
    """The end is told once, with the rule's name."""
    plan = Plan(rule(TWO_WAVES))
    for action in ("a", "b"):
        assert plan.step().end is None
        plan.end(action)
    last = plan.step()
    assert last.end is PlanState.SUCCEEDED
    assert [event.name for event in last.events] == ["plan.succeeded"]


def test_after_a_failure_later_waves_are_skipped_and_say_why() -> None:
    """What did not run names the wave that failed."""
    plan = Plan(rule(TWO_WAVES))
    plan.step()
    plan.end("a", target="/a")
    plan.end("a", RunState.FAILED)
    last = plan.step()
    assert plan.states()["b"] == ["skipped"]
    assert last.changes[0].reason == "wave 0 failed"
    assert (last.end, last.reason) == (PlanState.FAILED, "a (ConfigMap/shop/b): boom")


@pytest.mark.parametrize(
    ("when", "failed", "state"),
    [
        ("success", False, "due"),
        ("success", True, "skipped"),
        ("failure", False, "skipped"),
        ("failure", True, "due"),
        ("always", False, "due"),
        ("always", True, "due"),
    ],
)
def test_when_says_on_which_state_of_the_earlier_waves_an_action_runs(
    when: str, failed: bool, state: str
) -> None:
    """Every word of ``when``, after a success and after a failure."""
    actions = (
        f"[{{uses: log.message, name: a}}, {{uses: log.message, name: b, wave: 1, when: {when}}}]"
    )
    plan = Plan(rule(actions), TARGETS[:1])
    plan.step()
    plan.end("a", RunState.FAILED if failed else RunState.SUCCEEDED)
    plan.step()
    assert plan.states()["b"] == [state]


def test_continue_on_error_lets_the_next_wave_pass() -> None:
    """The plan goes on and succeeds, though that run stays failed."""
    actions = "[{uses: log.message, name: a, continueOnError: true}, {uses: log.message, name: b, wave: 1}]"  # noqa: E501 one YAML line
    plan = Plan(rule(actions), TARGETS[:1])
    plan.step()
    plan.end("a", RunState.FAILED)
    plan.step()
    plan.end("b")
    assert plan.step().end is PlanState.SUCCEEDED


def test_on_failure_starts_once_when_all_that_started_has_ended() -> None:
    """It waits for the other runs of the wave, and runs once per plan."""
    plan = Plan(rule("[{uses: log.message, name: a}]", "[{uses: log.message, name: tell}]"))
    plan.step()
    plan.end("a", RunState.FAILED, "/a")
    assert plan.step().runs == ()
    plan.end("a", RunState.FAILED, "/b")
    started = plan.step()
    assert ([r.action for r in started.runs], started.end) == (["tell"], None)
    assert plan.step().runs == ()
    plan.end("tell")
    assert plan.step().end is PlanState.FAILED


def test_on_failure_does_not_start_without_a_failure() -> None:
    """A plan that went well has no such runs."""
    plan = Plan(rule("[{uses: log.message, name: a}]", "[{uses: log.message, name: tell}]"))
    plan.step()
    plan.end("a")
    assert (plan.step().end, list(plan.states())) == (PlanState.SUCCEEDED, ["a"])


def test_on_failure_has_waves_of_its_own() -> None:
    """Its second wave waits for its first."""
    plan = Plan(
        rule(
            "[{uses: log.message, name: a}]",
            "[{uses: log.message, name: x}, {uses: log.message, name: y, wave: 1}]",
        ),
        TARGETS[:1],
    )
    plan.step()
    plan.end("a", RunState.FAILED)
    plan.step()
    assert plan.states() == {"a": ["failed"], "x": ["due"], "y": ["waiting"]}
    plan.end("x", RunState.FAILED)
    plan.step()
    assert plan.states()["y"] == ["due"]


def test_waves_whose_runs_all_end_at_once_are_passed_in_one_step() -> None:
    """A plan of skipped runs does not need a turn for each wave."""

    class Skipping(Plan):
        def _release(
            self, wave: Wave, earlier: Sequence[Run], failure: Failure | None
        ) -> list[RunChange]:
            del earlier, failure
            return [RunChange(run.id, RunState.SKIPPED, "if is false: x") for run, _ in wave]

    plan = Skipping(rule(TWO_WAVES))
    assert plan.step().end is PlanState.SUCCEEDED


def test_the_share_is_the_rule_and_the_application() -> None:
    """Fairness is between these."""
    assert Plan(rule(TWO_WAVES)).view.flow == "r argocd/shop"


ON_FAILURE = "[{uses: log.message, name: tell}, {uses: log.message, name: more, wave: 1}]"


def run_of(plan: Plan, action: str) -> Run:
    return next(run for run in plan.view.runs if run.action == action)


def retry(plan: Plan, action: str) -> None:
    """What a retry of a failed run does: it is due again, and what it had skipped waits."""
    run = run_of(plan, action)
    for other in plan.view.runs:
        if plan.causes.get(other.id) is SkipCause.EARLIER_FAILURE:
            plan._set(other.id, RunState.WAITING, "")
    plan._set(run.id, RunState.DUE, "")


def test_a_retry_reopens_what_the_failure_had_skipped() -> None:
    """The plan goes on where it had stopped, and succeeds."""
    plan = Plan(rule(TWO_WAVES), TARGETS[:1])
    plan.step()
    plan.end("a", RunState.FAILED)
    assert plan.step().end is PlanState.FAILED
    retry(plan, "a")
    assert plan.states() == {"a": ["due"], "b": ["waiting"]}
    assert plan.step().end is None
    plan.end("a")
    plan.step()
    plan.end("b")
    assert plan.step().end is PlanState.SUCCEEDED


def test_a_retry_beside_another_failure_skips_the_later_waves_again() -> None:
    """Only when all that had failed is made good do they run."""
    plan = Plan(rule(TWO_WAVES))
    plan.step()
    plan.end("a", RunState.FAILED)
    plan.step()
    retry(plan, "a")
    plan.end("a")
    last = plan.step()
    assert (last.end, plan.states()["b"]) == (PlanState.FAILED, ["skipped"])


def test_a_retry_leaves_alone_what_was_skipped_for_another_reason() -> None:
    """An action for failures that a success had no need of does not wait again."""
    both = "[{uses: log.message, name: a}, {uses: log.message, name: b, wave: 1, when: failure}]"
    plan = Plan(rule(both), TARGETS[:1])
    plan.step()
    plan.end("a")
    plan.step()
    assert plan.causes[run_of(plan, "b").id] is SkipCause.NO_EARLIER_FAILURE


def test_on_failure_runs_once_however_often_a_run_is_retried() -> None:
    """A second failure of the same plan is not told again."""
    plan = Plan(rule("[{uses: log.message, name: a}]", ON_FAILURE), TARGETS[:1])
    for _ in range(2):
        plan.step()
        plan.end("a", RunState.FAILED)
        plan.step()
        plan.end("tell")
        plan.step()
        plan.end("more")
        assert plan.step().end is PlanState.FAILED
        assert plan.states() == {"a": ["failed"], "tell": ["succeeded"], "more": ["succeeded"]}
        retry(plan, "a")


def test_a_failure_made_good_ends_what_is_left_of_on_failure() -> None:
    """What has started ends first; what has not is skipped."""
    plan = Plan(rule("[{uses: log.message, name: a}]", ON_FAILURE), TARGETS[:1])
    plan.step()
    plan.end("a", RunState.FAILED)
    plan.step()
    retry(plan, "a")
    plan.end("a")
    assert plan.step().end is None
    assert plan.states() == {"a": ["succeeded"], "tell": ["due"], "more": ["skipped"]}
    plan.end("tell")
    assert plan.step().end is PlanState.SUCCEEDED


def test_a_cancelled_run_counts_as_a_failure_of_its_wave() -> None:
    """Of its own wave and no earlier one."""
    plan = Plan(rule(TWO_WAVES), TARGETS[:1])
    plan._set(run_of(plan, "b").id, RunState.CANCELLED, "cancelled by ann")
    plan.step()
    assert plan.states() == {"a": ["due"], "b": ["cancelled"]}
    plan.end("a")
    last = plan.step()
    assert (last.end, last.reason) == (PlanState.FAILED, "b (batch): cancelled by ann")


def test_a_plan_that_has_collected_gets_its_runs_with_its_first_step() -> None:
    """Its targets were not known before."""
    view = PlanView("p-1", "s-1", "argocd/shop", rule(TWO_WAVES), TARGETS, ())
    result = advance(view, lambda wave, *_: [RunChange(run.id, RunState.DUE) for run, _ in wave])
    assert [run.action for run in result.runs] == ["a", "a", "b"]
    assert [change.run for change in result.changes] == [run.id for run in result.runs[:2]]


def test_a_superseded_plan_ends_when_what_has_started_has_ended() -> None:
    """It releases nothing more, and its failures are the newer plan's to make good."""
    plan = Plan(rule(TWO_WAVES, ON_FAILURE), TARGETS[:1])
    plan.step()
    plan.view = replace(plan.view, newer=("p-2", "s-2"))
    plan._set(run_of(plan, "b").id, RunState.SUPERSEDED, "")
    assert plan.step() == Advance("p-1", "s-1", "r argocd/shop")
    plan.end("a", RunState.FAILED)
    last = plan.step()
    assert (last.end, last.runs) == (PlanState.SUPERSEDED, ())
    assert last.reason == "superseded by plan p-2 of sync s-2"


def test_a_plan_that_failed_before_its_first_wave_does_only_what_is_meant_for_that() -> None:
    """Its actions are skipped, `onFailure` runs, and it ends as failed with the reason."""
    actions = "[{uses: log.message, name: a}, {uses: log.message, name: b, wave: 1, when: always}]"
    plan = Plan(rule(actions, on_failure="[{uses: log.message, name: c}]"))
    plan.view = replace(plan.view, failure="argocd/shop did not finish")
    first = plan.step()
    assert plan.states() == {"a": ["skipped"] * 2, "b": ["due"] * 2}
    assert first.changes[0].reason == "what it waited for failed"
    plan.end("b")
    plan.step()
    assert plan.states()["c"] == ["due"]
    plan.end("c")
    last = plan.step()
    assert (last.end, last.reason) == (PlanState.FAILED, "argocd/shop did not finish")
