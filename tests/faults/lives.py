"""The lives of runs as hypothesis leads them: two workers, an operator, and time that passes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from enum import StrEnum
from typing import Any

from desks import ANN, desk
from house import LEASE, House
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from laws import laws_broken

from receiver.core.errors import StateConflict
from receiver.core.model import Outcome, OutcomeKind
from receiver.core.states import OPEN_PLANS, OPEN_RUNS, PlanState, RunState
from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.queue.claim import ClaimedRun
from receiver.ledger.queue.pauses import Scope
from receiver.ledger.tables import state_in

RULES = """
- name: waves
  match: {resources: [{kind: ConfigMap}]}
  retry: {for: 5m, initialDelay: 5s, maxDelay: 60s}
  deadline: 10m
  concurrency: {key: "${{ application.name }}", limit: 1}
  actions:
  - {name: one, uses: log.message, with: {text: "1 ${{ resource.name }}"}}
  - {name: two, uses: log.message, wave: 1, target: application, with: {text: "2"}}
  onFailure:
  - {uses: log.message, with: {text: "failed: ${{ failure.message }}"}}
- name: held
  match: {resources: [{kind: ConfigMap, name: "b*"}]}
  limits: {maxTargets: 1, otherwise: hold}
  actions:
  - {name: word, uses: log.message, suspend: {expires: 5m}, with: {text: "${{ resource.name }}"}}
- name: late
  match: {resources: [{kind: ConfigMap, name: "c*"}]}
  debounce: {window: 30s, maxWait: 2m}
  onNewer: supersede
  actions:
  - {uses: log.message, target: batch, with: {text: "${{ size(resources) }}"}}
"""
NAMES = ("a", "b1", "b2", "c1", "c2")
OWNERS = ("w-1", "w-2")
OUTCOMES = (
    Outcome(OutcomeKind.SUCCEEDED, output={"done": True}),
    Outcome(OutcomeKind.PENDING, state={"id": 1}, delay=20.0),
    Outcome(OutcomeKind.TEMPORARY, reason="answered 503"),
    Outcome(OutcomeKind.PERMANENT, reason="answered 404"),
)
NewLedger = Callable[[], AbstractContextManager[Ledger]]

owners = st.sampled_from(OWNERS)
OFTEN = st.sampled_from((True, True, False))
SELDOM = st.sampled_from((False, False, True))
choice = st.integers(min_value=0, max_value=1_000)


class Lives(RuleBasedStateMachine):
    """Any order of what workers, operators and time can do; the laws hold after each step.

    ``hands`` is what each worker believes to be working on. Who lost its memory has nothing in
    hand, and who was frozen has what others may have taken over.
    """

    new_ledger: NewLedger

    @initialize()
    def begin(self) -> None:
        """Begin with an empty ledger."""
        self.stack = ExitStack()
        self.house = House.of(self.stack.enter_context(type(self).new_ledger()), RULES)
        self.hands: dict[str, list[ClaimedRun]] = {owner: [] for owner in OWNERS}
        self.moment = 0
        self.ended: dict[str, Any] = {}

    @rule(names=st.sets(st.sampled_from(NAMES), min_size=1), plans=OFTEN)
    def sync(self, names: set[str], plans: bool) -> None:
        """A sync arrives, and is planned now or later."""
        self.moment += 1
        self.house.store(*sorted(names), at=self.moment)
        if plans:
            self.house.plan([])

    @rule()
    def turn(self) -> None:
        """Somebody plans what is new, and takes the next steps."""
        self.house.plan([])
        self.house.turn()

    @rule(owner=owners, free=st.integers(min_value=1, max_value=4))
    def claim(self, owner: str, free: int) -> None:
        """A worker takes what is due."""
        self.hands[owner] += self.house.claim(free, owner=owner)

    @rule(owner=owners, which=choice, outcome=st.sampled_from(OUTCOMES))
    def answer(self, owner: str, which: int, outcome: Outcome) -> None:
        """An attempt ends."""
        if self.hands[owner]:
            self._answer(owner, which % len(self.hands[owner]), outcome)

    @rule(owner=owners, outcomes=st.lists(st.sampled_from(OUTCOMES), min_size=2, max_size=6))
    def answer_many(self, owner: str, outcomes: list[Outcome]) -> None:
        """Several end, the oldest first."""
        for outcome in outcomes[: len(self.hands[owner])]:
            self._answer(owner, 0, outcome)

    def _answer(self, owner: str, place: int, outcome: Outcome) -> None:
        """The outcome is written if the attempt is still its worker's, and else nothing is."""
        run = self.hands[owner].pop(place)
        before = self._row(run.id)
        self.house.answer(outcome, run, owner=owner)
        state, *_ = after = self._row(run.id)
        if (before[0], before[1], before[2]) == ("running", owner, run.claim):
            assert state != "running"
        else:
            assert after == before, "an attempt that was taken over has written"

    @rule(owner=owners)
    def beat(self, owner: str) -> None:
        """A worker gives a sign of life for all that it has in hand."""
        self.house.beat(owner, *self.hands[owner])

    @rule(owner=owners)
    def crash(self, owner: str) -> None:
        """A worker is killed, and starts anew with nothing in hand."""
        self.hands[owner] = []

    @rule(owner=owners)
    def take_over(self, owner: str) -> None:
        """The other one is silent for longer than its lease, and does not know it yet."""
        self.house.pass_time(LEASE / 1000 + 1)
        self.house.beat(owner, *self.hands[owner])
        self.hands[owner] += self.house.claim(owner=owner)

    @rule(seconds=st.sampled_from((1, 10, 31, 130, 700)))
    def time_passes(self, seconds: int) -> None:
        """Nothing happens for a while."""
        self.house.pass_time(seconds)

    @rule(which=choice)
    def retry(self, which: int) -> None:
        """An operator repeats what failed."""
        rows = self.house.query(
            "SELECT runs.id FROM runs JOIN plans ON plans.id = plan_id WHERE newer_plan IS NULL "
            "AND rendered AND runs.state IN ('failed', 'cancelled') ORDER BY runs.id"
        )
        if rows:
            desk(self.house).retry(ANN, rows[which % len(rows)])
            self.ended.clear()  # what it had skipped is open again, too

    @rule(which=choice)
    def cancel_run(self, which: int) -> None:
        """An operator cancels a run."""
        rows = self._ids("runs", OPEN_RUNS)
        if rows:
            desk(self.house).cancel_run(ANN, rows[which % len(rows)])

    @rule(which=choice)
    def cancel_plan(self, which: int) -> None:
        """An operator cancels a plan."""
        rows = self._ids("plans", OPEN_PLANS)
        if rows:
            desk(self.house).cancel_plan(ANN, rows[which % len(rows)])

    @rule(which=choice)
    def approve(self, which: int) -> None:
        """An operator lets something go on."""
        plans, runs = self._ids("plans", [PlanState.HELD]), self._ids("runs", [RunState.HELD])
        if plans:
            desk(self.house).approve_plan(ANN, plans[which % len(plans)])
        elif runs:
            desk(self.house).approve_run(ANN, runs[which % len(runs)])

    @rule(scope=st.sampled_from(((Scope.ALL, ""), (Scope.RULE, "waves"))), sets=SELDOM)
    def pause(self, scope: tuple[Scope, str], sets: bool) -> None:
        """An operator pauses something, or resumes it."""
        act = desk(self.house)
        (act.pause if sets else act.resume)(ANN, *scope)

    @precondition(lambda self: hasattr(self, "house"))
    @invariant()
    def laws_hold(self) -> None:
        """What is written agrees with itself, and what has ended stays as it ended."""
        self._check()
        now = {row[0]: row[1:] for row in self.house.query(ENDED)}
        for run, row in self.ended.items():
            assert now.get(run) == row, f"{run} had ended as {row}"
        self.ended = now

    def teardown(self) -> None:
        """Whatever it has come to: when all work and nothing fails, all of it ends."""
        if not hasattr(self, "house"):
            return
        try:
            self._finish()
            self._check()
        finally:
            self.stack.close()

    def _check(self) -> None:
        if broken := laws_broken(self.house):
            raise AssertionError("\n".join(broken))

    def _finish(self) -> None:
        for scope in ((Scope.ALL, ""), (Scope.RULE, "waves")):
            desk(self.house).resume(ANN, *scope)
        for _ in range(20):
            self.house.plan([])
            self.house.pass_time(LEASE / 1000 + 130)
            self.house.beat("w-3")
            for plan in self._ids("plans", [PlanState.HELD]):
                with suppress(StateConflict):  # superseded by one that was held before it
                    self.house.approve(plan)
            for run in self._ids("runs", [RunState.HELD]):
                desk(self.house).approve_run(ANN, run)
            self.house.work()
            if not self._ids("plans", OPEN_PLANS) and not self._ids("runs", OPEN_RUNS):
                return
        raise AssertionError(f"never ends: {self.house.plans('id, state')}")

    def _row(self, run: str) -> Any:
        columns = "state, owner, claims, attempts, key_number, reason, due_at"
        return self.house.query(f"SELECT {columns} FROM runs WHERE id = '{run}'")[0]

    def _ids(self, table: str, states: Sequence[StrEnum]) -> list[str]:
        found = self.house.query(f"SELECT id FROM {table} WHERE {state_in(states)} ORDER BY id")
        return [str(one) for one in found]


ENDED = (
    f"SELECT id, state, attempts, key_number, ended_at FROM runs WHERE NOT ({state_in(OPEN_RUNS)})"
)
