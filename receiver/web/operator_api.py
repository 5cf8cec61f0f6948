"""What operators do: retry, replay, cancel, approve, pause and resume."""

from __future__ import annotations

import re
from http import HTTPStatus

from receiver.app.composition import Intake
from receiver.core.model import from_ms, rfc3339
from receiver.core.validation import first_line
from receiver.ledger.operations.common import Act
from receiver.ledger.operations.retry import Chosen
from receiver.ledger.queue.pauses import Scope
from receiver.web import responses
from receiver.web.operation import ACT_ERRORS, Routes, Who
from receiver.web.problem_details import Refusal
from receiver.web.query_params import in_ms
from receiver.web.request_bodies import Repeat, ReplayBody, RetryBody, Why

NAME = re.compile(r"([a-z0-9-]{1,63}/)?[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
"""What may be the name of a rule or a handler, here or at a later time."""

ROLLED_BACK = {"reason": "rolled back"}

ROUTES = Routes(Who.OPERATOR, ACT_ERRORS, body=Why)


@ROUTES.add("post", "/v1/runs/{run}/retry", example={"reason": "the CDN is back"}, bound=True)
def retry_run(intake: Intake, run: str, act: Act, body: Repeat) -> responses.OneRun:
    """Repeat a failed run with its stored parameters."""
    _check_rules(intake, body)
    return {"run": intake.operations.retry(act, run)}


@ROUTES.add(
    "post", "/v1/runs/retry",
    example={"rule": "purge", "since": "2h", "limit": 100, "reason": "the CDN is back"}, bound=True,
)  # fmt: skip
def retry_runs(intake: Intake, act: Act, body: RetryBody) -> responses.Retried:
    """Repeat many failed runs."""
    _check_rules(intake, body)
    chosen = Chosen(body.rule, body.handler, body.application, in_ms(body.since), in_ms(body.until))
    done = intake.operations.retry_many(act, chosen, body.limit)
    names = body.model_dump(include={"rule", "handler", "application"})
    warning = "" if done.runs else intake.name_hints.for_filters(**names)
    return {
        "retried": len(done.runs), "runs": list(done.runs), "more": done.more,
        "until": rfc3339(from_ms(done.until)), "warning": warning,
    }  # fmt: skip


@ROUTES.add(
    "post", "/v1/syncs/{sync}/replay", status=HTTPStatus.ACCEPTED,
    example={"rule": "purge", "reason": "the zone was wrong"}, bound=True,
)  # fmt: skip
def replay_sync(intake: Intake, sync: str, act: Act, body: ReplayBody) -> responses.Replayed:
    """Plan a sync anew under today's rules."""
    _check_rules(intake, body)
    if body.rule and (mistake := intake.name_hints.for_rule(body.rule)):
        raise Refusal(
            "no_such_rule", mistake.message, hint=mistake.hint, status=HTTPStatus.NOT_FOUND
        )
    any_rules = body.with_rules_in_force or intake.binding.bound  # no file has a rule of its own
    replay = intake.operations.replay(act, sync, body.rule, any_rules=any_rules)
    return {"replay": {
        "id": replay, "sync": sync, "rule": body.rule or None, "by": act.by, "reason": act.reason,
    }}  # fmt: skip


@ROUTES.add("post", "/v1/runs/{run}/hurry", example={"reason": "the CDN is back"}, bound=True)
def hurry_run(intake: Intake, run: str, act: Act) -> responses.OneRun:
    """Try a run at once, or ask about it, that waits for a later time."""
    return {"run": intake.operations.hurry_run(act, run)}


@ROUTES.add("post", "/v1/runs/{run}/acknowledge", example={"reason": "purged by hand"}, bound=True)
def acknowledge_run(intake: Intake, run: str, act: Act) -> responses.OneRun:
    """Let a failed run be: nobody need look at it any more."""
    return {"run": intake.operations.acknowledge_run(act, run)}


@ROUTES.add("post", "/v1/runs/{run}/cancel", example=ROLLED_BACK, bound=True)
def cancel_run(intake: Intake, run: str, act: Act) -> responses.OneRun:
    """Cancel a run."""
    return {"run": intake.operations.cancel_run(act, run)}


@ROUTES.add("post", "/v1/plans/{plan}/cancel", example=ROLLED_BACK, bound=True)
def cancel_plan(intake: Intake, plan: str, act: Act) -> responses.OnePlan:
    """Cancel a plan."""
    row, cancelled = intake.operations.cancel_plan(act, plan)
    return {"plan": row, "runs": list(cancelled.runs)}


@ROUTES.add("post", "/v1/syncs/{sync}/cancel", example=ROLLED_BACK, bound=True)
def cancel_sync(intake: Intake, sync: str, act: Act) -> responses.CancelledSync:
    """Cancel the plans of a sync."""
    cancelled = intake.operations.cancel_sync(act, sync)
    return {"sync": sync, "plans": list(cancelled.plans), "runs": list(cancelled.runs)}


@ROUTES.add("post", "/v1/runs/{run}/approve", example={"reason": "checked by hand"}, bound=True)
def approve_run(intake: Intake, run: str, act: Act) -> responses.OneRun:
    """Let a held run go on."""
    return {"run": intake.operations.approve_run(act, run)}


@ROUTES.add(
    "post", "/v1/plans/{plan}/approve", example={"reason": "the bootstrap is meant"}, bound=True
)
def approve_plan(intake: Intake, plan: str, act: Act) -> responses.OnePlan:
    """Let a plan that waits, or the held runs of a plan, go on."""
    row, runs = intake.operations.approve_plan(act, plan)
    return {"plan": row, "runs": runs}


def set_pause(intake: Intake, act: Act, scope: Scope, name: str) -> responses.Paused:
    """Pause all, a rule or a handler; of all the name is empty."""
    _check_name(scope, name)
    intake.operations.pause(act, scope, name)
    wanted = scope.value, name
    pauses = (one for one in intake.reader.pauses() if (one["scope"], one["name"]) == wanted)
    return {"pause": next(pauses, None), "warning": intake.name_hints.for_pause(scope, name)}


def _add_pauses(path: str, scope: Scope, what: str, summary: str, reason: str) -> None:
    bound = scope is Scope.RULE
    example = {"reason": reason}

    @ROUTES.add("put", path, name=f"pause{what}", summary=summary, example=example, bound=bound)
    def pause(intake: Intake, act: Act, name: str = "") -> responses.Paused:
        return set_pause(intake, act, scope, name)

    @ROUTES.add("delete", path, name=f"resume{what}", summary="Lift that pause.", bound=bound)
    def resume(intake: Intake, act: Act, name: str = "") -> responses.Resumed:
        return {"resumed": intake.operations.resume(act, scope, name)}


_add_pauses(
    "/v1/pauses/all", Scope.ALL, "All", "Begin no attempt at all.", "maintenance of the cluster"
)
_add_pauses(
    "/v1/pauses/rules/{name}", Scope.RULE, "Rule", "Begin no attempt of a rule.",
    "the CDN is down",
)  # fmt: skip
_add_pauses(
    "/v1/pauses/handlers/{name}", Scope.HANDLER, "Handler", "Begin no attempt of a handler.",
    "the CDN is down",
)  # fmt: skip


def _check_name(scope: Scope, name: str) -> None:
    if scope is not Scope.ALL and not NAME.fullmatch(name):
        raise Refusal(
            "bad_name", f"{name[:100]!r} is no name of a {scope.value}",
            hint=f"a name matches {NAME.pattern}",
        )  # fmt: skip


def _check_rules(intake: Intake, body: Repeat) -> None:
    """Refuse to do something again under rules older than the written ones, unless meant so."""
    rules = intake.reader.rules()
    if body.with_rules_in_force or not rules["refused"]:
        return
    older = f"the rules of {rules.get('loadedAt')} are" if rules["digest"] else "no rules are"
    raise Refusal(
        "rules_refused",
        f"the rule files have mistakes, so {older} in force: {first_line(rules['error'])}",
        hint="mend the files and ask again; `--with-rules-in-force` (withRulesInForce) does it "
        "all the same",
        status=HTTPStatus.CONFLICT,
    )
