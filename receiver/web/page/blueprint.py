"""Puts the page together: its addresses, who may open which, and what every answer has."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Any

from flask import Blueprint, Response, g, redirect, request, url_for

from receiver.app.composition import Intake
from receiver.ledger.binding import UNBOUND
from receiver.web.page import acts, backtest, login, pauses, runs, state, story, syncs, what_if
from receiver.web.page.assets import assets
from receiver.web.page.headers import add_headers, is_secure
from receiver.web.page.refusals import by_links, refused
from receiver.web.page.sessions import read_session
from receiver.web.page.words import FILTERS, plain
from receiver.web.problem_details import Refusal

ROOT = "/page"
LOGIN = f"{ROOT}/login"

YEAR = 31_536_000
"""Seconds: how long a browser may keep a file whose address has a digest of it."""

OPEN = {"page.login", "page.log_in", "page.asset"}
"""What needs no session."""

PAGES = (
    ("page.syncs", "Syncs"),
    ("page.runs", "Runs"),
    ("page.rules", "Rules"),
    ("page.status", "Status"),
)
"""The links at the top: endpoints and names."""

BOUND = {
    "page.syncs", "page.sync", "page.trail", "page.plan", "page.run", "page.delivery", "page.runs",
    "page.rules", "page.ask_sync", "page.act_sync", "page.ask_plan", "page.act_plan",
    "page.ask_run", "page.act_run", "page.ask_pause", "page.act_pause", "page.slash",
    "page.log_out", "page.nothing",
} | OPEN  # fmt: skip
"""What is also for a token that is bound to namespaces: each keeps to `Intake.binding`."""

VIEWS: dict[str, Callable[..., Any]] = {
    "": syncs.syncs,
    "/syncs/<number>": story.sync,
    "/syncs/<number>/trail": story.trail,
    "/plans/<number>": story.plan,
    "/runs/<number>": story.run,
    "/deliveries/<number>": story.delivery,
    "/runs": runs.runs,
    "/rules": state.rules,
    "/status": state.status,
}
"""What is shown, by address; each view is called with the intake and the parts of the address."""


def page_blueprint(intake: Intake) -> Blueprint:
    """Make the routes of the page, over these parts."""
    routes = Blueprint("page", __name__, template_folder="templates", url_prefix=ROOT)
    for path, view in VIEWS.items():
        routes.add_url_rule(path, view.__name__, partial(_view, view))
    for kind in ("sync", "plan", "run"):
        path, given = f"/{kind}s/<number>/<word>", {"kind": kind}
        routes.add_url_rule(path, f"ask_{kind}", partial(_view, acts.ask), defaults=given)
        routes.add_url_rule(
            path, f"act_{kind}", partial(_view, acts.act), defaults=given, methods=["POST"]
        )
    ask, act = partial(_view, pauses.ask), partial(_view, pauses.act)
    for path in ("/pauses/<scope>/<word>", "/pauses/<scope>/<path:name>/<word>"):
        routes.add_url_rule(path, "ask_pause", ask)
        routes.add_url_rule(path, "act_pause", act, methods=["POST"])
    routes.add_url_rule("/backtest", "ask_backtest", partial(_view, backtest.ask))
    routes.add_url_rule("/backtest", "backtest", partial(_view, backtest.show), methods=["POST"])
    routes.add_url_rule("/rules", "what_if", partial(_view, what_if.show), methods=["POST"])
    routes.add_url_rule("/", "slash", _to_beginning)
    routes.add_url_rule("/login", "login", login.ask)
    routes.add_url_rule("/login", "log_in", partial(login.log_in, intake), methods=["POST"])
    routes.add_url_rule("/logout", "log_out", login.log_out, methods=["POST"])
    routes.add_url_rule("/assets/<name>", "asset", _asset)
    routes.add_url_rule("/<path:rest>", "nothing", _nothing)
    routes.before_request(partial(_admit, intake))
    routes.after_request(add_headers)
    routes.after_request(login.keep_csrf)
    routes.context_processor(_common)
    routes.register_error_handler(Exception, partial(refused, intake))

    @routes.record_once
    def prepare(made: Any) -> None:
        templates = made.app.jinja_env
        templates.filters.update(FILTERS, by_links=by_links)
        templates.finalize = plain
        templates.trim_blocks = templates.lstrip_blocks = True
        made.app.add_url_rule("/", "root", _to_beginning)

    return routes


def _admit(intake: Intake) -> Any:
    """Find the session; without one, only the form that opens one is shown."""
    cookies = request.headers.get("Cookie", "")
    prefix = request.root_path
    g.session = read_session(cookies, intake.keys, secure=is_secure(), prefix=prefix)
    if g.session is None and request.endpoint not in OPEN:
        g.session = login.proxied(intake.settings)
    if g.session is not None:
        g.intake = intake.of_token(g.session.name)
        if g.intake.binding.bound and request.endpoint not in BOUND:
            raise g.intake.binding.refusal("this page is not for such a token")
        return None
    if request.endpoint in OPEN:
        return None
    if request.method != "GET":
        raise Refusal(
            "no_session", "the session has ended, so nothing was done",
            hint="log in, and do it again", status=HTTPStatus.FORBIDDEN,
        )  # fmt: skip
    following = prefix + request.full_path.rstrip("?")
    return redirect(url_for("page.login", next=following), HTTPStatus.SEE_OTHER)


def _to_beginning() -> Any:
    return redirect(url_for("page.syncs"), HTTPStatus.SEE_OTHER)


def _view(view: Callable[..., Any], **given: Any) -> Any:
    """Call a view with the intake as the session's token sees it."""
    return view(g.intake, **given)


def _common() -> dict[str, Any]:
    """Return what every template may use; ``tenant`` is what the session is bound to, or ""."""
    binding = g.intake.binding if "intake" in g else UNBOUND
    tenant = str(binding) if binding.bound else ""
    return {
        "session": g.get("session"), "asset": _asset_url, "here": request.endpoint,
        "pages": [one for one in PAGES if not tenant or one[0] in BOUND], "tenant": tenant,
    }  # fmt: skip


def _asset_url(name: str) -> str:
    return url_for("page.asset", name=name, v=assets()[name].digest)


def _asset(name: str) -> Response:
    found = assets().get(name)
    if found is None:
        return _nothing("")
    current = request.args.get("v") == found.digest
    keep = f"public, max-age={YEAR}, immutable" if current else "no-cache"
    return Response(found.data, content_type=found.kind, headers={"Cache-Control": keep})


def _nothing(rest: str) -> Response:  # noqa: ARG001 the address, in which nothing else stands
    raise Refusal("not_found", f"there is nothing at {request.path}", status=HTTPStatus.NOT_FOUND)
