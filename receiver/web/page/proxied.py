"""Who looks at the page, where a proxy has logged him in and says so in headers.

Each request is asked anew, and only of a peer that is a trusted proxy itself: whoever stands before
that one, and whatever `X-Forwarded-For` says, counts for nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

from receiver.settings.model import Settings
from receiver.web.page.sessions import Session
from receiver.web.problem_details import Refusal
from receiver.web.rejected_request_log import read_address

LONGEST = 200
"""Characters of a user's name."""

PREFIX = "proxy:"
"""Before the name of a user, so that none has the name of a token: that has no colon."""

PAGE = "/page"


def read_proxied(
    settings: Settings, remote: str, header: Callable[[str], str], csrf: str
) -> Session | None:
    """Return the session of a user whom a trusted proxy names; None if there is none.

    Args:
        settings: which headers and groups count, and which proxies are trusted.
        remote: the address of the peer.
        header: gives a header by its name, "" without one; several are joined by commas.
        csrf: what the session's forms carry against forgery.

    Raises:
        Refusal: 403, he is in no group that counts, or his name can be no name.
    """
    login, peer = settings.page_login, read_address(remote)
    if login is None or peer is None or not any(peer in one for one in settings.trusted_proxies):
        return None
    user = header(login.user_header).strip()
    if not user:
        return None
    if "," in user or len(user) > LONGEST or not user.isprintable():
        raise _forbidden(
            f"the header {login.user_header} of the proxy is no name of one user",
            "the proxy must replace what the browser sends of it",
        )
    groups = {one.strip() for one in header(login.groups_header).split(",")}
    operator = not groups.isdisjoint(login.operators)
    if not operator and groups.isdisjoint(login.viewers):
        raise _forbidden(
            f"{user} is in no group that may look at the page",
            "the setting pageLogin has the groups of operators and viewers",
        )
    return Session(f"{PREFIX}{user}", operator, csrf, proxied=True)


def is_proxied(settings: Settings, path: str, remote: str, header: Callable[[str], str]) -> bool:
    """Whether a request of the page has a user whom a trusted proxy names."""
    if settings.page_login is None or not (path == PAGE or path.startswith(f"{PAGE}/")):
        return False
    try:
        return read_proxied(settings, remote, header, "") is not None
    except Refusal:
        return False


def _forbidden(message: str, hint: str) -> Refusal:
    return Refusal("forbidden", message, hint=hint, status=HTTPStatus.FORBIDDEN)
