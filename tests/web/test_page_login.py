"""Who may look at the page: sessions, their cookies, and forms that another site has made."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from doors import OPERATOR, SENDER, VIEWER, Doors, doors, token_file
from flask.testing import FlaskClient
from page import csrf_of, log_in
from werkzeug.test import TestResponse

from receiver.ledger.engine.ledger import Ledger
from receiver.web.page.sessions import LIFETIME, new_session, read_session
from receiver.web.thread_pools import ADMISSION, Head, Pool


@pytest.fixture
def web(file_ledger: Ledger, tmp_path: Path) -> Iterator[Doors]:
    with doors(file_ledger, tmp_path) as made:
        yield made


def try_in(client: FlaskClient, token: str, **more: str) -> TestResponse:
    csrf = csrf_of(client.get("/page/login"))
    return client.post("/page/login", data={"csrf": csrf, "token": token, **more})


def cookie_line(answer: TestResponse, name: str = "postsync") -> str:
    (line,) = [one for one in answer.headers.getlist("Set-Cookie") if one.startswith(f"{name}=")]
    return line


def test_the_root_leads_to_the_form(web: Doors) -> None:
    """With the place to which it leads back."""
    answer = web.client.get("/", follow_redirects=True)
    assert answer.status_code == 200
    assert answer.request.path == "/page/login"
    assert 'type="password"' in answer.text
    answer = web.client.get("/page/status?a=1")
    assert (answer.status_code, answer.location) == (303, "/page/login?next=/page/status?a%3D1")


@pytest.mark.parametrize(("token", "who"), [(OPERATOR, "ann"), (VIEWER, "bob")])
def test_operators_and_viewers_log_in(web: Doors, token: str, who: str) -> None:
    """And see whose session it is."""
    answer = log_in(web.client, token)
    assert answer.status_code == 200
    assert f">{who} <" in answer.text
    assert "operator" in answer.text if who == "ann" else "viewer" in answer.text


@pytest.mark.parametrize(
    ("token", "status", "words"),
    [
        (SENDER, 403, "which is not for this"),
        ("no-token-of-anybody", 401, "the token is not known"),
        ("", 401, "the token is not known"),
        ("töken", 401, "characters outside ASCII"),
    ],
)
def test_others_do_not(web: Doors, token: str, status: int, words: str) -> None:
    """They are told why, in the form, and no dialog of the browser opens."""
    answer = try_in(web.client, token)
    assert answer.status_code == status
    assert words in answer.text
    assert "Basic" not in answer.headers.get("WWW-Authenticate", "")
    assert not [one for one in answer.headers.getlist("Set-Cookie") if one.startswith("postsync=")]
    assert web.client.get("/page/status").status_code == 303


def test_a_wrong_token_is_not_shown_again(web: Doors) -> None:
    """Whoever has mistyped a password would else find it in the page's source."""
    assert "mistyped-password" not in try_in(web.client, "mistyped-password").text


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(web: Doors) -> None:
    """And not sent without TLS, once there is any, also before the first of two proxies."""
    plain = cookie_line(try_in(web.client, OPERATOR))
    for word in ("HttpOnly", "SameSite=Strict", "Path=/", f"Max-Age={LIFETIME}"):
        assert word in plain
    assert "Secure" not in plain
    proxies = [{"X-Forwarded-Proto": told} for told in ("https", "https, http", "HTTPS")]
    cases = [(headers, None) for headers in proxies]
    for headers, base in (*cases, ({}, "https://localhost")):
        client = web.app.test_client()
        csrf = csrf_of(client.get("/page/login", headers=headers, base_url=base))
        form = {"csrf": csrf, "token": OPERATOR}
        # The test's client takes a __Host- cookie for what its address says.
        cookie = {"Cookie": f"__Host-postsync-form={csrf}"}
        answer = client.post("/page/login", data=form, headers=headers | cookie, base_url=base)
        assert "; Secure" in cookie_line(answer, "__Host-postsync")


def test_each_answer_has_the_headers_that_owasp_lists(web: Doors) -> None:
    """Of the form, of a page, of a redirect and of what is refused."""
    answers = [web.client.get("/page/login"), web.client.get("/page/status")]
    log_in(web.client)
    answers += [web.client.get(path) for path in ("/page/status", "/page/nothing")]
    for answer in answers:
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert answer.headers["Referrer-Policy"] == "same-origin"
        assert answer.headers["Cache-Control"] == "no-store"


def test_nothing_inline_and_nothing_from_elsewhere(web: Doors) -> None:
    """The policy would not let it run."""
    text = web.client.get("/page/login").text + log_in(web.client).text
    assert re.findall(r"<style|\sstyle=|\son\w+=|<script(?! src=)|javascript:", text) == []
    assert re.findall(r'(?:src|href|action)="(?!/page|#)[^"]*"', text) == []


def test_a_session_ends_with_its_token(web: Doors) -> None:
    """At the next request after the line is gone."""
    log_in(web.client)
    assert web.client.get("/page/status").status_code == 200
    token_file(web.home, "operators/ann", "another-token-of-ann-0123")
    web.intake.keys._next_check = 0
    assert web.client.get("/page/status").status_code == 303


def test_a_token_that_moves_to_the_viewers_acts_no_more(web: Doors) -> None:
    """The folder is in what is signed."""
    cookie = new_session(OPERATOR, "ann", operator=True)
    (web.home / "operators/ann").unlink()
    token_file(web.home, "viewers/ann", OPERATOR)
    web.intake.keys._next_check = 0
    assert read_session(f"postsync={cookie}", web.intake.keys) is None


def test_a_session_ends_after_twelve_hours(web: Doors) -> None:
    """Whatever the browser keeps."""
    cookie = f"postsync={new_session(OPERATOR, 'ann', operator=True)}"
    keys, now = web.intake.keys, time.time()
    assert read_session(cookie, keys)
    assert read_session(cookie, keys, now=lambda: now + LIFETIME - 60)
    assert read_session(cookie, keys, now=lambda: now + LIFETIME + 1) is None
    assert read_session(cookie, keys, now=lambda: now - 3600) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("v:", "o:", 1),
        lambda text: text.replace(":bob:", ":ann:"),
        lambda text: re.sub(r":(\d+):", lambda found: f":{int(found[1]) + 9}:", text),
        lambda text: text[:-1] + ("0" if text[-1] != "0" else "1"),
        lambda text: text.rpartition(":")[0] + ":",
        lambda _text: "o:ann:1:x:" + "é" * 64,
        lambda _text: "::::",
        lambda _text: "",
    ],
)
def test_nobody_makes_a_session_without_the_token(web: Doors, change: object) -> None:
    """A viewer least of all an operator's."""
    good = new_session(VIEWER, "bob", operator=False)
    keys = web.intake.keys
    assert read_session(f"postsync={good}", keys)
    assert read_session(f"postsync={change(good)}", keys) is None  # type: ignore[operator]  # a lambda


def test_to_log_out_ends_it_in_this_browser(web: Doors) -> None:
    """By a form that only the page itself has."""
    page = log_in(web.client)
    assert web.client.post("/page/logout", data={"csrf": "made-up"}).status_code == 403
    assert web.client.get("/page/status").status_code == 200
    answer = web.client.post("/page/logout", data={"csrf": csrf_of(page)})
    assert (answer.status_code, answer.location) == (303, "/page/login")
    assert web.client.get("/page/status").status_code == 303


def test_another_site_cannot_log_anybody_in(web: Doors) -> None:
    """Its form lacks the cookie that came with ours."""
    for form in ({"token": OPERATOR}, {"token": OPERATOR, "csrf": ""}, {"csrf": "x"}):
        answer = web.app.test_client().post("/page/login", data=form)
        assert answer.status_code == 403
        assert "not one that this page has shown" in answer.text


@pytest.mark.parametrize(
    "address",
    ["https://evil.example", "//evil.example", "/page//evil.example", "/page/../v1", "/\\evil",
     "javascript:alert(1)", "/page/x\r\nSet-Cookie: a=b"],
)  # fmt: skip
def test_after_the_log_in_the_browser_stays_here(web: Doors, address: str) -> None:
    """Whatever address a link to the form has named."""
    location = try_in(web.client, OPERATOR, next=address).location
    assert location in ("/page", "/page/../v1")
    other = web.app.test_client()
    assert try_in(other, OPERATOR, next="/page/status?a=1").location == "/page/status?a=1"


def test_the_api_takes_no_cookie(web: Doors) -> None:
    """So no other site's page can use it."""
    log_in(web.client)
    assert web.client.get("/v1/syncs").status_code == 401


def test_a_session_counts_as_known_before_its_body_is_read(web: Doors) -> None:
    """And nobody's form is read but the one that brings a token, if it is small."""
    admission = web.app.extensions[ADMISSION]
    cookie = f"postsync={new_session(VIEWER, 'bob', operator=False)}"
    assert admission.pool(Head("/page/status", cookie=cookie)) is Pool.AUTHENTICATED
    assert admission.pool(Head("/page/status", cookie=cookie[:-1])) is Pool.UNAUTHENTICATED
    assert admission.takes_form(Head("/page/login", length=100))
    assert not admission.takes_form(Head("/page/login", length=5000))
    assert not admission.takes_form(Head("/page/login", length=None))
    assert not admission.takes_form(Head("/v1/notifications", length=100))


def test_a_form_that_is_too_large_or_no_form_is_refused(web: Doors) -> None:
    """As a page, like everything else here."""
    page = log_in(web.client)
    large = web.client.post("/page/logout", data={"csrf": csrf_of(page), "x": "y" * 9000})
    assert large.status_code == 413
    odd = web.client.post("/page/logout", data=b"\xff\xfe")
    assert odd.status_code == 400
    assert all("<!doctype html>" in one.text for one in (large, odd))


def test_what_is_not_there_is_told_as_a_page(web: Doors) -> None:
    """Of another method too."""
    log_in(web.client)
    answer = web.client.get("/page/<script>alert(1)</script>")
    assert answer.status_code == 404
    assert "there is nothing at /page/&lt;script&gt;" in answer.text


def test_files_are_kept_by_the_digest_in_their_address(web: Doors) -> None:
    """A new version has another address."""
    (address,) = re.findall(
        r'href="(/page/assets/page\.css[^"]*)"', web.client.get("/page/login").text
    )
    answer = web.client.get(address)
    assert answer.mimetype == "text/css"
    assert "immutable" in answer.headers["Cache-Control"]
    assert web.client.get("/page/assets/page.css").headers["Cache-Control"] == "no-cache"
    assert web.client.get("/page/assets/login.html").status_code == 404
