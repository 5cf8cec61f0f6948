"""Below a prefix: no link leaves it, whether the ingress takes it off the requests or not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest
from browser import chromium
from doors import AS_OPERATOR, AS_SENDER, OPERATOR, Doors, doors
from house import House
from in_process import threaded
from notifications import notification
from page import csrf_of, fill
from playwright.sync_api import expect
from werkzeug.serving import make_server
from werkzeug.test import TestResponse

from receiver.ledger.engine.ledger import Ledger
from receiver.web.page.sessions import new_session
from receiver.web.thread_pools import ADMISSION, Head, Pool

pytestmark = pytest.mark.xdist_group("browser")

PREFIX = "/ops/postsync"
LINK = re.compile(r'(?:href|src|action)="([^"#]*)')
NOT_FOLLOWED = ("logout", "/assets/")


@pytest.fixture
def web(file_ledger: Ledger, tmp_path: Path) -> Iterator[Doors]:
    with doors(file_ledger, tmp_path, url_prefix=PREFIX) as made:
        yield made


@pytest.fixture
def house(file_ledger: Ledger) -> House:
    return fill(file_ledger)


def links(answer: TestResponse) -> set[str]:
    """Where a page leads to."""
    return {unescape(one) for one in LINK.findall(answer.text) if one}


@pytest.mark.usefixtures("house")
@pytest.mark.parametrize("asked_with", [PREFIX, ""], ids=["left there", "taken off"])
def test_every_link_of_every_page_is_below_the_prefix(web: Doors, asked_with: str) -> None:
    """Also where an ingress takes the prefix off before it asks, which no browser knows of."""
    client = web.app.test_client(use_cookies=False)  # the browser's address is not always its own
    form = client.get(f"{asked_with}/page/login?next={PREFIX}/page/status")
    given = {"csrf": csrf_of(form), "token": OPERATOR, "next": f"{PREFIX}/page/status"}
    cookie = f"postsync-form={given['csrf']}"
    entered = client.post(f"{asked_with}/page/login", data=given, headers={"Cookie": cookie})
    assert (entered.status_code, entered.location) == (303, f"{PREFIX}/page/status")
    kept = next(one for one in entered.headers.getlist("Set-Cookie") if one.startswith("postsync="))
    assert f"Path={PREFIX};" in f"{kept};"
    session = {"Cookie": kept.partition(";")[0]}
    seen: set[str] = set()
    ahead = {f"{PREFIX}/"}
    while ahead:
        address = ahead.pop()
        seen.add(address)
        asked = asked_with + address.removeprefix(PREFIX)
        answer = client.get(asked, headers=session)
        assert answer.status_code in {200, 303}, (address, answer.text)
        found = links(answer) | ({answer.location} if answer.location else set())
        for link in found:
            whole = urljoin(f"http://localhost{address}", link)
            parts = urlsplit(whole)
            assert parts.netloc == "localhost", (address, link)
            assert parts.path.startswith(f"{PREFIX}/"), (address, link)
            place = f"{parts.path}?{parts.query}".rstrip("?")
            if place not in seen and not any(word in place for word in NOT_FOLLOWED):
                ahead.add(place)
    assert {f"{PREFIX}/page", f"{PREFIX}/page/rules", f"{PREFIX}/page/status"} <= seen
    assert len(seen) > 20


def test_without_a_session_it_leads_to_the_form_and_back(web: Doors) -> None:
    answer = web.client.get(f"{PREFIX}/page/status")
    assert (answer.status_code, answer.location) == (
        303, f"{PREFIX}/page/login?next={PREFIX}/page/status"
    )  # fmt: skip


@pytest.mark.parametrize(
    "elsewhere",
    [
        "/page/status", "/ops/page", "//evil.example/page", "/ops/postsync//evil.example",
        "/ops/postsync/page/../../grafana", "/ops/postsync/page/./../../grafana",
    ],
)  # fmt: skip
def test_a_log_in_leads_nowhere_else(web: Doors, elsewhere: str) -> None:
    """Another service's page of the same host is as foreign as another host's."""
    csrf = csrf_of(web.client.get(f"{PREFIX}/page/login"))
    given = {"csrf": csrf, "token": OPERATOR, "next": elsewhere}
    answer = web.client.post(f"{PREFIX}/page/login", data=given)
    assert (answer.status_code, answer.location) == (303, f"{PREFIX}/page")


def test_over_tls_the_session_goes_to_no_other_service_of_the_host(web: Doors) -> None:
    """A cookie that is kept to a path has no name that begins with __Host-."""
    csrf = csrf_of(web.client.get(f"{PREFIX}/page/login", base_url="https://localhost"))
    cookie = {"Cookie": f"__Secure-postsync-form={csrf}"}
    answer = web.client.post(
        f"{PREFIX}/page/login", data={"csrf": csrf, "token": OPERATOR}, headers=cookie,
        base_url="https://localhost",
    )  # fmt: skip
    lines = [one for one in answer.headers.getlist("Set-Cookie") if "-form" not in one]
    assert [one.partition("=")[0] for one in lines] == ["__Secure-postsync"]
    assert f"Path={PREFIX}" in lines[0]
    assert "; Secure" in lines[0]


@pytest.mark.parametrize("asked_with", [PREFIX, ""])
def test_argo_cd_and_probes_ask_with_the_prefix_or_without(web: Doors, asked_with: str) -> None:
    """In the cluster nobody need know of it."""
    sent = web.client.post(f"{asked_with}/v1/notifications", data=notification(), headers=AS_SENDER)
    assert sent.status_code == 202, sent.text
    sync = sent.get_json()["sync"]
    assert web.client.get(f"{asked_with}/v1/syncs/{sync}", headers=AS_OPERATOR).status_code == 200
    assert web.client.get(f"{asked_with}/readyz").status_code == 200
    document = web.client.get(f"{asked_with}/v1/openapi.json").get_json()
    assert document["servers"] == [{"url": PREFIX}]


def test_what_only_begins_like_the_prefix_is_nothing_of_ours(web: Doors) -> None:
    assert web.client.get(f"{PREFIX}er/page").status_code == 404


def test_the_prefix_changes_nothing_of_who_is_served_first(web: Doors) -> None:
    """Probes have threads of their own, a form is read from anybody, a session is known."""
    admission = web.app.extensions[ADMISSION]
    assert admission.pool(Head(f"{PREFIX}/healthz")) == Pool.HEALTH
    assert admission.pool(Head(f"{PREFIX}/readyz")) == Pool.READINESS
    assert admission.pool(Head(f"{PREFIX}/metrics")) == Pool.UNAUTHENTICATED
    assert admission.takes_form(Head(f"{PREFIX}/page/login", length=100))
    assert not admission.takes_form(Head(f"{PREFIX}/page", length=100))
    session = new_session(OPERATOR, "ann", operator=True)
    for name in ("postsync", "__Secure-postsync"):
        head = Head(f"{PREFIX}/page", cookie=f"{name}={session}")
        assert admission.pool(head) == Pool.AUTHENTICATED


@pytest.mark.usefixtures("house")
def test_a_browser_asks_for_nothing_outside(web: Doors) -> None:
    """Styles, scripts, what the script fetches, forms and where they lead."""
    with (
        threaded(make_server("127.0.0.1", 0, web.app, threaded=True)) as url,
        chromium() as browser,
    ):
        page = browser.new_context(base_url=url).new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(urlsplit(request.url).path))
        page.goto(f"{PREFIX}/page/status")
        page.get_by_label("Token").fill(OPERATOR)
        page.get_by_role("button", name="Log in").click()
        expect(page).to_have_url(f"{url}{PREFIX}/page/status")
        page.get_by_role("link", name="Syncs", exact=True).click()
        page.get_by_role("link", name="argocd/shop").first.click()
        row = page.locator(".card").get_by_role("row", name="assets-img")
        row.get_by_role("link", name="Retry").click()
        page.get_by_label("Why, for the trail").fill("the CDN is back")
        page.get_by_role("button", name="Retry").click()
        expect(page).to_have_url(re.compile(f"^{url}{PREFIX}/page/"))
        page.get_by_role("button", name="Log out").click()
        expect(page.get_by_label("Token")).to_be_visible()
    assert len(asked) > 10
    assert [one for one in asked if not one.startswith(f"{PREFIX}/")] == []
