"""What an operator does by the page: each asks once, and goes the way that the API's goes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from flask import g, redirect, render_template, request, url_for

from receiver.app.composition import Intake
from receiver.core.errors import UnknownId
from receiver.core.states import UNPLANNED_SYNCS, PlanState, RunState, Trait
from receiver.ledger.operations.approve import WAYS_ON
from receiver.ledger.operations.common import Act
from receiver.ledger.queries.rows import ActedRun, PlanExcerpt, SyncExcerpt
from receiver.web import operator_api, read_api
from receiver.web.page.forms import read_form
from receiver.web.problem_details import Refusal
from receiver.web.query_params import NoQuery, read_query
from receiver.web.request_bodies import Repeat, ReplayBody

LONGEST = 500
"""Characters of a reason, as in the API."""


@dataclass(frozen=True, slots=True)
class Deed:
    """One thing that can be done to one kind of thing.

    Attributes:
        label: of its button.
        what: happens, as a sentence.
        do: it, with the parts, the id, who and why, and whether by older rules than the written.
        again: whether it repeats something, for which the rule files must not be refused.
    """

    label: str
    what: str
    do: Callable[[Intake, str, Act, bool], object]
    again: bool = False
    danger: bool = False


def _plainly(
    do: Callable[[Intake, str, Act], object],
) -> Callable[[Intake, str, Act, bool], object]:
    """Do what repeats nothing, and so asks for no rules."""
    return lambda intake, number, act, _older: do(intake, number, act)


DEEDS: dict[tuple[str, str], Deed] = {
    ("sync", "replay"): Deed(
        "Replay", "The sync is planned anew under the rules of now; what matches runs again.",
        lambda intake, number, act, older: operator_api.replay_sync(
            intake, number, act, ReplayBody(reason=act.reason, with_rules_in_force=older)
        ),
        again=True,
    ),
    ("sync", "cancel"): Deed(
        "Cancel", "All plans of the sync that have not ended are ended.",
        _plainly(operator_api.cancel_sync),
        danger=True,
    ),
    ("plan", "approve"): Deed(
        "Approve", "The plan, or what of it is held, goes on.",
        _plainly(operator_api.approve_plan),
    ),
    ("plan", "cancel"): Deed(
        "Cancel", "The plan ends: none of its runs begins any more.",
        _plainly(operator_api.cancel_plan),
        danger=True,
    ),
    ("run", "retry"): Deed(
        "Retry", "The run is repeated with the parameters that it had.",
        lambda intake, number, act, older: operator_api.retry_run(
            intake, number, act, Repeat(reason=act.reason, with_rules_in_force=older)
        ),
        again=True,
    ),
    ("run", "hurry"): Deed(
        "Try now", "The run does not wait for its time.",
        _plainly(operator_api.hurry_run),
    ),
    ("run", "approve"): Deed(
        "Approve", "The run goes on.",
        _plainly(operator_api.approve_run),
    ),
    ("run", "acknowledge"): Deed(
        "Acknowledge", "The run stays failed, and is not counted as failing any more.",
        _plainly(operator_api.acknowledge_run),
    ),
    ("run", "cancel"): Deed(
        "Cancel", "The run ends, and fails its wave.",
        _plainly(operator_api.cancel_run),
        danger=True,
    ),
}  # fmt: skip
"""By the kind of thing and the word of the address."""


def acts_on(kind: str, row: Any) -> list[tuple[str, str]]:
    """Return the words and labels of what this session may do to a sync, a plan or a run now.

    A viewer may do nothing. ``row`` is what the API tells of it, a plan with how many runs
    of which state it has.
    """
    if not g.session.operator:
        return []
    possible = {"sync": _on_sync, "plan": _on_plan, "run": _on_run}[kind](row)
    if g.intake.binding.bound:
        possible -= {"replay"} if kind == "sync" else set()  # a rule must be named
    return [
        (word, one.label) for (of, word), one in DEEDS.items() if of == kind and word in possible
    ]


def _on_sync(sync: SyncExcerpt) -> set[str]:
    possible = set() if sync["state"] in UNPLANNED_SYNCS else {"replay"}
    if any(not PlanState(plan["state"]).ended for plan in sync["plans"]):
        possible.add("cancel")
    return possible


def _on_plan(plan: PlanExcerpt) -> set[str]:
    state = PlanState(plan["state"])
    held = any(RunState(one).has(Trait.APPROVABLE) for one in plan["counts"])
    possible = set() if state.ended else {"cancel"}
    return possible | {"approve"} if held or state in WAYS_ON else possible


def _on_run(run: ActedRun) -> set[str]:
    state, due = RunState(run["state"]), run["dueAt"]
    later = due is not None and datetime.fromisoformat(due) > datetime.now(UTC)
    return {
        word for word, may in (
            ("retry", state.has(Trait.RETRYABLE)), ("approve", state.has(Trait.APPROVABLE)),
            ("hurry", later and state.has(Trait.CLAIMABLE)),
            ("acknowledge", state is RunState.FAILED), ("cancel", not state.ended),
        ) if may
    }  # fmt: skip


def ask(intake: Intake, kind: str, number: str, word: str) -> str:
    """Ask whether it is meant."""
    read_query(NoQuery)
    deed = _deed(kind, word)
    return render_template(
        "ask.html", deed=deed, name=kind, number=number, thing=_thing(intake, kind, number),
        back=url_for(f"page.{kind}", number=number), longest=LONGEST,
        refused=deed.again and intake.reader.rules()["refused"],
    )  # fmt: skip


def act(intake: Intake, kind: str, number: str, word: str) -> Any:
    """Do it, and show what it was done to."""
    deed = _deed(kind, word)
    form = read_form(g.session.csrf)
    deed.do(intake, number, act_of(form), form.get("older") == "yes")
    return redirect(url_for(f"page.{kind}", number=number), HTTPStatus.SEE_OTHER)


def act_of(form: Mapping[str, str]) -> Act:
    """Return who acts and why, by the answer to a question.

    Raises:
        Refusal: 400, the reason is too long.
    """
    reason = form.get("reason", "").strip()
    if len(reason) > LONGEST:
        raise Refusal("bad_form", f"the reason has more than {LONGEST} characters")
    return Act(g.session.name, reason, g.intake.binding)


def check_operator() -> None:
    """Refuse with 403 whoever may only look."""
    if not g.session.operator:
        ways = ("log in with a token of the server's folder `operators`",
                "the setting pageLogin has the groups of operators")  # fmt: skip
        raise Refusal(
            "forbidden", f"{g.session.name} is a viewer, who looks and does not act",
            hint=ways[g.session.proxied],
            status=HTTPStatus.FORBIDDEN,
        )  # fmt: skip


def _deed(kind: str, word: str) -> Deed:
    deed = DEEDS.get((kind, word))
    if deed is None:
        raise Refusal(
            "not_found", f"there is nothing at {request.path}", status=HTTPStatus.NOT_FOUND
        )
    check_operator()
    return deed


def _thing(intake: Intake, kind: str, number: str) -> str:
    """Return what it is about, in words."""
    if kind == "run":
        run = read_api.existing(intake.reader.run_excerpt(number, lines=0), "run", number)
        return f"{run['action']} of {run['rule']} for {run['target']}, {run['state']}"
    if kind == "plan":
        plan = read_api.existing(
            intake.reader.plan_excerpt(number, runs=0, lines=0), "plan", number
        )
        return f"{plan['rule']} for {plan['application']}, {plan['state']}"
    if not intake.reader.has("sync", number):
        raise UnknownId("sync", number)
    return ""
