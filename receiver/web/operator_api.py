"""The door for what operators do: retry, replay, cancel, approve, pause and resume."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TypeVar

from flask import Blueprint, Response, g, jsonify, request

from receiver.app.composition import Intake
from receiver.core.errors import StateConflict, UnknownId
from receiver.core.model import from_ms, rfc3339
from receiver.core.validation import first_line
from receiver.ledger.operations.common import Act
from receiver.ledger.operations.retry import Chosen
from receiver.ledger.operations.service import Operations
from receiver.ledger.queue.pauses import Scope
from receiver.web.auth import authorize
from receiver.web.problem_details import Refusal, problem, refused
from receiver.web.query_params import NoQuery, in_ms, read_query
from receiver.web.request_bodies import Repeat, ReplayBody, RetryBody, Why, read_act

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
"""What may be the name of a rule or a handler, here or at a later time."""


def operations_door(intake: Intake) -> Blueprint:
    """Make the routes for acts; every one needs an operator's token."""
    door = Blueprint("operations", __name__, url_prefix="/v1")

    @door.before_request
    def known() -> Response | None:
        try:
            g.by = authorize(request.headers.get("Authorization", ""), intake.keys, acts=True)
            read_query(NoQuery)
        except Refusal as refusal:
            return refused(refusal)
        return None

    door.register_error_handler(Refusal, refused)
    door.register_error_handler(UnknownId, _unknown)
    door.register_error_handler(StateConflict, _wrong_state)
    _add_retry(door, intake)
    _add_cancel(door, intake.operations)
    _add_approve(door, intake.operations)
    _add_pauses(door, intake)
    return door


def _add_retry(door: Blueprint, intake: Intake) -> None:
    desk = intake.operations

    @door.post("/runs/<run>/retry")
    def retry(run: str) -> Response:
        body = _repeat(intake, Repeat)
        return jsonify({"run": desk.retry(Act(g.by, body.reason), run)})

    @door.post("/runs/retry")
    def retry_many() -> Response:
        body = _repeat(intake, RetryBody)
        chosen = Chosen(
            body.rule, body.handler, body.application, in_ms(body.since), in_ms(body.until)
        )
        done = desk.retry_many(Act(g.by, body.reason), chosen, body.limit)
        until = rfc3339(from_ms(done.until))
        warning = "" if done.runs else _unheard_of(intake, body)
        told = {"retried": len(done.runs), "runs": done.runs, "more": done.more, "until": until}
        return jsonify(told | {"warning": warning})

    @door.post("/syncs/<sync>/replay")
    def replay(sync: str) -> Response:
        body = _repeat(intake, ReplayBody)
        if body.rule and (mistake := intake.names.no_rule(body.rule)):
            raise Refusal(HTTPStatus.NOT_FOUND, "no_such_rule", mistake.message, hint=mistake.hint)
        act = Act(g.by, body.reason)
        asked = desk.replay(act, sync, body.rule, any_rules=body.with_rules_in_force)
        replay = {"id": asked, "sync": sync, "rule": body.rule or None}
        answer = jsonify({"replay": replay | {"by": act.by, "reason": act.reason}})
        answer.status_code = HTTPStatus.ACCEPTED
        return answer


def _add_cancel(door: Blueprint, desk: Operations) -> None:
    @door.post("/runs/<run>/cancel")
    def cancel_run(run: str) -> Response:
        return jsonify({"run": desk.cancel_run(_act(), run)})

    @door.post("/plans/<plan>/cancel")
    def cancel_plan(plan: str) -> Response:
        shown, cancelled = desk.cancel_plan(_act(), plan)
        return jsonify({"plan": shown, "runs": cancelled.runs})

    @door.post("/syncs/<sync>/cancel")
    def cancel_sync(sync: str) -> Response:
        cancelled = desk.cancel_sync(_act(), sync)
        return jsonify({"sync": sync, "plans": cancelled.plans, "runs": cancelled.runs})


def _add_approve(door: Blueprint, desk: Operations) -> None:
    @door.post("/runs/<run>/approve")
    def approve_run(run: str) -> Response:
        return jsonify({"run": desk.approve_run(_act(), run)})

    @door.post("/plans/<plan>/approve")
    def approve_plan(plan: str) -> Response:
        shown, runs = desk.approve_plan(_act(), plan)
        return jsonify({"plan": shown, "runs": runs})


def _add_pauses(door: Blueprint, intake: Intake) -> None:
    desk = intake.operations

    def add(path: str, scope: Scope) -> None:
        def pause(name: str = "") -> Response:
            _check_name(scope, name)
            desk.pause(_act(), scope, name)
            there = [
                one
                for one in intake.reader.pauses()
                if (one["scope"], one["name"]) == (scope.value, name)
            ]
            warning = intake.names.idle(scope, name)
            return jsonify({"pause": there[0] if there else None, "warning": warning})

        def resume(name: str = "") -> Response:
            return jsonify({"resumed": desk.resume(_act(), scope, name)})

        door.add_url_rule(path, f"pause_{scope}", pause, methods=["PUT"])
        door.add_url_rule(path, f"resume_{scope}", resume, methods=["DELETE"])

    add("/pauses/all", Scope.ALL)
    add("/pauses/rules/<name>", Scope.RULE)
    add("/pauses/handlers/<name>", Scope.HANDLER)


def _check_name(scope: Scope, name: str) -> None:
    if scope is not Scope.ALL and not NAME.fullmatch(name):
        raise Refusal(
            HTTPStatus.BAD_REQUEST, "bad_name", f"{name[:100]!r} is no name of a {scope.value}",
            hint=f"a name matches {NAME.pattern}",
        )  # fmt: skip


def _unheard_of(intake: Intake, body: RetryBody) -> str:
    return intake.names.unheard_of(
        rule=body.rule, handler=body.handler, application=body.application
    )


R = TypeVar("R", bound=Repeat)


def _repeat(intake: Intake, model: type[R]) -> R:
    """Read what is to be done again.

    Raises:
        Refusal: 409 ``rules_refused``, older rules are in force than those that are written, and
            nobody has said that these are meant.
    """
    body = read_act(request.environ, model)
    rules = intake.reader.rules()
    if body.with_rules_in_force or not rules["refused"]:
        return body
    older = f"the rules of {rules['loadedAt']} are" if rules["digest"] else "no rules are"
    raise Refusal(
        HTTPStatus.CONFLICT, "rules_refused",
        f"the rule files have mistakes, so {older} in force: {first_line(rules['error'])}",
        hint="mend the files and ask again; `--with-rules-in-force` (withRulesInForce) does it "
        "all the same",
    )  # fmt: skip


def _act() -> Act:
    """Read who asks, and why."""
    return Act(g.by, read_act(request.environ, Why).reason)


def _unknown(error: UnknownId) -> Response:
    return problem(HTTPStatus.NOT_FOUND, f"no_such_{error.kind}", error.message, hint=error.hint)


def _wrong_state(error: StateConflict) -> Response:
    return problem(
        HTTPStatus.CONFLICT, "wrong_state", error.message, hint=error.hint, state=error.state
    )
