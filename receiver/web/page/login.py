"""Opens and ends a session: an operator's or a viewer's token, against a cookie."""

from __future__ import annotations

import re
import secrets
from http import HTTPStatus
from typing import Any

from flask import Response, g, make_response, redirect, render_template, request, url_for

from receiver.app.composition import Intake
from receiver.settings.model import Settings
from receiver.web.auth import authenticate
from receiver.web.page.forms import read_form
from receiver.web.page.headers import is_secure
from receiver.web.page.proxied import read_proxied
from receiver.web.page.sessions import LIFETIME, Session, cookie_name, new_session, read_cookie
from receiver.web.problem_details import Refusal
from receiver.web.thread_pools import LARGEST_FORM

LOCAL = re.compile(r"/page(/[A-Za-z0-9._/-]*)?(\?[A-Za-z0-9._/=&%:+-]*)?")
"""An address of the page itself: no host, no scheme, nothing that a browser might read as one."""


def ask() -> Any:
    """Show the form; its token against forgery has a cookie of its own, as there is no session."""
    if g.session is not None:
        return redirect(_local(request.args.get("next", "")), HTTPStatus.SEE_OTHER)
    return _form(HTTPStatus.OK)


def log_in(intake: Intake) -> Any:
    """Open a session for a token, or say why not."""
    form = read_form(_presented(), LARGEST_FORM, "paste the token alone")
    token, keys = form.get("token", "").strip(), intake.keys
    try:
        name = authenticate(f"Bearer {token}", keys, keys.operators, keys.viewers)
    except Refusal as refusal:
        return _form(refusal.status, refusal, form.get("next", ""))
    operator = keys.operators.owner(token) is not None
    answer = redirect(_local(form.get("next", "")), HTTPStatus.SEE_OTHER)
    _set(answer, _session_cookie(), new_session(token, name, operator=operator))
    _set(answer, _form_cookie(), "", lifetime=0)
    return answer


def log_out() -> Any:
    """End the session in this browser."""
    read_form(g.session.csrf)
    answer = redirect(url_for("page.login"), HTTPStatus.SEE_OTHER)
    _set(answer, _session_cookie(), "", lifetime=0)
    return answer


def proxied(settings: Settings) -> Session | None:
    """Return the session of a user whom a trusted proxy names, see `read_proxied`.

    Without a cookie against forgery the answer brings one: none of his forms is good before.
    """
    kept = _presented()
    csrf = kept or secrets.token_urlsafe(16)
    remote = str(request.environ.get("REMOTE_ADDR") or "")
    found = read_proxied(settings, remote, lambda name: request.headers.get(name, ""), csrf)
    if found is not None and not kept:
        g.new_csrf = csrf
    return found


def keep_csrf(answer: Response) -> Response:
    """Have the browser keep what `proxied` has made against forgery."""
    if "new_csrf" in g:
        _set(answer, _form_cookie(), g.new_csrf)
    return answer


def _form(status: HTTPStatus, refusal: Refusal | None = None, following: str = "") -> Response:
    csrf = _presented() or secrets.token_urlsafe(16)
    following = _local(following or request.args.get("next", ""))
    answer = make_response(
        render_template("login.html", csrf=csrf, next=following, refusal=refusal), status
    )
    if refusal is not None and status == HTTPStatus.UNAUTHORIZED:
        answer.headers["WWW-Authenticate"] = 'Bearer realm="postsync"'  # no dialog of the browser
    _set(answer, _form_cookie(), csrf)
    return answer


def _presented() -> str:
    """Return what the form's cookie carries against forgery, "" without one."""
    return read_cookie(request.headers.get("Cookie", ""), _form_cookie())


def _session_cookie() -> str:
    return cookie_name(secure=is_secure(), prefix=request.root_path)


def _form_cookie() -> str:
    return f"{_session_cookie()}-form"


def _set(answer: Any, name: str, value: str, *, lifetime: int = LIFETIME) -> None:
    answer.set_cookie(
        name, value, max_age=lifetime, path=request.root_path or "/", secure=is_secure(),
        httponly=True, samesite="Strict",
    )  # fmt: skip


def _local(address: str) -> str:
    """Return an address of the page as it is, and its beginning instead of any other."""
    beginning = url_for("page.syncs")
    # By steps back a browser would come to another service of the host.
    steps = {".", ".."}.intersection(address.partition("?")[0].split("/"))
    if not address.startswith(beginning) or "//" in address or steps:
        return beginning
    return address if LOCAL.fullmatch(address.removeprefix(request.root_path)) else beginning
