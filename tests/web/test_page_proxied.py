"""The log-in by an authenticating proxy: its headers count, and nobody else's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from doors import AS_OPERATOR, OPERATOR, VIEWER, Doors, doors
from house import House
from page import csrf_of, failed_run, fill, log_in, words
from werkzeug.test import TestResponse

from receiver.ledger.engine.ledger import Ledger
from receiver.web.thread_pools import ADMISSION, Head, Pool

PROXY = "10.42.0.7"
LOGIN = {
    "userHeader": "X-Forwarded-Email", "groupsHeader": "X-Forwarded-Groups",
    "operators": ["platform", "on call"], "viewers": ["developers"],
}  # fmt: skip
ANN = {"X-Forwarded-Email": "ann@example.com", "X-Forwarded-Groups": "staff, platform"}
BOB = {"X-Forwarded-Email": "bob@example.com", "X-Forwarded-Groups": "developers"}
EVE = {"X-Forwarded-Email": "eve@example.com", "X-Forwarded-Groups": "plat,form,staff"}


@contextmanager
def proxied(ledger: Ledger, home: Path) -> Iterator[Doors]:
    with doors(ledger, home, trusted_proxies=["10.42.0.0/16"], page_login=LOGIN) as made:
        yield made


@pytest.fixture
def web(file_ledger: Ledger, tmp_path: Path) -> Iterator[Doors]:
    with proxied(file_ledger, tmp_path) as made:
        yield made


@pytest.fixture
def house(file_ledger: Ledger) -> House:
    return fill(file_ledger)


def get(web: Doors, path: str, headers: dict[str, str], peer: str = PROXY) -> TestResponse:
    return web.client.get(f"/page{path}", headers=headers, environ_base={"REMOTE_ADDR": peer})


def post(
    web: Doors, path: str, headers: dict[str, str], peer: str = PROXY, **form: str
) -> TestResponse:
    return web.client.post(
        f"/page{path}", data=form, headers=headers, environ_base={"REMOTE_ADDR": peer}
    )


@pytest.mark.parametrize(
    ("headers", "name", "role"),
    [(ANN, "proxy:ann@example.com", "operator"), (BOB, "proxy:bob@example.com", "viewer"),
     (ANN | {"X-Forwarded-Groups": "on call"}, "proxy:ann@example.com", "operator")],
)  # fmt: skip
def test_whom_the_proxy_names_is_in(
    web: Doors, headers: dict[str, str], name: str, role: str
) -> None:
    """By the groups, without a form, which is there for a token; to log out is the proxy's."""
    page = get(web, "/status", headers)
    assert page.status_code == 200
    assert f"{name} " in page.text
    assert f">{role}<" in page.text
    assert "Log out" not in page.text
    assert get(web, "/login", headers).status_code == 200


@pytest.mark.parametrize("peer", ["10.43.0.7", "127.0.0.1", "::1", "", "x", "::ffff:192.0.2.1"])
def test_headers_from_elsewhere_count_for_nothing(web: Doors, peer: str) -> None:
    """Whatever they say of the way that they came."""
    forged = ANN | {"X-Forwarded-For": PROXY, "X-Real-IP": PROXY, "Forwarded": f"for={PROXY}"}
    answer = get(web, "/status", forged, peer)
    assert (answer.status_code, answer.location) == (303, "/page/login?next=/page/status")
    assert post(web, "/pauses/all/pause", forged, peer).status_code == 403
    assert web.intake.reader.pauses() == []


def test_off_unless_told(file_ledger: Ledger, tmp_path: Path) -> None:
    """A trusted proxy alone is none that logs anybody in."""
    with doors(file_ledger, tmp_path, trusted_proxies=["10.42.0.0/16"]) as web:
        assert get(web, "/status", ANN).status_code == 303


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        (EVE, "eve@example.com is in no group"),
        ({"X-Forwarded-Email": "ann@example.com"}, "is in no group"),
        (ANN | {"X-Forwarded-Email": "eve,ann"}, "is no name of one user"),
        (ANN | {"X-Forwarded-Email": "a" * 201}, "is no name of one user"),
    ],
)
def test_who_may_not_look_is_told_so(web: Doors, headers: dict[str, str], told: str) -> None:
    """A token lets him in all the same, and what the refusal looks like is not refused."""
    answer = get(web, "/status", headers)
    assert answer.status_code == 403
    assert told in words(answer)
    assert get(web, "/assets/page.css", headers).status_code == 200
    csrf = csrf_of(get(web, "/login", headers))
    assert post(web, "/login", headers, csrf=csrf, token=VIEWER).status_code == 303
    assert "bob <" in get(web, "/status", headers).text


def test_without_a_user_the_form_is_shown(web: Doors) -> None:
    """As for whoever the proxy lets through unasked."""
    assert get(web, "/status", {"X-Forwarded-Groups": "platform"}).status_code == 303
    log_in(web.client, OPERATOR)
    assert "ann <" in get(web, "/status", {}).text


def test_an_act_has_the_users_name_on_the_trail(web: Doors, house: House) -> None:
    """And none that a token could have."""
    path = f"/runs/{failed_run(house)}/acknowledge"
    csrf = csrf_of(get(web, path, ANN))
    assert post(web, path, ANN, csrf=csrf, reason="known").status_code == 303
    (line,) = house.events("run.acknowledged")
    assert (line["by"], line["reason"]) == ("proxy:ann@example.com", "known")


def test_a_viewer_by_the_proxy_does_not_act(web: Doors, house: House) -> None:
    """As one by a token."""
    csrf = csrf_of(get(web, "/status", BOB))
    path = f"/runs/{failed_run(house)}/retry"
    answer = post(web, path, BOB, csrf=csrf)
    assert answer.status_code == 403
    assert "the setting pageLogin" in words(answer)


def test_another_site_cannot_use_the_proxys_log_in(web: Doors, house: House) -> None:
    """The browser sends it no cookie along, and it does not know what is in there."""
    path = f"/runs/{failed_run(house)}/retry"
    other = web.app.test_client()
    theirs = other.get("/page/status", headers=BOB, environ_base={"REMOTE_ADDR": PROXY})
    get(web, "/status", ANN)
    for csrf in ("", "x", csrf_of(theirs)):
        assert post(web, path, ANN, csrf=csrf).status_code == 403
    fresh = web.app.test_client()
    answer = fresh.post(
        f"/page{path}", data={"csrf": csrf_of(theirs)}, headers=ANN,
        environ_base={"REMOTE_ADDR": PROXY},
    )  # fmt: skip
    assert answer.status_code == 403
    assert house.query(f"SELECT state FROM runs WHERE id = '{failed_run(house)}'") == ["failed"]
    (cookie,) = theirs.headers.getlist("Set-Cookie")
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie


def test_the_api_believes_no_proxy(web: Doors) -> None:
    """It takes tokens alone."""
    for path, method in (("/v1/syncs", "GET"), ("/v1/pauses/all", "PUT")):
        answer = web.client.open(
            path, method=method, headers=ANN, environ_base={"REMOTE_ADDR": PROXY}
        )
        assert answer.status_code == 401
    assert web.client.get("/v1/syncs", headers=AS_OPERATOR).status_code == 200


def test_a_body_is_read_of_the_pages_users_alone(web: Doors) -> None:
    """From the proxy, for the page, in a group that counts."""
    admission = web.app.extensions[ADMISSION]

    def pool(path: str, headers: dict[str, str], remote: str) -> Pool:
        named = [(name.upper(), value) for name, value in headers.items()]
        return Pool(admission.pool(Head(path, headers=named, remote=remote)))

    assert pool("/page/rules", ANN, PROXY) is Pool.AUTHENTICATED
    assert pool("/page/rules", BOB, f"::ffff:{PROXY}") is Pool.AUTHENTICATED
    assert pool("/page/rules", EVE, PROXY) is Pool.UNAUTHENTICATED
    assert pool("/page/rules", ANN, "192.0.2.1") is Pool.UNAUTHENTICATED
    assert pool("/v1/notifications", ANN, PROXY) is Pool.UNAUTHENTICATED
    assert pool("/pages", ANN, PROXY) is Pool.UNAUTHENTICATED
