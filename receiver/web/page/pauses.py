"""Pauses and resumes all, a rule or a handler by the page: asked once, as every act there."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

from flask import g, redirect, render_template, request, url_for
from werkzeug import Response

from receiver.app.composition import Intake
from receiver.ledger.operations.pause import check_own
from receiver.ledger.queue.pauses import Scope
from receiver.web.operator_api import set_pause
from receiver.web.page.acts import LONGEST, act_of, check_operator
from receiver.web.page.forms import read_form
from receiver.web.problem_details import Refusal
from receiver.web.query_params import NoQuery, read_query


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked."""

    label: str
    what: str
    danger: bool = False


QUESTIONS = {
    "pause": Question(
        "Pause", "No attempt of it begins until somebody resumes it; those under way go on.",
        danger=True,
    ),
    "resume": Question("Resume", "What has waited begins, unless it is paused otherwise."),
}  # fmt: skip
"""By the word of the address."""


def ask(intake: Intake, scope: str, word: str, name: str = "") -> str:
    """Ask whether it is meant."""
    read_query(NoQuery)
    known = _known(intake, scope, name, word)
    return render_template(
        "ask.html", deed=QUESTIONS[word], name=scope, number=name, thing="", refused=False,
        back=_back(known), longest=LONGEST,
    )  # fmt: skip


def act(intake: Intake, scope: str, word: str, name: str = "") -> Response:
    """Do it, and show where it is seen."""
    known = _known(intake, scope, name, word)
    meant = act_of(read_form(g.session.csrf))
    if word == "pause":
        set_pause(intake, meant, known, name)
    else:
        intake.operations.resume(meant, known, name)
    return redirect(_back(known), HTTPStatus.SEE_OTHER)


def _known(intake: Intake, scope: str, name: str, word: str) -> Scope:
    if scope not in [*Scope] or (scope == Scope.ALL) == bool(name) or word not in QUESTIONS:
        raise Refusal(
            "not_found", f"there is nothing at {request.path}", status=HTTPStatus.NOT_FOUND
        )
    check_operator()
    check_own(intake.binding, Scope(scope), name)
    return Scope(scope)


def _back(scope: Scope) -> str:
    return url_for("page.status" if scope is Scope.ALL else "page.rules")
