"""The back-test of the rules' page: what an edited rule file would have made of the last syncs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from flask import g, make_response, render_template
from werkzeug import Response

from receiver.app.composition import Intake
from receiver.core.errors import RuleError
from receiver.inspection.backtest import tells
from receiver.inspection.bounded_backtest import Backtested
from receiver.inspection.explained import Unexplained
from receiver.inspection.what_if import LARGEST_RULES
from receiver.web.page.forms import read_form
from receiver.web.page.what_if import checked_size, mistakes_of, status_of
from receiver.web.problem_details import Refusal
from receiver.web.query_params import in_ms

TIMES: Mapping[str, str] = {
    "1h": "hour", "24h": "day", "7d": "week", "30d": "30 days", "90d": "90 days",
}  # fmt: skip

LARGEST = 4 * LARGEST_RULES + 8192
"""Bytes of the form: of what is pasted, one may become three in it; and an uploaded file."""

SMALLER = "take fewer rules, or let `postsync backtest` do it"


@dataclass(frozen=True, slots=True)
class Form:
    """What was filled in; a file that is uploaded counts instead of what is pasted."""

    rules: str = ""
    since: str = "7d"
    whole: bool = False


def ask(_: Intake) -> str:
    """Show the form alone, for who comes back to the address."""
    return render_template("backtest.html", tested=Form(), times=TIMES)


def show(intake: Intake) -> Response:
    """Show what would have run, or what is wrong with the rule file."""
    given = read_form(g.session.csrf, LARGEST, SMALLER)
    uploaded = given.get("file", "").removeprefix("\ufeff")
    asked = Form(
        uploaded if uploaded.strip() else given.get("rules", ""),
        given.get("since", ""),
        given.get("whole") == "yes",
    )
    try:
        found = _test(intake, asked)
    except (RuleError, Unexplained, Refusal) as error:
        return _answer(asked, status_of(error), mistakes=mistakes_of(error))
    return _answer(asked, HTTPStatus.OK, found=found)


def _test(intake: Intake, asked: Form) -> Backtested:
    if not asked.rules.strip():
        raise Refusal("bad_form", "there is no rule file", hint="paste one, or choose a file")
    if asked.since not in TIMES:
        raise Refusal("bad_form", f"the time must be one of {', '.join(TIMES)}")
    checked_size("rules are", asked.rules, LARGEST_RULES, SMALLER)
    since = in_ms(asked.since) or 0
    return intake.backtester.test(asked.rules, since, intake.settings.argocd, whole=asked.whole)


def _answer(
    asked: Form, status: HTTPStatus, *, found: Backtested | None = None,
    mistakes: list[str] | None = None,
) -> Response:  # fmt: skip
    rows = found.work.rows if found else []
    page = render_template(
        "backtest.html", tested=asked, times=TIMES, found=found, mistakes=mistakes,
        rows=[row for row in rows if tells(row)], same=[row for row in rows if not tells(row)],
    )  # fmt: skip
    return make_response(page, status)
