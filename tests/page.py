"""The page as its tests open it: with a session, and with what its forms carry."""

from __future__ import annotations

import re
from html import unescape

from doors import OPERATOR
from flask.testing import FlaskClient
from werkzeug.test import TestResponse


def csrf_of(page: TestResponse) -> str:
    """What the page's first form carries against forgery."""
    found = re.search(r'name="csrf" value="([^"]+)"', page.text)
    assert found, page.text
    return found[1]


def log_in(client: FlaskClient, token: str = OPERATOR) -> TestResponse:
    """Open a session, and the page's beginning."""
    form = {"csrf": csrf_of(client.get("/page/login")), "token": token}
    return client.post("/page/login", data=form, follow_redirects=True)


def words(page: TestResponse) -> str:
    """What the page says, without its markup, in one line."""
    main = page.text.partition("<main")[2].partition("</main>")[0].partition(">")[2]
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", main)).split())
