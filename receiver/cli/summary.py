"""What came of a plan, at a glance: a line for it, and one for each of its actions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from receiver.cli.fold import FEW, named
from receiver.cli.screen import Line, Part, Styled
from receiver.core.plural import plural
from receiver.core.states import PlanState, RunState, Trait
from receiver.ledger.queries.rows import PlanWithRuns, RunWithTries

MOST_REASONS = 5
"""So many different reasons of one action's runs are told; the trail below has each."""


def plan_lines(plan: PlanWithRuns) -> Iterator[Line]:
    """Yield the plan's line, and one for each action: succeeded, failed, or waiting for what."""
    matched = plural(plan["matched"], "resource") if plan["matched"] else "the sync itself"
    syncs = f" of {len(plan['syncs'])} syncs" if len(plan["syncs"]) > 1 else ""
    observes = ", observes" if plan["mode"] == "observe" else ""
    yield (
        Styled(plan["rule"], bold=True), ": ",
        Styled(plan["state"], colour_of(PlanState, plan["state"])),
        f", matched {matched}{syncs}{observes}, plan {plan['id']}{_why(plan)}",
    )  # fmt: skip
    actions: dict[tuple[str, str], list[RunWithTries]] = {}
    for run in plan["runs"]:
        actions.setdefault((run["section"], run["action"]), []).append(run)
    for runs in actions.values():
        yield from _action(runs, plan["waitsFor"])


def urgency(plan: PlanWithRuns) -> int:
    """Return which plans come first: what failed, then what has not ended."""
    if plan["state"] == PlanState.FAILED:
        return 0
    return 1 if plan["endedAt"] is None else 2


def colour_of(states: type[PlanState | RunState], name: str) -> str | None:
    """Return the colour of a state: what ended well, badly, or needs an approval."""
    if name not in {*states}:
        return None  # an older version's
    state = states(name)
    if state.has(Trait.APPROVABLE):
        return "yellow"
    return {"succeeded": "green", "failed": "red", "cancelled": "red"}.get(name)


def _why(plan: PlanWithRuns) -> str:
    if plan["waitsFor"]:
        return f"; waits for {plan['waitsFor']}"
    return f": {plan['reason']}" if plan["reason"] else ""


def _action(runs: Sequence[RunWithTries], of_plan: str) -> Iterator[Line]:
    """Yield the line of an action: its runs by what became of them and why, failures first.

    What they wait for with all of their plan, ``of_plan``, stands above.
    """
    first = runs[0]
    groups: dict[tuple[str, str], list[str]] = {}
    for run in sorted(runs, key=lambda run: run["state"] != RunState.FAILED):
        groups.setdefault((run["state"], _of_run(run, of_plan)), []).append(run["id"])
    parts: list[Part] = []
    for (state, why), ids in [*groups.items()][:MOST_REASONS]:
        parts += ["; "] if parts else []
        parts += [Styled(f"{len(ids):,} {state}", colour_of(RunState, state)), why]
        if state != RunState.SUCCEEDED or len(ids) <= FEW:
            parts += [f" ({named(ids)})"]
    left = [len(ids) for ids in groups.values()][MOST_REASONS:]
    parts += [f"; {sum(left):,} more for {len(left):,} other reasons"] if left else []
    when = f", wave {first['wave']}" if first["wave"] else ""
    section = f", {first['section']}" if first["section"] != "actions" else ""
    yield "  ", f"{first['action']} ({first['handler']}{when}{section}): ", *parts


def _of_run(run: RunWithTries, of_plan: str) -> str:
    """Return what a run waits for and what its last attempt came to, or why it is so."""
    if (what := run["waitsFor"]) and what != of_plan:
        waiting = "" if run["state"] == RunState.WAITING else ", waiting"
        after = f", after: {run['reason']}" if run["reason"] and run["attempts"] else ""
        return f"{waiting} for {what}{after}"
    return f": {run['reason']}" if run["reason"] else ""
