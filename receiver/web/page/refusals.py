"""What was refused, in the page's words: where the API names its requests, the page links."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any

from flask import Response, render_template, request, url_for
from markupsafe import Markup, escape

from receiver.app.composition import Intake
from receiver.web.page.acts import DEEDS
from receiver.web.page.words import KINDS, plain
from receiver.web.problem_details import problem_of

ID = r"([sprd]-[0-9a-z]{18})"

REQUEST = re.compile(
    rf"POST /v1/(?:sync|plan|run)s/{ID}/(\w+)"
    rf"|GET /v1/(?:syncs|plans|runs|deliveries)/{ID}"
    r"|GET /v1/(syncs|plans|runs|deliveries|rules)(?:\?state=(\w+))?(?![\w/])"
)
"""The API's requests in its hints that the page has something for: acts, things and lists."""

LISTS = {"runs": ("page.runs", "Runs"), "rules": ("page.rules", "Rules")}
"""The page's lists of what the API lists; all else is found by its sync."""

OPTIONS = "`--with-rules-in-force` (withRulesInForce) does it"
"""What commands and requests have for the box in the form of a retry and a replay."""

DONE = frozenset({"wrong_state", "forbidden"})
"""Refusals after which the same form would be refused again."""


def refused(intake: Intake, error: Exception) -> Response:
    """Show what is wrong, and lead back."""
    answer = problem_of(error, intake.log)
    if answer.status_code == HTTPStatus.UNAUTHORIZED:
        answer.headers["WWW-Authenticate"] = 'Bearer realm="postsync"'  # no dialog of the browser
    told = answer.get_json(force=True)
    answer.data = render_template("refused.html", problem=told, back=_back(told))
    answer.content_type = "text/html; charset=utf-8"
    return answer


def by_links(text: str) -> Markup:
    """Write a hint of the API with a link in place of each request."""
    text = text.replace(OPTIONS, "the box in the form does it")
    return Markup(REQUEST.sub(_link, str(escape(plain(text)))))  # noqa: S704 escaped above


def _link(found: re.Match[str]) -> str:
    of, word, number, rows, state = found.groups()
    if of:
        return _act(of, word, found[0])
    if number:
        return _anchor(url_for(KINDS[number[0]], number=number), number)
    endpoint, name = LISTS.get(rows, ("page.syncs", "Syncs"))
    if not state:
        return _anchor(url_for(endpoint), name)
    plans = rows == "plans"
    place = url_for(endpoint, outcome=state) if plans else url_for(endpoint, state=state)
    return _anchor(place, f"{name}, {state}")


def _act(number: str, word: str, otherwise: str) -> str:
    kind = KINDS[number[0]].removeprefix("page.")
    if (kind, word) not in DEEDS:
        return otherwise
    address = url_for(f"page.ask_{kind}", number=number, word=word)
    return _anchor(address, f"{DEEDS[kind, word].label} {kind} {number}")


def _anchor(address: str, text: str) -> str:
    return f'<a href="{escape(address)}">{text}</a>'


def _back(told: Any) -> list[tuple[str, str]]:
    """Return addresses and names of where one came from: the form, and what it is about."""
    if request.endpoint in {"page.what_if", "page.backtest"}:
        return [(url_for("page.rules"), "Back to the rules")]
    given = request.view_args or {}
    kind, number, word = (given.get(name, "") for name in ("kind", "number", "word"))
    known = (kind, word) in DEEDS and not told["reason"].startswith("no_such_")
    if not known:
        return []
    thing = (url_for(f"page.{kind}", number=number), f"To the {kind} {number}")
    if request.method != "POST" or told["reason"] in DONE:
        return [thing]
    return [(url_for(f"page.ask_{kind}", number=number, word=word), "Back to the form"), thing]
