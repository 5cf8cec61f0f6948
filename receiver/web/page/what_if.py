"""What would happen, by the form of the rules' page; as `postsync explain`, and nothing is done."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

from flask import g, make_response, render_template
from werkzeug import Response

from receiver.app.composition import Intake
from receiver.core.errors import PayloadError, PostsyncError, RuleError
from receiver.inspection.explained import ExplainedSync, Unexplained
from receiver.inspection.what_if import LARGEST_NOTIFICATION, LARGEST_RULES, Pasted, what_if
from receiver.web import read_api
from receiver.web.page.forms import read_form
from receiver.web.page.story import verdicts
from receiver.web.problem_details import Refusal

LARGEST = 3 * (LARGEST_RULES + LARGEST_NOTIFICATION)
"""Bytes of the form: one may become three in it."""

MISTAKES = 50
"""Of the rules, that are shown."""

SMALLER = "paste less, or let `postsync explain` do it"


@dataclass(frozen=True, slots=True)
class Form:
    """What was filled in; a notification that is pasted counts instead of the sync."""

    sync: str
    rules: str = ""
    notification: str = ""
    sender: str = ""
    channel: str = "sync"


def show(intake: Intake) -> Response:
    """Show what would happen, or what is wrong with what was filled in."""
    given = read_form(g.session.csrf, LARGEST, SMALLER)
    asked = Form(
        given.get("sync", "").strip(), given.get("rules", ""), given.get("notification", ""),
        given.get("sender", "").strip(), given.get("channel", "").strip() or "sync",
    )  # fmt: skip
    try:
        found = _explain(intake, asked)
    except (RuleError, PayloadError, Unexplained, Refusal) as error:
        return _answer(asked, status_of(error), mistakes=mistakes_of(error))
    return _answer(asked, HTTPStatus.OK, found=found)


def _explain(intake: Intake, asked: Form) -> ExplainedSync:
    for name, text, most in (
        ("rules are", asked.rules, LARGEST_RULES),
        ("notification is", asked.notification, LARGEST_NOTIFICATION),
    ):
        checked_size(name, text, most, SMALLER)
    if asked.notification.strip():
        what: str | Pasted = Pasted(asked.notification.encode(), asked.sender, asked.channel)
    else:
        what = read_api.stored_sync(intake, asked.sync or "last")
    return what_if(intake.explainer, what, asked.rules, intake.settings.argocd)


def checked_size(name: str, text: str, most: int, smaller: str) -> None:
    """Check that what was filled in has so many bytes at most.

    Raises:
        Refusal: 413, it has more.
    """
    if len(text.encode()) > most:
        raise Refusal(
            "too_large", f"the {name} larger than {most} bytes", hint=smaller,
            status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        )  # fmt: skip


def status_of(error: PostsyncError) -> HTTPStatus:
    """Return the status of an answer that tells what is wrong."""
    if isinstance(error, Refusal):
        return error.status
    unexplained = isinstance(error, Unexplained)
    return HTTPStatus.SERVICE_UNAVAILABLE if unexplained else HTTPStatus.BAD_REQUEST


def mistakes_of(error: PostsyncError) -> list[str]:
    """Return what is wrong, a line each."""
    if isinstance(error, RuleError):
        return error.first_problems(MISTAKES).split("\n")
    return [str(error)]


def _answer(
    asked: Form, status: HTTPStatus, *, found: ExplainedSync | None = None,
    mistakes: list[str] | None = None,
) -> Response:  # fmt: skip
    rows = verdicts(found["rules"], (), whole=False) if found else []
    page = render_template("what_if.html", asked=asked, found=found, rows=rows, mistakes=mistakes)
    return make_response(page, status)
